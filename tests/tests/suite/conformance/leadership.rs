//! One leads; another takes over; what the one before left is resolved, and nothing runs twice.

use std::time::{Duration, Instant};

use pgasync_tests::{Engine, Outcome};
use serde_json::json;

use super::bed::{Bed, SLOW, SOON};

async fn only_one_leads_and_the_other_says_so_and_returns<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let mut second = E::attach(&bed.database);
    second.start().await;
    assert_eq!(second.wait_until_ended().await, Outcome::Returned);
    assert!(!second.notices().is_empty());
    assert!(bed.engine.is_leading().await);
    bed.run_task("select 1").await.succeeded();
}

async fn a_change_of_the_mutex_does_not_make_two_leaders<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.configure(&json!({ "control": { "advisory_mutex_id": 7 } })).await;
    let mut second = E::attach(&bed.database);
    second.start().await;
    assert_eq!(second.wait_until_ended().await, Outcome::Returned);
    bed.run_task("select 1").await.succeeded();
    assert!(bed.engine.is_leading().await);
}

async fn a_forced_takeover_works_after_the_mutex_was_changed<E: Engine>() {
    let mut bed = Bed::<E>::led().await;
    bed.configure(&json!({ "control": { "advisory_mutex_id": -7 } })).await;
    let mut second = E::attach(&bed.database);
    second.start_forced().await;
    second.wait_until_leading().await;
    bed.engine.wait_until_ended().await;
    bed.run_task("select 1").await.succeeded();
}

async fn a_forced_takeover_touches_no_other_database_s_orchestrator<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let neighbour = Bed::<E>::led().await;
    let mut second = E::attach(&bed.database);
    second.start_forced().await;
    second.wait_until_leading().await;
    assert!(neighbour.engine.is_leading().await);
    neighbour.run_task("select 1").await.succeeded();
}

async fn a_forced_start_without_anyone_leading_leads<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    bed.engine.start_forced().await;
    bed.engine.wait_until_leading().await;
    bed.run_task("select 1").await.succeeded();
}

async fn a_takeover_loses_no_task_and_runs_none_twice<E: Engine>() {
    let mut bed = Bed::<E>::led().await;
    bed.run(
        "select async.push_tasks(array_agg(async.task(
            'insert into ledger (mark) select ''##flow.TASK_ID##'' from pg_sleep(0.03)', 'there')))
         from generate_series(1, 200)",
    )
    .await;
    for _ in 0..2 {
        bed.wait_for("select exists (select from async.task where consumed is not null and processed is null)").await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        let mut next = E::attach(&bed.database);
        next.start_forced().await;
        next.wait_until_leading().await;
        std::mem::replace(&mut bed.engine, next).wait_until_ended().await;
    }
    bed.wait_until_finished().await;
    bed.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
    assert!(bed.target.repeated_marks().await.is_empty());
    assert_eq!(bed.number_there("select count(*) from ledger").await, 200);
    bed.wait_until_no_slot_is_taken().await;
}

async fn when_it_stops_it_releases_its_locks_and_closes_its_sessions<E: Engine>() {
    let mut bed = Bed::<E>::led().await;
    bed.run_task("select 1").await.succeeded();
    let begin = Instant::now();
    bed.engine.stop().await;
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert!(!bed.engine.is_leading().await);
    bed.wait_for("select not async.someone_leads() and pid is null and running_since is null from async.control").await;
    bed.wait_for(&format!(
        "select not exists (select from pg_stat_activity where application_name like 'pgasync/%'
            and datname in ('{}', '{}'))",
        bed.name(),
        bed.target.name()
    ))
    .await;
    bed.wait_for(
        "select not exists (select from pg_locks l join pg_database d on d.oid = l.database
        where locktype = 'advisory' and datname = current_database())",
    )
    .await;
}

async fn when_it_stops_running_queries_end_or_go_back_to_the_queue<E: Engine>() {
    let mut bed = Bed::<E>::led().await;
    let id = bed.push("insert into ledger (mark) select 'ran' from pg_sleep(25)").await;
    bed.wait_until_it_runs(id).await;
    let begin = Instant::now();
    bed.engine.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    // Nothing is left at the target that nobody watches.
    bed.wait_for(&format!(
        "select not exists (select from pg_stat_activity where datname = '{}' and query like '%ran%'
            and state = 'active' and pid <> pg_backend_pid())",
        bed.target.name()
    ))
    .await;
    bed.assert_holds("select async.task_execution_state(t) = 'READY' and tracked is not true from async.task t").await;
    assert_eq!(bed.target.marks("ran").await, 0);
    bed.run("update async.task set query = 'insert into ledger (mark) values (''ran'')'").await;
    let mut next = E::attach(&bed.database);
    next.lead().await;
    bed.end_of(id).await.succeeded();
    assert_eq!(bed.target.marks("ran").await, 1);
}

async fn disabled_it_ends_and_lets_short_queries_end<E: Engine>() {
    let mut bed = Bed::<E>::led().await;
    let id = bed.push("select pg_sleep(0.7)").await;
    bed.wait_until_it_runs(id).await;
    bed.run("update async.control set enabled = false").await;
    assert_eq!(bed.engine.wait_until_ended().await, Outcome::Returned);
    bed.end_of(id).await.succeeded();
    // Disabled, nobody comes to lead; it says so.
    let mut second = E::attach(&bed.database);
    second.start().await;
    assert_eq!(second.wait_until_ended().await, Outcome::Returned);
    assert!(!second.notices().is_empty());
    bed.run("update async.control set enabled = true").await;
    let mut third = E::attach(&bed.database);
    third.lead().await;
    bed.run_task("select 1").await.succeeded();
}

async fn after_a_lost_leader_what_ran_fails_as_unknown_and_is_not_run_again<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    bed.configure(&json!({ "control": { "takeover_grace": "0.2 s" } })).await;
    bed.engine.lead().await;
    let slow = bed.push("insert into ledger (mark) select 'never' from pg_sleep(25)").await;
    bed.wait_until_it_runs(slow).await;
    bed.engine.terminate().await;
    let waiting = bed.push("insert into ledger (mark) values ('later')").await;
    let mut next = E::attach(&bed.database);
    next.lead().await;
    let error = bed.end_within(slow, SOON).await.is("FAILED").expect("says why");
    assert!(error.contains("outcome unknown"), "{error}");
    bed.end_of(waiting).await.succeeded();
    // Its session is gone, not only forgotten.
    assert_eq!(
        bed.number(&format!(
            "select count(*) from pg_stat_activity where datname = '{}' and query like '%never%' and state = 'active'
                and pid <> pg_backend_pid()",
            bed.target.name()
        ))
        .await,
        0
    );
    assert_eq!(bed.target.marks("never").await, 0);
    bed.wait_until_no_slot_is_taken().await;
}

async fn after_a_lost_leader_nothing_runs_twice_and_no_limit_is_exceeded<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    bed.run_there("create table spans (began timestamptz, ended timestamptz)").await;
    bed.configure(&json!({ "control": { "takeover_grace": "0.1 s" } })).await;
    bed.engine.lead().await;
    bed.run(
        "select async.push_tasks(array_agg(async.task(
            'do $d$ declare began timestamptz := clock_timestamp(); begin
                insert into ledger (mark) values (''##flow.TASK_ID##''); perform pg_sleep(0.04);
                insert into spans values (began, clock_timestamp()); end $d$', 'there')))
         from generate_series(1, 150)",
    )
    .await;
    for _ in 0..3 {
        bed.wait_for("select exists (select from async.task where consumed is not null and processed is null)").await;
        tokio::time::sleep(Duration::from_millis(120)).await;
        bed.engine.terminate().await;
        bed.engine = E::attach(&bed.database);
        bed.engine.lead().await;
    }
    bed.wait_until_finished().await;
    // Each time four ran; as many may have ended just before, their results unwritten.
    bed.assert_holds(
        "select bool_and(finish_status = 'FINISHED' or processing_error like '%outcome unknown%')
            and count(*) filter (where failed) <= 24 from async.task",
    )
    .await;
    assert!(bed.target.repeated_marks().await.is_empty());
    let most = bed
        .number_there(
            "select max(n) from (select count(*) as n from (select *, row_number() over () as id from spans) a
             join spans b on b.began <= a.began and b.ended > a.began group by a.id) o",
        )
        .await;
    assert!(most <= 4, "{most} at once");
    bed.wait_until_no_slot_is_taken().await;
}

async fn an_unforced_successor_gives_a_lost_process_its_grace_and_a_forced_one_does_not<E: Engine>() {
    let mut bed = Bed::<E>::led().await;
    bed.engine.stop().await;
    for (forced, grace) in [(false, 2), (true, 60)] {
        bed.configure(&json!({ "control": { "takeover_grace": format!("{grace} s") } })).await;
        // As one leaves it that lost its connection; a backend that ended does not come back.
        bed.run("update async.leader set goodbye = false, engine = 'rust'").await;
        let begin = Instant::now();
        bed.engine = E::attach(&bed.database);
        if forced {
            bed.engine.start_forced().await;
        } else {
            bed.engine.start().await;
        }
        bed.engine.wait_until_leading().await;
        assert_eq!(begin.elapsed() < Duration::from_secs(grace), forced, "{:?}", begin.elapsed());
        bed.engine.stop().await;
    }
}

async fn a_leader_that_said_goodbye_is_followed_without_waiting<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    bed.configure(&json!({ "control": { "takeover_grace": "1 hour" } })).await;
    bed.engine.lead().await;
    bed.run_task("select 1").await.succeeded();
    bed.engine.stop().await;
    bed.assert_holds("select goodbye from async.leader").await;
    bed.engine = E::attach(&bed.database);
    bed.engine.lead().await;
    bed.run_task("select 1").await.succeeded();
}

async fn yielded_and_pulled_tasks_survive_a_change_of_leader<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    bed.configure(&json!({ "control": { "takeover_grace": "0.1 s" }, "targets": [
        bed.there(&json!({ "asynchronous_finish": true, "max_workers": 2 }))] }))
        .await;
    bed.engine.lead().await;
    let yielded = bed.push_as("'select 1', 'there', track_yielded => true").await;
    let pulled = bed.push_as("null, 'there'").await;
    bed.wait_until(yielded, "YIELDED").await;
    assert_eq!(bed.number("select task_id from async.get_tasks('there')").await, pulled);
    let before = bed.text("select string_agg(t::text, ';' order by task_id) from async.task t").await;
    for forced in [false, true] {
        if forced {
            let mut next = E::attach(&bed.database);
            next.start_forced().await;
            next.wait_until_leading().await;
            std::mem::replace(&mut bed.engine, next).wait_until_ended().await;
        } else {
            bed.engine.terminate().await;
            bed.engine = E::attach(&bed.database);
            bed.engine.lead().await;
        }
        bed.run("select async.wait_for_latch()").await;
        assert_eq!(bed.text("select string_agg(t::text, ';' order by task_id) from async.task t").await, before);
    }
    // They hold their slots still: the pool of two is full.
    let next = bed.push("select 1").await;
    bed.end_of(bed.push_as("'select 1', 'SELF'").await).await.succeeded();
    bed.assert_holds(&format!("select consumed is null from async.task where task_id = {next}")).await;
    bed.run(&format!("select async.finish(array[{yielded}, {pulled}], 'FINISHED', null)")).await;
    bed.end_of(yielded).await.succeeded();
    bed.end_of(pulled).await.succeeded();
    bed.wait_until(next, "YIELDED").await;
}

async fn requests_survive_a_change_of_leader<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    bed.configure(&json!({ "control": { "takeover_grace": "0.1 s" } })).await;
    let canceled = bed.push("insert into ledger (mark) values ('never')").await;
    let deferred = bed.push("select 1").await;
    bed.run(&format!("select async.cancel(array[{canceled}]); select async.defer(array[{deferred}], '1 hour')")).await;
    bed.engine.lead().await;
    bed.end_of(canceled).await.is("CANCELED");
    bed.wait_for(&format!("select eligible_when is not null from async.task where task_id = {deferred}")).await;
    let running = bed.push(SLOW).await;
    bed.wait_until_it_runs(running).await;
    bed.engine.terminate().await;
    bed.run(&format!("select async.cancel(array[{running}], 'meanwhile')")).await;
    bed.engine = E::attach(&bed.database);
    bed.engine.lead().await;
    let error = bed.end_within(running, SOON).await.is("CANCELED").expect("says why");
    assert!(error.contains("meanwhile"), "{error}");
    assert_eq!(bed.target.marks("never").await, 0);
}

async fn a_target_that_cannot_be_fenced_holds_up_nobody_else<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    let link = super::link::Link::to(&bed.target).await;
    bed.configure(&json!({ "control": { "takeover_grace": "0.1 s" }, "targets": [
        bed.there(&json!({})), { "target": "linked", "connection_string": link.conninfo() }] }))
        .await;
    bed.engine.lead().await;
    let behind = bed.push_as("'select pg_sleep(25)', 'linked'").await;
    let here = bed.push(SLOW).await;
    bed.wait_until(behind, "RUNNING").await;
    bed.wait_until_it_runs(here).await;
    link.freeze();
    bed.engine.terminate().await;
    let mut next = E::attach(&bed.database);
    next.lead().await;
    bed.end_within(here, SOON).await.is("FAILED");
    bed.run_task("select 1").await.succeeded();
    // Nobody knows what became of the other: not resolved, its slot taken.
    bed.assert_holds(&format!("select processed is null and tracked from async.task where task_id = {behind}")).await;
    link.open();
    bed.end_of(behind).await.is("FAILED");
    bed.wait_until_no_slot_is_taken().await;
}

async fn the_leader_publishes_itself<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.assert_holds("select pid is not null and running_since <= now() from async.control").await;
    bed.assert_holds("select async.someone_leads()").await;
    bed.assert_holds("select server_status = 'running' and uptime is not null from async.v_server_info").await;
    bed.run("update async.control set paused = true").await;
    bed.assert_holds("select server_status = 'paused' from async.v_server_info").await;
}

/// A claim that a crash of the server forgot would be run twice.
async fn what_a_leader_commits_is_on_disk_where_the_database_forgoes_that<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    bed.run(
        "do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$;
         create table seen (setting text);
         create procedure look() language plpgsql as $$ begin
            insert into seen values (current_setting('synchronous_commit')); end $$;
         select async.push_routine('LOOP', 'look()')",
    )
    .await;
    bed.engine.lead().await;
    bed.wait_for("select count(*) > 0 from seen").await;
    bed.assert_holds("select bool_and(setting = 'local') from seen").await;
}

/// Of a session of a role that one is not a member of nobody says when it began.
async fn a_session_that_is_hidden_is_not_taken_for_gone<E: Engine>() {
    let mut bed = Bed::<E>::led().await;
    bed.engine.stop().await;
    let blind = format!("blind_{}", bed.target.name());
    bed.run(&format!("create role {blind} login")).await;
    let session = bed.target.settings().connect().await.expect("a second session");
    let who = "select pg_backend_pid(), a.backend_start::text, a.usename::text
               from pg_stat_get_activity(pg_backend_pid()) s join pg_stat_activity a using (pid)";
    let who = session.query_one(who, &[]).await.expect("activity");
    let (pid, start, role): (i32, String, String) = (who.get(0), who.get(1), who.get(2));
    bed.run(&format!(
        "insert into async.session (epoch, slot, target, connection_string, role, pid, backend_start)
         select epoch, 1, 'there', '{} user={blind}', '{role}', {pid}, '{start}' from async.leader",
        bed.target.conninfo()
    ))
    .await;
    bed.engine = E::attach(&bed.database);
    bed.engine.lead().await;
    bed.wait_for("select count(*) > 0 from async.server_log where message ~ 'hidden from this role'").await;
    bed.assert_holds(&format!("select count(*) = 1 from async.session where pid = {pid}")).await;
    session.close().await;
    bed.wait_for(&format!("select count(*) = 0 from async.session where pid = {pid}")).await;
    bed.engine.stop().await;
    bed.run(&format!("drop role {blind}")).await;
}

conformance!(
    a_session_that_is_hidden_is_not_taken_for_gone,
    what_a_leader_commits_is_on_disk_where_the_database_forgoes_that,
    only_one_leads_and_the_other_says_so_and_returns,
    a_change_of_the_mutex_does_not_make_two_leaders,
    a_forced_takeover_works_after_the_mutex_was_changed,
    a_forced_takeover_touches_no_other_database_s_orchestrator,
    a_forced_start_without_anyone_leading_leads,
    a_takeover_loses_no_task_and_runs_none_twice,
    when_it_stops_it_releases_its_locks_and_closes_its_sessions,
    when_it_stops_running_queries_end_or_go_back_to_the_queue,
    disabled_it_ends_and_lets_short_queries_end,
    after_a_lost_leader_what_ran_fails_as_unknown_and_is_not_run_again,
    after_a_lost_leader_nothing_runs_twice_and_no_limit_is_exceeded,
    an_unforced_successor_gives_a_lost_process_its_grace_and_a_forced_one_does_not,
    a_leader_that_said_goodbye_is_followed_without_waiting,
    yielded_and_pulled_tasks_survive_a_change_of_leader,
    requests_survive_a_change_of_leader,
    a_target_that_cannot_be_fenced_holds_up_nobody_else,
    the_leader_publishes_itself,
);
