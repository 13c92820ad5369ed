//! A successor of a leader that was lost, or that has stopped.

use std::time::{Duration, Instant};

use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::{Fixture, SLOW, SOON};

async fn after_a_lost_leader_running_tasks_fail_as_unknown_and_do_not_run_again<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture.configure(&json!({ "control": { "takeover_grace": "0.2 s" } })).await;
    fixture.engine.lead().await;
    let slow = fixture.push("insert into ledger (mark) select 'never' from pg_sleep(25)").await;
    fixture.wait_until_it_runs(slow).await;
    fixture.engine.terminate().await;
    let waiting = fixture.push("insert into ledger (mark) values ('later')").await;
    let mut next = E::attach(&fixture.database);
    next.lead().await;
    let error = fixture.end_within(slow, SOON).await.is("FAILED").expect("an error message");
    assert!(error.contains("outcome unknown"), "{error}");
    fixture.end_of(waiting).await.succeeded();
    // The session is gone at the target too.
    assert_eq!(
        fixture
            .number(&format!(
            "select count(*) from pg_stat_activity where datname = '{}' and query like '%never%' and state = 'active'
                and pid <> pg_backend_pid()",
            fixture.target.name()
        ))
            .await,
        0
    );
    assert_eq!(fixture.target.marks("never").await, 0);
    fixture.wait_until_no_slot_is_taken().await;
}

async fn after_a_lost_leader_nothing_runs_twice_and_no_limit_is_exceeded<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture.run_there("create table spans (began timestamptz, ended timestamptz)").await;
    fixture.configure(&json!({ "control": { "takeover_grace": "0.1 s" } })).await;
    fixture.engine.lead().await;
    fixture
        .run(
            "select async.push_tasks(array_agg(async.task(
            'do $d$ declare began timestamptz := clock_timestamp(); begin
                insert into ledger (mark) values (''##flow.TASK_ID##''); perform pg_sleep(0.04);
                insert into spans values (began, clock_timestamp()); end $d$', 'there')))
         from generate_series(1, 150)",
        )
        .await;
    for _ in 0..3 {
        fixture
            .wait_for("select exists (select from async.task where consumed is not null and processed is null)")
            .await;
        tokio::time::sleep(Duration::from_millis(120)).await;
        fixture.engine.terminate().await;
        fixture.engine = E::attach(&fixture.database);
        fixture.engine.lead().await;
    }
    fixture.wait_until_finished().await;
    // Four tasks ran at each loss. Four more may have ended just before, without a record.
    fixture
        .assert_holds(
            "select bool_and(finish_status = 'FINISHED' or processing_error like '%outcome unknown%')
            and count(*) filter (where failed) <= 24 from async.task",
        )
        .await;
    assert!(fixture.target.repeated_marks().await.is_empty());
    let most = fixture
        .number_there(
            "select max(n) from (select count(*) as n from (select *, row_number() over () as id from spans) a
             join spans b on b.began <= a.began and b.ended > a.began group by a.id) o",
        )
        .await;
    assert!(most <= 4, "{most} at once");
    fixture.wait_until_no_slot_is_taken().await;
}

async fn an_unforced_successor_gives_a_lost_process_its_grace_and_a_forced_one_does_not<E: Engine>() {
    let mut fixture = Fixture::<E>::led().await;
    fixture.engine.stop().await;
    for (forced, grace) in [(false, 2), (true, 60)] {
        fixture.configure(&json!({ "control": { "takeover_grace": format!("{grace} s") } })).await;
        // The row is in the state that a lost Rust leader leaves. After the end of an SQL engine
        // there would be no grace period.
        fixture.run("update async.leader set goodbye = false, engine = 'rust'").await;
        let begin = Instant::now();
        fixture.engine = E::attach(&fixture.database);
        if forced {
            fixture.engine.start_forced().await;
        } else {
            fixture.engine.start().await;
        }
        fixture.engine.wait_until_leading().await;
        assert_eq!(begin.elapsed() < Duration::from_secs(grace), forced, "{:?}", begin.elapsed());
        fixture.engine.stop().await;
    }
}

async fn a_leader_that_stopped_is_followed_without_waiting<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture.configure(&json!({ "control": { "takeover_grace": "1 hour" } })).await;
    fixture.engine.lead().await;
    fixture.run_task("select 1").await.succeeded();
    fixture.engine.stop().await;
    fixture.assert_holds("select goodbye from async.leader").await;
    fixture.engine = E::attach(&fixture.database);
    fixture.engine.lead().await;
    fixture.run_task("select 1").await.succeeded();
}

async fn yielded_and_pulled_tasks_survive_a_change_of_leader<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture
        .configure(&json!({ "control": { "takeover_grace": "0.1 s" }, "targets": [
        fixture.there(&json!({ "asynchronous_finish": true, "max_workers": 2 }))] }))
        .await;
    fixture.engine.lead().await;
    let yielded = fixture.push_as("'select 1', 'there', track_yielded => true").await;
    let pulled = fixture.push_as("null, 'there'").await;
    fixture.wait_until(yielded, "YIELDED").await;
    assert_eq!(fixture.number("select task_id from async.get_tasks('there')").await, pulled);
    let before = fixture.text("select string_agg(t::text, ';' order by task_id) from async.task t").await;
    for forced in [false, true] {
        if forced {
            let mut next = E::attach(&fixture.database);
            next.start_forced().await;
            next.wait_until_leading().await;
            std::mem::replace(&mut fixture.engine, next).wait_until_ended().await;
        } else {
            fixture.engine.terminate().await;
            fixture.engine = E::attach(&fixture.database);
            fixture.engine.lead().await;
        }
        fixture.run("select async.wait_for_latch()").await;
        assert_eq!(fixture.text("select string_agg(t::text, ';' order by task_id) from async.task t").await, before);
    }
    // The tasks still hold their slots, so the pool of two is full.
    let next = fixture.push("select 1").await;
    fixture.end_of(fixture.push_as("'select 1', 'SELF'").await).await.succeeded();
    fixture.assert_holds(&format!("select consumed is null from async.task where task_id = {next}")).await;
    fixture.run(&format!("select async.finish(array[{yielded}, {pulled}], 'FINISHED', null)")).await;
    fixture.end_of(yielded).await.succeeded();
    fixture.end_of(pulled).await.succeeded();
    fixture.wait_until(next, "YIELDED").await;
}

async fn requests_survive_a_change_of_leader<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture.configure(&json!({ "control": { "takeover_grace": "0.1 s" } })).await;
    let canceled = fixture.push("insert into ledger (mark) values ('never')").await;
    let deferred = fixture.push("select 1").await;
    fixture
        .run(&format!("select async.cancel(array[{canceled}]); select async.defer(array[{deferred}], '1 hour')"))
        .await;
    fixture.engine.lead().await;
    fixture.end_of(canceled).await.is("CANCELED");
    fixture.wait_for(&format!("select eligible_when is not null from async.task where task_id = {deferred}")).await;
    let running = fixture.push(SLOW).await;
    fixture.wait_until_it_runs(running).await;
    fixture.engine.terminate().await;
    fixture.run(&format!("select async.cancel(array[{running}], 'meanwhile')")).await;
    fixture.engine = E::attach(&fixture.database);
    fixture.engine.lead().await;
    let error = fixture.end_within(running, SOON).await.is("CANCELED").expect("an error message");
    assert!(error.contains("meanwhile"), "{error}");
    assert_eq!(fixture.target.marks("never").await, 0);
}

async fn requests_from_before_a_deadline_count_after_it<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture
        .configure(&json!({
            "control": { "takeover_grace": "0.1 s" },
            "targets": [fixture.there(&json!({ "asynchronous_finish": true }))],
        }))
        .await;
    fixture.engine.lead().await;
    let tracked = fixture.push_as("'select 1', 'there', track_yielded => true").await;
    let yielded = fixture.push("select 1").await;
    let pulled = fixture.push_as("null, 'there'").await;
    fixture.wait_until(tracked, "YIELDED").await;
    fixture.wait_until(yielded, "YIELDED").await;
    assert_eq!(fixture.number("select task_id from async.get_tasks('there')").await, pulled);
    fixture.engine.terminate().await;
    // More than a leader reads at once.
    fixture
        .run(
            "select async.push_tasks(array_agg(async.task('select 1', 'there'))) from generate_series(1, 2500);
             select async.cancel(array_agg(task_id order by task_id desc)) from async.task",
        )
        .await;
    fixture.run("update async.task set times_up = clock_timestamp() where processed is null").await;
    fixture.engine = E::attach(&fixture.database);
    fixture.engine.lead().await;
    fixture.wait_until_finished().await;
    fixture.assert_holds("select bool_and(finish_status = 'CANCELED') from async.task").await;
    fixture.wait_until_no_slot_is_taken().await;
}

conformance!(
    after_a_lost_leader_running_tasks_fail_as_unknown_and_do_not_run_again,
    after_a_lost_leader_nothing_runs_twice_and_no_limit_is_exceeded,
    an_unforced_successor_gives_a_lost_process_its_grace_and_a_forced_one_does_not,
    a_leader_that_stopped_is_followed_without_waiting,
    yielded_and_pulled_tasks_survive_a_change_of_leader,
    requests_survive_a_change_of_leader,
    requests_from_before_a_deadline_count_after_it,
);
