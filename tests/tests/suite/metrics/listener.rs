//! `pgasync run --listen`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pgasync_core::SERIES_MAX;
use pgasync_tests::{Database, Engine, RustEngine, Target};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::http::{address, exchange, get, scrape, wait_for};

async fn fixture() -> (Database, Target, RustEngine) {
    let database = Database::create().await;
    let target = Target::create_on(database.cluster()).await;
    database.configure_targets(&[("there", &target, 2)]).await;
    let engine = RustEngine::attach(&database);
    (database, target, engine)
}

async fn push(database: &Database, query: &str) {
    database.rows("select async.push_task(async.task($1, 'there'))", &[&query]).await;
}

#[tokio::test]
async fn a_leader_shows_what_it_did_and_what_it_holds() {
    let (database, _target, mut engine) = fixture().await;
    engine.start_with(&["--listen", "127.0.0.1:0"]);
    engine.wait_until_leading().await;
    let address = address(&engine).await;
    for query in ["select 1", "select 2", "select 1/0", "select pg_sleep(0.2)"] {
        push(&database, query).await;
    }
    database.wait_until_finished().await;
    for _ in 0..3 {
        push(&database, "select pg_sleep(600)").await;
    }
    let series = wait_for(&address, |series| series.get("pgasync_workers_busy") == Some(&2.0)).await;
    let ended = |status: &str, class: &str| {
        let name =
            format!("pgasync_tasks_ended_total{{target=\"there\",status=\"{status}\",sqlstate_class=\"{class}\"}}");
        series.get(&name).copied()
    };
    assert_eq!((ended("FINISHED", ""), ended("FAILED", "22")), (Some(3.0), Some(1.0)), "{series:#?}");
    for (name, value) in [
        ("pgasync_leader", 1.0),
        ("pgasync_tasks_started_total{target=\"there\"}", 6.0),
        ("pgasync_task_wait_seconds_count{target=\"there\"}", 6.0),
        ("pgasync_task_run_seconds_count{target=\"there\"}", 4.0),
        ("pgasync_task_run_seconds_bucket{target=\"there\",le=\"86400\"}", 4.0),
        ("pgasync_target_up{target=\"there\"}", 1.0),
        ("pgasync_pool_slots_used{pool=\"there\"}", 2.0),
        ("pgasync_pool_slots_max{pool=\"there\"}", 2.0),
        ("pgasync_sessions{target=\"there\"}", 2.0),
        ("pgasync_fences_open", 0.0),
    ] {
        assert_eq!(series.get(name), Some(&value), "{name}: {series:#?}");
    }
    let slept = series["pgasync_task_run_seconds_sum{target=\"there\"}"];
    assert!((0.2..20.0).contains(&slept), "{slept} seconds");
    assert!(series["pgasync_batch_tasks_count"] >= 1.0 && series["pgasync_loop_seconds_count"] >= 1.0);
    assert_eq!(get(&address, "/healthz").await.0, 200);
    assert_eq!(get(&address, "/readyz").await, (200, "leading\n".to_owned()));
    assert_eq!(get(&address, "/elsewhere").await.0, 404);
    // The first count comes before the pushes, the next one 15 seconds later.
    let series = wait_for(&address, |series| series.contains_key("pgasync_tasks_waiting{target=\"there\"}")).await;
    assert!(series["pgasync_tasks_waiting{target=\"there\"}"] >= 1.0, "{series:#?}");
    assert!(series["pgasync_oldest_waiting_seconds{target=\"there\"}"] < 60.0, "{series:#?}");
}

#[tokio::test]
async fn only_the_leader_has_gauges_of_the_queue_and_a_successor_counts_from_zero() {
    let (database, _target, mut first) = fixture().await;
    first.start_with(&["--listen", "127.0.0.1:0"]);
    first.wait_until_leading().await;
    let mut second = RustEngine::attach(&database);
    second.start_with(&["--standby", "--listen", "127.0.0.1:0"]);
    second.wait_for_line("standing by").await;
    push(&database, "select 1").await;
    database.wait_until_finished().await;
    let started = "pgasync_tasks_started_total{target=\"there\"}";
    wait_for(&address(&first).await, |series| series.get(started) == Some(&1.0)).await;

    let address = address(&second).await;
    assert_eq!(get(&address, "/readyz").await, (200, "standing by\n".to_owned()));
    assert_eq!(get(&address, "/healthz").await.0, 200);
    let series = scrape(&address).await;
    assert_eq!(series["pgasync_leader"], 0.0);
    let others: Vec<&String> = series.keys().filter(|name| !name.starts_with("pgasync_build_info")).collect();
    assert_eq!(others, ["pgasync_leader"]);

    first.stop().await;
    second.wait_until_leading().await;
    push(&database, "select 1").await;
    database.wait_until_finished().await;
    wait_for(&address, |series| series["pgasync_leader"] == 1.0 && series.get(started) == Some(&1.0)).await;
}

#[tokio::test]
async fn an_address_that_is_taken_ends_the_start_and_changes_nothing() {
    let (database, _target, mut engine) = fixture().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = taken.local_addr().expect("it is bound").to_string();
    engine.start_with(&["--listen", &address]);
    assert_eq!(engine.exit_code().await, 2);
    let lines = engine.lines().join("\n");
    assert!(lines.contains(&format!("--listen {address}: Address already in use")), "{lines}");
    assert!(lines.contains("name another one"), "{lines}");
    database.assert_holds("select not exists (select from async.election)").await;

    engine.start_with(&["--listen", "nowhere"]);
    assert_eq!(engine.exit_code().await, 2);
    assert!(engine.lines().join("\n").contains("--listen nowhere: "), "{:#?}", engine.lines());
}

/// Clients that send nothing, half of a request, or too much, and one that does not read.
#[tokio::test]
async fn hostile_clients_are_cut_off_and_delay_no_task() {
    let (database, _target, mut engine) = fixture().await;
    engine.start_with(&["--listen", "127.0.0.1:0"]);
    engine.wait_until_leading().await;
    let address = address(&engine).await;
    let mut clients = Vec::new();
    for number in 0..200 {
        let mut client = TcpStream::connect(&address).await.expect("the kernel accepts it");
        if number % 2 == 0 {
            client.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await.expect("it is sent");
        }
        clients.push(client);
    }
    let begin = Instant::now();
    for _ in 0..20 {
        push(&database, "select 1").await;
    }
    database.wait_until_finished().await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    // Each of them is given up after three seconds, so a scrape has its turn.
    assert_eq!(get(&address, "/metrics").await.0, 200);
    drop(clients);

    let large = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200));
    for request in [large, many, "nonsense\r\n\r\n".to_owned(), "POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()]
    {
        let answer = refused(&address, request.as_bytes()).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(get(&address, "/healthz").await.0, 200);
}

/// The answer to a request that may end with a reset, because the server has not read all of it.
async fn refused(address: &str, request: &[u8]) -> String {
    let (address, request) = (address.to_owned(), request.to_vec());
    tokio::spawn(async move { exchange(&address, &request).await }).await.unwrap_or_default()
}

#[tokio::test]
async fn no_family_has_more_than_a_thousand_series() {
    let (database, target, mut engine) = fixture().await;
    let targets: Vec<_> = (0..SERIES_MAX + 100)
        .map(|number| json!({"target": format!("t{number:05}"), "connection_string": target.conninfo()}))
        .chain([json!({"target": "other", "connection_string": target.conninfo()})])
        .collect();
    database.configure(&json!({ "targets": targets })).await;
    database.rows("select async.push_task(async.task('select 1', 'other'))", &[]).await;
    engine.start_with(&["--listen", "127.0.0.1:0"]);
    engine.wait_until_leading().await;
    database.wait_until_finished().await;
    let series = wait_for(&address(&engine).await, |series| {
        series.contains_key("pgasync_target_up{target=\"other\"}")
            && series.contains_key("pgasync_tasks_started_total{target=\"other\"}")
    })
    .await;
    let mut families: BTreeMap<&str, usize> = BTreeMap::new();
    for name in series.keys() {
        *families.entry(name.split('{').next().unwrap_or(name)).or_default() += 1;
    }
    assert_eq!(families["pgasync_target_up"], SERIES_MAX);
    assert!(families.values().all(|count| *count <= SERIES_MAX), "{families:?}");
}
