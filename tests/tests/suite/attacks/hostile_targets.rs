//! Targets that lie, hang, or do not read: their own tasks fail or wait, and no others do.

use std::time::{Duration, Instant};

use pgasync_tests::{Answer, Engine, FakeServer, Heard};
use serde_json::{Value, json};

use crate::conformance::fixture::{Fixture, SOON};

/// The tasks of other targets take well under this time each.
const PROMPT: Duration = Duration::from_secs(2);

/// Longer than a hostile target can hold the leader with one query or connection.
const HELD_MAX: Duration = Duration::from_secs(12);

fn hostile(name: &str, server: &FakeServer) -> Value {
    json!({ "target": name, "connection_string": server.conninfo(), "max_workers": 2 })
}

/// An engine that leads, with `there` and these targets, at each of which some tasks wait.
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

/// How long each of the tasks at `there` took that ran one after the other meanwhile.
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
    let times = times_elsewhere(fixture, window).await;
    let worst = times.iter().max();
    assert!(worst.is_none_or(|worst| *worst < PROMPT), "{times:?}\n{}", fixture.dump().await);
}

/// No stage of a cycle was undone (what it did for other targets would have been, too), and the lead
/// was not lost.
async fn assert_no_stage_failed<E: Engine>(fixture: &Fixture<E>) {
    fixture.assert_holds("select not exists (select from async.server_log where message like 'stage %')").await;
    fixture.assert_holds("select epoch = (select min(epoch) from async.election) from async.leader").await;
}

async fn wait_until_heard(server: &FakeServer, is_meant: impl Fn(&Heard) -> bool, count: usize) {
    let begin = Instant::now();
    while server.count(&is_meant) < count {
        assert!(begin.elapsed() < SOON, "the orchestrator has not reached the target {count} times");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Targets that answer the question after their identity with a lie each, and one that is honest.
async fn liars_stop_only_themselves<E: Engine>(lies: Vec<Answer>) {
    let servers: Vec<_> = lies
        .into_iter()
        .map(|lie| FakeServer::start(move |heard| if heard.is_identity() { lie.clone() } else { Answer::Honest }))
        .collect();
    let names: Vec<_> = (0..servers.len()).map(|number| format!("liar {number}")).collect();
    let named: Vec<_> = names.iter().map(String::as_str).zip(&servers).collect();
    let fixture = led_beside::<E>(&named).await;
    for server in &servers {
        wait_until_heard(server, Heard::is_identity, 1).await;
    }
    assert_prompt_elsewhere(&fixture, Duration::from_secs(2)).await;
    assert_no_stage_failed(&fixture).await;
}

async fn identities_that_are_no_numbers_or_times_stop_only_their_targets<E: Engine>() {
    let lies = [
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
    liars_stop_only_themselves::<E>(lies.into_iter().map(|lie| Answer::Identity(vec![lie])).collect()).await;
}

async fn identities_of_another_shape_stop_only_their_targets<E: Engine>() {
    let text = |text: &str| Answer::Rows(vec![vec![Some(text.to_owned())]]);
    liars_stop_only_themselves::<E>(vec![
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

/// The codes that a handler for all other errors does not catch, and one that is no error.
async fn errors_that_handlers_pass_on_stop_only_their_targets<E: Engine>() {
    let servers = ["57014", "P0004", "00000", "57P01"].map(|sqlstate| {
        FakeServer::start(move |heard| match &heard.query {
            None => Answer::Honest,
            Some(_) => Answer::Error(sqlstate, "no".to_owned()),
        })
    });
    let names = ["liar 0", "liar 1", "liar 2", "liar 3"];
    let named: Vec<_> = names.into_iter().zip(&servers).collect();
    let fixture = led_beside::<E>(&named).await;
    for server in &servers {
        wait_until_heard(server, |heard| heard.query.is_some(), 3).await;
    }
    assert_prompt_elsewhere(&fixture, Duration::from_secs(2)).await;
    assert_no_stage_failed(&fixture).await;
    // Targets that are met only now are reached at their first probe, whichever helper probes them.
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

async fn versions_that_are_no_numbers_stop_only_their_targets<E: Engine>() {
    let servers = [Some("abc"), Some("99999999999"), Some("-1"), Some(""), None].map(|version| {
        FakeServer::start(move |heard| match heard {
            heard if heard.is_identity() => Answer::Identity(vec![(1, json!(version))]),
            heard if heard.contains("server_version_num") => Answer::Rows(vec![vec![version.map(ToOwned::to_owned)]]),
            _ => Answer::Honest,
        })
    });
    let names = ["liar 0", "liar 1", "liar 2", "liar 3", "liar 4"];
    let named: Vec<_> = names.into_iter().zip(&servers).collect();
    let fixture = led_beside::<E>(&named).await;
    for server in &servers {
        wait_until_heard(server, |heard| heard.contains("server_version_num"), 2).await;
    }
    assert_prompt_elsewhere(&fixture, Duration::from_secs(2)).await;
    assert_no_stage_failed(&fixture).await;
}

/// A probe is answered; the sessions that follow hang while they begin.
async fn sessions_that_hang_behind_an_answered_probe_hold_the_leader_a_tenth_of_its_time<E: Engine>() {
    let server = FakeServer::start(|heard| match &heard.query {
        None if !heard.is_probe() => Answer::Silence,
        _ => Answer::Honest,
    });
    let fixture = led_beside::<E>(&[("hanging", &server)]).await;
    wait_until_heard(&server, |heard| !heard.is_probe(), 1).await;
    let window = Duration::from_secs(20);
    let times = times_elsewhere(&fixture, window).await;
    // Two connections may hang before the account of the target is used up.
    let held: Duration = times.iter().filter(|time| **time > Duration::from_millis(500)).sum();
    assert!(held < Duration::from_secs(8), "{times:?}\n{}", fixture.dump().await);
    let longest_run = times.len();
    assert!(longest_run > 50, "{longest_run} tasks in {window:?}");
}

async fn sessions_that_hang_when_asked_who_they_are_hold_no_other_target<E: Engine>() {
    let server = FakeServer::start(|heard| match heard {
        heard if heard.is_identity() && !heard.is_probe() => Answer::Silence,
        _ => Answer::Honest,
    });
    let fixture = led_beside::<E>(&[("hanging", &server)]).await;
    wait_until_heard(&server, Heard::is_identity, 1).await;
    assert_prompt_elsewhere(&fixture, Duration::from_secs(4)).await;
    assert_no_stage_failed(&fixture).await;
}

/// Its sessions identify themselves and then read nothing.
async fn a_target_that_does_not_read_fails_its_task_and_holds_the_leader_for_seconds<E: Engine>() {
    let server = FakeServer::start(|heard| match heard {
        heard if heard.is_identity() && !heard.is_probe() => Answer::Deafness,
        _ => Answer::Honest,
    });
    let mut fixture = Fixture::<E>::prepared().await;
    if fixture.number("select current_setting('server_version_num')").await < 120_000 {
        // libpq 11 has no limit on sending (docs/operating.md).
        return;
    }
    let targets = [fixture.there(&json!({})), hostile("deaf", &server)];
    fixture.configure(&json!({ "targets": targets })).await;
    fixture.engine.lead().await;
    let push = "select async.push_task(async.task('select 1 /*' || repeat('x', 15000000) || '*/', 'deaf',
        manual_timeout => '3 s'))";
    let ids = [fixture.id(push, &[]).await, fixture.id(push, &[]).await];
    wait_until_heard(&server, |heard| heard.is_identity(), 1).await;
    let times = times_elsewhere(&fixture, Duration::from_secs(25)).await;
    let worst = times.iter().max();
    assert!(worst.is_none_or(|worst| *worst < HELD_MAX), "{times:?}\n{}", fixture.dump().await);
    let held: Duration = times.iter().filter(|time| **time > Duration::from_millis(500)).sum();
    assert!(held < HELD_MAX, "{times:?}\n{}", fixture.dump().await);
    for id in ids {
        let end = fixture.end_within(id, Duration::from_secs(60)).await;
        assert!(["TIMED_OUT", "FAILED"].contains(&&*end.status), "{end:?}");
    }
}

attacks!(
    identities_that_are_no_numbers_or_times_stop_only_their_targets,
    identities_of_another_shape_stop_only_their_targets,
    errors_that_handlers_pass_on_stop_only_their_targets,
    versions_that_are_no_numbers_stop_only_their_targets,
    sessions_that_hang_behind_an_answered_probe_hold_the_leader_a_tenth_of_its_time,
    sessions_that_hang_when_asked_who_they_are_hold_no_other_target,
    a_target_that_does_not_read_fails_its_task_and_holds_the_leader_for_seconds,
);
