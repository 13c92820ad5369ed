//! Roles that may create objects, and clients with temporary tables, against the names and operators
//! in our own statements.

use std::process::Command;

use pgasync_pg::Session;
use pgasync_store::{SchemaPart, install};
use pgasync_tests::{Cluster, Engine, Scratch};
use serde_json::json;

use crate::conformance::fixture::Fixture;

/// A role of this test's own.
pub(super) async fn create_role<E: Engine>(fixture: &Fixture<E>, kind: &str) -> String {
    let name = format!("{}_{kind}", fixture.name());
    let name = name[name.len().saturating_sub(60)..].to_owned();
    fixture.run(&format!("create role {name}")).await;
    name
}

/// A session that acts as a role.
pub(super) async fn session_of<E: Engine>(fixture: &Fixture<E>, role: &str) -> Session {
    let session = fixture.connect().await;
    session.batch_execute(&format!("set role {role}")).await.expect("the superuser may");
    session
}

pub(super) async fn drop_role<E: Engine>(fixture: &Fixture<E>, role: &str) {
    fixture.run(&format!("drop owned by {role} cascade; drop role {role}")).await;
}

async fn run(session: &Session, sql: &str) {
    session.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// Traps in `public` of the server and of the target.
async fn set_traps<E: Engine>(fixture: &Fixture<E>, role: &str) {
    let there = fixture.target.connect().await;
    let here = fixture.connect().await;
    for session in [here, there] {
        run(&session, "grant create on schema public to public").await;
        run(&session, &format!("set role {role}")).await;
        run(&session, include_str!("sql/traps.sql")).await;
    }
    // The harness itself looks names up.
    fixture.run("set search_path = pg_catalog, pg_temp").await;
}

/// What every kind of statement of ours does: of clients, administrators, the leader and its
/// successor, the views, and the installation.
async fn do_everything<E: Engine>(fixture: &mut Fixture<E>, client: &Session) {
    fixture.configure(&json!({ "control": { "task_keep_duration": "1 day" } })).await;
    fixture.engine.lead().await;
    run(
        client,
        "select async.push_tasks(array[async.task('select 1', 'there'), async.task('select 1; select 2', 'there'),
             async.task('select 1/0', 'there'), async.task('copy x from stdin', 'there'),
             async.task('select pg_catalog.pg_sleep(600)', 'there', concurrency_pool => 'slow'),
             async.task('select pg_catalog.pg_sleep(600)', 'there', manual_timeout => '1 second'),
             async.task(null, 'pulled')])",
    )
    .await;
    fixture
        .wait_for("select count(*) = 1 from async.task where consumed is not null and concurrency_pool = 'slow'")
        .await;
    run(client, "select async.defer(array[5]::pg_catalog.int8[], '0.1 s')").await;
    run(client, "select async.finish(array[t.task_id], 'FINISHED', null) from async.get_tasks('pulled') t").await;
    run(client, "select async.wait_for_latch()").await;
    fixture.wait_for("select count(*) = 6 from async.task where processed is not null").await;
    fixture.wait_for("select count(*) = 1 from async.task where consumed is not null and processed is null").await;
    let status = Command::new("pgasync").args(["status", "--server", &fixture.conninfo()]).output();
    let status = status.expect("./dev puts pgasync on PATH");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    run(client, "select async.cancel(array[5]::pg_catalog.int8[])").await;
    fixture.wait_until_finished().await;
    fixture.wait_for("select bool_and(tracked is not true) from async.task").await;
    run(client, "select async.restart_task(1)").await;
    fixture.wait_until_finished().await;
    fixture
        .configure(&json!({ "control": { "task_keep_duration": "0", "heavy_maintenance_sleep": "0", "workers": 3 } }))
        .await;
    fixture.wait_for("select count(*) = 0 from async.task").await;
    // A successor takes stock, and fences.
    run(client, "select async.push_task(async.task('select pg_catalog.pg_sleep(600)', 'there'))").await;
    fixture.wait_for("select count(*) = 1 from async.task where consumed is not null").await;
    fixture.engine.terminate().await;
    fixture.engine.start_forced().await;
    fixture.engine.wait_until_leading().await;
    run(client, "select async.cancel(array[8]::pg_catalog.int8[])").await;
    fixture.wait_until_finished().await;
    // A second pass begins with an empty table.
    fixture.wait_for("select count(*) = 0 from async.task").await;
}

async fn objects_that_match_better_are_never_found<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let evil = create_role(&fixture, "evil").await;
    let client = create_role(&fixture, "client").await;
    fixture.run(&format!("select async.grant_client('{client}')")).await;
    let pulled = json!({ "target": "pulled", "asynchronous_finish": true });
    fixture.configure(&json!({ "targets": [fixture.there(&json!({})), pulled] })).await;
    fixture
        .run(
            "create schema own; create table own.seen (n bigint); grant usage on schema own to public;
             create procedure own.look() language plpgsql as $$ begin
               insert into own.seen select pg_catalog.count(*) from async.task; end $$;
             create function own.note() returns trigger language plpgsql as $$ begin
               insert into own.seen values (new.task_id); return null; end $$;
             create trigger note after insert or update on async.task for each row execute procedure own.note();
             select async.push_routine('LOOP', 'own.look()')",
        )
        .await;
    set_traps(&fixture, &evil).await;
    // The owner installs it anew, with its own search path.
    let owner = fixture.connect().await;
    install(&owner, SchemaPart::All).await.unwrap_or_else(|error| panic!("{error}"));
    let client_session = session_of(&fixture, &client).await;
    do_everything(&mut fixture, &client_session).await;
    // Where users have no triggers, other statements write.
    fixture.run("drop trigger note on async.task; alter sequence async.task_task_id_seq restart").await;
    fixture.engine.stop().await;
    fixture.run("update async.control set enabled = true").await;
    do_everything(&mut fixture, &client_session).await;
    assert_eq!(fixture.text("select is_called from public.trapped").await.as_deref(), Some("false"), "at the server");
    let there = fixture.target.connect().await;
    let sprung: bool = there.query_one("select is_called from public.trapped", &[]).await.expect("a sequence").get(0);
    assert!(!sprung, "at the target");
    // The other role stays in the temporary cluster: to drop its thousands of operators takes more
    // locks than the cluster has.
    drop_role(&fixture, &client).await;
}

/// The names of the owner's triggers are looked up in the schemas that the owner trusts.
async fn temporary_tables_of_a_client_are_not_found_by_triggers<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let client = create_role(&fixture, "client").await;
    fixture.run(&format!("select async.grant_client('{client}')")).await;
    let pulled = json!({ "target": "pulled", "asynchronous_finish": true });
    fixture.configure(&json!({ "targets": [fixture.there(&json!({})), pulled] })).await;
    fixture
        .run(
            "create table audit (what text);
             create function note() returns trigger language plpgsql as $$ begin
               insert into audit values (tg_op || ' ' || current_user); return null; end $$;
             create trigger note after insert or update on async.task for each row execute procedure note();
             create table bare (id int primary key);",
        )
        .await;
    fixture.engine.lead().await;
    let session = session_of(&fixture, &client).await;
    run(
        &session,
        "create temporary table audit (what text);
         create function pg_temp.take() returns trigger language plpgsql as $$ begin
           raise exception 'the client runs as %', current_user; end $$;
         create trigger take before insert on audit for each row execute procedure pg_temp.take();
         grant all on audit to public;",
    )
    .await;
    run(&session, "select async.push_tasks(array[async.task('select 1', 'there'), async.task(null, 'pulled')])").await;
    run(&session, "select async.finish(array[t.task_id], 'FINISHED', null) from async.get_tasks('pulled') t").await;
    fixture.wait_until_finished().await;
    fixture.wait_for("select bool_and(tracked is not true) from async.task").await;
    run(&session, "select async.restart_task(1)").await;
    fixture.wait_until_finished().await;
    fixture.assert_holds("select count(*) > 6 from audit").await;
    drop_role(&fixture, &client).await;
}

/// A temporary table of a client that is named as one in which the SQL engine counts. Its triggers
/// would run as the owner.
async fn a_temporary_table_named_as_one_of_the_leader_s_is_not_written<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let client = create_role(&fixture, "client").await;
    fixture.run(&format!("select async.grant_client('{client}')")).await;
    let pulled = json!({ "target": "pulled", "asynchronous_finish": true });
    fixture.configure(&json!({ "targets": [fixture.there(&json!({})), pulled] })).await;
    fixture.engine.lead().await;
    let session = session_of(&fixture, &client).await;
    for (table, columns) in [
        ("leader_pool", "pool text, taken int, max_workers int"),
        ("leader_state", "epoch bigint, stop text"),
        ("leader_worker", "worker int, state text, task_id bigint"),
        ("leader_backoff", "task_id bigint, until timestamptz"),
    ] {
        run(
            &session,
            &format!(
                "create temporary table {table} ({columns});
                 grant all on {table} to public;
                 create function pg_temp.take_{table}() returns trigger language plpgsql as $$ begin
                   raise exception 'the client runs as %', current_user; end $$;
                 create trigger take before insert or update or delete on {table}
                   for each statement execute procedure pg_temp.take_{table}();"
            ),
        )
        .await;
    }
    run(&session, "select async.push_tasks(array[async.task('select 1', 'there'), async.task(null, 'pulled')])").await;
    run(&session, "select async.finish(array[t.task_id], 'FINISHED', null) from async.get_tasks('pulled') t").await;
    run(&session, "select async.cancel(array[1]::bigint[])").await;
    fixture.wait_until_finished().await;
    fixture.wait_for("select bool_and(tracked is not true) from async.task").await;
    run(&session, "select async.restart_task(1)").await;
    fixture.wait_until_finished().await;
    drop_role(&fixture, &client).await;
}

attacks!(
    objects_that_match_better_are_never_found,
    temporary_tables_of_a_client_are_not_found_by_triggers,
    a_temporary_table_named_as_one_of_the_leader_s_is_not_written,
);

#[tokio::test]
async fn schemas_in_which_others_may_create_are_not_on_the_path_of_triggers() {
    let scratch = Scratch::empty(&Cluster::shared()).await;
    let session = scratch.connect().await;
    run(&session, "create schema own; grant create on schema public to public; set search_path = own, public").await;
    install(&session, SchemaPart::All).await.unwrap_or_else(|error| panic!("{error}"));
    let path = async |sql: &str| -> String { session.query_one(sql, &[]).await.expect("one row").get(0) };
    let kept = "select trigger_search_path::text from async.control";
    let of_push = "select proconfig::text from pg_proc where oid = 'async.push_as'::regproc";
    assert_eq!(path(kept).await, "{own}");
    assert_eq!(path(of_push).await, "{\"search_path=own, pg_temp\"}");
    assert_eq!(path("select current_setting('search_path')").await, "own, public", "the installer's own");

    run(&session, "select async.set_trigger_search_path('public', 'own')").await;
    assert_eq!(path(of_push).await, "{\"search_path=public, own, pg_temp\"}");
    // An installation, also of the client part alone, keeps what the owner chose.
    for part in [SchemaPart::Client, SchemaPart::All] {
        install(&session, part).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(path(of_push).await, "{\"search_path=public, own, pg_temp\"}");
    }
    let refused =
        session.batch_execute("select async.set_trigger_search_path('nowhere')").await.expect_err("no schema");
    assert_eq!(refused.sqlstate(), Some("PA061"));

    // An administrator would become the owner with a schema of its own.
    let admin = format!("{}_admin", &scratch.name()[scratch.name().len().saturating_sub(50)..]);
    run(&session, &format!("create role {admin}; select async.grant_admin('{admin}'); create schema {admin} authorization {admin}; set role {admin}")).await;
    let set = format!("select async.set_trigger_search_path('{admin}')");
    assert_eq!(session.batch_execute(&set).await.expect_err("not allowed").sqlstate(), Some("42501"));
    run(&session, &format!("select async.configure('{{\"control\": {{\"trigger_search_path\": [\"{admin}\"]}}}}')"))
        .await;
    run(&session, "reset role").await;
    assert_eq!(path(kept).await, "{public,own}");
    run(&session, &format!("drop schema {admin}; drop owned by {admin}; drop role {admin}")).await;
}

/// The pid of a leader that crashed may come back, and any role may take the lock of leaders.
#[tokio::test]
async fn a_client_with_the_pid_and_the_lock_of_a_leader_is_none() {
    let fixture = Fixture::<pgasync_tests::SqlEngine>::prepared().await;
    let client = create_role(&fixture, "client").await;
    fixture.run(&format!("select async.grant_client('{client}')")).await;
    let session = fixture.connect().await;
    let pid: i32 = session.query_one("select pg_backend_pid()", &[]).await.expect("a pid").get(0);
    fixture
        .run(&format!("update async.control set pid = {pid}; update async.leader_lock set pid = {pid}, key = 77"))
        .await;
    run(&session, &format!("set session authorization {client}; select pg_advisory_lock(77)")).await;
    // The leader itself is warned, and nothing is pushed.
    let refused =
        session.batch_execute("select async.push_task(async.task('select 1', null))").await.expect_err("no target");
    assert_eq!(refused.sqlstate(), Some("PA010"));
    run(&session, "reset session authorization; select pg_advisory_unlock_all()").await;
    drop_role(&fixture, &client).await;
}

/// A leader's session, and one that calls `main` by hand, has its own path again between two calls.
#[tokio::test]
async fn the_calls_of_an_orchestrator_leave_the_path_of_its_session() {
    let fixture = Fixture::<pgasync_tests::SqlEngine>::prepared().await;
    let session = fixture.connect().await;
    for sql in ["call async.main(_manual_mode => true)", "call async.cycle()", "select async.worker_info()"] {
        run(&session, sql).await;
        let path: String = session.query_one("show search_path", &[]).await.expect("a setting").get(0);
        assert_eq!(path, "\"$user\", public", "after {sql}");
    }
}
