//! What clients see of their own tasks, and nothing of those of others; hints that their readers can
//! follow; revokes that leave nothing.

use std::collections::BTreeSet;

use pgasync_pg::Session;
use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::Fixture;

/// A role of this test, whose sessions are those of the owner of the database after `set role`.
/// [`Role::drop_from`] drops it.
struct Role(String);

impl Role {
    async fn create<E: Engine>(fixture: &Fixture<E>, kind: &str, grant: &str) -> Self {
        let name = format!("{}_{kind}", fixture.name());
        let name = name[name.len().saturating_sub(60)..].to_owned();
        fixture.run(&format!("create role \"{name}\"")).await;
        if !grant.is_empty() {
            fixture.run(&format!("select async.{grant}('{name}')")).await;
        }
        Self(name)
    }

    async fn session<E: Engine>(&self, fixture: &Fixture<E>) -> Session {
        let session = fixture.connect().await;
        session.batch_execute(&format!("set role \"{}\"", self.0)).await.expect("the superuser may");
        session
    }

    async fn drop_from<E: Engine>(self, fixture: &Fixture<E>) {
        fixture.run(&format!("drop owned by \"{0}\"; drop role \"{0}\"", self.0)).await;
    }
}

async fn text(session: &Session, sql: &str) -> String {
    let row = session.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
    row.get::<_, Option<String>>(0).unwrap_or_default()
}

/// The SQLSTATE and the hint with which statements are refused.
async fn refusal(session: &Session, sql: &str) -> (String, String) {
    let error = session.batch_execute(sql).await.expect_err(sql);
    let server = error.server().unwrap_or_else(|| panic!("{sql}: {error:?}"));
    (server.sqlstate.to_owned(), server.hint.unwrap_or_default().to_owned())
}

const OWN: &str = "select coalesce(string_agg(task_id::text, ',' order by task_id), 'none') from async.v_my_task";

async fn a_client_sees_its_own_tasks_and_why_they_wait<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .configure(&json!({ "targets": [
            fixture.there(&json!({ "max_workers": 1 })),
            { "target": "pulled", "asynchronous_finish": true },
            { "target": "down", "connection_string": "host=127.0.0.1 port=1 user=u password=hidden" },
        ] }))
        .await;
    let ann = Role::create(&fixture, "ann", "grant_client").await;
    let session = ann.session(&fixture).await;
    let push = "select async.push_task(async.task($1, $2))";
    let pushed = async |query: Option<&str>, target: &str| -> i64 {
        session.query_one(push, &[&query, &target]).await.expect("it pushes").get(0)
    };
    let failed = pushed(Some("select 1 / 0"), "there").await;
    fixture.end_of(failed).await.is("FAILED");
    let running = pushed(Some("select pg_sleep(25)"), "there").await;
    fixture.wait_until_it_runs(running).await;
    let waiting = pushed(Some("select 2"), "there").await;
    let deferred: i64 = session
        .query_one("select async.push('select 3', 'there', run_at => '2100-01-01 00:00:00+00')", &[])
        .await
        .expect("it pushes")
        .get(0);
    let offered = pushed(None, "pulled").await;
    let down = pushed(Some("select 4"), "down").await;
    fixture.wait_for("select count(*) = 1 from async.offer").await;
    fixture.wait_for("select count(*) = 1 from async.target_outage").await;
    fixture.wait_for("select workers = 1 from async.concurrency_pool_tracker where concurrency_pool = 'there'").await;
    let others = fixture.push("select 5").await;
    let row = session
        .query_one(
            "select phase::text, finish_status::text, failed, processing_error, reason, took > '0'
             from async.v_my_task where task_id = $1",
            &[&failed],
        )
        .await
        .expect("it reads");
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1), row.get::<_, bool>(2)), ("FINISHED", "FAILED", true));
    assert!(row.get::<_, &str>(3).starts_with("22012: division by zero"));
    assert_eq!((row.get::<_, Option<&str>>(4), row.get::<_, bool>(5)), (None, true));
    let reason =
        async |id: i64| text(&session, &format!("select reason from async.v_my_task where task_id = {id}")).await;
    assert_eq!(reason(running).await, "");
    assert_eq!(reason(waiting).await, "its pool is full: 1 of 1");
    assert!(reason(deferred).await.starts_with("deferred: it comes back at 2100-01-01"));
    assert_eq!(reason(offered).await, "offered: waits for a client to call async.get_tasks('pulled')");
    let lost = reason(down).await;
    assert!(lost.starts_with("the target is lost since ") && !lost.contains("127.0.0.1"), "{lost}");
    let all = [failed, running, waiting, deferred, offered, down].map(|id| id.to_string()).join(",");
    assert_eq!(text(&session, OWN).await, all, "task {others} is not its own");
    fixture.run("select async.set_target('there', '{\"paused\": true}')").await;
    assert_eq!(reason(waiting).await, "target there is paused");
    fixture.run("select async.cancel(array_agg(task_id)) from async.task where processed is null").await;
    fixture.wait_until_finished().await;
    assert_eq!(
        text(&session, "select ended_by from async.v_my_task where reason is null limit 1 offset 1").await,
        "postgres"
    );
    ann.drop_from(&fixture).await;
}

/// A client that tries to see the tasks of another one through the view, its functions and its errors.
async fn a_hostile_client_sees_nothing_of_the_tasks_of_others<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    let ann = Role::create(&fixture, "ann", "grant_client").await;
    let eve = Role::create(&fixture, "eve", "grant_client").await;
    let (anns, eves) = (ann.session(&fixture).await, eve.session(&fixture).await);
    fixture.run(&format!("create schema eve authorization \"{}\"", eve.0)).await;
    let secret: i64 =
        anns.query_one("select async.push('select ''of ann''', 'there')", &[]).await.expect("it pushes").get(0);
    let own: i64 = eves.query_one("select async.push('select 1', 'there')", &[]).await.expect("it pushes").get(0);
    assert_eq!(text(&eves, OWN).await, own.to_string());
    assert_eq!(text(&anns, OWN).await, secret.to_string());
    // A cheap function in a condition, which the planner would like to call first.
    eves.batch_execute(
        "create table eve.seen (what text);
         create function eve.sees(in_text text) returns bool language plpgsql cost 0.0000001 as $f$
         begin insert into eve.seen values (in_text); return false; end $f$;
         create function eve.equals(text, text) returns bool language plpgsql cost 0.0000001 as $f$
         begin insert into eve.seen values ($1); return true; end $f$;
         create operator eve.= (leftarg = text, rightarg = text, function = eve.equals);
         set search_path = eve, pg_catalog;
         select count(*) from async.v_my_task where eve.sees(query) or eve.sees(pushed_by) or eve.sees(reason);
         select count(*) from async.v_my_task where query operator(eve.=) 'x';
         set search_path = pg_catalog",
    )
    .await
    .unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(text(&eves, "select string_agg(what, ' ') from eve.seen where what like '%of ann%'").await, "");
    assert!(text(&eves, "select count(*)::text from eve.seen").await != "0", "its own rows are passed to it");
    // Its own ticket is good for its own tasks, and that of nobody else can be had.
    let why = "select async.why_task_waits(c.caller, c.ticket, {id}) from async.caller c";
    assert_eq!(text(&eves, &why.replace("{id}", &secret.to_string())).await, "");
    assert_ne!(text(&eves, &why.replace("{id}", &own.to_string())).await, "");
    let forged = format!("select async.why_task_waits('{}', c.ticket, {secret}) from async.caller c", ann.0);
    assert_eq!(refusal(&eves, &forged).await.0, "42501");
    // The rows of the view cannot be written.
    for sql in ["update async.v_my_task set query = null", "delete from async.v_my_task"] {
        assert!(["42501", "55000"].contains(&refusal(&eves, sql).await.0.as_str()), "{sql}");
    }
    // A member of ann sees what ann sees.
    fixture.run(&format!("grant \"{}\" to \"{}\"", ann.0, eve.0)).await;
    assert_eq!(text(&eves, OWN).await, format!("{secret},{own}"));
    fixture.run(&format!("drop owned by \"{}\"; revoke \"{}\" from \"{}\"", eve.0, ann.0, eve.0)).await;
    eve.drop_from(&fixture).await;
    ann.drop_from(&fixture).await;
}

/// `pushed_by` of a role whose name reads like two roles is the name of one.
async fn a_role_with_a_name_like_two_roles_is_one<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    let ann = Role::create(&fixture, "ann", "grant_client").await;
    let odd = Role::create(&fixture, "x as ann", "grant_client").await;
    let (anns, odds) = (ann.session(&fixture).await, odd.session(&fixture).await);
    anns.batch_execute("select async.push('select 1', 'there')").await.expect("it pushes");
    odds.batch_execute("select async.push('select 2', 'there')").await.expect("it pushes");
    // As if the odd role had logged in itself; and as if one odd role had acted as another.
    let suffix = &ann.0[..];
    fixture.run(&format!("update async.task set pushed_by = '{}' where task_id = 2", odd.0)).await;
    assert_eq!((text(&anns, OWN).await.as_str(), text(&odds, OWN).await.as_str()), ("1", "2"), "{suffix}");
    fixture.run(&format!("update async.task set pushed_by = 'a as b as {}' where task_id = 2", ann.0)).await;
    assert_eq!(text(&anns, OWN).await, "1", "it can be read in two ways");
    fixture.run("update async.task set pushed_by = null where task_id = 2").await;
    assert_eq!(text(&anns, OWN).await, "1");
    odd.drop_from(&fixture).await;
    ann.drop_from(&fixture).await;
}

/// What the names in hints are called with.
const CALLS: [(&str, &str); 11] = [
    ("defer", "select async.defer(array[1], '10 minutes')"),
    ("push_many", "select async.push_many('[{\"query\": \"select 1\", \"target\": \"there\"}]')"),
    ("push", "select async.push('select 1', 'there')"),
    ("wait_for", "select async.wait_for(array[1], '0')"),
    ("v_schedule", "select count(*) from async.v_schedule"),
    (
        "run",
        "select pg_catalog.has_function_privilege(p.oid, 'execute') from pg_catalog.pg_proc p where p.proname = 'run'",
    ),
    ("v_target", "select count(*) from async.v_target"),
    ("set_target", "select async.set_target('there')"),
    ("set_pool", "select async.set_pool('p', 1)"),
    ("v_lost_session", "select * from async.v_lost_session"),
    ("server", "select async.server()"),
];

/// The names in the sentences of a hint that do not begin with another role.
fn named(hint: &str) -> BTreeSet<String> {
    let sentences = hint.split(". ").flat_map(|part| part.split("; "));
    let own = sentences.filter(|sentence| {
        let sentence = sentence.trim().to_lowercase();
        !sentence.starts_with("an administrator") && !sentence.starts_with("the owner")
    });
    own.flat_map(|sentence| sentence.split("async.").skip(1))
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect())
        .collect()
}

async fn what_a_hint_names_works_for_the_role_that_got_it<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture.push("select 1").await;
    let client = Role::create(&fixture, "client", "grant_client").await;
    let admin = Role::create(&fixture, "admin", "grant_admin").await;
    let (clients, admins) = (client.session(&fixture).await, admin.session(&fixture).await);
    let of_clients = [
        ("select async.push('select 1', 'nowhere')", "PA011", "An administrator adds targets."),
        ("select async.push('select 1', 'SELF')", "PA082", "The owner of the schema async grants targets"),
        ("select async.push('select 1', 'there', retry => 'nope')", "PA01I", "An administrator makes retry policies"),
        ("select async.push('select 1', 'there', receipt => true)", "PA01M", "An administrator runs the SQL"),
        ("select async.push_many('{}')", "PA01D", "async.push_many takes"),
        ("select async.finish(array[1], 'DEFERRED', null)", "PA021", "async.defer(array[task_id], '10 minutes')"),
        ("select async.schedule('s', '1 hour', 'select 1', '')", "PA0A1", "An administrator adds targets."),
        ("select async.unschedule('nope')", "PA0A3", "async.v_schedule lists the schedules."),
        ("select * from async.get_tasks('there')", "PA040", "An administrator configures"),
        ("select async.wait_for_latch()", "PA050", "The owner of the schema starts one"),
        ("begin; call async.run('select 1', 'there')", "PA054", "Call it outside of a transaction"),
        ("select async.server('host=elsewhere')", "PA004", "The owner of the schema async grants it"),
    ];
    let of_admins = [
        (
            "select async.push('select 1', 'nowhere')",
            "PA011",
            "async.set_target adds targets; async.v_target lists them.",
        ),
        ("select async.target_setup('nowhere')", "PA011", "async.set_target adds targets; async.v_target lists them."),
        ("select async.write_off_session(4711)", "PA214", "select * from async.v_lost_session shows those that are"),
    ];
    let mut tried = BTreeSet::new();
    let cases = of_clients.iter().map(|case| (&clients, case)).chain(of_admins.iter().map(|case| (&admins, case)));
    for (session, (sql, code, begins)) in cases {
        let (sqlstate, hint) = refusal(session, sql).await;
        assert_eq!((sqlstate.as_str(), hint.starts_with(begins)), (*code, true), "{sql}\n{hint}");
        session.batch_execute("rollback").await.expect("it rolls back");
        for name in named(&hint) {
            let (_, call) = CALLS.iter().find(|(its, _)| *its == name).unwrap_or_else(|| panic!("{name}: {hint}"));
            session.batch_execute(call).await.unwrap_or_else(|error| panic!("{hint}\n{call}\n{error:?}"));
            tried.insert(name);
        }
    }
    assert!(tried.len() >= 7, "{tried:?}");
    client.drop_from(&fixture).await;
    admin.drop_from(&fixture).await;
}

/// Every privilege of a role in the schema, and on it.
fn privileges(role: &Role) -> String {
    format!(
        "with entries as (
           select 'schema async' as what, n.nspacl as acl from pg_namespace n where n.nspname = 'async'
           union all
           select 'relation ' || c.relname, c.relacl from pg_class c where c.relnamespace = 'async'::regnamespace
           union all
           select 'column ' || c.relname || '.' || a.attname, a.attacl
           from pg_attribute a join pg_class c on c.oid = a.attrelid where c.relnamespace = 'async'::regnamespace
           union all
           select 'routine ' || p.oid::regprocedure, p.proacl from pg_proc p where p.pronamespace = 'async'::regnamespace
           union all
           select 'type ' || t.typname, t.typacl from pg_type t where t.typnamespace = 'async'::regnamespace
           union all
           select 'default', d.defaclacl from pg_default_acl d)
         select coalesce(string_agg(e.what || ' ' || a.privilege_type, ', ' order by e.what || ' ' || a.privilege_type), 'none')
         from (select x.what, x.acl from entries x where x.acl is not null) e
         cross join lateral aclexplode(e.acl) a
         where a.grantee = (select r.oid from pg_roles r where r.rolname = '{}')",
        role.0
    )
}

async fn a_revoke_leaves_what_a_role_without_the_grant_has<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    let never = Role::create(&fixture, "never", "").await;
    let client = Role::create(&fixture, "client", "grant_client").await;
    let role = Role::create(&fixture, "role", "").await;
    let of = async |role: &Role| fixture.text(&privileges(role)).await.unwrap_or_default();
    let of_client = of(&client).await;
    assert!(of_client.contains("routine async.push_task") && of_client.contains("relation v_my_task"), "{of_client}");
    assert_eq!(of(&never).await, "none");
    let call = async |name: &str| fixture.run(&format!("select async.{name}('{}')", role.0)).await;
    for (calls, left) in [
        (vec!["grant_client", "revoke_client"], "none"),
        (vec!["grant_admin", "revoke_admin"], "none"),
        (vec!["grant_admin", "grant_client", "revoke_client", "revoke_admin"], "none"),
        (vec!["grant_client", "grant_admin", "revoke_admin"], of_client.as_str()),
        (vec!["grant_admin", "revoke_admin", "revoke_client"], "none"),
        // What an older version granted, and what was granted to the role besides.
        (vec!["revoke_client"], "none"),
    ] {
        for name in &calls {
            call(name).await;
        }
        assert_eq!(of(&role).await, left, "{calls:?}");
        fixture
            .assert_holds(&format!(
                "select (count(*) = 0) = ('{}' = 'none') from async.v_grant where grantee::text = quote_ident('{}')",
                if left == "none" { "none" } else { "some" },
                role.0
            ))
            .await;
        fixture
            .run(&format!(
                "grant execute on function async.schema_fingerprint() to \"{0}\";
            grant select on async.session to \"{0}\"; grant usage on sequence async.latch_requested to \"{0}\"",
                role.0
            ))
            .await;
    }
    for role in [never, client, role] {
        role.drop_from(&fixture).await;
    }
}

super::run_on!(pgasync_tests::RustEngine => rust:
    a_client_sees_its_own_tasks_and_why_they_wait,
    a_hostile_client_sees_nothing_of_the_tasks_of_others,
    a_role_with_a_name_like_two_roles_is_one,
    what_a_hint_names_works_for_the_role_that_got_it,
    a_revoke_leaves_what_a_role_without_the_grant_has
);

super::run_on!(pgasync_tests::SqlEngine => sql: a_client_sees_its_own_tasks_and_why_they_wait);
