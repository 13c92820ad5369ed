//! Schedules: when they fire, what they do while a task of them is unfinished, and what is refused.

use pgasync_pg::Session;
use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::{Fixture, SLOW};

/// Writes the id of its task to the ledger of the target.
const MARK: &str = "insert into ledger (mark) values ('##flow.TASK_ID##')";

impl<E: Engine> Fixture<E> {
    /// Makes a schedule with the arguments that follow its name.
    async fn schedule(&self, name: &str, arguments: &str) {
        self.run(&format!("select async.schedule('{name}', {arguments})")).await;
    }

    /// As if no leader had fired an hourly schedule for some hours. Its newest time was `late` ago.
    async fn miss(&self, name: &str, hours: i32, late: &str) {
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

    async fn wait_for_tasks(&self, name: &str, tasks: i64) {
        self.wait_for(&format!("select count(*) = {tasks} from async.task where schedule = '{name}'")).await;
    }

    /// A role of this test, as a client of the target `there`.
    async fn client(&self, kind: &str) -> (String, Session) {
        let name = format!("{}_{kind}", self.name());
        let name = name[name.len().saturating_sub(60)..].to_owned();
        self.run(&format!("create role {name}; select async.grant_client('{name}', '{{there}}')")).await;
        let session = self.connect().await;
        session.batch_execute(&format!("set role {name}")).await.expect("the superuser may");
        (name, session)
    }
}

/// The SQLSTATE and the message of a refusal.
async fn refused(session: &Session, sql: &str) -> (String, String) {
    let error = session.batch_execute(sql).await.expect_err(sql);
    let refusal = error.server().expect("refused by the server");
    (refusal.sqlstate.to_owned(), refusal.message.to_owned())
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

async fn a_schedule_belongs_to_its_owner<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    let (one, first) = fixture.client("one").await;
    let (two, second) = fixture.client("two").await;
    let made = "select async.schedule('load', '@daily', 'select ''secret''', 'there', task_data => '{\"a\": 1}')";
    first.batch_execute(made).await.expect("granted");
    for (sql, code, says) in [
        (made, "PA0A2", format!("schedule 'load': the schedule belongs to the role {one}")),
        (
            "select async.unschedule('load')",
            "PA0A4",
            format!("schedule 'load': the schedule belongs to the role {one}"),
        ),
        ("select async.pause_schedule('load')", "PA0A4", String::new()),
        ("select async.resume_schedule('load')", "PA0A4", String::new()),
        ("select async.unschedule('lod')", "PA0A3", "schedule 'lod': there is no such schedule".to_owned()),
        ("select async.schedule('other', '@daily', 'select 1', 'self')", "PA082", String::new()),
        ("select * from async.schedule", "42501", String::new()),
    ] {
        let (found, message) = refused(&second, sql).await;
        assert_eq!(found, code, "{sql}: {message}");
        assert!(message.contains(&says), "{message}");
    }
    let shown =
        "select count(*)::int from async.v_schedule where query = 'select ''secret''' and task_data is not null";
    for (session, sees) in [(&first, 1), (&second, 0), (fixture.session(), 1)] {
        assert_eq!(session.query_one(shown, &[]).await.expect("granted").get::<_, i32>(0), sees);
    }
    fixture.run(&format!("select async.grant_admin('{two}')")).await;
    second.batch_execute("select async.pause_schedule('load')").await.expect("an administrator may");
    assert_eq!(second.query_one(shown, &[]).await.expect("granted").get::<_, i32>(0), 1);
    assert_eq!(refused(&second, made).await.0, "PA0A2");
    first.batch_execute(made).await.expect("its owner may replace it");
    first.batch_execute("select async.unschedule('load')").await.expect("its owner may remove it");
    // Its own schedule keeps a role from nothing.
    for (session, role) in [(first, one), (second, two)] {
        drop(session);
        fixture.run(&format!("drop owned by {role}; drop role {role}")).await;
    }
}

async fn what_cannot_be_is_refused_with_the_option_and_its_value<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    for (arguments, code, says) in [
        ("'n', '0 25 * * *', 'select 1', 'there'", "PA0A0", "0 25 * * *"),
        ("'n', '0 0 31 2 *', 'select 1', 'there'", "PA0A0", "0 0 31 2 *"),
        ("'n', null, 'select 1', 'there'", "PA0A0", "null"),
        ("' ', '@daily', 'select 1', 'there'", "PA0A1", "schedule.name: must not be empty"),
        ("null, '@daily', 'select 1', 'there'", "PA0A1", "schedule.name: must not be empty"),
        (
            "'n', '@daily', 'select 1', 'there', time_zone => 'Mars/Base'",
            "PA0A1",
            "schedule 'n'.time_zone: there is no time zone 'Mars/Base'",
        ),
        (
            "'n', '@daily', 'select 1', 'there', overlap => 'maybe'",
            "PA0A1",
            "schedule 'n'.overlap: must be one of skip, ",
        ),
        ("'n', '@daily', 'select 1', 'there', catch_up => 'some'", "PA0A1", "not 'some'"),
        (
            "'n', '@daily', 'select 1', 'there', catch_up => 'all'",
            "PA0A1",
            "schedule 'n'.catch_up: must not be all with overlap 'skip'",
        ),
        ("'n', '@daily', 'select 1', 'there', expires_after => '0'", "PA0A1", "schedule 'n'.expires_after: must be"),
        (
            "'n', '@daily', 'select 1', 'tag:'",
            "PA0A1",
            "schedule 'n'.target: must name a target or tag:NAME, not 'tag:'",
        ),
        ("'n', '@daily', 'select 1', null", "PA0A1", "schedule 'n'.target: "),
        ("'n', '@daily', 'select 1', 'nowhere'", "PA011", "schedule 'n': there is no target 'nowhere'"),
        ("'n', '@daily', null, 'there'", "PA014", "schedule 'n': it has no query"),
        (
            "'n', '@daily', 'select 1', 'there', retry => 'never'",
            "PA01I",
            "schedule 'n': there is no retry policy 'never'",
        ),
        ("'n', '@daily', 'select 1', 'there', timeout => '-1 s'", "PA016", "schedule 'n': its timeout"),
        (
            "'n', '@daily', 'select 1', 'there', source => repeat('x', 256)",
            "PA0A1",
            "schedule 'n'.source: is too long (256 bytes)",
        ),
        ("repeat('x', 256), '@daily', 'select 1', 'there'", "PA0A1", "schedule.name: is too long (256 bytes)"),
    ] {
        let (found, message) = fixture.refused(&format!("select async.schedule({arguments})")).await;
        assert_eq!(found, code, "{arguments}: {message}");
        assert!(message.contains(says), "{arguments}: {message}");
    }
    fixture.assert_holds("select count(*) = 0 from async.schedule").await;
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

async fn a_configuration_owns_the_schedules_that_it_made<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.schedule("mine", "'@daily', 'select 1', 'there'").await;
    let load = json!({
        "schedule": "load", "when": "every 1 hour", "query": "select 1", "target": "there", "priority": 3,
        "timeout": "5 minutes", "overlap": "allow_all",
    });
    let totals =
        json!({ "schedule": "totals", "when": "@daily", "query": "select 2", "target": "there", "paused": true });
    fixture.configure(&json!({ "schedules": [load, totals] })).await;
    fixture.miss("load", 1, "30 seconds").await;
    fixture.wait_for_tasks("load", 1).await;
    fixture
        .assert_holds("select priority = 3 and manual_timeout = '5 minutes' and query = 'select 1' from async.task")
        .await;
    for (sql, says) in [
        (
            "select async.schedule('load', '@daily', 'select 1', 'there')",
            "schedule 'load': async.configure has made this schedule",
        ),
        ("select async.unschedule('load')", "schedule 'load': async.configure has made this schedule"),
    ] {
        let (code, message) = fixture.refused(sql).await;
        assert_eq!((code.as_str(), message.as_str()), ("PA0A2", says));
    }
    // A key that is missing leaves the schedules alone, and so does a document that is refused.
    fixture.configure(&json!({ "control": { "workers": 6 } })).await;
    for (schedules, says) in [
        (json!([{ "schedule": "mine" }]), "schedules[0].when: is required"),
        (
            json!([{ "schedule": "mine", "when": "@daily", "query": "select 1", "target": "there" }]),
            "schedules[0]: the role ",
        ),
        (json!([{ "schedule": "new", "when": "@daily", "query": "select 1" }]), "schedules[0].target: is required"),
        (
            json!([load, { "schedule": "new", "when": "0 99 * * *", "query": "select 1", "target": "there" }]),
            "schedules[1].when: ",
        ),
        (json!([{ "schedule": "load", "target": "nowhere" }]), "schedules[0]: there is no target 'nowhere'"),
        (json!([{ "schedule": "load", "time_zone": "Mars" }]), "schedules[0].time_zone: there is no time zone 'Mars'"),
        (json!([{ "schedule": "load", "overlap": "maybe" }]), "schedules[0].overlap: must be one of skip, "),
        (json!([{ "schedule": "load" }, { "schedule": "load" }]), "schedules[1].schedule: 'load' is given twice"),
        (json!([{ "schedule": "load", "wen": 1 }]), "schedules[0].wen: is no setting"),
    ] {
        let document = json!({ "schedules": schedules });
        let (code, message) = fixture.refused(&format!("select async.configure($pgasync${document}$pgasync$)")).await;
        assert_eq!(code, "PA060", "{message}");
        assert!(message.starts_with(says), "{message}");
    }
    fixture
        .assert_holds("select array_agg(schedule || configured order by schedule) = '{loadtrue,minefalse,totalstrue}' from async.schedule")
        .await;
    // A setting that is left out keeps its value, and a row of the table can be given back.
    let rows =
        fixture.text("select jsonb_agg(to_jsonb(s)) from async.schedule s where configured").await.expect("rows");
    fixture
        .run(&format!("select async.configure(jsonb_build_object('schedules', $pgasync${rows}$pgasync$::jsonb))"))
        .await;
    fixture.configure(&json!({ "schedules": [{ "schedule": "load", "priority": 4 }] })).await;
    fixture
        .assert_holds(
            "select count(*) = 2 and bool_and(schedule = 'mine' or priority = 4 and timeout = '5 minutes'
               and last_fired is not null and next_time > now()) from async.schedule",
        )
        .await;
    fixture.configure(&json!({ "schedules": [] })).await;
    fixture.assert_holds("select array_agg(schedule) = '{mine}' from async.schedule").await;
}

conformance!(
    a_configuration_owns_the_schedules_that_it_made,
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
    a_schedule_belongs_to_its_owner,
    what_cannot_be_is_refused_with_the_option_and_its_value,
    the_options_of_a_schedule_are_those_of_its_tasks,
);
