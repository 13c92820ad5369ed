//! `pgasync stop`, `start`, `pause`, `resume`, `migrate` and `uninstall`, completions and man pages.

use pgasync_tests::{Cluster, Database, Engine, RustEngine, Scratch, SqlEngine};
use serde_json::json;

use super::fixture::{in_terminal, on, pgasync, role, server};

async fn stops<E: Engine>() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    let mut engine = E::attach(&database);
    engine.lead().await;
    on(&conninfo, &["stop", "--timeout", "60s"]).done();
    database.assert_holds("select not leads from async.v_leader").await;
    engine.stop().await;
    on(&conninfo, &["run"]).refused(4, "disabled");
    on(&conninfo, &["start"]).done();
    database.assert_holds("select enabled from async.control").await;
}

#[tokio::test]
async fn stop_waits_until_pgasync_run_has_ended() {
    stops::<RustEngine>().await;
}

#[tokio::test]
async fn stop_waits_until_async_main_has_ended() {
    stops::<SqlEngine>().await;
}

#[tokio::test]
async fn stop_says_when_the_leader_goes_on() {
    let (database, _target) = server().await;
    database.run("select async.push_task(async.task('select pg_sleep(600)', 'there'))").await;
    let mut engine = RustEngine::attach(&database);
    engine.start_with(&["--drain-timeout", "600"]);
    engine.wait_until_leading().await;
    database.wait_for("select consumed is not null from async.task").await;
    on(&database.conninfo(), &["stop", "--timeout", "1s"]).refused(3, "has not stopped within 1 s");
}

#[tokio::test]
async fn pause_holds_new_starts_until_resume() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    on(&conninfo, &["pause"]).refused(2, "--target <NAME>|--pool <NAME>|--all");
    on(&conninfo, &["pause", "--all", "--target", "there"]).refused(2, "cannot be used with");
    on(&conninfo, &["pause", "--all"]).done();
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    let waits = on(&conninfo, &["push", "-t", "there", "--wait", "--wait-timeout", "1s", "select 1"]);
    assert_eq!(waits.code, Some(1), "{waits:#?}");
    on(&conninfo, &["resume", "--all"]).done();
    database.wait_until_finished().await;
    engine.stop().await;
}

#[tokio::test]
async fn a_target_or_a_pool_is_paused_until_it_is_resumed() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    database.run("select async.set_pool('partner api', 2)").await;
    for (option, name, reason) in
        [("--target", "there", "target there is paused"), ("--pool", "partner api", "pool partner api is paused")]
    {
        let paused = on(&conninfo, &["pause", option, name]).done();
        assert!(paused.stderr.contains(&format!("no task of {} \"{name}\" starts", &option[2..])), "{paused:#?}");
        let mut engine = RustEngine::attach(&database);
        engine.lead().await;
        database.run("select async.push('select 1', 'there', concurrency_pool => 'partner api')").await;
        database.wait_for("select count(*) = 1 from async.v_why_waiting where reason like '%paused'").await;
        assert_eq!(database.text("select reason from async.v_why_waiting").await.as_deref(), Some(reason));
        on(&conninfo, &["resume", option, name]).done();
        database.wait_until_finished().await;
        engine.stop().await;
    }
    on(&conninfo, &["pause", "--target", "nowhere"]).refused(1, "there is no target \"nowhere\"");
    on(&conninfo, &["resume", "--pool", "there"]).refused(1, "no pool \"there\" is configured");
    on(&conninfo, &["pause", "--target", "self"]).done();
    let paused = "select string_agg(target, ' ') from async.target where paused";
    assert_eq!(database.text(paused).await.as_deref(), Some("async.self"));
    // A retired target stays retired.
    database.run("select async.retire_target('there')").await;
    on(&conninfo, &["pause", "--target", "there"]).done();
    database.assert_holds("select retired and paused from async.target where target = 'there'").await;
}

#[tokio::test]
async fn a_plan_lists_what_an_upgrade_lacks_and_changes_nothing() {
    let database = Database::create().await;
    let conninfo = database.conninfo();
    let current = on(&conninfo, &["migrate", "--plan", "-o", "json"]).done();
    assert_eq!(current.json(), json!({"format": 1, "migrations": []}));
    database
        .run(
            "delete from async.migration where migration = '0016_upkeep';
             create or replace function async.schema_fingerprint() returns text language sql immutable
               set search_path = pg_catalog, pg_temp as $$ select '0ld'::text $$",
        )
        .await;
    let before = database.text("select string_agg(migration, ' ' order by 1) from async.migration").await;
    let planned = on(&conninfo, &["migrate", "--plan", "-o", "json"]);
    assert_eq!(planned.code, Some(1));
    assert_eq!(planned.json()["migrations"][0]["migration"], json!("0016_upkeep"));
    assert_eq!(database.text("select string_agg(migration, ' ' order by 1) from async.migration").await, before);
    let empty = Scratch::empty(&Cluster::shared()).await;
    on(&empty.conninfo(), &["migrate", "--plan"]).refused(7, "pgasync init");
    on(&empty.conninfo(), &["migrate"]).refused(7, "pgasync init");
}

#[tokio::test]
async fn an_uninstallation_asks_names_what_goes_and_leaves_the_rest() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    database
        .run(
            "create table public.mine (task_id bigint references async.task);
             create view public.failures as select * from async.task where failed;
             select async.push_task(async.task('select 1', 'there'))",
        )
        .await;
    let (role, other) = role(&database, "").await;
    on(&other, &["uninstall", "--yes"]).refused(1, "does not own the schema async");
    database.run(&format!("drop role {role}")).await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    on(&conninfo, &["uninstall", "--yes"]).refused(3, "pgasync stop");
    on(&conninfo, &["stop"]).done();
    engine.stop().await;
    let question = "with 1 tasks";
    on(&conninfo, &["uninstall"]).refused(2, question);
    let no = in_terminal(&["uninstall", "--server", &conninfo], 200, "\n");
    assert!(
        no.code == Some(1) && no.stdout.contains("view failures") && no.stdout.contains("foreign key of mine"),
        "{no:#?}"
    );
    database.assert_holds("select to_regclass('async.task') is not null").await;
    on(&conninfo, &["uninstall", "--yes"]).done();
    database.assert_holds("select to_regnamespace('async') is null and to_regclass('public.mine') is not null").await;
    on(&conninfo, &["uninstall", "--yes"]).refused(7, "has no schema async");
    on(&conninfo, &["init"]).done();
}

#[test]
fn completions_and_man_pages_name_every_command() {
    let bash = pgasync(&["completions", "bash"]).done().stdout;
    let folder = tempfile::tempdir().expect("a folder");
    pgasync(&["man", folder.path().to_str().expect("UTF-8")]).done();
    for command in ["push", "tasks", "show", "cancel", "restart", "defer", "stop", "run", "status", "uninstall"] {
        assert!(bash.contains(command), "{command}");
        let page = std::fs::read_to_string(folder.path().join(format!("pgasync-{command}.1")));
        let page = page.unwrap_or_else(|error| panic!("{command}: {error}"));
        assert!(page.contains(".SH OPTIONS"), "{page}");
    }
    pgasync(&["man", "/no/such/folder"]).refused(2, "is not a folder");
}
