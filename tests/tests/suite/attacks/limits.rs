//! Limits on pushes, requests and messages of one client, so that the leader serves the others.

use std::time::{Duration, Instant};

use pgasync_tests::{Database, Engine};

use crate::conformance::fixture::Fixture;

const QUERY_BYTES_MAX: usize = 16 << 20;

async fn assert_refused(database: &Database, push: &str, sqlstate: &str, said: &str) {
    let (code, message) = database.refused(push).await;
    assert_eq!(code, sqlstate, "{message}");
    assert!(message.contains(said) && message.len() < 1_000, "{message}");
}

/// A push is refused without an orchestrator.
#[tokio::test]
async fn a_push_beyond_a_limit_is_refused_and_names_it() {
    let database = Database::create().await;
    let over = QUERY_BYTES_MAX + 1;
    let query = |bytes| {
        format!(
            "select async.push_tasks(array[async.task('a', 'SELF'), async.task(repeat('x', {bytes}), 'SELF')], 'DOA')"
        )
    };
    assert_refused(&database, &query(over), "PA017", "task 2: its query is too long (16777217 bytes)").await;
    database.run(&query(QUERY_BYTES_MAX)).await;

    let data =
        |bytes| format!("select async.push_task(async.task('select 1', 'SELF', to_jsonb(repeat('x', {bytes}))))");
    assert_refused(&database, &data(over), "PA018", "task 1: its task_data is too large").await;
    database.run(&data(QUERY_BYTES_MAX - 100)).await;

    let elements = "select async.push_tasks(array_fill(async.task('select 1', 'SELF'), array[1000001]))";
    assert_refused(&database, elements, "PA019", "1000001 tasks are too many").await;

    for (name, code, said) in [
        (
            "'SELF', concurrency_pool => repeat('é', 128)",
            "PA01B",
            "task 1: the name of its concurrency pool is too long (256",
        ),
        ("repeat('é', 10000000)", "PA01B", "task 1: the name of its target is too long (20000000"),
    ] {
        assert_refused(&database, &format!("select async.push_task(async.task('select 1', {name}))"), code, said).await;
    }
    database.run("select async.push_task(async.task('select 1', 'SELF', concurrency_pool => repeat('x', 255)))").await;
    let sourced =
        |call: &str, source: &str| format!("select async.{call}, 'DOA', _source => repeat('{source}', 128) || 'x')");
    for call in [
        "push_task(async.task('select 1', 'SELF')",
        "push_tasks(array[async.task('a', 'SELF'), async.task('b', 'SELF')]",
    ] {
        assert_refused(&database, &sourced(call, "é"), "PA01C", "the source of the push is too long (257 bytes)").await;
        database.run(&sourced(call, "x")).await;
    }
    let configure =
        "select async.configure('{\"concurrency_pools\": [{\"concurrency_pool\": \"NAME\", \"max_workers\": 1}]}')";
    let configure = |bytes| configure.replace("NAME", &"x".repeat(bytes));
    assert_refused(&database, &configure(256), "PA060", "concurrency_pools[0].concurrency_pool").await;
    database.run(&configure(255)).await;
    database.assert_holds("select count(*) = 7 from async.task").await;
}

async fn tasks_wait_in_a_limited_number_of_pools<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let push = |first, last| {
        format!(
            "select async.push_tasks(array_agg(async.task('select 1', 'there', concurrency_pool => 'pool ' || n)))
             from generate_series({first}, {last}) n"
        )
    };
    assert_refused(&fixture, &push(1, 20_001), "PA01A", "20001 concurrency pools").await;
    fixture.run("update async.control set paused = true").await;
    fixture.run(&push(1, 12_000)).await;
    assert_refused(&fixture, &push(12_001, 20_001), "PA01A", "20001 concurrency pools").await;
    fixture.run(&push(12_001, 20_000)).await;
    assert_refused(&fixture, &push(20_001, 20_001), "PA01A", "20001 concurrency pools").await;
    // A pool in which tasks wait already and the pool of a target are not additional pools.
    fixture.run(&push(20_000, 20_000)).await;
    fixture.push("select 1").await;
    fixture
        .run("delete from async.task where concurrency_pool <> 'pool 1'; update async.control set paused = false")
        .await;
    fixture.engine.lead().await;
    fixture.run_task("select 1").await.succeeded();
    fixture.run(&push(3, 3)).await;
    fixture.wait_until_finished().await;
}

/// The query is pushed within the limit, and an update makes it longer.
async fn a_query_that_grew_beyond_the_limit_fails_unread<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let id = fixture.push("select 1").await;
    fixture
        .run(&format!("update async.task set query = 'select 1 --' || repeat('x', {}) where task_id = {id}", 17 << 20))
        .await;
    fixture.engine.lead().await;
    let error = fixture.end_of(id).await.is("FAILED").expect("an error message");
    assert_eq!(error, "PA017: the query has 17825803 bytes, and may have 16777216");
    fixture.run_task("select 1").await.succeeded();
    fixture.wait_until_no_slot_is_taken().await;
}

async fn long_messages_of_requests_are_cut_and_later_requests_are_applied<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(fixture.push("select pg_sleep(60)").await);
    }
    for id in &ids {
        fixture.wait_until(*id, "RUNNING").await;
        fixture.run(&format!("select async.cancel(array[{id}], repeat('é', 30000000))")).await;
    }
    for id in &ids {
        fixture.end_of(*id).await.is("CANCELED");
    }
    let later = fixture.push("select pg_sleep(60)").await;
    fixture.wait_until_it_runs(later).await;
    fixture.run(&format!("select async.cancel(array[{later}])")).await;
    fixture.end_of(later).await.is("CANCELED");
    fixture
        .assert_holds(&format!(
            "select bool_and(octet_length(processing_error) between 60000 and 65536) from async.task where task_id <> {later}"
        ))
        .await;
}

/// Texts that are expensive to classify, of about the length that is read.
fn expensive_texts() -> Vec<String> {
    let nested = 16_000;
    vec![
        format!("{}{} select 1", "/*".repeat(nested), "*/".repeat(nested)),
        format!("{} select 1", "/*".repeat(nested)),
        format!("{}select 1", "/*/**/*/".repeat(4_000)),
        format!("{}select 1", "/**/".repeat(8_000)),
        format!("{}1{}", "(".repeat(nested), ")".repeat(nested)),
        format!("select {}", "e''||".repeat(6_000)),
        format!("select {}", "e''\n".repeat(8_000)),
        format!("select {}", "$a$ $a$||".repeat(3_500)),
        format!("select {}", "1,".repeat(nested)),
        format!("select {}", "\"\",".repeat(10_000)),
        format!("select {}", "-".repeat(32_000)),
        format!("select {}", "--\n".repeat(10_000)),
        "select 1;".repeat(3_500),
        format!("with a as {}", "into ".repeat(6_000)),
        "é".repeat(32_000),
    ]
}

/// The time of tasks at `SELF` beside texts for `there`. Some of the texts are expensive for the parser
/// of the target, so their tasks need not end.
async fn time_beside<E: Engine>(fixture: &Fixture<E>, texts: &[String]) -> Duration {
    for text in texts {
        let push = "select async.push_tasks(array_agg(async.task($1, 'there'))) from generate_series(1, 8)";
        fixture.rows(push, &[text]).await;
    }
    let begin = Instant::now();
    for _ in 0..20 {
        let id = fixture.push_as("'select 1', 'SELF'").await;
        fixture.end_of(id).await.succeeded();
    }
    begin.elapsed()
}

async fn expensive_texts_delay_no_other_task<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let plain = format!("select {}", "1 + ".repeat(1_000) + "1");
    let usual = time_beside(&fixture, &vec![plain; 15]).await;
    fixture.run("select async.cancel(array_agg(task_id)) from async.task where processed is null").await;
    fixture.wait_until_finished().await;
    // Eight tasks of nested comments alone took half a minute, and the usual time is about a second.
    let beside = time_beside(&fixture, &expensive_texts()).await;
    assert!(beside < usual * 8 + Duration::from_secs(2), "{beside:?}, usual {usual:?}");
}

/// The time in which the SQL engine classifies one of them, in the leader.
#[tokio::test]
async fn classification_takes_time_in_proportion_to_the_length() {
    let database = Database::create().await;
    let plain = format!("select {}", "1 + ".repeat(1_500));
    // The least of several, because another process may have the processor.
    let timed = async |text: &String| {
        let mut least = Duration::MAX;
        for _ in 0..5 {
            let begin = Instant::now();
            database.rows("select count(*) from async.scan_statements($1)", &[text]).await;
            least = least.min(begin.elapsed());
        }
        least
    };
    let usual = timed(&plain).await;
    for text in expensive_texts() {
        let begin: String = text.chars().take(20).collect();
        let time = timed(&text).await;
        assert!(time < usual * 20 + Duration::from_millis(100), "{begin}: {time:?}, usual {usual:?}");
    }
}

attacks!(
    tasks_wait_in_a_limited_number_of_pools,
    a_query_that_grew_beyond_the_limit_fails_unread,
    long_messages_of_requests_are_cut_and_later_requests_are_applied,
    expensive_texts_delay_no_other_task,
);
