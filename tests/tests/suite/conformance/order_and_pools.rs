//! Who runs next, and how many at once.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use pgasync_tests::Engine;
use serde_json::json;

use super::bed::{Bed, SLOW, SOON};

/// A query that writes down from when to when it ran, as the target saw it.
fn span(pool: &str, seconds: f64) -> String {
    format!(
        "do $d$ declare began timestamptz := clock_timestamp(); begin perform pg_sleep({seconds});
         insert into spans values ('{pool}', began, clock_timestamp()); end $d$"
    )
}

/// How many of the spans that match a condition overlapped at the worst instant.
async fn most_at_once<E: Engine>(bed: &Bed<E>, condition: &str) -> i64 {
    bed.number_there(&format!(
        "with s as (select *, row_number() over () as id from spans where {condition})
         select max(n) from (select count(*) as n from s a join s b on b.began <= a.began and b.ended > a.began
         group by a.id) o"
    ))
    .await
}

/// With the table `spans` at the target.
async fn with_spans<E: Engine>(workers: u32, there: u32) -> Bed<E> {
    let mut bed = Bed::<E>::prepared().await;
    bed.run_there("create table spans (pool text, began timestamptz, ended timestamptz)").await;
    bed.configure(&json!({
        "control": { "workers": workers },
        "targets": [
            bed.there(&json!({ "max_workers": there })),
            { "target": "too", "connection_string": bed.target.conninfo(), "max_workers": 8 },
        ],
        "concurrency_pools": [{ "concurrency_pool": "narrow", "max_workers": 2 }],
    }))
    .await;
    bed.engine.lead().await;
    bed
}

async fn push_spans<E: Engine>(bed: &Bed<E>, count: u32, target: &str, pool: Option<&str>) {
    bed.rows(
        "select async.push_tasks(array_agg(async.task($1, $2, concurrency_pool => $3))) from generate_series(1, $4)",
        &[&span(pool.unwrap_or(target), 0.15), &target, &pool, &i32::try_from(count).expect("a few")],
    )
    .await;
}

async fn lower_priorities_run_first_then_earlier_entries_in_the_order_of_their_array<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.configure(&json!({ "targets": [bed.there(&json!({ "max_workers": 1 }))] })).await;
    bed.run("update async.control set paused = true").await;
    bed.run("select async.wait_for_latch()").await;
    for (first, last) in [(1, 20), (21, 40)] {
        bed.run(&format!(
            "select async.push_tasks(array_agg(async.task(
                format('insert into ledger (mark) values (''%s'')', n), 'there', priority => n * 7 % 5 - 2) order by n))
             from generate_series({first}, {last}) n"
        ))
        .await;
    }
    bed.run("update async.control set paused = false").await;
    bed.wait_until_finished().await;
    let ran = "select string_agg(mark, ',' order by at) from ledger";
    let ran: String = bed.target.session().query_one(ran, &[]).await.expect("a ledger").get(0);
    let wanted = bed.text("select string_agg(n::text, ',' order by n * 7 % 5, n) from generate_series(1, 40) n").await;
    assert_eq!(Some(ran), wanted);
}

async fn a_more_urgent_task_overtakes_those_that_wait<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.configure(&json!({ "targets": [bed.there(&json!({ "max_workers": 1 }))] })).await;
    bed.run(
        "select async.push_tasks(array_agg(async.task('select pg_sleep(0.1)', 'there'))) from generate_series(1, 30)",
    )
    .await;
    bed.wait_for("select count(*) > 2 from async.task where processed is not null").await;
    let urgent = bed.push_as("'select 1', 'there', priority => -5").await;
    bed.end_of(urgent).await.succeeded();
    bed.assert_holds("select count(*) > 5 from async.task where consumed is null").await;
}

async fn a_target_s_pool_is_used_and_never_exceeded<E: Engine>() {
    let bed = with_spans::<E>(10, 3).await;
    push_spans(&bed, 30, "there", None).await;
    bed.wait_until_finished().await;
    assert_eq!(most_at_once(&bed, "true").await, 3);
}

async fn a_named_pool_holds_across_targets<E: Engine>() {
    let bed = with_spans::<E>(10, 8).await;
    push_spans(&bed, 12, "there", Some("narrow")).await;
    push_spans(&bed, 12, "too", Some("narrow")).await;
    bed.wait_until_finished().await;
    assert_eq!(most_at_once(&bed, "true").await, 2);
}

async fn a_task_with_a_pool_of_its_own_does_not_count_against_its_target<E: Engine>() {
    let bed = with_spans::<E>(10, 1).await;
    let slow = bed.push(SLOW).await;
    bed.wait_until_it_runs(slow).await;
    push_spans(&bed, 4, "there", Some("narrow")).await;
    bed.wait_for_within(
        &format!("select bool_and(processed is not null) from async.task where task_id <> {slow}"),
        SOON,
    )
    .await;
    assert_eq!(most_at_once(&bed, "true").await, 2);
}

async fn the_total_of_workers_is_never_exceeded<E: Engine>() {
    let bed = with_spans::<E>(3, 8).await;
    push_spans(&bed, 15, "there", None).await;
    push_spans(&bed, 15, "too", None).await;
    push_spans(&bed, 6, "too", Some("narrow")).await;
    bed.wait_until_finished().await;
    assert_eq!(most_at_once(&bed, "true").await, 3);
}

async fn a_pool_that_nobody_configured_gets_the_default_size<E: Engine>() {
    let bed = with_spans::<E>(10, 8).await;
    push_spans(&bed, 16, "there", Some("unheard of")).await;
    bed.wait_until_finished().await;
    assert_eq!(most_at_once(&bed, "true").await, 4);
    bed.configure(&json!({ "control": { "default_concurrency_pool_workers": 1 } })).await;
    push_spans(&bed, 6, "there", Some("another")).await;
    bed.wait_until_finished().await;
    assert_eq!(most_at_once(&bed, "pool = 'another'").await, 1);
}

async fn a_full_pool_holds_up_nobody_else<E: Engine>() {
    let bed = with_spans::<E>(6, 4).await;
    bed.run(&format!(
        "select async.push_tasks(array_agg(async.task('{SLOW}', 'too', priority => -100, concurrency_pool => 'narrow')))
         from generate_series(1, 300)"
    ))
    .await;
    bed.wait_for("select count(*) = 2 from async.task where consumed is not null").await;
    for _ in 0..10 {
        bed.run_task("select 1").await.succeeded();
    }
    bed.assert_holds("select count(*) = 298 from async.task where consumed is null").await;
}

async fn a_pool_of_nothing_holds_its_tasks_until_it_is_raised<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.configure(&json!({ "concurrency_pools": [{ "concurrency_pool": "shut", "max_workers": 0 }] })).await;
    let id = bed.push_as("'select 1', 'there', concurrency_pool => 'shut'").await;
    bed.run_task("select 1").await.succeeded();
    bed.run("select async.wait_for_latch()").await;
    bed.assert_holds(&format!("select consumed is null from async.task where task_id = {id}")).await;
    bed.configure(&json!({ "concurrency_pools": [{ "concurrency_pool": "shut", "max_workers": 1 }] })).await;
    bed.end_of(id).await.succeeded();
}

async fn sizes_change_live<E: Engine>() {
    let bed = with_spans::<E>(10, 1).await;
    push_spans(&bed, 3, "there", None).await;
    bed.wait_until_finished().await;
    assert_eq!(most_at_once(&bed, "true").await, 1);

    bed.run_there("truncate spans").await;
    let sized = async |size: u32, workers: u32| {
        let narrow = json!({ "concurrency_pool": "narrow", "max_workers": 2 });
        let too = json!({ "target": "too", "max_workers": 8 });
        bed.configure(&json!({ "control": { "workers": workers }, "concurrency_pools": [narrow],
            "targets": [bed.there(&json!({ "max_workers": size })), too] }))
            .await;
        // The engine may take a moment to hear of it.
        tokio::time::sleep(Duration::from_millis(600)).await;
    };
    sized(5, 10).await;
    push_spans(&bed, 20, "there", None).await;
    bed.wait_until_finished().await;
    assert_eq!(most_at_once(&bed, "true").await, 5);

    bed.run_there("truncate spans").await;
    sized(5, 2).await;
    push_spans(&bed, 10, "there", None).await;
    bed.wait_until_finished().await;
    assert_eq!(most_at_once(&bed, "true").await, 2);
}

async fn fewer_workers_than_are_busy_let_the_busy_ones_end<E: Engine>() {
    let bed = with_spans::<E>(6, 6).await;
    bed.run("select async.push_tasks(array_agg(async.task('select pg_sleep(1)', 'there'))) from generate_series(1, 6)")
        .await;
    bed.wait_for("select count(*) = 6 from async.task where consumed is not null").await;
    bed.configure(&json!({ "control": { "workers": 2 } })).await;
    push_spans(&bed, 8, "there", None).await;
    bed.wait_until_finished().await;
    bed.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
    assert_eq!(most_at_once(&bed, "true").await, 2);
    bed.configure(&json!({ "control": { "workers": 5 } })).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    bed.run_there("truncate spans").await;
    push_spans(&bed, 15, "there", None).await;
    bed.wait_until_finished().await;
    assert_eq!(most_at_once(&bed, "true").await, 5);
    bed.wait_until_no_slot_is_taken().await;
}

async fn tasks_in_many_pools_all_run<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.run(
        "select async.push_tasks(array_agg(async.task('select 1', 'there', concurrency_pool => 'pool ' || n)))
         from generate_series(1, 150) n",
    )
    .await;
    bed.wait_until_finished().await;
    bed.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
}

async fn a_backlog_in_another_pool_does_not_slow_the_rest<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.configure(&json!({ "concurrency_pools": [{ "concurrency_pool": "shut", "max_workers": 0 }] })).await;
    let timed = async || {
        let begin = Instant::now();
        bed.run("select async.push_tasks(array_agg(async.task('select 0', 'there'))) from generate_series(1, 200)")
            .await;
        bed.wait_for("select not exists (select from async.v_unfinished_task where concurrency_pool = 'there')").await;
        begin.elapsed()
    };
    timed().await;
    let without = timed().await;
    bed.run(
        "select count(*) from (select async.push_tasks(array_agg(async.task('select 0', 'there', priority => -9,
            concurrency_pool => 'shut'))) from generate_series(1, 30000)) as p",
    )
    .await;
    let with = timed().await;
    assert!(with < without * 4 + Duration::from_millis(500), "{with:?} with a backlog, {without:?} without");
}

async fn what_is_published_agrees_with_what_runs<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.run(&format!("select async.push_tasks(array_agg(async.task('{SLOW}', 'there'))) from generate_series(1, 9)"))
        .await;
    bed.wait_for("select count(*) = 4 from async.task where consumed is not null").await;
    bed.wait_for(
        "select workers = 4 and max_workers = 4 from async.concurrency_pool_tracker where concurrency_pool = 'there'",
    )
    .await;
    bed.wait_for("select async.active_workers() = 4 and count(*) = 6 from async.worker").await;
    bed.assert_holds(
        "select count(*) = 4 and bool_and(w.target = 'there' and w.running_since is not null and t.consumed is not null)
         from async.worker w join async.task t using (task_id)",
    )
    .await;
    bed.assert_holds("select jsonb_array_length(async.worker_info()) = 6").await;
    bed.run("select async.reinitialize_workers()").await;
}

/// Many tasks with random targets, pools, priorities, ends and interventions: no limit is exceeded, no task is run
/// twice, and each ends as it must.
async fn whatever_comes_limits_hold_and_each_task_ends_once<E: Engine>() {
    let seed = RandomState::new().hash_one(0) % 1_000_000;
    eprintln!("seed {seed}");
    let bed = with_spans::<E>(7, 4).await;
    bed.run("create table deferred (task_id bigint)").await;
    bed.run(&format!(
        "select setseed({seed} / 1000000.0);
         select async.push_tasks(array_agg(async.task(
            format($q$ do $d$ declare began timestamptz := clock_timestamp(); begin
                insert into ledger (mark) values ('##flow.TASK_ID##'); perform pg_sleep(%s);
                insert into spans values ('%s', began, clock_timestamp()); %s end $d$ $q$,
                round((random() * 0.05)::numeric, 3), pool,
                case when random() < 0.2 then 'perform 1/0;' end),
            target, priority => (random() * 6)::int - 3, concurrency_pool => nullif(pool, target))))
         from (
            select target, case when random() < 0.5 then target else (array['narrow', 'open'])[1 + n % 2] end as pool
            from (select n, (array['there', 'too'])[1 + (random() * 1.98)::int % 2] as target
                  from generate_series(1, 250) n offset 0) t offset 0) p"
    ))
    .await;
    let mut interventions = 0;
    while !bed.holds("select not exists (select from async.task where processed is null)").await {
        interventions += 1;
        assert!(interventions < 3000, "seed {seed}\n{}", bed.report().await);
        bed.run(
            "set client_min_messages = error;
             with one as (
                select task_id, (random() * 8)::int as what from async.task where processed is null
                order by random() limit 1
             ), noted as (insert into deferred select task_id from one where what = 1)
             select case what when 0 then async.cancel(array[task_id]) when 1 then async.defer(array[task_id], '0.1 s')
                when 2 then async.finish(array[task_id], 'PAUSED', null) end from one",
        )
        .await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for (pool, limit) in [("there", 4), ("too", 8), ("narrow", 2), ("open", 4)] {
        let most = most_at_once(&bed, &format!("pool = '{pool}'")).await;
        assert!(most <= limit, "seed {seed}: {most} at once in {pool}");
    }
    let most = most_at_once(&bed, "true").await;
    assert!(most <= 7, "seed {seed}: {most} at once");
    bed.assert_holds(
        "select bool_and(finish_status in ('FINISHED', 'FAILED', 'CANCELED')
            and failed = (finish_status <> 'FINISHED') and (processing_error is null) = not failed) from async.task",
    )
    .await;
    // What committed is counted once for each that finished, and never for one that did not. A deferral that comes while
    // a query commits has it run again.
    let deferred =
        bed.text("select coalesce(string_agg(task_id::text, ','), '0') from deferred").await.unwrap_or_default();
    let finished = format!(
        "select string_agg(task_id::text, ',' order by task_id) from async.task where not failed and task_id not in ({deferred})"
    );
    let finished = bed.text(&finished).await;
    let marks = format!(
        "select string_agg(mark, ',' order by mark::bigint) from ledger where mark::bigint not in ({deferred})"
    );
    let marks: Option<String> = bed.target.session().query_one(&marks, &[]).await.expect("a ledger").get(0);
    assert_eq!(marks, finished, "seed {seed}");
    bed.wait_until_no_slot_is_taken().await;
}

conformance!(
    lower_priorities_run_first_then_earlier_entries_in_the_order_of_their_array,
    a_more_urgent_task_overtakes_those_that_wait,
    a_target_s_pool_is_used_and_never_exceeded,
    a_named_pool_holds_across_targets,
    a_task_with_a_pool_of_its_own_does_not_count_against_its_target,
    the_total_of_workers_is_never_exceeded,
    a_pool_that_nobody_configured_gets_the_default_size,
    a_full_pool_holds_up_nobody_else,
    a_pool_of_nothing_holds_its_tasks_until_it_is_raised,
    sizes_change_live,
    fewer_workers_than_are_busy_let_the_busy_ones_end,
    tasks_in_many_pools_all_run,
    a_backlog_in_another_pool_does_not_slow_the_rest,
    what_is_published_agrees_with_what_runs,
    whatever_comes_limits_hold_and_each_task_ends_once,
);
