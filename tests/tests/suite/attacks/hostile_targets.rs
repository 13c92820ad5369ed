//! Targets with invalid answers, targets that hang, and targets that do not read: only their own tasks
//! fail or wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pgasync_tests::{Answer, Engine, FakeServer, Flood, Received};
use serde_json::{Value, json};

use crate::conformance::fixture::Fixture;

/// The timeout for what the orchestrator does again and again at a target, on a loaded machine.
const REPEATED_WITHIN: Duration = Duration::from_secs(120);

/// The timeout for the end of tasks at a hostile target.
const ENDED_WITHIN: Duration = Duration::from_secs(60);

/// The workers of the engine, which each hostile target may have.
const WORKERS: usize = 6;

fn hostile(name: &str, server: &FakeServer) -> Value {
    json!({ "target": name, "connection_string": server.conninfo(), "max_workers": WORKERS })
}

/// An engine that leads, with the target `there` and these targets. More tasks wait for each of these
/// than the engine has workers.
async fn led_beside<E: Engine>(servers: &[(&str, &FakeServer)]) -> Fixture<E> {
    let mut fixture = Fixture::<E>::prepared().await;
    let targets: Vec<_> = std::iter::once(fixture.there(&json!({})))
        .chain(servers.iter().map(|(name, server)| hostile(name, server)))
        .collect();
    fixture.configure(&json!({ "control": { "target_patience": "1 hour" }, "targets": targets })).await;
    for (name, _) in servers {
        let push = "select async.push_tasks(array_agg(async.task('select 1', $1))) from generate_series(1, 8)";
        fixture.rows(push, &[name]).await;
    }
    fixture.engine.lead().await;
    fixture
}

/// Runs tasks at `there`, one after the other, until `enough` is true. Each of them succeeds.
async fn run_elsewhere_until<E: Engine>(fixture: &Fixture<E>, enough: impl Fn() -> bool) {
    let begin = Instant::now();
    let mut reached = false;
    // The last task begins after the event.
    while !reached {
        reached = enough();
        fixture.run_task("select 1").await.succeeded();
        assert!(begin.elapsed() < REPEATED_WITHIN, "not reached\n{}", fixture.dump().await);
    }
}

async fn assert_no_task_began<E: Engine>(fixture: &Fixture<E>) {
    fixture.assert_holds("select bool_and(consumed is null) from async.task where target like 'hostile%'").await;
}

/// No stage of a cycle was rolled back (which includes its work for other targets), and the leader did
/// not change.
async fn assert_no_stage_failed<E: Engine>(fixture: &Fixture<E>) {
    fixture.assert_holds("select not exists (select from async.server_log where message like 'stage %')").await;
    fixture.assert_holds("select epoch = (select min(epoch) from async.election) from async.leader").await;
}

/// Each of the servers received this many messages.
fn all_received(servers: &[FakeServer], matches: impl Fn(&Received) -> bool, count: usize) -> bool {
    servers.iter().all(|server| server.count(&matches) >= count)
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
    run_elsewhere_until(&fixture, || all_received(&servers, Received::is_identity, 2)).await;
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
    run_elsewhere_until(&fixture, || all_received(&servers, |received| received.query.is_some(), 3)).await;
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
    run_elsewhere_until(&fixture, || all_received(&servers, |received| received.contains("server_version_num"), 2))
        .await;
    assert_no_stage_failed(&fixture).await;
}

/// Probes are answered. Other sessions hang during startup, and the leader of the SQL engine waits for
/// each.
async fn sessions_that_hang_after_an_answered_probe_block_the_leader_for_a_tenth_of_the_time<E: Engine>() {
    const OBSERVED: Duration = Duration::from_secs(20);
    let server = FakeServer::start(|received| match &received.query {
        None if !received.is_probe() => Answer::Silence,
        _ => Answer::Valid,
    });
    let fixture = led_beside::<E>(&[("hostile", &server)]).await;
    let first = || server.unanswered().first().map(|attempt| attempt.since);
    run_elsewhere_until(&fixture, || first().is_some_and(|since| since.elapsed() > OBSERVED)).await;
    assert_no_task_began(&fixture).await;
    assert_no_stage_failed(&fixture).await;
    if !E::OUTLIVES_ITS_SESSION {
        let now = Instant::now();
        let blocked: Duration =
            server.unanswered().iter().map(|attempt| attempt.until.unwrap_or(now) - attempt.since).sum();
        let observed = first().expect("an attempt").elapsed();
        // The first two seconds, a tenth, and the last attempt: 6 seconds of 20. Without the limit it is
        // blocked for most of the time.
        assert!(blocked * 2 < observed, "{blocked:?} of {observed:?}: {:?}", server.unanswered());
    }
}

/// A session that has not identified itself keeps a worker for a while.
async fn targets_that_do_not_identify_themselves_leave_workers_to_others<E: Engine>() {
    let servers: Vec<_> = (0..WORKERS)
        .map(|_| {
            FakeServer::start(|received| match received {
                received if received.is_identity() && !received.is_probe() => Answer::Silence,
                _ => Answer::Valid,
            })
        })
        .collect();
    let names: Vec<_> = (0..WORKERS).map(|number| format!("hostile {number}")).collect();
    let named: Vec<_> = names.iter().map(String::as_str).zip(&servers).collect();
    let fixture = led_beside::<E>(&named).await;
    let open = || {
        let all = servers.iter().flat_map(FakeServer::unanswered);
        all.filter(|attempt| attempt.until.is_none()).collect::<Vec<_>>()
    };
    // Each of them is given up more than once. A task elsewhere ends while the same sessions are open.
    let (begin, mut beside) = (Instant::now(), 0);
    while !servers.iter().all(|server| server.unanswered().len() > 1) {
        let before = open();
        fixture.run_task("select 1").await.succeeded();
        let after = open();
        beside += usize::from(!before.is_empty() && before.iter().all(|attempt| after.contains(attempt)));
        assert!(begin.elapsed() < REPEATED_WITHIN, "not given up\n{}", fixture.dump().await);
    }
    assert!(beside > 0);
    assert_no_task_began(&fixture).await;
    assert_no_stage_failed(&fixture).await;
}

/// The sessions of the target identify themselves and then read nothing.
async fn a_target_that_does_not_read_fails_its_own_tasks_only<E: Engine>() {
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
    let begin = Instant::now();
    while !fixture.holds("select bool_and(processed is not null) from async.task where target = 'not reading'").await {
        fixture.run_task("select 1").await.succeeded();
        assert!(begin.elapsed() < REPEATED_WITHIN, "no end\n{}", fixture.dump().await);
    }
    for id in ids {
        let end = fixture.end_of(id).await;
        assert!(["TIMED_OUT", "FAILED"].contains(&&*end.status), "{end:?}");
    }
    fixture.run_task("select 1").await.succeeded();
    assert_no_stage_failed(&fixture).await;
}

/// A target that answers the texts of tasks with this flood. The texts are sent unchanged, and one of
/// them in a wrapper.
async fn an_answer_to_a_task_fails_this_task_only<E: Engine>(flood: Flood) {
    let server = FakeServer::start(move |received| match received {
        received if received.contains("hostile") => Answer::Flood(flood),
        _ => Answer::Valid,
    });
    let mut fixture = Fixture::<E>::prepared().await;
    let targets = [fixture.there(&json!({})), hostile("hostile", &server)];
    fixture.configure(&json!({ "targets": targets })).await;
    fixture.engine.lead().await;
    let mut ids = Vec::new();
    for text in ["create table hostile ()", "select 1 as hostile"] {
        let push = "select async.push_task(async.task($1, 'hostile', manual_timeout => '5 s'))";
        ids.push(fixture.id(push, &[&text]).await);
    }
    fails_beside_tasks_elsewhere(&fixture, ids).await;
}

/// The tasks end without success. Until then, tasks elsewhere succeed.
async fn fails_beside_tasks_elsewhere<E: Engine>(fixture: &Fixture<E>, ids: Vec<i64>) {
    let begin = Instant::now();
    while !fixture
        .holds(&format!(
            "select bool_and(processed is not null) from async.task where task_id = any ('{{{}}}')",
            list(&ids)
        ))
        .await
    {
        fixture.run_task("select 1").await.succeeded();
        assert!(begin.elapsed() < ENDED_WITHIN, "no end\n{}", fixture.dump().await);
    }
    for id in ids {
        let end = fixture.end_of(id).await;
        assert!(["TIMED_OUT", "FAILED"].contains(&&*end.status), "{end:?}");
    }
    fixture.run_task("select 1").await.succeeded();
    assert_no_stage_failed(fixture).await;
}

fn list(ids: &[i64]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

async fn copy_to_the_client_in_answer_to_a_task_fails_this_task_only<E: Engine>() {
    an_answer_to_a_task_fails_this_task_only::<E>(Flood::CopyOut).await;
}

async fn copy_from_the_client_in_answer_to_a_task_fails_this_task_only<E: Engine>() {
    an_answer_to_a_task_fails_this_task_only::<E>(Flood::CopyIn).await;
}

async fn endless_results_in_answer_to_a_task_fail_this_task_only<E: Engine>() {
    an_answer_to_a_task_fails_this_task_only::<E>(Flood::EndlessResults).await;
}

/// The limits on results allow as many as a text can have.
async fn an_honest_text_with_many_results_succeeds<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let text = format!("create table many (); {}insert into ledger values ('end')", "table many; ".repeat(20_000));
    let id = fixture.push(&text).await;
    fixture.end_within(id, ENDED_WITHIN).await.succeeded();
    assert_eq!(fixture.number_there("select count(*) from ledger where mark = 'end'").await, 1);
}

/// The SQL engine reads the first 32 KiB of a text to decide how it is sent. COPY stands behind them, so
/// an honest target begins it. The leader once hung.
async fn copy_at_the_end_of_a_long_text_fails_its_own_task_only<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run_there("create table copied (n int)").await;
    let mut ids = Vec::new();
    for copy in ["copy (select 1) to stdout", "copy copied from stdin"] {
        let text = format!("set a.b = 'c'; {}{copy}", " ".repeat(33_000));
        let push = "select async.push_task(async.task($1, 'there', manual_timeout => '5 s'))";
        ids.push(fixture.id(push, &[&text]).await);
    }
    fails_beside_tasks_elsewhere(&fixture, ids).await;
    fixture
        .assert_holds(
            "select bool_and(processing_error like '%PA205%') from async.task where finish_status <> 'FINISHED'",
        )
        .await;
}

/// The target begins COPY in answer to the first query of a session. The helper sessions of the SQL
/// engine once hung, and no other target was reached for the first time.
async fn copy_in_answer_to_the_first_query_stops_only_this_target<E: Engine>() {
    let servers = [Flood::CopyOut, Flood::CopyIn, Flood::EndlessResults].map(|flood| {
        FakeServer::start(move |received| match &received.query {
            None => Answer::Valid,
            Some(_) => Answer::Flood(flood),
        })
    });
    let names = ["hostile 0", "hostile 1", "hostile 2"];
    let named: Vec<_> = names.into_iter().zip(&servers).collect();
    let fixture = led_beside::<E>(&named).await;
    run_elsewhere_until(&fixture, || all_received(&servers, |received| received.query.is_some(), 3)).await;
    assert_no_task_began(&fixture).await;
    let mut targets: Vec<_> = named.iter().map(|(name, server)| hostile(name, server)).collect();
    let mut new = fixture.there(&json!({}));
    new["target"] = json!("new");
    targets.push(new);
    fixture.configure(&json!({ "targets": targets })).await;
    let id = fixture.push_as("'select 1', 'new'").await;
    fixture.end_of(id).await.succeeded();
    assert_no_stage_failed(&fixture).await;
}

/// libpq waits for the change of the encoding of a new connection, and cannot be interrupted. The helper
/// sessions of the SQL engine are replaced.
async fn targets_that_do_not_change_the_encoding_stop_only_themselves<E: Engine>() {
    let servers: Vec<_> = (0..3)
        .map(|_| {
            FakeServer::start(|received| match &received.query {
                None => Answer::OtherEncoding,
                Some(_) => Answer::Silence,
            })
        })
        .collect();
    let names = ["hostile 0", "hostile 1", "hostile 2"];
    let named: Vec<_> = names.into_iter().zip(&servers).collect();
    let fixture = led_beside::<E>(&named).await;
    run_elsewhere_until(&fixture, || all_received(&servers, |received| received.query.is_some(), 1)).await;
    assert_no_task_began(&fixture).await;
    let mut targets: Vec<_> = named.iter().map(|(name, server)| hostile(name, server)).collect();
    let mut new = fixture.there(&json!({}));
    new["target"] = json!("new");
    targets.push(new);
    fixture.configure(&json!({ "targets": targets })).await;
    let id = fixture.push_as("'select 1', 'new'").await;
    fixture.end_within(id, ENDED_WITHIN).await.succeeded();
    assert_no_stage_failed(&fixture).await;
    // The backends end with these sessions. Until then no database of the cluster can be dropped.
    drop(servers);
    let ended = "select not exists (select from pg_stat_activity where datname = current_database()
        and application_name like '%/helper' and state = 'active' and query_start < now() - interval '10 seconds')";
    fixture.wait_for(ended).await;
}

/// The target closes the session of a task, and begins COPY in answer to every query after that: to
/// those of a fence, and of probes.
async fn copy_in_answer_to_a_fence_stops_only_this_target<E: Engine>() {
    let closed = AtomicBool::new(false);
    let server = FakeServer::start(move |received| match received {
        received if received.contains("hostile") => {
            closed.store(true, Ordering::Relaxed);
            Answer::Close
        }
        received if received.query.is_some() && closed.load(Ordering::Relaxed) => Answer::Flood(Flood::CopyOut),
        _ => Answer::Valid,
    });
    let mut fixture = Fixture::<E>::prepared().await;
    let targets = [fixture.there(&json!({})), hostile("hostile", &server)];
    fixture.configure(&json!({ "targets": targets })).await;
    fixture.engine.lead().await;
    fixture.push_as("'select 1 as hostile', 'hostile'").await;
    fixture.push_as("'select 2', 'hostile'").await;
    let begun = || server.count(|received| received.contains("hostile"));
    run_elsewhere_until(&fixture, || begun() == 1 && server.count(Received::is_identity) >= 4).await;
    assert_no_stage_failed(&fixture).await;
}

attacks!(
    copy_to_the_client_in_answer_to_a_task_fails_this_task_only,
    copy_from_the_client_in_answer_to_a_task_fails_this_task_only,
    endless_results_in_answer_to_a_task_fail_this_task_only,
    an_honest_text_with_many_results_succeeds,
    copy_at_the_end_of_a_long_text_fails_its_own_task_only,
    copy_in_answer_to_the_first_query_stops_only_this_target,
    copy_in_answer_to_a_fence_stops_only_this_target,
    targets_that_do_not_change_the_encoding_stop_only_themselves,
    invalid_numbers_and_times_in_identities_stop_only_their_targets,
    identities_of_another_shape_stop_only_their_targets,
    errors_that_others_does_not_catch_stop_only_their_targets,
    invalid_versions_stop_only_their_targets,
    sessions_that_hang_after_an_answered_probe_block_the_leader_for_a_tenth_of_the_time,
    targets_that_do_not_identify_themselves_leave_workers_to_others,
    a_target_that_does_not_read_fails_its_own_tasks_only,
);
