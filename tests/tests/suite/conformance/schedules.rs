//! Schedules: when they fire, and what they do while a task of them is unfinished.

use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::{Fixture, SLOW};

/// Writes the id of its task to the ledger of the target.
const MARK: &str = "insert into ledger (mark) values ('##flow.TASK_ID##')";

impl<E: Engine> Fixture<E> {
    /// Makes a schedule with the arguments that follow its name.
    pub(super) async fn schedule(&self, name: &str, arguments: &str) {
        self.run(&format!("select async.schedule('{name}', {arguments})")).await;
    }

    /// As if no leader had fired an hourly schedule for some hours. Its newest time was `late` ago.
    pub(super) async fn miss(&self, name: &str, hours: i32, late: &str) {
        let sql = format!(
            "update async.schedule set last_time = now() - interval '{hours} hours {late}',
               next_time = now() - interval '{hours} hours {late}' + interval '1 hour',
               look_at = now() - interval '{hours} hours {late}' + interval '1 hour'
             where schedule = '{name}';
             select async.wake_leader()"
        );
        self.run(&sql).await;
        self.wait_for(&format!("select next_time > now() from async.schedule where schedule = '{name}'")).await;
    }

    async fn tasks_of(&self, name: &str) -> i64 {
        self.number(&format!("select count(*) from async.task where schedule = '{name}'")).await
    }

    pub(super) async fn wait_for_tasks(&self, name: &str, tasks: i64) {
        self.wait_for(&format!("select count(*) = {tasks} from async.task where schedule = '{name}'")).await;
    }
}

async fn a_sleeping_leader_fires_each_time_once_and_in_time<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture.configure(&json!({ "control": { "idle_sleep": 60 } })).await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    fixture.run("select async.wait_for_latch()").await;
    fixture
        .schedule(
            "tick",
            &format!("'every 1 second', $q${MARK}$q$, 'there', source => 'a clock', overlap => 'allow_all'"),
        )
        .await;
    fixture
        .wait_for(
            "select count(*) filter (where finish_status = 'FINISHED') >= 4 from async.task where schedule = 'tick'",
        )
        .await;
    fixture.run("select async.unschedule('tick')").await;
    fixture.wait_until_finished().await;
    fixture
        .assert_holds(
            "select bool_and(scheduled_for = first + (n - 1) * interval '1 second')
               and bool_and(entered between scheduled_for and scheduled_for + interval '5 seconds')
               and bool_and(pushed_by = session_user and source = 'a clock')
             from (
               select t.*, min(scheduled_for) over () as first, row_number() over (order by scheduled_for) as n
               from async.task t
             ) t",
        )
        .await;
    assert!(fixture.target.repeated_marks().await.is_empty());
    fixture.assert_holds("select count(*) = 0 from async.schedule").await;
}

async fn missed_times_fire_as_catch_up_says<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    for (name, catch_up, late, fired) in [
        ("none_late", "none", "2 minutes", 0),
        ("none_in_time", "none", "5 seconds", 1),
        ("last", "last", "30 minutes", 1),
        ("all", "all', overlap => 'allow_all", "2 minutes", 5),
    ] {
        fixture.schedule(name, &format!("'every 1 hour', 'select 1', 'there', catch_up => '{catch_up}'")).await;
        fixture.miss(name, 5, late).await;
        fixture.wait_for_tasks(name, fired).await;
        fixture
            .assert_holds(&format!(
                "select count(*) = {fired} and count(distinct scheduled_for) = {fired}
                   and coalesce(max(scheduled_for) = (select last_time from async.schedule where schedule = '{name}'), true)
                 from async.task where schedule = '{name}'"
            ))
            .await;
        fixture
            .assert_holds(&format!(
                "select next_time = last_time + interval '1 hour' and last_time > now() - interval '1 hour'
                 from async.schedule where schedule = '{name}'"
            ))
            .await;
    }
}

/// A schedule one of whose tasks runs for long.
async fn with_a_slow_task<E: Engine>(options: &str) -> (Fixture<E>, i64) {
    let fixture = Fixture::<E>::led().await;
    // The first task is slow, and later ones are not.
    fixture.run_there("create sequence runs").await;
    let query = format!("select case when nextval('runs') = 1 then pg_sleep(25) end; {MARK}");
    fixture.schedule("load", &format!("'every 1 hour', $q${query}$q$, 'there', {options}")).await;
    fixture.miss("load", 1, "1 minute").await;
    let id = fixture.number("select max(task_id) from async.task").await;
    fixture.wait_until_it_runs(id).await;
    (fixture, id)
}

async fn a_time_is_skipped_while_the_task_before_it_is_unfinished<E: Engine>() {
    let (fixture, id) = with_a_slow_task::<E>("overlap => 'skip'").await;
    fixture.miss("load", 1, "30 seconds").await;
    fixture
        .assert_holds(
            "select last_skipped = last_time and last_skipped > last_fired from async.v_schedule s
        join async.schedule using (schedule, last_skipped, last_fired)",
        )
        .await;
    assert_eq!(fixture.tasks_of("load").await, 1);
    fixture.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.end_of(id).await.is("CANCELED");
    fixture.miss("load", 1, "10 seconds").await;
    fixture.wait_for_tasks("load", 2).await;
}

async fn a_task_that_waits_for_its_next_attempt_is_unfinished<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .configure(&json!({ "retry_policies": [
            { "retry_policy": "slow", "delay": "1 hour", "sqlstates": ["22"] }] }))
        .await;
    fixture.schedule("load", "'every 1 hour', 'select 1/0', 'there', retry => 'slow'").await;
    fixture.miss("load", 1, "1 minute").await;
    fixture.wait_for("select attempt = 1 and eligible_when is not null from async.task").await;
    fixture.miss("load", 1, "30 seconds").await;
    assert_eq!(fixture.tasks_of("load").await, 1);
    fixture.assert_holds("select last_skipped is not null and last_status = 'READY' from async.v_schedule").await;
}

async fn one_time_waits_for_the_end_with_buffer_one<E: Engine>() {
    let (fixture, id) = with_a_slow_task::<E>("overlap => 'buffer_one'").await;
    fixture.miss("load", 1, "30 seconds").await;
    let waits = fixture.text("select scheduled_for from async.schedule_wait").await;
    fixture.miss("load", 1, "20 seconds").await;
    fixture.assert_holds("select waiting = 1 and last_skipped is not null from async.v_schedule").await;
    assert_eq!(fixture.tasks_of("load").await, 1);
    fixture.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.wait_for_tasks("load", 2).await;
    fixture.wait_until_finished().await;
    assert_eq!(fixture.text("select max(scheduled_for) from async.task").await, waits);
    fixture.assert_holds("select waiting = 0 from async.v_schedule").await;
}

async fn each_missed_time_fires_in_order_and_alone_with_buffer_all<E: Engine>() {
    let (fixture, id) = with_a_slow_task::<E>("overlap => 'buffer_all', catch_up => 'all'").await;
    fixture.miss("load", 3, "10 seconds").await;
    fixture.assert_holds("select waiting = 3 from async.v_schedule").await;
    fixture.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.wait_for_tasks("load", 4).await;
    fixture.wait_until_finished().await;
    fixture
        .assert_holds(
            "select count(*) = 4 and bool_and(coalesce(entered >= ended, true) and coalesce(scheduled_for > before, true))
             from (
               select entered, lag(processed) over (order by task_id) as ended, scheduled_for,
                 case when task_id > 2 then lag(scheduled_for) over (order by task_id) end as before
               from async.task) t",
        )
        .await;
    fixture
        .assert_holds(
            "select last_fired = last_time and last_status = 'FINISHED'
        from async.v_schedule join async.schedule s using (schedule, last_fired)",
        )
        .await;
}

async fn the_other_task_is_canceled_first_with_cancel_other<E: Engine>() {
    let (fixture, id) = with_a_slow_task::<E>("overlap => 'cancel_other'").await;
    fixture.miss("load", 1, "30 seconds").await;
    let error = fixture.end_of(id).await.is("CANCELED").expect("a message");
    assert!(error.contains("the schedule 'load' fires again"), "{error}");
    fixture.wait_for_tasks("load", 2).await;
    fixture.wait_until_finished().await;
    fixture
        .assert_holds(
            "select bool_and(coalesce(entered >= before, true))
             from (select entered, lag(processed) over (order by scheduled_for) as before from async.task) t",
        )
        .await;
}

async fn tasks_overlap_with_allow_all<E: Engine>() {
    let (fixture, _) = with_a_slow_task::<E>("overlap => 'allow_all'").await;
    fixture.miss("load", 1, "30 seconds").await;
    fixture.wait_for("select count(*) filter (where processed is not null) = 1 and count(*) = 2 from async.task").await;
    fixture.assert_holds("select waiting = 0 and last_skipped is null from async.v_schedule").await;
}

async fn a_tag_is_resolved_when_the_schedule_fires<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.schedule("tagged", "'every 1 hour', 'select 1', 'tag:shop'").await;
    fixture.schedule("plain", "'every 1 hour', 'select 1', 'there'").await;
    fixture.miss("tagged", 1, "50 seconds").await;
    fixture.miss("plain", 1, "50 seconds").await;
    fixture.wait_for_tasks("plain", 1).await;
    fixture
        .assert_holds(
            "select last_refusal like 'PA0A6: no target that % may use has the tag ''shop''' and last_refused is not null
             from async.v_schedule where schedule = 'tagged'",
        )
        .await;
    let other = json!({ "target": "other", "connection_string": fixture.target.conninfo(), "tags": ["shop"] });
    let third = json!({ "target": "third", "connection_string": fixture.target.conninfo() });
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "tags": ["big", "shop"] })), other, third] })).await;
    fixture.miss("tagged", 1, "30 seconds").await;
    fixture.wait_for_tasks("tagged", 2).await;
    fixture.wait_until_finished().await;
    fixture
        .assert_holds(
            "select array_agg(target order by target) = '{other,there}' and count(distinct scheduled_for) = 1
             from async.task where schedule = 'tagged'",
        )
        .await;
}

async fn a_time_waits_at_one_target_and_fires_at_another<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let other = json!({ "target": "other", "connection_string": fixture.target.conninfo(), "tags": ["shop"] });
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "tags": ["shop"] })), other] })).await;
    fixture.schedule("both", "'every 1 hour', 'select 1', 'tag:shop', overlap => 'buffer_one'").await;
    // A task of the schedule that is unfinished at one target: it waits for its time.
    fixture
        .run(
            "insert into async.task (target, priority, query, schedule, eligible_when)
              values ('there', 0, 'select 1', 'both', now() + interval '1 hour')",
        )
        .await;
    fixture.miss("both", 1, "30 seconds").await;
    fixture.wait_for("select count(*) = 1 from async.task where schedule = 'both' and target = 'other'").await;
    fixture.assert_holds("select array_agg(target) = '{there}' from async.schedule_wait").await;
    fixture
        .run("select async.cancel(array_agg(task_id)) from async.task where target = 'there' and processed is null")
        .await;
    fixture.wait_for("select count(*) = 2 from async.task where schedule = 'both' and target = 'there'").await;
    fixture.wait_until_finished().await;
    fixture.assert_holds("select count(distinct scheduled_for) = 1 from async.task").await;
}

async fn a_refusal_is_recorded_and_stops_no_other_schedule<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let (name, session) = fixture.client("scheduler").await;
    session
        .batch_execute("select async.schedule('theirs', 'every 1 hour', 'select 1', 'there', overlap => 'allow_all')")
        .await
        .expect("granted");
    fixture.schedule("ours", "'every 1 hour', 'select 1', 'there'").await;
    fixture.miss("theirs", 1, "50 seconds").await;
    fixture.wait_for_tasks("theirs", 1).await;
    fixture.assert_holds(&format!("select pushed_by = '{name}' and may_reach_self is false from async.task")).await;
    fixture.run(&format!("select async.revoke_client('{name}')")).await;
    for late in ["40 seconds", "30 seconds"] {
        fixture.miss("theirs", 1, late).await;
    }
    fixture.miss("ours", 1, "30 seconds").await;
    fixture.wait_for_tasks("ours", 1).await;
    fixture
        .assert_holds(&format!(
            "select last_refusal = 'PA082: {name} may not use the target ''there''' from async.v_schedule
             where schedule = 'theirs'"
        ))
        .await;
    fixture
        .assert_holds("select count(*) = 1 from async.server_log where message like 'the schedule ''theirs'' did not push: PA082%'")
        .await;
    drop(session);
    fixture.run(&format!("drop owned by {name}; drop role {name}")).await;
    fixture.miss("theirs", 1, "20 seconds").await;
    fixture
        .assert_holds(
            "select last_refusal like 'PA0A6: the role % does not exist' from async.v_schedule where schedule = 'theirs'",
        )
        .await;
    assert_eq!(fixture.tasks_of("theirs").await, 1);
}

async fn a_trigger_that_raises_stops_no_other_schedule<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run(
            "create function public.refuse() returns trigger language plpgsql as $f$ begin
               if new.schedule = 'bad' then raise exception 'not this one: password=secret'; end if;
               return new; end $f$;
             create trigger refuse before insert on async.task for each row execute procedure public.refuse()",
        )
        .await;
    fixture.schedule("bad", "'every 1 hour', 'select 1', 'there'").await;
    fixture.schedule("good", "'every 1 hour', 'select 1', 'there'").await;
    fixture.miss("bad", 1, "30 seconds").await;
    fixture.miss("good", 1, "30 seconds").await;
    fixture.wait_for_tasks("good", 1).await;
    fixture.wait_until_finished().await;
    fixture
        .assert_holds(
            "select last_refusal = 'P0001: not this one: password=****' from async.v_schedule where schedule = 'bad'",
        )
        .await;
}

async fn a_schedule_that_a_client_holds_delays_no_other<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.schedule("held", "'every 1 hour', 'select 1', 'there'").await;
    fixture.schedule("free", "'every 1 hour', 'select 1', 'there'").await;
    let session = fixture.connect().await;
    session
        .batch_execute(
            "begin; update async.schedule set last_time = now() - interval '2 hours',
               next_time = now() - interval '61 minutes', look_at = now() - interval '61 minutes' where schedule = 'held';
             commit; begin; select from async.schedule where schedule = 'held' for update",
        )
        .await
        .expect("the row is free");
    fixture.miss("free", 1, "30 seconds").await;
    fixture.wait_for_tasks("free", 1).await;
    // The leader may have been faster than the lock.
    let before = fixture.tasks_of("held").await;
    session.batch_execute("commit").await.expect("committed");
    fixture.wait_for_tasks("held", 1).await;
    assert!(before <= 1);
}

async fn a_pause_lets_times_pass<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.schedule("load", "'every 1 hour', 'select 1', 'there', overlap => 'allow_all', catch_up => 'all'").await;
    fixture.run("select async.pause_schedule('load')").await;
    fixture
        .run(
            "update async.schedule set last_time = now() - interval '3 hours 1 minute',
               next_time = now() - interval '2 hours 1 minute'",
        )
        .await;
    fixture.assert_holds("select paused and next_time is null from async.v_schedule").await;
    // A schedule that is replaced stays paused, and keeps its state.
    fixture.schedule("load", "'every 1 hour', 'select 2', 'there', overlap => 'allow_all', catch_up => 'all'").await;
    fixture.assert_holds("select paused and last_time < now() - interval '3 hours' from async.schedule").await;
    fixture.schedule("tick", "'every 1 second', 'select 1', 'there'").await;
    fixture.wait_for("select count(*) >= 2 from async.task where schedule = 'tick'").await;
    assert_eq!(fixture.tasks_of("load").await, 0);
    fixture
        .assert_holds(
            "select async.resume_schedule('load') between now() + interval '58 minutes' and now() + interval '1 hour'",
        )
        .await;
    fixture.assert_holds("select not paused and next_time > now() from async.v_schedule where schedule = 'load'").await;
    fixture.wait_for("select count(*) >= 4 from async.task where schedule = 'tick'").await;
    assert_eq!(fixture.tasks_of("load").await, 0);
    fixture.miss("load", 1, "10 seconds").await;
    fixture.wait_for_tasks("load", 1).await;
    fixture.assert_holds("select query = 'select 2' from async.task where schedule = 'load'").await;
}

async fn a_clock_that_was_set_back_by_hours_goes_on_from_now<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.schedule("load", "'every 1 second', 'select 1', 'there'").await;
    fixture.schedule("near", "'every 1 second', 'select 1', 'there'").await;
    fixture
        .run(
            "update async.schedule set last_time = now() + d, next_time = now() + d + interval '1 second',
               look_at = now() + d + interval '1 second'
             from (values ('load', interval '2 hours'), ('near', interval '59 minutes')) as v(name, d)
             where schedule = name;
             select async.wake_leader()",
        )
        .await;
    // The Rust engine looks at it when it sweeps: once a minute, and when a task is due.
    fixture.run("select async.push('select 0', 'there', run_at => now() + interval '0.2 s')").await;
    fixture.wait_for("select count(*) >= 2 from async.task where schedule = 'load'").await;
    fixture
        .assert_holds(
            "select count(*) = 1 from async.server_log
             where level = 'WARNING' and message like 'the schedule ''load'' goes on from %: the clock was set back, %'",
        )
        .await;
    // After a smaller step no time fires twice.
    fixture.assert_holds("select count(*) = 0 from async.task where schedule = 'near' and scheduled_for < now() + interval '58 minutes'").await;
}

async fn the_options_of_a_schedule_are_those_of_its_tasks<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "retry_policies": [{ "retry_policy": "careful" }] })).await;
    fixture
        .schedule(
            "load",
            "'every 1 hour', 'select 1', 'there', priority => 7, concurrency_pool => 'loads', timeout => '5 minutes',
             task_data => '{\"a\": 1}', track_yielded => true, source => 'nightly', retry => 'careful',
             expires_after => '2 hours'",
        )
        .await;
    fixture.miss("load", 1, "10 seconds").await;
    fixture.wait_for_tasks("load", 1).await;
    fixture.wait_until_finished().await;
    fixture
        .assert_holds(
            "select priority = 7 and concurrency_pool = 'loads' and manual_timeout = '5 minutes' and track_yielded
               and task_data = '{\"a\": 1}' and source = 'nightly' and retry ->> 'name' = 'careful' and attempt = 0
               and expires_at = entered + interval '2 hours' and finish_status = 'FINISHED'
             from async.v_task where schedule = 'load'",
        )
        .await;
    fixture.push(SLOW).await;
    fixture.assert_holds("select count(*) = 1 from async.task where schedule is null and scheduled_for is null").await;
}

conformance!(
    a_sleeping_leader_fires_each_time_once_and_in_time,
    missed_times_fire_as_catch_up_says,
    a_time_is_skipped_while_the_task_before_it_is_unfinished,
    a_task_that_waits_for_its_next_attempt_is_unfinished,
    one_time_waits_for_the_end_with_buffer_one,
    each_missed_time_fires_in_order_and_alone_with_buffer_all,
    the_other_task_is_canceled_first_with_cancel_other,
    tasks_overlap_with_allow_all,
    a_tag_is_resolved_when_the_schedule_fires,
    a_time_waits_at_one_target_and_fires_at_another,
    a_refusal_is_recorded_and_stops_no_other_schedule,
    a_trigger_that_raises_stops_no_other_schedule,
    a_schedule_that_a_client_holds_delays_no_other,
    a_pause_lets_times_pass,
    a_clock_that_was_set_back_by_hours_goes_on_from_now,
    the_options_of_a_schedule_are_those_of_its_tasks,
);
