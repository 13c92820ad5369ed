//! Targets that send much: the memory of the Rust engine does not follow.

use std::fs;
use std::time::{Duration, Instant};

use pgasync_tests::{Answer, FakeServer, Flood, RustEngine};
use serde_json::json;

use crate::conformance::fixture::{End, Fixture};

/// The engine may take this much memory more than when it was idle.
const GROWTH_KIB_MAX: u64 = 64 << 10;

/// The size of what a target sends. It is several times [`GROWTH_KIB_MAX`].
const SENT_BYTES: usize = 400_000_000;

const ENDED_WITHIN: Duration = Duration::from_secs(120);

/// The most memory that the process has used so far.
fn peak_kib(engine: &RustEngine) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", engine.pid())).expect("the engine runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux has this line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[track_caller]
fn assert_grew_little(fixture: &Fixture<RustEngine>, before: u64) {
    let after = peak_kib(&fixture.engine);
    assert!(after - before < GROWTH_KIB_MAX, "{before} kB before, {after} kB after");
}

/// An engine that has run a few tasks.
async fn used() -> Fixture<RustEngine> {
    let fixture = Fixture::<RustEngine>::led().await;
    for _ in 0..8 {
        fixture.push("select repeat('x', 100)").await;
    }
    fixture.wait_until_finished().await;
    fixture
}

/// An engine that leads, with this server as a target beside `there`, and its memory.
async fn used_beside(server: &FakeServer) -> (Fixture<RustEngine>, u64) {
    let fixture = used().await;
    let hostile = json!({ "target": "hostile", "connection_string": server.conninfo(), "max_workers": 2 });
    let control = json!({ "target_patience": "1 hour" });
    fixture.configure(&json!({ "control": control, "targets": [fixture.there(&json!({})), hostile] })).await;
    let before = peak_kib(&fixture.engine);
    (fixture, before)
}

/// Two tasks at the hostile target end, while tasks elsewhere succeed.
async fn ends_at(fixture: &Fixture<RustEngine>, timeout: &str) -> Vec<End> {
    let push = format!("'select 1', 'hostile', manual_timeout => '{timeout}'");
    let ids = [fixture.push_as(&push).await, fixture.push_as(&push).await];
    let begin = Instant::now();
    while !fixture.holds("select bool_and(processed is not null) from async.task where target = 'hostile'").await {
        fixture.run_task("select 1").await.succeeded();
        assert!(begin.elapsed() < ENDED_WITHIN, "no end\n{}", fixture.dump().await);
    }
    let mut ends = Vec::new();
    for id in ids {
        ends.push(fixture.end_of(id).await);
    }
    ends
}

#[tokio::test]
async fn large_results_of_tasks_take_no_memory() {
    let fixture = used().await;
    let before = peak_kib(&fixture.engine);
    let queries = [
        // A row of 300 MB, which repeat makes quickly out of long pieces.
        "select repeat(repeat('x', 10000), 30000)",
        "select repeat(repeat('x', 10000), 30000), 1",
        "select repeat(repeat('x', 10000), 10000); select repeat(repeat('x', 10000), 10000)",
        "select repeat('x', 1000) from generate_series(1, 300000)",
        "select repeat('x', 3000000) from generate_series(1, 50)",
    ];
    let mut ids = Vec::new();
    for query in queries {
        ids.push(fixture.push(query).await);
    }
    for id in ids {
        fixture.end_within(id, ENDED_WITHIN).await.succeeded();
    }
    assert_grew_little(&fixture, before);
    // The sessions still report errors, and read the rows of the engine's own queries.
    let error = fixture.run_task("select 1 / 0").await.is("FAILED").expect("an error message");
    assert!(error.starts_with("22012"), "{error}");
}

/// A notice that is longer than the limit is dropped, and the task succeeds.
#[tokio::test]
async fn large_notices_and_errors_of_tasks_take_no_memory() {
    let fixture = used().await;
    let before = peak_kib(&fixture.engine);
    let notices = [
        "do $$ begin raise notice '%', repeat(repeat('x', 10000), 20000); end $$",
        "do $$ begin for n in 1 .. 200 loop raise notice '%', repeat(repeat('x', 1000), 900); end loop; end $$",
    ];
    for query in notices {
        let id = fixture.push(query).await;
        fixture.end_within(id, ENDED_WITHIN).await.succeeded();
    }
    let error = fixture.run_task("do $$ begin raise exception '%', repeat('é', 100000); end $$").await.is("FAILED");
    assert_eq!(error.map(|error| error.len() / 1_000), Some(65));
    let id = fixture.push("do $$ begin raise exception '%', repeat(repeat('x', 10000), 20000); end $$").await;
    fixture.end_within(id, ENDED_WITHIN).await.is("FAILED");
    fixture.engine.wait_for_line("the server sent a message ErrorResponse of 200000").await;
    assert_grew_little(&fixture, before);
}

#[tokio::test]
async fn a_large_row_of_a_hostile_target_takes_no_memory() {
    let server = FakeServer::start(|received| match &received.query {
        Some(query) if query == "select 1" => Answer::Flood(Flood::Row(SENT_BYTES)),
        _ => Answer::Valid,
    });
    let (fixture, before) = used_beside(&server).await;
    for end in ends_at(&fixture, "100 s").await {
        end.succeeded();
    }
    assert_grew_little(&fixture, before);
}

/// The rows that are kept are bounded, whatever the target does.
#[tokio::test]
async fn a_large_row_in_place_of_a_result_takes_no_memory() {
    let server = FakeServer::start(|received| match &received.query {
        Some(query) if query.contains("pgasync.result") => Answer::Flood(Flood::Row(SENT_BYTES)),
        _ => Answer::Valid,
    });
    let (fixture, before) = used_beside(&server).await;
    let push = "select async.push('select 1', 'hostile', keep_result => true)";
    let ids = [fixture.id(push, &[]).await, fixture.id(push, &[]).await];
    for id in ids {
        fixture.end_within(id, ENDED_WITHIN).await.succeeded();
    }
    fixture
        .assert_holds("select count(*) = 2 and bool_and(rows is null and error like '%too much%') from async.result")
        .await;
    // A target that keeps to the rules sends no more than it may.
    let push = "select async.push('select repeat(repeat(''x'', 10000), 30000)', 'there', keep_result => true)";
    let id = fixture.id(push, &[]).await;
    fixture.end_within(id, ENDED_WITHIN).await.succeeded();
    let cut = format!("select rows = '[]' and row_count = 1 and truncated from async.result where task_id = {id}");
    fixture.assert_holds(&cut).await;
    assert_grew_little(&fixture, before);
}

#[tokio::test]
async fn a_large_error_of_a_hostile_target_ends_the_session() {
    for (flood, said) in [
        (Flood::Error(SENT_BYTES), "the server sent a message ErrorResponse of 400000"),
        (Flood::Header(b'T', i32::MAX), "the server sent a message RowDescription of 2147483647 bytes, and 1048576"),
        (Flood::Header(b'C', -5), "the server sent a message CommandComplete with the invalid length -5"),
    ] {
        let server = FakeServer::start(move |received| match &received.query {
            Some(query) if query == "select 1" => Answer::Flood(flood),
            _ => Answer::Valid,
        });
        let (fixture, before) = used_beside(&server).await;
        for end in ends_at(&fixture, "100 s").await {
            end.is("FAILED");
        }
        fixture.engine.wait_for_line(said).await;
        assert_grew_little(&fixture, before);
    }
}

/// No task begins at such a target.
#[tokio::test]
async fn a_large_answer_before_the_first_task_is_refused() {
    for (flood, is_identity, said) in [
        (Flood::Row(SENT_BYTES), true, "of rows for one query, and 1048576 are allowed"),
        (Flood::Error(SENT_BYTES), false, "ErrorResponse of 400000"),
        (Flood::EndlessNotices(10_000), false, "before the first query, the last in a message NoticeResponse"),
        (Flood::EndlessSettings(1_000), false, "before the first query, the last in a message ParameterStatus"),
    ] {
        let server = FakeServer::start(move |received| {
            let is_flooded = if is_identity { received.is_identity() } else { received.query.is_none() };
            if is_flooded { Answer::Flood(flood) } else { Answer::Valid }
        });
        let (fixture, before) = used_beside(&server).await;
        fixture.push_as("'select 1', 'hostile'").await;
        while server.count(|received| received.query.is_none()) < 3 {
            fixture.run_task("select 1").await.succeeded();
        }
        fixture.wait_for(&format!("select exists (select from async.server_log where message like '%{said}%')")).await;
        fixture.assert_holds("select bool_and(consumed is null) from async.task where target = 'hostile'").await;
        assert_grew_little(&fixture, before);
    }
}

#[tokio::test]
async fn endless_notices_and_settings_of_a_hostile_target_take_no_memory() {
    for flood in [Flood::EndlessNotices(500_000), Flood::EndlessNotices(2_000_000), Flood::EndlessSettings(1_000)] {
        let server = FakeServer::start(move |received| match &received.query {
            Some(query) if query == "select 1" => Answer::Flood(flood),
            _ => Answer::Valid,
        });
        let (fixture, before) = used_beside(&server).await;
        for end in ends_at(&fixture, "5 s").await {
            assert_ne!(end.status, "FINISHED", "{end:?}");
        }
        assert_grew_little(&fixture, before);
    }
}
