//! Targets that refuse, that do not answer, that come back: nobody else is held up, and their tasks wait.

use std::time::{Duration, Instant};

use pgasync_tests::Engine;
use serde_json::{Value, json};

use super::bed::{Bed, SOON};
use super::link::{BlackHole, Link, refused_conninfo};

fn target(name: &str, conninfo: &str) -> Value {
    json!({ "target": name, "connection_string": conninfo, "max_workers": 8 })
}

/// Configures `there` and others, with a patience.
async fn led_with<E: Engine>(patience: &str, others: &[Value]) -> Bed<E> {
    let mut bed = Bed::<E>::prepared().await;
    let targets: Vec<_> = std::iter::once(bed.there(&json!({}))).chain(others.iter().cloned()).collect();
    bed.configure(&json!({ "control": { "target_patience": patience }, "targets": targets })).await;
    bed.engine.lead().await;
    bed
}

async fn push_many<E: Engine>(bed: &Bed<E>, count: i32, target: &str) {
    bed.rows(
        "select async.push_tasks(array_agg(async.task('select 1', $1))) from generate_series(1, $2)",
        &[&target, &count],
    )
    .await;
}

/// The tasks of `down` wait for the patience, then all fail with what the connection said.
async fn tasks_wait_and_then_fail_saying<E: Engine>(conninfo: &str, said: &str) {
    let bed = led_with::<E>("2 s", &[target("down", conninfo)]).await;
    push_many(&bed, 30, "down").await;
    bed.run_task("select 1").await.succeeded();
    bed.wait_until_finished().await;
    bed.assert_holds(
        "select bool_and(finish_status = 'FAILED' and processed >= entered + interval '2 s' and run = 0)
         from async.task where target = 'down'",
    )
    .await;
    let error =
        bed.text("select min(processing_error) from async.task where target = 'down'").await.unwrap_or_default();
    assert!(error.contains(said), "{error}");
    for foreign in ["secret", "dblink", "async.", "CONTEXT"] {
        assert!(!error.contains(foreign), "{error}");
    }
    // One line in the log, not one for each try or task.
    bed.assert_holds(
        "select count(*) <= 3 and not bool_or(message like '%secret%') from async.server_log where level <> 'NOTICE'",
    )
    .await;
    bed.wait_until_no_slot_is_taken().await;
}

async fn tasks_of_a_refusing_target_wait_and_then_fail_saying_so<E: Engine>() {
    tasks_wait_and_then_fail_saying::<E>(&refused_conninfo(), "refused").await;
}

async fn tasks_of_a_silent_target_wait_and_then_fail<E: Engine>() {
    let hole = BlackHole::silent();
    tasks_wait_and_then_fail_saying::<E>(&hole.conninfo(), "down").await;
}

async fn tasks_of_an_unreachable_target_wait_and_then_fail<E: Engine>() {
    let hole = BlackHole::full().await;
    tasks_wait_and_then_fail_saying::<E>(&hole.conninfo(), "down").await;
}

async fn tasks_of_a_database_that_does_not_exist_wait_and_then_fail_saying_so<E: Engine>() {
    let conninfo = pgasync_tests::Cluster::shared().conninfo("not_there");
    tasks_wait_and_then_fail_saying::<E>(&conninfo, "not_there").await;
}

async fn waiting_for_a_target_costs_neither_workers_nor_others<E: Engine>() {
    let (silent, full) = (BlackHole::silent(), BlackHole::full().await);
    let bed = led_with::<E>(
        "1 hour",
        &[
            target("silent", &silent.conninfo()),
            target("full", &full.conninfo()),
            target("refused", &refused_conninfo()),
        ],
    )
    .await;
    for down in ["silent", "full", "refused"] {
        push_many(&bed, 20, down).await;
    }
    // Longer than one try takes: each moment must do.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(4) {
        let once = Instant::now();
        bed.run_task("select 1").await.succeeded();
        assert!(once.elapsed() < Duration::from_secs(2), "{:?}", once.elapsed());
    }
    bed.assert_holds("select bool_and(consumed is null and processed is null) from async.task where target <> 'there'")
        .await;
}

async fn the_rate_elsewhere_stays_with_many_black_holes<E: Engine>() {
    let holes: Vec<_> = (0..9).map(|_| BlackHole::silent()).collect();
    let targets: Vec<_> =
        holes.iter().enumerate().map(|(n, hole)| target(&format!("hole {n}"), &hole.conninfo())).collect();
    let bed = led_with::<E>("1 hour", &targets).await;
    let timed = async || {
        let begin = Instant::now();
        push_many(&bed, 400, "there").await;
        bed.wait_for("select not exists (select from async.task where target = 'there' and processed is null)").await;
        begin.elapsed()
    };
    timed().await;
    let without = timed().await;
    bed.run("select async.push_tasks(array_agg(async.task('select 1', target))) from async.target where target like 'hole%'")
        .await;
    let with = timed().await;
    assert!(with < without * 3 + Duration::from_millis(500), "{with:?} with black holes, {without:?} without");
}

async fn a_new_target_runs_soon_beside_many_black_holes<E: Engine>() {
    let holes: Vec<_> = (0..9).map(|_| BlackHole::silent()).collect();
    let targets: Vec<_> =
        holes.iter().enumerate().map(|(n, hole)| target(&format!("hole {n}"), &hole.conninfo())).collect();
    let bed = led_with::<E>("1 hour", &targets).await;
    bed.run("select async.push_tasks(array_agg(async.task('select 1', target))) from async.target where target like 'hole%'")
        .await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let all: Vec<_> =
        targets.into_iter().chain([bed.there(&json!({})), target("new", &bed.target.conninfo())]).collect();
    bed.configure(&json!({ "targets": all })).await;
    let begin = Instant::now();
    let id = bed.push_as("'select 1', 'new'").await;
    bed.end_of(id).await.succeeded();
    // Two seconds are promised on a machine that has nothing else to do.
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

async fn tasks_run_when_their_target_comes_back<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let link = Link::to(&bed.target).await;
    bed.configure(&json!({ "targets": [target("linked", &link.conninfo())] })).await;
    link.close().await;
    bed.run(
        "select async.push_tasks(array_agg(async.task('insert into ledger (mark) values (''ran ##flow.TASK_ID##'')', 'linked')))
         from generate_series(1, 20)",
    )
    .await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    bed.assert_holds("select bool_and(consumed is null and processed is null) from async.task").await;
    link.open();
    bed.wait_until_finished().await;
    bed.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
    // What was claimed and not launched may be on its second run; the ledger says what was launched.
    assert_eq!(bed.target.repeated_marks().await, Vec::<String>::new());
}

async fn a_corrected_address_is_used_at_once<E: Engine>() {
    let bed = led_with::<E>("1 hour", &[target("down", &refused_conninfo())]).await;
    push_many(&bed, 5, "down").await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    bed.configure(&json!({ "targets": [target("down", &bed.target.conninfo())] })).await;
    bed.wait_for_within("select bool_and(finish_status = 'FINISHED') from async.task", SOON).await;
}

async fn tasks_of_a_dead_target_may_be_canceled_and_deferred<E: Engine>() {
    let hole = BlackHole::silent();
    let bed = led_with::<E>("1 hour", &[target("down", &hole.conninfo())]).await;
    let (one, other) = (bed.push_as("'select 1', 'down'").await, bed.push_as("'select 1', 'down'").await);
    tokio::time::sleep(Duration::from_millis(300)).await;
    bed.run(&format!("select async.cancel(array[{one}]); select async.defer(array[{other}], '1 hour')")).await;
    bed.end_within(one, SOON).await.is("CANCELED");
    bed.wait_for(&format!("select eligible_when is not null from async.task where task_id = {other}")).await;
}

async fn an_orchestrator_with_black_holes_stops_soon<E: Engine>() {
    let (silent, full) = (BlackHole::silent(), BlackHole::full().await);
    let mut bed =
        led_with::<E>("1 hour", &[target("silent", &silent.conninfo()), target("full", &full.conninfo())]).await;
    push_many(&bed, 5, "silent").await;
    push_many(&bed, 5, "full").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let begin = Instant::now();
    bed.engine.stop().await;
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
}

async fn a_cut_connection_fails_its_task_with_an_unknown_outcome_and_frees_the_slot<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let link = Link::to(&bed.target).await;
    bed.configure(&json!({ "targets": [target("linked", &link.conninfo())] })).await;
    let id = bed.push_as("'insert into ledger (mark) select ''never'' from pg_sleep(25)', 'linked'").await;
    bed.wait_until_it_runs(id).await;
    link.close().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Nobody knows yet whether its session is gone.
    bed.assert_holds("select processed is null and tracked from async.task").await;
    link.open();
    let error = bed.end_within(id, SOON).await.is("FAILED").expect("says why");
    assert!(error.contains("outcome unknown"), "{error}");
    bed.wait_for(&format!(
        "select not exists (select from pg_stat_activity where datname = '{}' and query like '%never%' and state = 'active')",
        bed.target.name()
    ))
    .await;
    bed.wait_until_no_slot_is_taken().await;
    assert_eq!(bed.target.marks("never").await, 0);
}

async fn at_an_unreachable_target_the_deadline_ends_the_task_and_keeps_the_slot<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let link = Link::to(&bed.target).await;
    let linked = json!({ "target": "linked", "connection_string": link.conninfo(), "max_workers": 1 });
    bed.configure(&json!({ "targets": [linked, bed.there(&json!({}))] })).await;
    let id = bed.push_as("'select pg_sleep(25)', 'linked', manual_timeout => '1 s'").await;
    bed.wait_until_it_runs(id).await;
    link.freeze();
    bed.end_of(id).await.is("TIMED_OUT");
    bed.assert_holds("select tracked from async.task").await;
    let next = bed.push_as("'select 1', 'linked'").await;
    bed.run_task("select 1").await.succeeded();
    bed.wait_for("select workers = 1 from async.concurrency_pool_tracker where concurrency_pool = 'linked'").await;
    let (code, _) = bed.refused(&format!("select async.restart_task({id})")).await;
    assert_eq!(code, "PA032");
    // The session is ended when the target can be reached, long before its query would have ended.
    let begin = Instant::now();
    link.open();
    bed.end_of(next).await.succeeded();
    bed.wait_for(&format!("select tracked is not true from async.task where task_id = {id}")).await;
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    bed.end_of(id).await.is("TIMED_OUT");
    bed.wait_until_no_slot_is_taken().await;
}

async fn a_frozen_target_holds_up_nobody_and_goes_on_when_it_thaws<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let link = Link::to(&bed.target).await;
    bed.configure(&json!({ "targets": [target("linked", &link.conninfo()), bed.there(&json!({}))] })).await;
    let id = bed.push_as("'select pg_sleep(0.5)', 'linked'").await;
    bed.wait_until_it_runs(id).await;
    link.freeze();
    push_many(&bed, 6, "linked").await;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(2) {
        bed.run_task("select 1").await.succeeded();
    }
    bed.run(&format!("select async.cancel(array[{id}])")).await;
    bed.run_task("select 1").await.succeeded();
    link.open();
    bed.wait_until_finished().await;
    bed.wait_until_no_slot_is_taken().await;
}

async fn a_target_whose_backends_are_ended_runs_nothing_twice<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.run(
        "select async.push_tasks(array_agg(async.task(
            'insert into ledger (mark) select ''##flow.TASK_ID##'' from pg_sleep(0.03)', 'there')))
         from generate_series(1, 150)",
    )
    .await;
    let mut rounds = 0;
    while !bed.holds("select not exists (select from async.task where processed is null)").await {
        rounds += 1;
        assert!(rounds < 400, "{}", bed.report().await);
        bed.run(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}' and random() < 0.5
             and application_name like 'pgasync/%'",
            bed.target.name()
        ))
        .await;
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    bed.assert_holds(
        "select bool_and(finish_status = 'FINISHED' or processing_error like 'outcome unknown%') from async.task",
    )
    .await;
    // What was claimed and not launched may be on its second run; the ledger says what was launched.
    assert!(bed.target.repeated_marks().await.is_empty());
    let finished = bed.number("select count(*) from async.task where not failed").await;
    assert!(bed.number_there("select count(*) from ledger").await >= finished);
    bed.wait_until_no_slot_is_taken().await;
}

async fn a_target_that_takes_fewer_sessions_than_its_pool_serves_all<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let role = bed.target.name();
    bed.run(&format!("create role {role} login connection limit 3")).await;
    let grant = format!("grant usage on schema public to {role}; grant all on all tables in schema public to {role}");
    bed.target.session().batch_execute(&grant).await.expect("it may write down that it ran");
    let conninfo = bed.target.conninfo().replace("user=postgres", &format!("user={role}"));
    bed.configure(&json!({ "targets": [target("tight", &conninfo)] })).await;
    bed.run(
        "select async.push_tasks(array_agg(async.task(
            'insert into ledger (mark) select ''##flow.TASK_ID##'' from pg_sleep(0.1)', 'tight')))
         from generate_series(1, 20)",
    )
    .await;
    bed.wait_until_finished().await;
    bed.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
    assert_eq!(bed.number_there("select count(*) from ledger").await, 20);
    assert!(bed.target.repeated_marks().await.is_empty());
    bed.run(&format!("select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'")).await;
    let leave = format!("drop owned by {role}; drop role {role}");
    bed.target.session().batch_execute(&leave).await.expect("nothing is left of it");
}

/// Another server that is a physical copy of this one bears its id.
async fn a_target_where_a_copy_of_this_server_runs_tasks_is_left_alone<E: Engine>() {
    let mut bed = Bed::<E>::led().await;
    let server_id = bed.text("select server_id from async.leader").await.expect("it has an id");
    bed.engine.stop().await;
    let copy = bed.target.settings().with_application_name(&format!("pgasync/{server_id}/4711/1"));
    let stranger = copy.connect().await.expect("the target takes sessions");
    stranger.batch_execute("select 1").await.expect("it runs");
    bed.engine.lead().await;
    let id = bed.push("insert into ledger (mark) values ('ran')").await;
    bed.wait_for("select exists (select from async.server_log where message like '%is this database a copy%')").await;
    bed.assert_holds("select processed is null and run = 0 from async.task").await;
    assert_eq!(bed.target.marks("ran").await, 0);
    stranger.close().await;
    bed.end_of(id).await.succeeded();
}

conformance!(
    a_target_where_a_copy_of_this_server_runs_tasks_is_left_alone,
    tasks_of_a_refusing_target_wait_and_then_fail_saying_so,
    tasks_of_a_silent_target_wait_and_then_fail,
    tasks_of_an_unreachable_target_wait_and_then_fail,
    tasks_of_a_database_that_does_not_exist_wait_and_then_fail_saying_so,
    waiting_for_a_target_costs_neither_workers_nor_others,
    the_rate_elsewhere_stays_with_many_black_holes,
    a_new_target_runs_soon_beside_many_black_holes,
    tasks_run_when_their_target_comes_back,
    a_corrected_address_is_used_at_once,
    tasks_of_a_dead_target_may_be_canceled_and_deferred,
    an_orchestrator_with_black_holes_stops_soon,
    a_cut_connection_fails_its_task_with_an_unknown_outcome_and_frees_the_slot,
    at_an_unreachable_target_the_deadline_ends_the_task_and_keeps_the_slot,
    a_frozen_target_holds_up_nobody_and_goes_on_when_it_thaws,
    a_target_whose_backends_are_ended_runs_nothing_twice,
    a_target_that_takes_fewer_sessions_than_its_pool_serves_all,
);
