//! Privileges: none for PUBLIC; clients push and request, administrators configure, only the owner
//! reads passwords.

use std::time::Duration;

use pgasync_pg::{ConnectionSettings, Session};
use pgasync_store::{SchemaPart, install};
use pgasync_tests::{Cluster, Engine, Scratch};
use serde_json::json;

use super::fixture::Fixture;

/// A role of this test. [`Role::drop_from`] drops it.
struct Role(String);

impl Role {
    async fn create<E: Engine>(fixture: &Fixture<E>, kind: &str) -> Self {
        let name = format!("{}_{kind}", fixture.name());
        let name = name[name.len().saturating_sub(60)..].to_owned();
        fixture.run(&format!("create role {name}")).await;
        Self(name)
    }

    /// A session of the database's owner that acts as this role.
    async fn session<E: Engine>(&self, fixture: &Fixture<E>) -> Session {
        let session = fixture.connect().await;
        session.batch_execute(&format!("set role {}", self.0)).await.expect("the superuser may");
        session
    }

    async fn drop_from<E: Engine>(self, fixture: &Fixture<E>) {
        fixture.run(&format!("drop owned by {0}; drop role {0}", self.0)).await;
    }
}

/// The SQLSTATE with which statements are refused, if they are.
async fn code(session: &Session, sql: &str) -> Option<String> {
    match session.batch_execute(sql).await {
        Ok(()) => None,
        Err(error) => Some(error.sqlstate().unwrap_or_else(|| panic!("{sql}: {error:?}")).to_owned()),
    }
}

const DENIED: Option<&str> = Some("42501");

async fn nothing_is_granted_to_public<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    let other_role = Role::create(&fixture, "other_role").await;
    let session = other_role.session(&fixture).await;
    for sql in [
        "select async.push_task(async.task('select 1', 'there'))",
        "select * from async.task",
        "select * from async.control",
        "select async.configure('{}')",
        "call async.main()",
        "select * from async.v_target",
        "select 'FINISHED'::async.finish_status_t",
    ] {
        assert_eq!(code(&session, sql).await.as_deref(), DENIED, "{sql}");
    }
    fixture
        .assert_holds(
            "select not exists (
            select from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
            where p.pronamespace = 'async'::regnamespace and a.grantee = 0
            union all
            select from pg_class c, aclexplode(c.relacl) a
            where c.relnamespace = 'async'::regnamespace and a.grantee = 0)",
        )
        .await;
    other_role.drop_from(&fixture).await;
}

async fn a_client_pushes_reads_finishes_cancels_defers_restarts_and_pulls<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .configure(
            &json!({ "targets": [fixture.there(&json!({})), { "target": "pulled", "asynchronous_finish": true }] }),
        )
        .await;
    let client = Role::create(&fixture, "client").await;
    fixture.run(&format!("select async.grant_client('{}')", client.0)).await;
    let session = client.session(&fixture).await;
    let id: i64 = session
        .query_one("select async.push_task(async.task('select 1', 'there'))", &[])
        .await
        .expect("a client pushes")
        .get(0);
    fixture.end_of(id).await.succeeded();
    fixture.wait_for("select bool_and(tracked is not true) from async.task").await;
    for sql in [
        "select async.push_tasks(array[row(null, 'there', 0, 'select 1', null, null, null)::async.task_push_t], 'EXECUTE', 'x')",
        "select * from async.task",
        "select async.task_execution_state(t) from async.task t",
        &format!("select async.restart_task({id})"),
        "set client_min_messages = error; select async.cancel(array[1]), async.defer(array[1], '1 s')",
        "select async.finish(array[1], 'FINISHED', null)",
        "select async.push_task(async.task(null, 'pulled'))",
        "select * from async.get_tasks('pulled')",
        "select async.wait_for_latch()",
        "select async.server()",
        "select client_only, version from async.client_control",
        "select async.interval_pretty('1 hour')",
    ] {
        assert_eq!(code(&session, sql).await, None, "{sql}");
    }
    for sql in [
        "select async.configure('{}')",
        "select connection_string from async.target",
        "select * from async.target",
        "select * from async.control",
        "select connection_string from async.client_control",
        "select async.server('host=elsewhere')",
        "update async.task set processed = now()",
        "delete from async.task",
        "insert into async.task (target) values ('there')",
        "insert into async.request (task_id, status) values (1, 'CANCELED')",
        "select * from async.session",
        "select * from async.server_log",
        "select async.log('x')",
        "call async.main()",
        "select async.push_routine('LOOP', 'x()')",
        "select async.finish_internal(array[1], 'FINISHED', null, null, null)",
        "select async.grant_client('postgres')",
        "select async.write_off_session(1)",
        "select async.set_target('there')",
        "select async.retire_target('there')",
        "select async.set_pool('p', 1)",
        "select async.set_control('{}')",
        "select async.configuration()",
        "truncate async.task",
    ] {
        let refused = code(&session, sql).await;
        assert!(refused.as_deref() == DENIED || refused.as_deref() == Some("PA004"), "{sql}: {refused:?}");
    }
    fixture.run(&format!("select async.revoke_client('{}')", client.0)).await;
    assert_eq!(code(&session, "select * from async.task").await.as_deref(), DENIED);
    client.drop_from(&fixture).await;
}

async fn an_administrator_configures_pauses_and_watches_without_reading_a_password<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let admin = Role::create(&fixture, "admin").await;
    fixture.run(&format!("select async.grant_admin('{}')", admin.0)).await;
    let session = admin.session(&fixture).await;
    for sql in [
        "select async.push_task(async.task('select 1', 'there'))",
        "select async.configure('{\"control\": {\"workers\": 5}}')",
        "update async.control set paused = true; update async.control set paused = false, enabled = true",
        "select async.set_target('there', '{\"max_workers\": 4}')",
        "select async.set_pool('p', 1)",
        "select async.set_control('{\"workers\": 5}')",
        "select async.configuration()",
        "select * from async.v_grant",
        "select async.log('hello')",
        "select * from async.tail_once()",
        "select * from async.server_log",
        "select * from async.v_target, async.v_target_status, async.v_candidate_task, async.v_worker_info,
            async.v_concurrency_pool_info, async.v_server_info",
        "select async.worker_info(), async.active_workers()",
        "select async.reinitialize_workers()",
        "select async.set_concurrency_pool_tracker('{there}')",
        "select workers, paused from async.control",
        "select * from async.v_lost_session, async.election",
        "select target, max_concurrency from async.target",
    ] {
        assert_eq!(code(&session, sql).await, None, "{sql}");
    }
    for sql in [
        "select connection_string from async.target",
        "select self_connection_string from async.control",
        "select connection_string from async.session",
        "select connection_string from async.client_control",
        "select connection_string from async.target_at_self",
        "select secret from async.caller_key",
        "update async.target set connection_string = ''",
        "delete from async.task",
        "select async.push_routine('LOOP', 'not_there()')",
    ] {
        assert_eq!(code(&session, sql).await.as_deref(), DENIED, "{sql}");
    }
    assert_eq!(code(&session, "select async.write_off_session(4711)").await.as_deref(), Some("PA214"));
    admin.drop_from(&fixture).await;
}

async fn passwords_are_shown_nowhere<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({
        "control": { "target_patience": "0.5 s", "debug_log": true },
        "targets": [
            { "target": "pairs", "connection_string": "host=127.0.0.1 port=1 user=u password='se''cret'".replace("''", "\\'") },
            { "target": "uri", "connection_string": "postgresql://u:secret@127.0.0.1:1/d?sslpassword=secret" },
        ],
    }))
    .await;
    let ids = [fixture.push_as("'select 1', 'pairs'").await, fixture.push_as("'select 1', 'uri'").await];
    for id in ids {
        let error = fixture.end_of(id).await.is("FAILED").expect("an error message");
        assert!(!error.contains("cret"), "{error}");
    }
    fixture.assert_holds("select count(*) = 2 and bool_and(connection_string like '%****%') from async.v_target where target <> 'async.self' and not retired")
        .await;
    for view in [
        "v_target",
        "v_target_status",
        "v_target_state",
        "v_why_waiting",
        "v_candidate_task",
        "v_worker_info",
        "v_server_info",
        "v_lost_session",
        "target_outage",
        "server_log",
        "task",
    ] {
        fixture
            .assert_holds(&format!("select coalesce(not bool_or(v::text like '%cret%'), true) from async.{view} v"))
            .await;
    }
    fixture.run("select async.log('host=x password=secret')").await;
    fixture.assert_holds("select not bool_or(message like '%secret%') from async.server_log").await;
    // A masked connection string is refused, not stored.
    let (code, _) = fixture
        .refused("select async.configure(jsonb_build_object('targets', (select jsonb_agg(jsonb_build_object('target', target, 'connection_string', connection_string)) from async.v_target)))")
        .await;
    assert_eq!(code, "PA060");
}

async fn a_client_that_may_only_push_fires_triggers_and_wakes_the_leader<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run(
            "create table pushed (by name, n bigint);
         create function note() returns trigger language plpgsql as $$ begin
            insert into public.pushed values (session_user, new.task_id); return null; end $$;
         create trigger note after insert on async.task for each row execute procedure note()",
        )
        .await;
    let client = Role::create(&fixture, "client").await;
    fixture.run(&format!("select async.grant_client('{}')", client.0)).await;
    let session = client.session(&fixture).await;
    assert_eq!(code(&session, "select async.push_task(async.task('select 1', 'there'))").await, None);
    fixture.wait_until_finished().await;
    assert_eq!(fixture.number("select count(*) from pushed").await, 1);
    client.drop_from(&fixture).await;
}

async fn objects_of_a_client_do_not_deceive_the_server_s_functions<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let client = Role::create(&fixture, "client").await;
    fixture.run(&format!("select async.grant_client('{0}'); create schema {0} authorization {0}", client.0)).await;
    let session = client.session(&fixture).await;
    // A function without a pinned search path would find these objects first, and run them as the
    // owner.
    session
        .batch_execute(&format!(
            "create function {0}.raise_now() returns void language plpgsql as $$ begin raise 'deceived'; end $$;
             create function {0}.clock_timestamp() returns timestamptz language plpgsql as $$ begin raise 'deceived'; end $$;
             create function {0}.format(text, variadic text[]) returns text language plpgsql as $$ begin raise 'deceived'; end $$;
             create function {0}.array_agg(bigint) returns bigint[] language plpgsql as $$ begin raise 'deceived'; end $$;
             create function {0}.eq(bigint, bigint) returns bool language plpgsql as $$ begin raise 'deceived'; end $$;
             create operator {0}.= (leftarg = bigint, rightarg = bigint, function = {0}.eq);
             create function {0}.plus(int, int) returns int language plpgsql as $$ begin raise 'deceived'; end $$;
             create operator {0}.+ (leftarg = int, rightarg = int, function = {0}.plus);
             set search_path = {0}, pg_catalog;
             create domain {0}.int8 as pg_catalog.text",
            client.0
        ))
        .await
        .unwrap_or_else(|error| panic!("{error:?}"));
    for sql in [
        "set search_path = pg_temp",
        &format!("set search_path = {}, pg_catalog", client.0),
        "select async.push_task(async.task('select 1', 'there'))",
        "select async.cancel(array[1]::pg_catalog.int8[])",
        "select async.finish(array[1]::pg_catalog.int8[], 'FINISHED', null)",
        "select async.wait_for_latch()",
        "select async.server()",
    ] {
        session.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
    fixture.wait_until_finished().await;
    let sql = "select async.restart_task(1)";
    fixture.wait_for("select bool_and(tracked is not true) from async.task").await;
    session.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    fixture.run(&format!("drop schema {} cascade", client.0)).await;
    client.drop_from(&fixture).await;
}

/// All steps run as a role without superuser rights. dblink requires such a role to authenticate
/// with a password.
#[tokio::test]
async fn an_owner_that_is_no_superuser_installs_and_runs_it_with_a_password() {
    let cluster = Cluster::shared();
    let scratch = Scratch::empty(&cluster).await;
    let administrator = scratch.connect().await;
    let owner = &scratch.name()[scratch.name().len().saturating_sub(40)..];
    let owner = format!("owner_{owner}");
    administrator
        .batch_execute(&format!(
            "do $$ begin create role with_password; exception when duplicate_object or unique_violation then null; end $$;
             create extension dblink;
             create role {owner} login password 'it''s secret' in role with_password;
             grant create on schema public to {owner};
             grant create on database {} to {owner}",
            scratch.name()
        ))
        .await
        .unwrap_or_else(|error| panic!("{error:?}"));
    let conninfo = scratch.conninfo().replace("user=postgres", &format!("user={owner} password='it\\'s secret'"));
    let session =
        ConnectionSettings::resolve(&conninfo, |_| None).expect("it parses").connect().await.expect("it connects");
    install(&session, SchemaPart::All).await.unwrap_or_else(|error| panic!("{error}"));
    install(&session, SchemaPart::All).await.unwrap_or_else(|error| panic!("{error}"));

    // Without a password the server cannot connect to itself, and the error explains it.
    assert_eq!(code(&session, "call async.main(_manual_mode => true)").await.as_deref(), Some("PA206"));
    let document = json!({
        "control": { "self_connection_string": "host=localhost password='it\\'s secret'" },
        "targets": [{ "target": "there", "connection_string": conninfo }],
    });
    session.query("select async.configure($1)", &[&document]).await.expect("it configures");
    assert_eq!(code(&session, "call async.main(_manual_mode => true)").await, None);
    session
        .batch_execute(
            "create table ran (what text);
             select async.push_tasks(array[async.task('insert into ran values (''self'')', 'SELF'),
                async.task('insert into ran values (''there'')', 'there'), async.task('select 1/0', 'there')])",
        )
        .await
        .expect("it pushes");
    for _ in 0..500 {
        session.batch_execute("call async.cycle()").await.unwrap_or_else(|error| panic!("{error:?}"));
        let left = "select count(*) from async.task where processed is null";
        if session.query_one(left, &[]).await.expect("it reads").get::<_, i64>(0) == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ended =
        "select string_agg(finish_status::text, ' ' order by task_id), (select count(*) from ran) from async.task";
    let row = session.query_one(ended, &[]).await.expect("it reads");
    assert_eq!((row.get::<_, &str>(0), row.get::<_, i64>(1)), ("FINISHED FINISHED FAILED", 2));
    session.close().await;
    administrator
        .batch_execute(&format!("drop owned by {owner} cascade; drop role {owner}"))
        .await
        .unwrap_or_else(|error| panic!("{error:?}"));
}

conformance!(
    nothing_is_granted_to_public,
    a_client_pushes_reads_finishes_cancels_defers_restarts_and_pulls,
    an_administrator_configures_pauses_and_watches_without_reading_a_password,
    passwords_are_shown_nowhere,
    a_client_that_may_only_push_fires_triggers_and_wakes_the_leader,
    objects_of_a_client_do_not_deceive_the_server_s_functions,
);
