//! Targets with invalid answers, targets that hang, and targets that do not read: only their own tasks
//! fail or wait.

use std::time::{Duration, Instant};

use pgasync_tests::{Answer, Engine, FakeServer, Received};
use serde_json::{Value, json};

use crate::conformance::fixture::{Fixture, SOON};

/// Each task of another target takes much less than this time, also on a loaded machine. Without the
/// limits, a hostile target stops the others for good.
const PROMPT: Duration = Duration::from_secs(6);

/// Longer than a hostile target can block the leader with one query or connection.
const BLOCKED_MAX: Duration = Duration::from_secs(12);

fn hostile(name: &str, server: &FakeServer) -> Value {
    json!({ "target": name, "connection_string": server.conninfo(), "max_workers": 2 })
}

/// An engine that leads, with the target `there` and these targets. Some tasks wait for each of these.
async fn led_beside<E: Engine>(servers: &[(&str, &FakeServer)]) -> Fixture<E> {
    let mut fixture = Fixture::<E>::prepared().await;
    let targets: Vec<_> = std::iter::once(fixture.there(&json!({})))
        .chain(servers.iter().map(|(name, server)| hostile(name, server)))
        .collect();
    fixture.configure(&json!({ "control": { "target_patience": "1 hour" }, "targets": targets })).await;
    for (name, _) in servers {
        let push = "select async.push_tasks(array_agg(async.task('select 1', $1))) from generate_series(1, 5)";
        fixture.rows(push, &[name]).await;
    }
    fixture.engine.lead().await;
    fixture
}

/// Runs tasks at `there` one after the other, and returns the duration of each.
async fn times_elsewhere<E: Engine>(fixture: &Fixture<E>, window: Duration) -> Vec<Duration> {
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed() < window {
        let once = Instant::now();
        fixture.run_task("select 1").await.succeeded();
        times.push(once.elapsed());
    }
    times
}

async fn assert_prompt_elsewhere<E: Engine>(fixture: &Fixture<E>, window: Duration) {
    // The first task includes the start of the session.
    fixture.run_task("select 1").await.succeeded();
    let times = times_elsewhere(fixture, window).await;
    let worst = times.iter().max();
    assert!(worst.is_none_or(|worst| *worst < PROMPT), "{times:?}\n{}", fixture.dump().await);
}

/// No stage of a cycle was rolled back (which includes its work for other targets), and the leader did
/// not change.
async fn assert_no_stage_failed<E: Engine>(fixture: &Fixture<E>) {
    fixture.assert_holds("select not exists (select from async.server_log where message like 'stage %')").await;
    fixture.assert_holds("select epoch = (select min(epoch) from async.election) from async.leader").await;
}

async fn wait_until_received(server: &FakeServer, matches: impl Fn(&Received) -> bool, count: usize) {
    let begin = Instant::now();
    while server.count(&matches) < count {
        assert!(begin.elapsed() < SOON, "the orchestrator has not reached the target {count} times");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Targets that answer the query for the identity with one of these answers each.
async fn invalid_answers_stop_only_their_targets<E: Engine>(changes: Vec<Answer>) {
    let servers: Vec<_> = changes
        .into_iter()
        .map(|answer| {
            FakeServer::start(move |received| if received.is_identity() { answer.clone() } else { Answer::Valid })
        })
        .collect();
    let names: Vec<_> = (0..servers.len()).map(|number| format!("hostile {number}")).collect();
    let named: Vec<_> = names.iter().map(String::as_str).zip(&servers).collect();
    let fixture = led_beside::<E>(&named).await;
    for server in &servers {
        wait_until_received(server, Received::is_identity, 1).await;
    }
    assert_prompt_elsewhere(&fixture, Duration::from_secs(2)).await;
    assert_no_stage_failed(&fixture).await;
}

async fn invalid_numbers_and_times_in_identities_stop_only_their_targets<E: Engine>() {
    let changes = [
        (0, json!("a pid")),
        (0, json!(99_999_999_999_i64)),
        (0, Value::Null),
        (1, json!("abc")),
        (2, json!("half past nine")),
        (2, json!("2026-99-99 00:00:00.000000+00")),
        (3, Value::Null),
        (4, json!("not yet")),
        (6, json!("the port")),
        (8, json!("XYZ")),
        (9, json!("perhaps")),
        (10, json!("no.such; schema")),
    ];
    invalid_answers_stop_only_their_targets::<E>(
        changes.into_iter().map(|answer| Answer::Identity(vec![answer])).collect(),
    )
    .await;
}

async fn identities_of_another_shape_stop_only_their_targets<E: Engine>() {
    let text = |text: &str| Answer::Rows(vec![vec![Some(text.to_owned())]]);
    invalid_answers_stop_only_their_targets::<E>(vec![
        Answer::Rows(vec![]),
        Answer::Rows(vec![vec![None]]),
        Answer::Rows(vec![vec![Some("1".to_owned()); 12]; 3]),
        text(""),
        text("{}"),
        text("[1"),
        text(r#"["\u0000"]"#),
        text(&"9".repeat(100_000)),
        text(&"[".repeat(1_900)),
    ])
    .await;
}

/// SQLSTATEs that `when others` does not catch, the one of success, and the one of a shutdown.
async fn errors_that_others_does_not_catch_stop_only_their_targets<E: Engine>() {
    let servers = ["57014", "P0004", "00000", "57P01"].map(|sqlstate| {
        FakeServer::start(move |received| match &received.query {
            None => Answer::Valid,
            Some(_) => Answer::Error(sqlstate, "no".to_owned()),
        })
    });
    let names = ["hostile 0", "hostile 1", "hostile 2", "hostile 3"];
    let named: Vec<_> = names.into_iter().zip(&servers).collect();
    let fixture = led_beside::<E>(&named).await;
    for server in &servers {
        wait_until_received(server, |received| received.query.is_some(), 3).await;
    }
    assert_prompt_elsewhere(&fixture, Duration::from_secs(2)).await;
    assert_no_stage_failed(&fixture).await;
    // The first probe of each new target succeeds, whichever helper runs it.
    let mut targets: Vec<_> = named.iter().map(|(name, server)| hostile(name, server)).collect();
    for number in 0..6 {
        let mut target = fixture.there(&json!({}));
        target["target"] = json!(format!("new {number}"));
        targets.push(target);
    }
    fixture.configure(&json!({ "targets": targets })).await;
    fixture
        .run("select async.push_tasks(array_agg(async.task('select 1', target))) from async.target where target like 'new%'")
        .await;
    fixture.wait_for("select bool_and(finish_status = 'FINISHED') from async.task where target like 'new%'").await;
    fixture.assert_holds("select not exists (select from async.server_log where message like '%\"new %')").await;
}

async fn invalid_versions_stop_only_their_targets<E: Engine>() {
    let servers = [Some("abc"), Some("99999999999"), Some("-1"), Some(""), None].map(|version| {
        FakeServer::start(move |received| match received {
            received if received.is_identity() => Answer::Identity(vec![(1, json!(version))]),
            received if received.contains("server_version_num") => {
                Answer::Rows(vec![vec![version.map(ToOwned::to_owned)]])
            }
            _ => Answer::Valid,
        })
    });
    let names = ["hostile 0", "hostile 1", "hostile 2", "hostile 3", "hostile 4"];
    let named: Vec<_> = names.into_iter().zip(&servers).collect();
    let fixture = led_beside::<E>(&named).await;
    for server in &servers {
        wait_until_received(server, |received| received.contains("server_version_num"), 2).await;
    }
    assert_prompt_elsewhere(&fixture, Duration::from_secs(2)).await;
    assert_no_stage_failed(&fixture).await;
}

/// Probes are answered. Other sessions hang during startup.
async fn sessions_that_hang_after_an_answered_probe_block_the_leader_for_a_tenth_of_the_time<E: Engine>() {
    let server = FakeServer::start(|received| match &received.query {
        None if !received.is_probe() => Answer::Silence,
        _ => Answer::Valid,
    });
    let fixture = led_beside::<E>(&[("hanging", &server)]).await;
    wait_until_received(&server, |received| !received.is_probe(), 1).await;
    // The first task includes the start of the session.
    fixture.run_task("select 1").await.succeeded();
    let times = times_elsewhere(&fixture, Duration::from_secs(20)).await;
    // Two connections may block the leader before the limit applies. Without the limit, it is blocked for
    // most of the time.
    let blocked: Duration = times.iter().filter(|time| **time > Duration::from_secs(1)).sum();
    assert!(blocked < Duration::from_secs(10), "{times:?}\n{}", fixture.dump().await);
}

async fn sessions_that_do_not_identify_themselves_delay_no_other_target<E: Engine>() {
    let server = FakeServer::start(|received| match received {
        received if received.is_identity() && !received.is_probe() => Answer::Silence,
        _ => Answer::Valid,
    });
    let fixture = led_beside::<E>(&[("hanging", &server)]).await;
    wait_until_received(&server, Received::is_identity, 1).await;
    assert_prompt_elsewhere(&fixture, Duration::from_secs(4)).await;
    assert_no_stage_failed(&fixture).await;
}

/// The sessions of the target identify themselves and then read nothing.
async fn a_target_that_does_not_read_fails_its_task_and_blocks_the_leader_for_seconds<E: Engine>() {
    let server = FakeServer::start(|received| match received {
        received if received.is_identity() && !received.is_probe() => Answer::StopReading,
        _ => Answer::Valid,
    });
    let mut fixture = Fixture::<E>::prepared().await;
    if fixture.number("select current_setting('server_version_num')").await < 120_000 {
        // libpq 11 has no limit on sending (docs/operating.md).
        return;
    }
    let targets = [fixture.there(&json!({})), hostile("not reading", &server)];
    fixture.configure(&json!({ "targets": targets })).await;
    fixture.engine.lead().await;
    let push = "select async.push_task(async.task('select 1 /*' || repeat('x', 15000000) || '*/', 'not reading',
        manual_timeout => '3 s'))";
    let ids = [fixture.id(push, &[]).await, fixture.id(push, &[]).await];
    wait_until_received(&server, |received| received.is_identity(), 1).await;
    let times = times_elsewhere(&fixture, Duration::from_secs(25)).await;
    let worst = times.iter().max();
    assert!(worst.is_none_or(|worst| *worst < BLOCKED_MAX), "{times:?}\n{}", fixture.dump().await);
    let blocked: Duration = times.iter().filter(|time| **time > Duration::from_secs(1)).sum();
    assert!(blocked < Duration::from_secs(20), "{times:?}\n{}", fixture.dump().await);
    for id in ids {
        let end = fixture.end_within(id, Duration::from_secs(60)).await;
        assert!(["TIMED_OUT", "FAILED"].contains(&&*end.status), "{end:?}");
    }
}

attacks!(
    invalid_numbers_and_times_in_identities_stop_only_their_targets,
    identities_of_another_shape_stop_only_their_targets,
    errors_that_others_does_not_catch_stop_only_their_targets,
    invalid_versions_stop_only_their_targets,
    sessions_that_hang_after_an_answered_probe_block_the_leader_for_a_tenth_of_the_time,
    sessions_that_do_not_identify_themselves_delay_no_other_target,
    a_target_that_does_not_read_fails_its_task_and_blocks_the_leader_for_seconds,
);
