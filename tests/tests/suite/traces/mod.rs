//! `pgasync run --traces`: spans of tasks at a collector. The program has to be built with the feature
//! `traces`.

mod collector;

use std::time::Duration;

use pgasync_tests::{Database, Engine, RustEngine, Target};
use serde_json::{Value, json};

use collector::{Collector, Span};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

const CLIENT: i32 = 3;
const CONSUMER: i32 = 5;
const ERROR: i32 = 2;

struct Fixture {
    database: Database,
    _target: Target,
    engine: RustEngine,
}

impl Fixture {
    async fn prepared(endpoint: &str) -> Self {
        let database = Database::create().await;
        let target = Target::create_on(database.cluster()).await;
        let there = json!({ "target": "there", "connection_string": target.conninfo(), "max_concurrency": 4 });
        let quick = json!({ "retry_policy": "quick", "max_attempts": 3, "delay": "0.1 s", "sqlstates": ["any"] });
        let document = json!({ "targets": [there], "retry_policies": [quick] });
        database.rows("select async.configure($1)", &[&document]).await;
        let mut engine = RustEngine::attach(&database);
        engine.set_variable("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        Self { database, _target: target, engine }
    }

    async fn led(endpoint: &str) -> Self {
        let mut fixture = Self::prepared(endpoint).await;
        fixture.engine.start_with(&["--traces"]);
        fixture.engine.wait_until_leading().await;
        fixture
    }

    async fn push(&self, query: &str, task_data: &Value, retry: Option<&str>) -> i64 {
        let sql = "select async.push($1, 'there', task_data => $2, retry => $3)";
        self.database.rows(sql, &[&query, task_data, &retry]).await[0].get(0)
    }

    async fn push_traced(&self, query: &str) -> i64 {
        self.push(query, &traced("01"), None).await
    }
}

fn traced(flags: &str) -> Value {
    json!({ "order": 7, "traceparent": format!("00-{TRACE}-{PARENT}-{flags}"), "tracestate": "vendor=x" })
}

/// The span of a task, and those of its attempts in order.
fn of_task(spans: &[Span], task: i64) -> (Span, Vec<Span>) {
    let mut own: Vec<Span> =
        spans.iter().filter(|span| span.attribute("pgasync.task_id") == task.to_string()).cloned().collect();
    own.sort_by_key(|span| (span.kind != CONSUMER, span.begin));
    let whole = own.remove(0);
    assert_eq!((whole.name.as_str(), whole.kind, whole.trace.as_str()), ("task there", CONSUMER, TRACE));
    for attempt in &own {
        assert_eq!((attempt.name.as_str(), attempt.kind, attempt.trace.as_str()), ("run there", CLIENT, TRACE));
        assert_eq!(attempt.parent, whole.id);
        assert!(whole.begin <= attempt.begin && attempt.begin <= attempt.end && attempt.end <= whole.end, "{own:#?}");
    }
    (whole, own)
}

#[tokio::test]
async fn a_task_with_a_traceparent_has_a_span_and_one_for_each_attempt() {
    let collector = Collector::listen("127.0.0.1:0").await;
    let fixture = Fixture::led(&collector.endpoint()).await;
    for data in [json!(null), json!({ "a": 1 }), json!("00"), json!({ "traceparent": 3 }), traced("00")] {
        fixture.push("select 1", &data, None).await;
    }
    fixture.push("select 1", &json!({ "traceparent": format!("00-{}-{PARENT}-01", "0".repeat(32)) }), None).await;
    let done = fixture.push_traced("select 1").await;
    let failed = fixture.push("select 1/0", &traced("01"), Some("quick")).await;
    fixture.database.wait_until_finished().await;
    let spans = collector.wait_for(6).await;

    let (whole, runs) = of_task(&spans, done);
    assert_eq!((whole.parent.as_str(), whole.state.as_str(), whole.status), (PARENT, "vendor=x", 0));
    assert_eq!(
        (whole.attribute("pgasync.target"), whole.attribute("pgasync.concurrency_pool")),
        ("there", "there"),
        "{whole:#?}"
    );
    assert_eq!((whole.attribute("pgasync.status"), whole.attribute("error.type")), ("FINISHED", ""));
    assert_eq!(whole.resource.get("service.name").map(String::as_str), Some("pgasync"), "{whole:#?}");
    assert_eq!(runs.len(), 1, "{runs:#?}");
    assert_eq!((runs[0].attribute("pgasync.attempt"), runs[0].attribute("db.system.name")), ("1", "postgresql"));
    let micros = "select (extract(epoch from entered) * 1000000)::bigint * 1000 from async.task where task_id = ";
    assert_eq!(whole.begin.to_string(), fixture.database.number(&format!("{micros}{done}")).await.to_string());

    let (whole, runs) = of_task(&spans, failed);
    assert_eq!((whole.status, whole.attribute("error.type")), (ERROR, "22012"));
    assert!(whole.description.starts_with("22012: division by zero"), "{whole:#?}");
    let attempts: Vec<_> = runs.iter().map(|run| (run.attribute("pgasync.attempt"), run.status)).collect();
    assert_eq!(attempts, [("1", ERROR), ("2", ERROR), ("3", ERROR)]);
    assert_eq!(spans.len(), 6, "{spans:#?}");
}

#[tokio::test]
async fn a_restarted_task_has_spans_for_each_of_its_ends() {
    let collector = Collector::listen("127.0.0.1:0").await;
    let fixture = Fixture::led(&collector.endpoint()).await;
    let task = fixture.push("select 1/0", &traced("01"), Some("quick")).await;
    fixture.database.wait_until_finished().await;
    let first = collector.wait_for(4).await;
    fixture.database.rows("select async.restart(array[$1::bigint])", &[&task]).await;
    let spans = collector.wait_for(8).await;
    let later: Vec<Span> = spans.iter().filter(|span| first.iter().all(|old| old.id != span.id)).cloned().collect();
    let (_, runs) = of_task(&later, task);
    let attempts: Vec<&str> = runs.iter().map(|run| run.attribute("pgasync.attempt")).collect();
    assert_eq!(attempts, ["1", "2", "3"], "the attempts before the restart had their spans");
    assert_eq!(spans.len(), 8);
}

#[tokio::test]
async fn a_task_that_never_started_has_a_span_without_attempts() {
    let collector = Collector::listen("127.0.0.1:0").await;
    let fixture = Fixture::led(&collector.endpoint()).await;
    let sql = "select async.push('select 1', 'there', task_data => $1, run_at => now() + interval '1 day')";
    let task: i64 = fixture.database.rows(sql, &[&traced("01")]).await[0].get(0);
    fixture.database.rows("select async.cancel(array[$1::bigint])", &[&task]).await;
    let (whole, runs) = of_task(&collector.wait_for(1).await, task);
    assert_eq!((whole.attribute("pgasync.status"), runs.len()), ("CANCELED", 0));
}

#[tokio::test]
async fn the_spans_of_the_last_tasks_are_exported_before_the_process_ends() {
    let collector = Collector::listen("127.0.0.1:0").await;
    let mut fixture = Fixture::led(&collector.endpoint()).await;
    for _ in 0..20 {
        fixture.push_traced("select 1").await;
    }
    fixture.database.wait_until_finished().await;
    fixture.engine.stop().await;
    assert_eq!(collector.spans().len(), 40);
}

#[tokio::test]
async fn a_collector_that_is_down_delays_no_task_and_later_spans_arrive() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = free.local_addr().expect("it is bound").to_string();
    drop(free);
    let fixture = Fixture::led(&format!("http://{address}")).await;
    fixture.push_traced("select 1").await;
    fixture.database.wait_until_finished().await;
    fixture.engine.wait_for_line("traces are not exported").await;
    let collector = Collector::listen(&address).await;
    let task = fixture.push_traced("select 1").await;
    of_task(&collector.wait_for(2).await, task);
}

/// The collector takes connections and never answers.
#[tokio::test]
async fn a_collector_that_does_not_answer_delays_no_task() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("it is bound").to_string();
    let mut fixture = Fixture::led(&format!("http://{address}")).await;
    for _ in 0..3 {
        fixture.push_traced("select 1").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    fixture.database.wait_until_finished().await;
    fixture.engine.stop().await;
}

#[tokio::test]
async fn after_a_takeover_the_new_leader_exports_spans() {
    let collector = Collector::listen("127.0.0.1:0").await;
    let mut fixture = Fixture::led(&collector.endpoint()).await;
    let mut next = RustEngine::attach(&fixture.database);
    next.set_variable("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint());
    next.start_with(&["--traces", "--standby"]);
    fixture.push_traced("select 1").await;
    collector.wait_for(2).await;
    fixture.engine.stop().await;
    next.wait_until_leading().await;
    let task = fixture.push_traced("select 1").await;
    fixture.database.wait_until_finished().await;
    of_task(&collector.wait_for(4).await, task);
}

#[tokio::test]
async fn an_endpoint_that_is_no_address_is_refused_before_the_lead_is_taken() {
    let mut fixture = Fixture::prepared("not an address").await;
    fixture.engine.start_with(&["--traces"]);
    assert_eq!(fixture.engine.exit_code().await, 2, "{:#?}", fixture.engine.lines());
    assert!(fixture.engine.lines().iter().any(|line| line.contains("OTEL_EXPORTER_OTLP_ENDPOINT")));
}
