//! The program `pgasync run`: signals, exit codes, the log, and properties that the SQL engine does
//! not have.

use std::time::{Duration, Instant};

use pgasync_tests::{Database, Engine, RustEngine, Signal, Target, send};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

async fn fixture() -> (Database, Target, RustEngine) {
    let database = Database::create().await;
    let target = Target::create_on(database.cluster()).await;
    database
        .configure(&json!({
            "control": { "workers": 4, "idle_sleep": 3600 },
            "targets": [{ "target": "there", "connection_string": target.conninfo(), "max_workers": 4 }],
        }))
        .await;
    let engine = RustEngine::attach(&database);
    (database, target, engine)
}

async fn push(database: &Database, query: &str) -> i64 {
    let sql = "select async.push_task(async.task($1, 'there'))";
    database.session().query_one(sql, &[&query]).await.expect("it is pushed").get(0)
}

async fn wait_until_it_runs(database: &Database, target: &Target, task: i64) {
    database.wait_for(&format!("select consumed is not null from async.task where task_id = {task}")).await;
    let busy = "select count(*) from pg_stat_activity where datname = current_database() and query like '%pg_sleep%'
                and pid <> pg_backend_pid()";
    while target.session().query_one(busy, &[]).await.expect("activity").get::<_, i64>(0) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_first_signal_lets_running_tasks_end_and_leaves_waiting_tasks() {
    let (database, target, mut engine) = fixture().await;
    engine.start_with(&["--drain-timeout", "60"]);
    engine.wait_until_leading().await;
    let runs = push(&database, "select pg_sleep(1.5)").await;
    wait_until_it_runs(&database, &target, runs).await;
    send(Signal::Terminate, engine.pid());
    engine.wait_for_line("draining").await;
    push(&database, "select 1").await;
    assert_eq!(engine.exit_code().await, 0);
    database.assert_holds(&format!("select finish_status = 'FINISHED' from async.task where task_id = {runs}")).await;
    database.assert_holds("select count(*) = 1 from async.task where consumed is null and run = 0").await;
    database.assert_holds("select goodbye from async.leader").await;
    database.assert_holds("select not exists (select from async.session)").await;
}

#[tokio::test]
async fn each_line_is_a_document_where_json_is_wanted() {
    let (database, _target, mut engine) = fixture().await;
    engine.start_with(&["--log-format", "json", "--log", "debug"]);
    engine.wait_for_line("\"message\":\"leading\"").await;
    push(&database, "select 1").await;
    engine.wait_for_line("a query ended").await;
    send(Signal::Terminate, engine.pid());
    assert_eq!(engine.exit_code().await, 0);
    for line in engine.lines() {
        let document: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(document["level"].is_string() && document["fields"]["message"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn tasks_that_outlast_the_drain_timeout_are_stopped_and_wait_again() {
    let (database, target, mut engine) = fixture().await;
    engine.start_with(&["--drain-timeout", "0"]);
    engine.wait_until_leading().await;
    let runs = push(&database, "select pg_sleep(600)").await;
    wait_until_it_runs(&database, &target, runs).await;
    send(Signal::Interrupt, engine.pid());
    assert_eq!(engine.exit_code().await, 0);
    database.assert_holds("select consumed is null and processed is null and tracked is null from async.task").await;
    database.assert_holds("select goodbye from async.leader").await;
}

#[tokio::test]
async fn sessions_that_a_target_ended_are_forgotten() {
    let (database, target, mut engine) = fixture().await;
    engine.lead().await;
    for _ in 0..4 {
        push(&database, "select pg_sleep(0.5)").await;
    }
    database.wait_until_finished().await;
    database.assert_holds("select count(*) > 1 from async.session").await;
    let ours = "from pg_stat_activity where datname = current_database() and application_name like 'pgasync/%'";
    let end = format!("select pg_terminate_backend(pid) {ours}");
    target.session().query(&end, &[]).await.expect("a superuser may signal");
    database.wait_for("select count(*) = 0 from async.session").await;
    // The task of a session that ends itself ends with it.
    push(&database, "select pg_terminate_backend(pg_backend_pid())").await;
    database.wait_until_finished().await;
    database.wait_for("select count(*) = 0 from async.session").await;
    let begin = Instant::now();
    send(Signal::Terminate, engine.pid());
    assert_eq!(engine.exit_code().await, 0);
    assert!(begin.elapsed() < Duration::from_millis(1500), "{:?}", begin.elapsed());
    database.assert_holds("select goodbye from async.leader").await;
}

#[tokio::test]
async fn sessions_that_ended_while_the_server_was_away_are_forgotten_too() {
    let (database, target, mut engine) = fixture().await;
    engine.lead().await;
    for _ in 0..4 {
        push(&database, "select pg_sleep(0.5)").await;
    }
    database.wait_until_finished().await;
    database.assert_holds("select count(*) > 1 from async.session").await;
    let admit = |whether: bool| format!("alter database \"{}\" allow_connections {whether}", database.name());
    target.session().batch_execute(&admit(false)).await.expect("a superuser may");
    database.run("select pg_terminate_backend(pid) from async.control").await;
    engine.wait_for_line("the lead cannot be proved yet").await;
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and application_name like 'pgasync/%'";
    target.session().query(end, &[]).await.expect("a superuser may signal");
    tokio::time::sleep(Duration::from_millis(500)).await;
    database.assert_holds("select count(*) > 1 from async.session").await;
    target.session().batch_execute(&admit(true)).await.expect("a superuser may");
    engine.wait_for_line("lead proved").await;
    database.wait_for("select count(*) = 0 from async.session").await;
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once_and_its_successor_reports_unknown_outcomes() {
    let (database, target, mut engine) = fixture().await;
    engine.start_with(&["--drain-timeout", "600"]);
    engine.wait_until_leading().await;
    let runs = push(&database, "select pg_sleep(600)").await;
    wait_until_it_runs(&database, &target, runs).await;
    send(Signal::Terminate, engine.pid());
    engine.wait_for_line("draining").await;
    send(Signal::Terminate, engine.pid());
    assert_eq!(engine.exit_code().await, 5);
    database.assert_holds("select processed is null and consumed is not null from async.task").await;
    engine.start_with(&["--force"]);
    database.wait_until_finished().await;
    database.assert_holds("select processing_error like '%outcome unknown%' from async.task").await;
}

#[tokio::test]
async fn exit_codes_show_why_a_process_does_not_lead() {
    let (database, target, mut engine) = fixture().await;
    engine.lead().await;
    let mut second = RustEngine::attach(&database);
    second.start_with(&[]);
    assert_eq!(second.exit_code().await, 3);
    database.run("update async.control set enabled = false").await;
    database.run("select async.wake_leader()").await;
    assert_eq!(engine.exit_code().await, 0);
    engine.start_with(&[]);
    assert_eq!(engine.exit_code().await, 4);
    let mut lost = RustEngine::attach_at(&database, "host=127.0.0.1 port=1 dbname=nowhere".to_owned());
    lost.start_with(&[]);
    assert_eq!(lost.exit_code().await, 6);
    let mut empty = RustEngine::attach_at(&database, target.conninfo());
    empty.start_with(&[]);
    assert_eq!(empty.exit_code().await, 7);
    assert!(empty.lines().iter().any(|line| line.contains("pgasync init")), "{:?}", empty.lines());
}

#[tokio::test]
async fn a_standby_leads_when_the_leader_has_gone() {
    let (database, _target, mut engine) = fixture().await;
    engine.lead().await;
    let mut second = RustEngine::attach(&database);
    second.start_with(&["--standby"]);
    second.wait_for_line("standing by").await;
    // The leader session ends, and the process continues.
    database
        .run(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where application_name = 'pgasync run' and datname = current_database() and pid <> async.leader_pid()",
        )
        .await;
    second.wait_for_line("standby reconnects").await;
    engine.stop().await;
    second.wait_until_leading().await;
    push(&database, "select 1").await;
    database.wait_until_finished().await;
}

/// A frozen process, or one whose host sleeps, keeps its connection. From Postgres 14 on the server
/// ends an idle connection (`idle_session_timeout`), and a standby takes the lead. On older servers
/// the frozen process keeps the lead.
#[tokio::test]
async fn a_frozen_process_loses_the_lead_where_the_server_ends_idle_sessions() {
    let (database, target, mut engine) = fixture().await;
    database.configure(&json!({ "control": { "takeover_grace": "1 s" } })).await;
    engine.lead().await;
    let runs = push(&database, "select pg_sleep(600)").await;
    wait_until_it_runs(&database, &target, runs).await;
    let mut second = RustEngine::attach(&database);
    second.start_with(&["--standby"]);
    second.wait_for_line("standing by").await;
    let epoch = database.number("select epoch from async.leader").await;
    let begin = Instant::now();
    engine.freeze();
    if database.number("select current_setting('server_version_num')").await < 140_000 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!second.is_leading().await, "the frozen process has lost the lead");
        engine.thaw();
        let task = push(&database, "select 1").await;
        database.wait_for(&format!("select processed is not null from async.task where task_id = {task}")).await;
        return;
    }
    second.wait_until_leading().await;
    let took = begin.elapsed();
    assert!(took > Duration::from_secs(12) && took < Duration::from_secs(25), "{took:?}");
    assert_eq!(database.number("select epoch from async.leader").await, epoch + 1);
    database.wait_until_finished().await;
    database.assert_holds("select processing_error like '%outcome unknown%' from async.task").await;
    database.wait_for("select count(*) = 0 from async.session s, async.leader l where s.epoch < l.epoch").await;
    let checksum = database.checksum().await;
    engine.thaw();
    assert_eq!(engine.exit_code().await, 3);
    assert_eq!(database.checksum().await, checksum, "the old leader has written");
}

/// A paused host accepts data and does not answer.
#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_and_found_again() {
    let (database, _target, _) = fixture().await;
    let (port, paused) = pausable_way_to(&database).await;
    let way = format!("{} host=127.0.0.1 hostaddr='' port={port}", database.settings().conninfo());
    let mut engine = RustEngine::attach_at(&database, way);
    engine.lead().await;
    let epoch = database.number("select epoch from async.leader").await;
    let begin = Instant::now();
    paused.send_replace(true);
    while !engine.lines().iter().any(|line| line.contains("the leader session is lost")) {
        assert!(begin.elapsed() < Duration::from_secs(60), "{:#?}", engine.lines());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(begin.elapsed() > Duration::from_secs(15), "{:?}", begin.elapsed());
    paused.send_replace(false);
    let task = push(&database, "select 1").await;
    database.wait_for(&format!("select processed is not null from async.task where task_id = {task}")).await;
    assert_eq!(database.number("select epoch from async.leader").await, epoch, "the lead was proved, not taken anew");
}

/// A port that relays to the server, and keeps the data while it is paused.
async fn pausable_way_to(database: &Database) -> (u16, watch::Sender<bool>) {
    let server = database.text("select current_setting('port')").await.expect("it has one");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
    let port = listener.local_addr().expect("it has an address").port();
    let (paused, watching) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(format!("127.0.0.1:{server}")).await.expect("the server listens");
            let (near, far) = (near.into_split(), far.into_split());
            tokio::spawn(pass_on(near.0, far.1, watching.clone()));
            tokio::spawn(pass_on(far.0, near.1, watching.clone()));
        }
    });
    (port, paused)
}

async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut paused: watch::Receiver<bool>) {
    let mut bytes = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if paused.wait_for(|paused| !paused).await.is_err() || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// The orchestrator falls asleep while a push is open. No other event would wake it for an hour.
#[tokio::test]
async fn a_push_left_open_while_the_leader_falls_asleep_is_run() {
    let (database, _target, mut engine) = fixture().await;
    let pusher = database.settings().connect().await.expect("a second session");
    pusher.batch_execute("begin; select async.push_task(async.task('select 1', 'there'))").await.expect("it is pushed");
    engine.lead().await;
    // Another push wakes the orchestrator in the meantime, and then it may fall asleep again.
    let task = push(&database, "select 1").await;
    database.wait_for(&format!("select processed is not null from async.task where task_id = {task}")).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    pusher.batch_execute("commit").await.expect("it is committed");
    database.wait_for("select count(*) = 2 and bool_and(processed is not null) from async.task").await;
}

#[tokio::test]
async fn a_password_is_never_said() {
    const SECRET: &str = "open-sesame-4711";
    let (database, target, mut engine) = fixture().await;
    let there = format!("{} password={SECRET}", target.conninfo());
    database
        .configure(&json!({ "targets": [
            { "target": "there", "connection_string": there },
            { "target": "refused", "connection_string": format!("host=127.0.0.1 port=1 password={SECRET}") },
            { "target": "wrong", "connection_string": format!("host=127.0.0.1 port=1 password={SECRET}") },
        ] }))
        .await;
    // The configuration refuses a key that libpq does not know. A row that was written by hand may have one.
    database.run("update async.target set connection_string = replace(connection_string, 'port', 'prot') where target = 'wrong'").await;
    engine.start_with(&["--log", "trace,tokio_postgres::query=debug"]);
    engine.wait_until_leading().await;
    for name in ["there", "refused", "wrong"] {
        database.run(&format!("select async.push_task(async.task('select 1/0', '{name}'))")).await;
    }
    database.wait_for("select count(*) = 2 from async.server_log where message like 'target \"%\" is lost%'").await;
    engine.stop().await;
    let lines = engine.lines();
    assert!(lines.iter().any(|line| line.contains("is lost")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains(SECRET)), "{lines:#?}");
    database
        .assert_holds(&format!("select not exists (select from async.server_log where message like '%{SECRET}%')"))
        .await;
    database
        .assert_holds(&format!("select not exists (select from async.task t where t::text like '%{SECRET}%')"))
        .await;
}
