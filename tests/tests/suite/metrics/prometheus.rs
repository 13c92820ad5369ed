//! A real Prometheus, beside a leader: it reads the metrics, knows every metric of `docs/metrics.md`, and executes
//! each expression of the dashboard and the alerts.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use pgasync_tests::{Database, Engine, PATIENCE, RustEngine, Target};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::http::{address, exchange, get, scrape};
use super::{documented, family, root};

/// A server of Prometheus that scrapes one address each second.
struct Prometheus {
    address: String,
    _folder: TempDir,
    _process: Child,
}

impl Prometheus {
    async fn start(scraped: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").await.expect("a port is free").local_addr().expect("bound").port();
        let rules = deploy("prometheus/alerts.yml");
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [rules],
            "scrape_configs": [{"job_name": "pgasync", "static_configs": [{"targets": [scraped]}]}],
        });
        // JSON is YAML.
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, config.to_string()).expect("it is written");
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("prometheus: {error}: run ./dev check metrics, which installs it"));
        let address = format!("127.0.0.1:{port}");
        let begin = Instant::now();
        while tokio::net::TcpStream::connect(&address).await.is_err() || get(&address, "/-/ready").await.0 != 200 {
            assert!(begin.elapsed() < PATIENCE, "Prometheus does not start");
            sleep(Duration::from_millis(100)).await;
        }
        Self { address, _folder: folder, _process: process }
    }

    /// The answer of its API: an error fails the test.
    async fn api(&self, path: &str, form: &str) -> Value {
        let request = format!(
            "POST /api/v1/{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.address,
            form.len()
        );
        let answer = exchange(&self.address, request.as_bytes()).await;
        let begin = answer.find('{').unwrap_or_else(|| panic!("{form}: {answer}"));
        let end = answer.rfind('}').expect("a document ends");
        let document: Value =
            serde_json::from_str(&answer[begin..=end]).unwrap_or_else(|error| panic!("{error}: {answer}"));
        assert_eq!(document["status"], "success", "{form}: {document}");
        document["data"].clone()
    }

    /// The series of an expression.
    async fn query(&self, expression: &str) -> Vec<Value> {
        let form = format!("query={}", percent(expression));
        self.api("query", &form).await["result"].as_array().cloned().unwrap_or_default()
    }
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn deploy(file: &str) -> PathBuf {
    root().join("deploy").join(file)
}

/// Every expression of the dashboard, with its variables replaced.
fn expressions() -> Vec<String> {
    let dashboard = fs::read_to_string(deploy("grafana/pgasync.json")).expect("the dashboard is there");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("a panel has queries"));
    let replaced = |text: &str| text.replace("$__rate_interval", "20s").replace("$job", ".*").replace("$target", ".*");
    targets.map(|target| replaced(target["expr"].as_str().expect("a query has an expression"))).collect()
}

/// The names of the metrics that an expression reads.
fn names(expression: &str) -> BTreeSet<&str> {
    expression
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("pgasync_"))
        .collect()
}

async fn promtool(arguments: &[&str], input: &str) -> Result<(), String> {
    let mut process = Command::new("promtool")
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool: {error}: run ./dev check metrics, which installs it"));
    process.stdin.take().expect("it is piped").write_all(input.as_bytes()).await.expect("it reads");
    let output = process.wait_with_output().await.expect("it ends");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() && !said.contains("FAILED") { Ok(()) } else { Err(said) }
}

#[tokio::test]
async fn prometheus_reads_a_leader_and_executes_the_dashboard_and_the_alerts() {
    let database = Database::create().await;
    let target = Target::create_on(database.cluster()).await;
    database
        .configure(&json!({
            "control": {"workers": 3},
            "retry_policies": [{"retry_policy": "once", "max_attempts": 2, "delay": "100 milliseconds", "sqlstates": ["any"]}],
            "targets": [
                {"target": "there", "connection_string": target.conninfo(), "max_workers": 3},
                {"target": "quo\"te\\d\nline", "connection_string": target.conninfo(), "max_workers": 1},
            ],
        }))
        .await;
    // They wait when the leader counts for the first time.
    let push = "select async.push($1, $2, retry => $3)";
    let there = "there";
    for _ in 0..6 {
        database.rows(push, &[&"select pg_sleep(1)", &there, &None::<&str>]).await;
    }
    database.rows(push, &[&"select 1/0", &there, &Some("once")]).await;
    database.rows(push, &[&"select 1", &"quo\"te\\d\nline", &None::<&str>]).await;
    let mut engine = RustEngine::attach(&database);
    engine.start_with(&["--listen", "127.0.0.1:0"]);
    engine.wait_until_leading().await;
    let address = address(&engine).await;
    let prometheus = Prometheus::start(&address).await;
    // It discovers its targets after five seconds.
    let begin = Instant::now();
    while prometheus.query("up{job=\"pgasync\"} == 1").await.is_empty() {
        assert!(begin.elapsed() < PATIENCE, "the scrape does not succeed");
        sleep(Duration::from_millis(200)).await;
    }
    // Rates need two readings with tasks between them.
    for round in 0..4 {
        database.rows(push, &[&"select 2", &there, &None::<&str>]).await;
        database.rows(push, &[&"select 1/0", &there, &Some("once")]).await;
        sleep(Duration::from_millis(if round < 3 { 1_300 } else { 0 })).await;
    }
    database.wait_until_finished().await;
    // A failed query costs its session. This one stays.
    database.rows(push, &[&"select 3", &there, &None::<&str>]).await;
    database.wait_until_finished().await;
    sleep(Duration::from_millis(2_500)).await;

    let (status, text) = get(&address, "/metrics").await;
    assert_eq!(status, 200);
    promtool(&["check", "metrics"], &text).await.unwrap_or_else(|said| panic!("{said}\n{text}"));
    let scraped: BTreeSet<String> =
        scrape(&address).await.keys().map(|series| series.split('{').next().unwrap_or(series).to_owned()).collect();
    let families: BTreeSet<String> = scraped.iter().map(|name| family(name).to_owned()).collect();
    assert_eq!(families, documented(), "docs/metrics.md lists what is scraped");

    let hostile = "pgasync_tasks_started_total{target=\"quo\\\"te\\\\d\\nline\"} == 1";
    assert_eq!(prometheus.query(hostile).await.len(), 1, "a name with quotes is read as it is");
    let expressions = expressions();
    assert!(expressions.len() > 15, "{expressions:?}");
    for expression in &expressions {
        for name in names(expression) {
            assert!(scraped.contains(name), "{name} does not exist: {expression}");
        }
        assert!(!prometheus.query(expression).await.is_empty(), "no series: {expression}");
    }
    let firing = prometheus.query("ALERTS{alertstate=\"firing\"}").await;
    assert!(firing.is_empty(), "a leader that is well raises no alert: {firing:?}");
    let rules = get(&prometheus.address, "/api/v1/rules?type=alert").await.1;
    let rules: Value =
        serde_json::from_str(&rules[rules.find('{').expect("JSON")..=rules.rfind('}').expect("JSON")]).expect("JSON");
    let rules = rules["data"]["groups"][0]["rules"].as_array().cloned().expect("the alerts are loaded");
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        for name in names(rule["query"].as_str().expect("a rule has an expression")) {
            assert!(scraped.contains(name), "{name} does not exist: {rule}");
        }
    }
    assert!(rules.len() >= 8, "{rules:?}");
    engine.stop().await;
}

#[tokio::test]
async fn the_alerts_are_valid_and_fire_when_they_should() {
    promtool(&["check", "rules", "deploy/prometheus/alerts.yml"], "").await.expect("the rules are valid");
    promtool(&["test", "rules", "deploy/prometheus/alerts_test.yml"], "")
        .await
        .expect("the alerts fire as they should");
    let missed = "pgasync_nothing{a=\"1\"} 1\n";
    promtool(&["check", "metrics"], missed).await.expect_err("a metric without help is found");
}
