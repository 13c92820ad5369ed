//! Targets that refuse connections, do not answer, or return. Their tasks wait, and no other task
//! waits.

use std::time::{Duration, Instant};

use pgasync_tests::Engine;
use serde_json::{Value, json};

use super::fixture::{Fixture, SOON};
use super::link::{BlackHole, Link, refused_conninfo};

fn target(name: &str, conninfo: &str) -> Value {
    json!({ "target": name, "connection_string": conninfo, "max_workers": 8 })
}

/// A fixture with `there` and other targets, and this `target_patience`.
async fn led_with<E: Engine>(patience: &str, others: &[Value]) -> Fixture<E> {
    let mut fixture = Fixture::<E>::prepared().await;
    let targets: Vec<_> = std::iter::once(fixture.there(&json!({}))).chain(others.iter().cloned()).collect();
    fixture.configure(&json!({ "control": { "target_patience": patience }, "targets": targets })).await;
    fixture.engine.lead().await;
    fixture
}

async fn push_many<E: Engine>(fixture: &Fixture<E>, count: i32, target: &str) {
    fixture
        .rows(
            "select async.push_tasks(array_agg(async.task('select 1', $1))) from generate_series(1, $2)",
            &[&target, &count],
        )
        .await;
}

/// The tasks of `down` wait for `target_patience`. Then all fail with the error of the connection.
async fn tasks_wait_and_then_fail_with<E: Engine>(conninfo: &str, text: &str) {
    let fixture = led_with::<E>("2 s", &[target("down", conninfo)]).await;
    push_many(&fixture, 30, "down").await;
    fixture.run_task("select 1").await.succeeded();
    fixture.wait_until_finished().await;
    fixture
        .assert_holds(
            "select bool_and(finish_status = 'FAILED' and processed >= entered + interval '2 s' and run = 0)
         from async.task where target = 'down'",
        )
        .await;
    let error =
        fixture.text("select min(processing_error) from async.task where target = 'down'").await.unwrap_or_default();
    assert!(error.contains(text), "{error}");
    for foreign in ["secret", "dblink", "async.", "CONTEXT"] {
        assert!(!error.contains(foreign), "{error}");
    }
    // The log has one line, not a line for each attempt or task.
    fixture.assert_holds(
        "select count(*) <= 3 and not bool_or(message like '%secret%') from async.server_log where level <> 'NOTICE'",
    )
    .await;
    fixture.wait_until_no_slot_is_taken().await;
}

async fn tasks_of_a_refusing_target_wait_and_then_fail_saying_so<E: Engine>() {
    tasks_wait_and_then_fail_with::<E>(&refused_conninfo(), "refused").await;
}

async fn tasks_of_a_silent_target_wait_and_then_fail<E: Engine>() {
    let hole = BlackHole::silent();
    tasks_wait_and_then_fail_with::<E>(&hole.conninfo(), "down").await;
}

async fn tasks_of_an_unreachable_target_wait_and_then_fail<E: Engine>() {
    let hole = BlackHole::full().await;
    tasks_wait_and_then_fail_with::<E>(&hole.conninfo(), "down").await;
}

async fn tasks_of_a_database_that_does_not_exist_wait_and_then_fail_saying_so<E: Engine>() {
    let conninfo = pgasync_tests::Cluster::shared().conninfo("not_there");
    tasks_wait_and_then_fail_with::<E>(&conninfo, "not_there").await;
}

async fn waiting_for_a_target_costs_no_worker_and_delays_no_other_target<E: Engine>() {
    let (silent, full) = (BlackHole::silent(), BlackHole::full().await);
    let fixture = led_with::<E>(
        "1 hour",
        &[
            target("silent", &silent.conninfo()),
            target("full", &full.conninfo()),
            target("refused", &refused_conninfo()),
        ],
    )
    .await;
    for down in ["silent", "full", "refused"] {
        push_many(&fixture, 20, down).await;
    }
    // The loop takes longer than a connection attempt, so tasks run at each moment of an attempt.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(4) {
        let once = Instant::now();
        fixture.run_task("select 1").await.succeeded();
        assert!(once.elapsed() < Duration::from_secs(2), "{:?}", once.elapsed());
    }
    fixture
        .assert_holds("select bool_and(consumed is null and processed is null) from async.task where target <> 'there'")
        .await;
}

async fn the_rate_elsewhere_stays_with_many_black_holes<E: Engine>() {
    let holes: Vec<_> = (0..9).map(|_| BlackHole::silent()).collect();
    let targets: Vec<_> =
        holes.iter().enumerate().map(|(n, hole)| target(&format!("hole {n}"), &hole.conninfo())).collect();
    let fixture = led_with::<E>("1 hour", &targets).await;
    let timed = async || {
        let begin = Instant::now();
        push_many(&fixture, 400, "there").await;
        fixture
            .wait_for("select not exists (select from async.task where target = 'there' and processed is null)")
            .await;
        begin.elapsed()
    };
    timed().await;
    let without = timed().await;
    fixture.run("select async.push_tasks(array_agg(async.task('select 1', target))) from async.target where target like 'hole%'")
        .await;
    let with = timed().await;
    // An attempt that blocked the leader would take `connect_timeout` for each of the nine. The rest is the machine's.
    assert!(with < without * 3 + SOON / 2, "{with:?} with black holes, {without:?} without");
}

async fn a_new_target_runs_soon_beside_many_black_holes<E: Engine>() {
    let holes: Vec<_> = (0..9).map(|_| BlackHole::silent()).collect();
    let targets: Vec<_> =
        holes.iter().enumerate().map(|(n, hole)| target(&format!("hole {n}"), &hole.conninfo())).collect();
    let fixture = led_with::<E>("1 hour", &targets).await;
    fixture.run("select async.push_tasks(array_agg(async.task('select 1', target))) from async.target where target like 'hole%'")
        .await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let all: Vec<_> =
        targets.into_iter().chain([fixture.there(&json!({})), target("new", &fixture.target.conninfo())]).collect();
    fixture.configure(&json!({ "targets": all })).await;
    let begin = Instant::now();
    let id = fixture.push_as("'select 1', 'new'").await;
    fixture.end_of(id).await.succeeded();
    // The promise is two seconds on an otherwise idle machine.
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

async fn tasks_run_when_their_target_comes_back<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let link = Link::to(&fixture.target).await;
    fixture.configure(&json!({ "targets": [target("linked", &link.conninfo())] })).await;
    link.close().await;
    fixture.run(
        "select async.push_tasks(array_agg(async.task('insert into ledger (mark) values (''ran ##flow.TASK_ID##'')', 'linked')))
         from generate_series(1, 20)",
    )
    .await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    fixture.assert_holds("select bool_and(consumed is null and processed is null) from async.task").await;
    link.open();
    fixture.wait_until_finished().await;
    fixture.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
    // A claimed task that was not launched may be on its second run; the ledger shows the launches.
    assert_eq!(fixture.target.repeated_marks().await, Vec::<String>::new());
}

async fn a_corrected_address_is_used_at_once<E: Engine>() {
    let fixture = led_with::<E>("1 hour", &[target("down", &refused_conninfo())]).await;
    push_many(&fixture, 5, "down").await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    fixture.configure(&json!({ "targets": [target("down", &fixture.target.conninfo())] })).await;
    fixture.wait_for_within("select bool_and(finish_status = 'FINISHED') from async.task", SOON).await;
}

async fn tasks_of_a_dead_target_may_be_canceled_and_deferred<E: Engine>() {
    let hole = BlackHole::silent();
    let fixture = led_with::<E>("1 hour", &[target("down", &hole.conninfo())]).await;
    let (one, other) = (fixture.push_as("'select 1', 'down'").await, fixture.push_as("'select 1', 'down'").await);
    tokio::time::sleep(Duration::from_millis(300)).await;
    fixture.run(&format!("select async.cancel(array[{one}]); select async.defer(array[{other}], '1 hour')")).await;
    fixture.end_within(one, SOON).await.is("CANCELED");
    fixture.wait_for(&format!("select eligible_when is not null from async.task where task_id = {other}")).await;
}

async fn an_orchestrator_with_black_holes_stops_soon<E: Engine>() {
    let (silent, full) = (BlackHole::silent(), BlackHole::full().await);
    let mut fixture =
        led_with::<E>("1 hour", &[target("silent", &silent.conninfo()), target("full", &full.conninfo())]).await;
    push_many(&fixture, 5, "silent").await;
    push_many(&fixture, 5, "full").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let begin = Instant::now();
    fixture.engine.stop().await;
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
}

async fn a_cut_connection_fails_its_task_with_an_unknown_outcome_and_frees_the_slot<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let link = Link::to(&fixture.target).await;
    fixture.configure(&json!({ "targets": [target("linked", &link.conninfo())] })).await;
    let id = fixture.push_as("'insert into ledger (mark) select ''never'' from pg_sleep(25)', 'linked'").await;
    fixture.wait_until_it_runs(id).await;
    link.close().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // It is not known yet whether the session is gone.
    fixture.assert_holds("select processed is null and tracked from async.task").await;
    link.open();
    let error = fixture.end_within(id, SOON).await.is("FAILED").expect("an error message");
    assert!(error.contains("outcome unknown"), "{error}");
    fixture.wait_for(&format!(
        "select not exists (select from pg_stat_activity where datname = '{}' and query like '%never%' and state = 'active')",
        fixture.target.name()
    ))
    .await;
    fixture.wait_until_no_slot_is_taken().await;
    assert_eq!(fixture.target.marks("never").await, 0);
}

async fn at_an_unreachable_target_the_deadline_ends_the_task_and_keeps_the_slot<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let link = Link::to(&fixture.target).await;
    let linked = json!({ "target": "linked", "connection_string": link.conninfo(), "max_workers": 1 });
    fixture.configure(&json!({ "targets": [linked, fixture.there(&json!({}))] })).await;
    let id = fixture.push_as("'select pg_sleep(25)', 'linked', manual_timeout => '1 s'").await;
    fixture.wait_until_it_runs(id).await;
    link.freeze();
    fixture.end_of(id).await.is("TIMED_OUT");
    fixture.assert_holds("select tracked from async.task").await;
    let next = fixture.push_as("'select 1', 'linked'").await;
    fixture.run_task("select 1").await.succeeded();
    fixture.wait_for("select workers = 1 from async.concurrency_pool_tracker where concurrency_pool = 'linked'").await;
    let (code, _) = fixture.refused(&format!("select async.restart_task({id})")).await;
    assert_eq!(code, "PA032");
    // The session is ended once the target can be reached, long before the end of its query.
    let begin = Instant::now();
    link.open();
    fixture.end_of(next).await.succeeded();
    fixture.wait_for(&format!("select tracked is not true from async.task where task_id = {id}")).await;
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    fixture.end_of(id).await.is("TIMED_OUT");
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_frozen_target_delays_no_other_target_and_continues_when_it_thaws<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let link = Link::to(&fixture.target).await;
    fixture.configure(&json!({ "targets": [target("linked", &link.conninfo()), fixture.there(&json!({}))] })).await;
    let id = fixture.push_as("'select pg_sleep(0.5)', 'linked'").await;
    fixture.wait_until_it_runs(id).await;
    link.freeze();
    push_many(&fixture, 6, "linked").await;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(2) {
        fixture.run_task("select 1").await.succeeded();
    }
    fixture.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.run_task("select 1").await.succeeded();
    link.open();
    fixture.wait_until_finished().await;
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_target_whose_backends_are_ended_runs_nothing_twice<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run(
            "select async.push_tasks(array_agg(async.task(
            'insert into ledger (mark) select ''##flow.TASK_ID##'' from pg_sleep(0.03)', 'there')))
         from generate_series(1, 150)",
        )
        .await;
    let mut rounds = 0;
    while !fixture.holds("select not exists (select from async.task where processed is null)").await {
        rounds += 1;
        assert!(rounds < 400, "{}", fixture.dump().await);
        // Later rounds let the remaining tasks end. If a connection takes longer, few queries
        // outlive a round.
        if rounds < 200 {
            fixture
                .run(&format!(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}' and random() < 0.5
             and application_name like 'pgasync/%'",
                    fixture.target.name()
                ))
                .await;
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    fixture
        .assert_holds(
            "select bool_and(finish_status = 'FINISHED' or processing_error like 'outcome unknown%') from async.task",
        )
        .await;
    // A claimed task that was not launched may be on its second run; the ledger shows the launches.
    assert!(fixture.target.repeated_marks().await.is_empty());
    let finished = fixture.number("select count(*) from async.task where not failed").await;
    assert!(fixture.number_there("select count(*) from ledger").await >= finished);
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_target_that_takes_fewer_sessions_than_its_pool_serves_all<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let role = fixture.target.name();
    fixture.run(&format!("create role {role} login connection limit 3")).await;
    let grant = format!("grant usage on schema public to {role}; grant all on all tables in schema public to {role}");
    fixture.target.session().batch_execute(&grant).await.expect("it may write down that it ran");
    let conninfo = fixture.target.conninfo().replace("user=postgres", &format!("user={role}"));
    fixture.configure(&json!({ "targets": [target("tight", &conninfo)] })).await;
    fixture
        .run(
            "select async.push_tasks(array_agg(async.task(
            'insert into ledger (mark) select ''##flow.TASK_ID##'' from pg_sleep(0.1)', 'tight')))
         from generate_series(1, 20)",
        )
        .await;
    fixture.wait_until_finished().await;
    fixture.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
    assert_eq!(fixture.number_there("select count(*) from ledger").await, 20);
    assert!(fixture.target.repeated_marks().await.is_empty());
    fixture.run(&format!("select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'")).await;
    let leave = format!("drop owned by {role}; drop role {role}");
    fixture.target.session().batch_execute(&leave).await.expect("nothing is left of it");
}

/// A physical copy of this server has the same id.
async fn a_target_where_a_copy_of_this_server_runs_tasks_is_left_alone<E: Engine>() {
    let mut fixture = Fixture::<E>::led().await;
    let server_id = fixture.text("select server_id from async.leader").await.expect("it has an id");
    fixture.engine.stop().await;
    let copy = fixture.target.settings().with_application_name(&format!("pgasync/{server_id}/4711/1"));
    let copy_session = copy.connect().await.expect("the target takes sessions");
    copy_session.batch_execute("select 1").await.expect("it runs");
    fixture.engine.lead().await;
    let id = fixture.push("insert into ledger (mark) values ('ran')").await;
    fixture
        .wait_for("select exists (select from async.server_log where message like '%is this database a copy%')")
        .await;
    fixture.assert_holds("select processed is null and run = 0 from async.task").await;
    assert_eq!(fixture.target.marks("ran").await, 0);
    copy_session.close().await;
    fixture.end_of(id).await.succeeded();
}

conformance!(
    a_target_where_a_copy_of_this_server_runs_tasks_is_left_alone,
    tasks_of_a_refusing_target_wait_and_then_fail_saying_so,
    tasks_of_a_silent_target_wait_and_then_fail,
    tasks_of_an_unreachable_target_wait_and_then_fail,
    tasks_of_a_database_that_does_not_exist_wait_and_then_fail_saying_so,
    waiting_for_a_target_costs_no_worker_and_delays_no_other_target,
    the_rate_elsewhere_stays_with_many_black_holes,
    a_new_target_runs_soon_beside_many_black_holes,
    tasks_run_when_their_target_comes_back,
    a_corrected_address_is_used_at_once,
    tasks_of_a_dead_target_may_be_canceled_and_deferred,
    an_orchestrator_with_black_holes_stops_soon,
    a_cut_connection_fails_its_task_with_an_unknown_outcome_and_frees_the_slot,
    at_an_unreachable_target_the_deadline_ends_the_task_and_keeps_the_slot,
    a_frozen_target_delays_no_other_target_and_continues_when_it_thaws,
    a_target_whose_backends_are_ended_runs_nothing_twice,
    a_target_that_takes_fewer_sessions_than_its_pool_serves_all,
);
