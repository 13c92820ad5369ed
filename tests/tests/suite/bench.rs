//! The program `pgasync bench`: well-formed results, and nothing left behind. No test asserts a
//! rate or a time.

use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pgasync_tests::{PATIENCE, PrivateCluster, Signal, send};
use serde_json::Value;

/// A benchmark has names of its own, and one may run on a server, so each test has a cluster.
fn cluster() -> PrivateCluster {
    PrivateCluster::start(&["fsync=off"])
}

fn bench(cluster: &PrivateCluster) -> Command {
    let mut command = Command::new("pgasync");
    command.args(["bench", "--server", &cluster.conninfo("postgres"), "--seconds", "0.2", "--workers", "2"]);
    // The reference is then the loop of the program itself.
    command.env("PGBENCH", "/nonexistent/pgbench").stdin(Stdio::null());
    command
}

fn run(cluster: &PrivateCluster, arguments: &[&str]) -> Output {
    bench(cluster).args(arguments).output().expect("./dev puts pgasync on PATH")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn databases_left(cluster: &PrivateCluster) -> Vec<String> {
    let sql = "select datname::text from pg_database where datname like 'pgasync\\_bench%'";
    let rows = cluster.administrator().await.query(sql, &[]).await.expect("the catalog is readable");
    rows.iter().map(|row| row.get(0)).collect()
}

/// The median of a number.
fn median(document: &Value, scenario: &str, subject: &str, metric: &str) -> f64 {
    let results = document["results"].as_array().expect("a list");
    let found = results
        .iter()
        .find(|known| known["scenario"] == scenario && known["subject"] == subject && known["metric"] == metric);
    found
        .and_then(|known| known["median"].as_f64())
        .unwrap_or_else(|| panic!("{scenario} {subject} {metric}: {document:#}"))
}

#[tokio::test]
async fn a_short_benchmark_prints_a_document_with_both_engines_and_the_reference() {
    let cluster = cluster();
    let plot = cluster.socket_folder().join("plot.svg");
    let ran = run(&cluster, &["throughput", "work", "--json", "--svg", &plot.display().to_string()]);
    let stderr = text(&ran.stderr);
    assert!(ran.status.success(), "{stderr}");
    assert_eq!(stderr, "", "progress is for a terminal");
    let document: Value = serde_json::from_slice(&ran.stdout).expect("one JSON document");

    assert_eq!(document["format"], 1);
    assert!(document["reference"].as_str().is_some_and(|text| text.starts_with("own loop")), "{document:#}");
    for subject in ["rust", "sql", "own loop"] {
        assert!(median(&document, "throughput", subject, "per_second") > 0.0);
    }
    for engine in ["rust", "sql"] {
        // A claim and an end. The Rust engine gives claims ahead back, at most one for each end.
        let updates = median(&document, "work", engine, "updates_per_task");
        assert!((2.0..=4.0).contains(&updates), "{engine}: {updates} updates a task");
        let bytes = median(&document, "work", engine, "wal_bytes_per_task");
        assert!((100.0..20_000.0).contains(&bytes), "{engine}: {bytes} bytes of WAL a task");
        let ids = median(&document, "work", engine, "transaction_ids_per_task");
        assert!((0.01..5.0).contains(&ids), "{engine}: {ids} transaction ids a task");
    }
    let svg = std::fs::read_to_string(&plot).expect("a plot");
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>") && svg.contains(">rust<"), "{svg}");
    assert_eq!(databases_left(&cluster).await, Vec::<String>::new());
}

#[tokio::test]
async fn several_runs_show_their_spread_in_a_table() {
    let cluster = cluster();
    let ran = run(&cluster, &["throughput", "--engine", "sql", "--runs", "2", "--markdown"]);
    let stdout = text(&ran.stdout);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let row = stdout.lines().find(|line| line.starts_with('|') && line.contains(" sql ")).expect("a row");
    assert!(row.contains("2 workers") && row.contains('–'), "{stdout}");
    assert!(!stdout.contains(" rust "), "{stdout}");
}

#[tokio::test]
async fn what_cannot_be_measured_is_refused_with_the_reason_and_leaves_nothing() {
    let cluster = cluster();
    let administrator = cluster.administrator().await;
    let refused = |arguments: &[&str], reason: &str| {
        let ran = run(&cluster, arguments);
        let stderr = text(&ran.stderr);
        assert!(!ran.status.success() && stderr.contains(reason), "{arguments:?}: {stderr}");
    };
    refused(&["nonsense"], "invalid value 'nonsense'");
    refused(&["throughput", "--workers", "0"], "0 is not in 1..=2000");
    refused(&["throughput", "--runs", "0"], "must be more than 0");
    refused(&["throughput", "--json", "--markdown"], "cannot be used with");

    administrator.batch_execute("create role weak login").await.expect("a role");
    let weak = cluster.conninfo("postgres").replace("user=postgres", "user=weak");
    let ran = Command::new("pgasync").args(["bench", "--server", &weak, "throughput"]).output().expect("it runs");
    assert!(text(&ran.stderr).contains("alter role weak createdb"), "{}", text(&ran.stderr));
    assert_eq!(databases_left(&cluster).await, Vec::<String>::new());

    // A database of that name is not ours to drop.
    administrator.batch_execute("create database pgasync_bench").await.expect("a database");
    refused(&["throughput"], "there is a database pgasync_bench already");
    assert_eq!(databases_left(&cluster).await, ["pgasync_bench"]);
}

#[tokio::test]
async fn an_interrupted_benchmark_drops_its_databases() {
    let cluster = cluster();
    let process = bench(&cluster).arg("idle").stderr(Stdio::piped()).spawn();
    let process = process.expect("./dev puts pgasync on PATH");
    let begin = Instant::now();
    while !databases_left(&cluster).await.contains(&"pgasync_bench".to_owned()) {
        assert!(begin.elapsed() < PATIENCE, "no database is created");
        sleep(Duration::from_millis(50));
    }
    assert!(send(Signal::Interrupt, i32::try_from(process.id()).expect("small")));
    let ended = process.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(130), "{}", text(&ended.stderr));
    assert_eq!(databases_left(&cluster).await, Vec::<String>::new());
}
