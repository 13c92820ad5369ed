//! The views for operators: the leader, the reason why a task waits, lost targets, ended tasks.

use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::Fixture;
use super::link::{Link, refused_conninfo};

/// Waits until the reason of the lane contains this text.
async fn wait_for_reason<E: Engine>(fixture: &Fixture<E>, pool: &str, reason: &str) {
    fixture
        .wait_for(&format!(
            "select bool_or(reason like '{reason}') from async.v_why_waiting where concurrency_pool = '{pool}'"
        ))
        .await;
}

async fn every_lane_shows_why_it_waits<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture.configure(&json!({
        "control": { "workers": 3 },
        "targets": [
            fixture.there(&json!({ "max_workers": 1 })),
            { "target": "down", "connection_string": refused_conninfo() },
            { "target": "pulled", "asynchronous_finish": true },
        ],
        "concurrency_pools": [{ "concurrency_pool": "shut", "max_workers": 0 }, { "concurrency_pool": "wide", "max_workers": 9 }],
    }))
    .await;
    fixture.run(
        "select async.push_tasks(array_agg(async.task('select pg_sleep(25)', 'there', priority => -i))) from generate_series(1, 3) i;
         select async.push_task(async.task('select 1', 'there', concurrency_pool => 'shut'));
         select async.push_task(async.task('select 1', 'down'));
         select async.push_task(async.task(null, 'pulled'))",
    )
    .await;
    fixture
        .assert_holds(
            "select count(*) = 4 and bool_and(reason like 'no orchestrator leads: %') from async.v_why_waiting",
        )
        .await;
    fixture.engine.lead().await;
    wait_for_reason(&fixture, "there", "its pool is full: 1 of 1").await;
    fixture
        .assert_holds(
            "select waiting = 2 and not more and target = 'there' and waiting_for > '0' and oldest is not null
            and first_task_id = (select task_id from async.task where priority = -2)
         from async.v_why_waiting where concurrency_pool = 'there'",
        )
        .await;
    wait_for_reason(&fixture, "shut", "its pool may hold no task%").await;
    wait_for_reason(&fixture, "down", "the target is lost since %fail").await;
    wait_for_reason(&fixture, "pulled", "offered: %async.get_tasks(''pulled'')").await;

    fixture.run(
        "select async.push_tasks(array_agg(async.task('select pg_sleep(25)', 'there', concurrency_pool => 'wide'))) from generate_series(1, 5)",
    )
    .await;
    wait_for_reason(&fixture, "wide", "all 3 workers are busy").await;
    fixture
        .run("select async.defer(array_agg(task_id), '1 hour') from async.task where concurrency_pool = 'wide'")
        .await;
    wait_for_reason(&fixture, "wide", "deferred: %").await;
    fixture.run("update async.control set paused = true").await;
    wait_for_reason(&fixture, "shut", "no new starts: async.control.paused is true").await;
    fixture.run("update async.control set enabled = false").await;
    fixture.wait_for("select not leads from async.v_leader").await;
    wait_for_reason(&fixture, "shut", "no orchestrator leads, and async.control.enabled is false").await;
}

async fn a_task_that_cannot_be_claimed_is_logged<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run(
        "create function refuse() returns trigger language plpgsql as $$ begin raise 'not this one'; end $$;
         create trigger refuse before update on async.task for each row when (old.task_data is not null) execute procedure refuse()",
    )
    .await;
    fixture.push_as("'select 1', 'there', '{}'").await;
    wait_for_reason(&fixture, "there", "task % cannot be %").await;
    // The task delays no other task.
    fixture.run_task("select 1").await.succeeded();
}

async fn a_target_is_lost_until_it_is_back<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let link = Link::to(&fixture.target).await;
    fixture.configure(&json!({ "targets": [{ "target": "linked", "connection_string": link.conninfo() }] })).await;
    fixture.assert_holds("select state = 'ok' from async.v_target_state where target = 'linked'").await;
    link.close().await;
    let id = fixture.push_as("'select 1', 'linked'").await;
    fixture
        .wait_for(
            "select state = 'lost' and since > now() - interval '1 minute' and error is not null and running = 0
            and patience_ends = since + interval '1 minute'
         from async.v_target_state where target = 'linked'",
        )
        .await;
    fixture.assert_holds("select lost_targets = 1 from async.v_server_info").await;
    link.open();
    fixture.end_of(id).await.succeeded();
    fixture
        .wait_for(
            "select state = 'ok' and since is null and error is null from async.v_target_state where target = 'linked'",
        )
        .await;
    fixture.assert_holds("select state = 'retired' from async.v_target_state where target = 'there'").await;
}

/// Nothing is pushed to the target after it was lost.
async fn a_lost_target_is_seen_to_be_back_without_a_task<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let link = Link::to(&fixture.target).await;
    fixture.configure(&json!({ "targets": [{ "target": "linked", "connection_string": link.conninfo() }] })).await;
    link.close().await;
    let id = fixture.push_as("'select 1', 'linked'").await;
    fixture
        .wait_for(
            "select state = 'lost' and split_part(error, E'\\n', 1) like '%refused%'
         from async.v_target_state where target = 'linked'",
        )
        .await;
    fixture.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.end_of(id).await.is("CANCELED");
    fixture.assert_holds("select state = 'lost' from async.v_target_state where target = 'linked'").await;
    link.open();
    fixture.wait_for("select state = 'ok' and error is null from async.v_target_state where target = 'linked'").await;
}

async fn failures_are_grouped<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    for number in 1..=3 {
        fixture.run_task(&format!("select 'x{number}'::date")).await.is("FAILED");
    }
    fixture.run_task("select 1/0").await.is("FAILED");
    fixture.run_task("select 1").await.succeeded();
    let deferred = fixture.push_as("'select 1', 'there', concurrency_pool => 'shut'").await;
    fixture.run(&format!("select async.cancel(array[{deferred}])")).await;
    fixture.wait_until_finished().await;
    fixture
        .assert_holds(
            "select array_agg(f::text order by tasks desc) = array[
                '(there,FAILED,22007,\"invalid input syntax for type date: \"\"x#\"\"\",3,3)',
                '(there,FAILED,22012,\"division by zero\",1,4)']
         from (select target, finish_status, sqlstate, message, tasks, last_task_id from async.v_failure) f",
        )
        .await;
}

async fn the_log_is_shown_for_a_time<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("call async.tail(_for => '0')").await;
    fixture.run("call async.tail(_grep => 'leading', _for => '1.5 seconds')").await;
    let (code, message) = fixture.refused("call async.tail(_for => '-1 second')").await;
    assert_eq!(code, "PA072", "{message}");
}

async fn the_leader_and_the_time_since_its_election_are_shown<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture.assert_holds("select not leads and pid is null and since is null from async.v_leader").await;
    fixture.engine.lead().await;
    fixture
        .wait_for(&format!(
            "select leads and engine = '{}' and epoch = 1 and pid is not null and host is not null
            and since > now() - interval '1 minute' and quiet between '-1 second' and '20 seconds'
         from async.v_leader",
            E::NAME
        ))
        .await;
    fixture
        .assert_holds(
            "select server_pid = (select pid from async.v_leader) and engine is not null from async.v_server_info",
        )
        .await;
    fixture.engine.stop().await;
    fixture.assert_holds("select not leads and pid is null and epoch = 1 from async.v_leader").await;
}

async fn running_and_ended_tasks_are_counted<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 2 }))] })).await;
    let runs = fixture.push("select pg_sleep(25)").await;
    fixture.wait_until_it_runs(runs).await;
    for query in ["select 1", "select 2", "select 1/0"] {
        fixture.run_task(query).await;
    }
    fixture.assert_holds(
        "select bool_and(entered = 4 and ended = 3 and finished = 2 and failed = 1 and canceled = 0) and count(*) = 2
         from async.v_throughput where period > '5 seconds'",
    )
    .await;
    fixture
        .assert_holds(&format!(
            "select phase = 'RUNNING' and took between '0' and '1 minute' and waited between '0' and '1 minute'
         from async.v_task where task_id = {runs}"
        ))
        .await;
    fixture
        .assert_holds(
            "select count(*) = 3 and bool_and(phase = 'FINISHED' and took = processed - consumed and waited >= '0')
         from async.v_task where processed is not null",
        )
        .await;
    // Tasks that ended earlier are in neither period.
    fixture.run("update async.task set processed = processed - interval '2 hours' where failed").await;
    fixture
        .assert_holds("select bool_and(ended = 2 and failed = 0) from async.v_throughput where period > '5 seconds'")
        .await;
    fixture
        .wait_for(&format!(
            "select count(*) = 1 and bool_and(task_id = {runs} and target = 'there' and slot is not null and not pulled
            and running_for between '0' and '1 minute') from async.v_running_task"
        ))
        .await;
    fixture
        .run(
            "select async.push_tasks(array_agg(async.task('select pg_sleep(25)', 'there'))) from generate_series(1, 4)",
        )
        .await;
    fixture
        .wait_for(
            "select count(*) = 3 and bool_and(took is null and waited between '0' and '1 minute')
             from async.v_task where phase = 'READY'",
        )
        .await;
    fixture.wait_for(
        "select running = 2 and max_workers = 2 and waiting = 3 and not more and is_full and waiting_for is not null
         from async.v_pool where concurrency_pool = 'there'",
    )
    .await;
}

async fn the_oldest_is_found_among_priorities_and_counts_are_bounded<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "insert into async.task (target, query, priority, entered)
         select 'there', 'select 1', i % 50, now() - case when i = 9949 then interval '3 days' else interval '1 day' end
         from generate_series(1, 12000) i",
        )
        .await;
    fixture
        .assert_holds(
            "select waiting = 10000 and more and waiting_for > '71 hours' and first_task_id = 50
         from async.v_why_waiting where concurrency_pool = 'there'",
        )
        .await;
    fixture.assert_holds("select waiting = 10000 and more and waiting_for > '71 hours' from async.v_pool where concurrency_pool = 'there'")
        .await;
}

conformance!(
    every_lane_shows_why_it_waits,
    a_task_that_cannot_be_claimed_is_logged,
    a_target_is_lost_until_it_is_back,
    a_lost_target_is_seen_to_be_back_without_a_task,
    failures_are_grouped,
    the_log_is_shown_for_a_time,
    the_leader_and_the_time_since_its_election_are_shown,
    running_and_ended_tasks_are_counted,
    the_oldest_is_found_among_priorities_and_counts_are_bounded,
);
