//! The order of tasks, and the limits of pools and workers.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::{Fixture, SLOW, SOON};

/// A query that records the start and the end of its run at the target.
fn span(pool: &str, seconds: f64) -> String {
    format!(
        "do $d$ declare began timestamptz := clock_timestamp(); begin perform pg_sleep({seconds});
         insert into spans values ('{pool}', began, clock_timestamp()); end $d$"
    )
}

/// The largest number of overlapping spans that match a condition.
async fn most_at_once<E: Engine>(fixture: &Fixture<E>, condition: &str) -> i64 {
    fixture
        .number_there(&format!(
            "with s as (select *, row_number() over () as id from spans where {condition})
         select max(n) from (select count(*) as n from s a join s b on b.began <= a.began and b.ended > a.began
         group by a.id) o"
        ))
        .await
}

/// A fixture with the table `spans` at the target.
async fn with_spans<E: Engine>(workers: u32, there: u32) -> Fixture<E> {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture.run_there("create table spans (pool text, began timestamptz, ended timestamptz)").await;
    fixture
        .configure(&json!({
            "control": { "workers": workers },
            "targets": [
                fixture.there(&json!({ "max_workers": there })),
                { "target": "too", "connection_string": fixture.target.conninfo(), "max_workers": 8 },
            ],
            "concurrency_pools": [{ "concurrency_pool": "narrow", "max_workers": 2 }],
        }))
        .await;
    fixture.engine.lead().await;
    fixture
}

async fn push_spans<E: Engine>(fixture: &Fixture<E>, count: u32, target: &str, pool: Option<&str>) {
    fixture.rows(
        "select async.push_tasks(array_agg(async.task($1, $2, concurrency_pool => $3))) from generate_series(1, $4)",
        &[&span(pool.unwrap_or(target), 0.15), &target, &pool, &i32::try_from(count).expect("a few")],
    )
    .await;
}

async fn lower_priorities_run_first_then_earlier_entries_in_the_order_of_their_array<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 1 }))] })).await;
    fixture.run("update async.control set paused = true").await;
    fixture.run("select async.wait_for_latch()").await;
    for (first, last) in [(1, 20), (21, 40)] {
        fixture
            .run(&format!(
                "select async.push_tasks(array_agg(async.task(
                format('insert into ledger (mark) values (''%s'')', n), 'there', priority => n * 7 % 5 - 2) order by n))
             from generate_series({first}, {last}) n"
            ))
            .await;
    }
    fixture.run("update async.control set paused = false").await;
    fixture.wait_until_finished().await;
    let ran = "select string_agg(mark, ',' order by at) from ledger";
    let ran: String = fixture.target.session().query_one(ran, &[]).await.expect("a ledger").get(0);
    let wanted =
        fixture.text("select string_agg(n::text, ',' order by n * 7 % 5, n) from generate_series(1, 40) n").await;
    assert_eq!(Some(ran), wanted);
}

async fn a_more_urgent_task_overtakes_those_that_wait<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 1 }))] })).await;
    fixture.run(
        "select async.push_tasks(array_agg(async.task('select pg_sleep(0.1)', 'there'))) from generate_series(1, 30)",
    )
    .await;
    fixture.wait_for("select count(*) > 2 from async.task where processed is not null").await;
    let urgent = fixture.push_as("'select 1', 'there', priority => -5").await;
    fixture.end_of(urgent).await.succeeded();
    fixture.assert_holds("select count(*) > 5 from async.task where consumed is null").await;
}

async fn a_target_s_pool_is_used_and_never_exceeded<E: Engine>() {
    let fixture = with_spans::<E>(10, 3).await;
    push_spans(&fixture, 30, "there", None).await;
    fixture.wait_until_finished().await;
    assert_eq!(most_at_once(&fixture, "true").await, 3);
}

async fn a_named_pool_holds_across_targets<E: Engine>() {
    let fixture = with_spans::<E>(10, 8).await;
    push_spans(&fixture, 12, "there", Some("narrow")).await;
    push_spans(&fixture, 12, "too", Some("narrow")).await;
    fixture.wait_until_finished().await;
    assert_eq!(most_at_once(&fixture, "true").await, 2);
}

async fn a_task_with_a_pool_of_its_own_does_not_count_against_its_target<E: Engine>() {
    let fixture = with_spans::<E>(10, 1).await;
    let slow = fixture.push(SLOW).await;
    fixture.wait_until_it_runs(slow).await;
    push_spans(&fixture, 4, "there", Some("narrow")).await;
    fixture
        .wait_for_within(
            &format!("select bool_and(processed is not null) from async.task where task_id <> {slow}"),
            SOON,
        )
        .await;
    assert_eq!(most_at_once(&fixture, "true").await, 2);
}

async fn the_total_of_workers_is_never_exceeded<E: Engine>() {
    let fixture = with_spans::<E>(3, 8).await;
    push_spans(&fixture, 15, "there", None).await;
    push_spans(&fixture, 15, "too", None).await;
    push_spans(&fixture, 6, "too", Some("narrow")).await;
    fixture.wait_until_finished().await;
    assert_eq!(most_at_once(&fixture, "true").await, 3);
}

async fn an_unconfigured_pool_has_the_default_size<E: Engine>() {
    let fixture = with_spans::<E>(10, 8).await;
    push_spans(&fixture, 16, "there", Some("unheard of")).await;
    fixture.wait_until_finished().await;
    assert_eq!(most_at_once(&fixture, "true").await, 4);
    fixture.configure(&json!({ "control": { "default_concurrency_pool_workers": 1 } })).await;
    push_spans(&fixture, 6, "there", Some("another")).await;
    fixture.wait_until_finished().await;
    assert_eq!(most_at_once(&fixture, "pool = 'another'").await, 1);
}

async fn a_full_pool_delays_no_other_pool<E: Engine>() {
    let fixture = with_spans::<E>(6, 4).await;
    fixture
        .run(&format!(
        "select async.push_tasks(array_agg(async.task('{SLOW}', 'too', priority => -100, concurrency_pool => 'narrow')))
         from generate_series(1, 300)"
    ))
        .await;
    fixture.wait_for("select count(*) = 2 from async.task where consumed is not null").await;
    for _ in 0..10 {
        fixture.run_task("select 1").await.succeeded();
    }
    fixture.assert_holds("select count(*) = 298 from async.task where consumed is null").await;
}

async fn a_pool_of_size_zero_keeps_its_tasks_until_it_is_raised<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "concurrency_pools": [{ "concurrency_pool": "shut", "max_workers": 0 }] })).await;
    let id = fixture.push_as("'select 1', 'there', concurrency_pool => 'shut'").await;
    fixture.run_task("select 1").await.succeeded();
    fixture.run("select async.wait_for_latch()").await;
    fixture.assert_holds(&format!("select consumed is null from async.task where task_id = {id}")).await;
    fixture.configure(&json!({ "concurrency_pools": [{ "concurrency_pool": "shut", "max_workers": 1 }] })).await;
    fixture.end_of(id).await.succeeded();
}

/// Runs rounds of tasks until a round reaches exactly `limit`, which shows that the engine has read
/// its new settings. From then on no round exceeds it.
async fn assert_limit_becomes<E: Engine>(fixture: &Fixture<E>, limit: i64) {
    let begin = Instant::now();
    let mut reached = false;
    loop {
        fixture.run_there("truncate spans").await;
        push_spans(fixture, 4 * u32::try_from(limit).expect("a small limit"), "there", None).await;
        fixture.wait_until_finished().await;
        let most = most_at_once(fixture, "true").await;
        if reached {
            assert!(most <= limit, "{most} at once, the limit is {limit}");
            return;
        }
        reached = most == limit;
        assert!(begin.elapsed() < SOON, "{most} at once, the limit is {limit}");
    }
}

async fn sizes_change_live<E: Engine>() {
    let fixture = with_spans::<E>(10, 1).await;
    push_spans(&fixture, 3, "there", None).await;
    fixture.wait_until_finished().await;
    assert_eq!(most_at_once(&fixture, "true").await, 1);

    let resize = async |size: u32, workers: u32| {
        let narrow = json!({ "concurrency_pool": "narrow", "max_workers": 2 });
        let too = json!({ "target": "too", "max_workers": 8 });
        fixture
            .configure(&json!({ "control": { "workers": workers }, "concurrency_pools": [narrow],
            "targets": [fixture.there(&json!({ "max_workers": size })), too] }))
            .await;
    };
    resize(5, 10).await;
    assert_limit_becomes(&fixture, 5).await;
    resize(5, 2).await;
    assert_limit_becomes(&fixture, 2).await;
}

async fn fewer_workers_than_are_busy_let_the_busy_ones_end<E: Engine>() {
    let fixture = with_spans::<E>(6, 6).await;
    fixture
        .run("select async.push_tasks(array_agg(async.task('select pg_sleep(1)', 'there'))) from generate_series(1, 6)")
        .await;
    fixture.wait_for("select count(*) = 6 from async.task where consumed is not null").await;
    fixture.configure(&json!({ "control": { "workers": 2 } })).await;
    push_spans(&fixture, 8, "there", None).await;
    fixture.wait_until_finished().await;
    fixture.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
    assert_eq!(most_at_once(&fixture, "true").await, 2);
    fixture.configure(&json!({ "control": { "workers": 5 } })).await;
    assert_limit_becomes(&fixture, 5).await;
    fixture.wait_until_no_slot_is_taken().await;
}

async fn tasks_in_many_pools_all_run<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run(
            "select async.push_tasks(array_agg(async.task('select 1', 'there', concurrency_pool => 'pool ' || n)))
         from generate_series(1, 150) n",
        )
        .await;
    fixture.wait_until_finished().await;
    fixture.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
}

async fn published_counts_agree_with_running_tasks<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run(&format!("select async.push_tasks(array_agg(async.task('{SLOW}', 'there'))) from generate_series(1, 9)"))
        .await;
    fixture.wait_for("select count(*) = 4 from async.task where consumed is not null").await;
    fixture.wait_for(
        "select workers = 4 and max_workers = 4 from async.concurrency_pool_tracker where concurrency_pool = 'there'",
    )
    .await;
    fixture.wait_for("select async.active_workers() = 4 and count(*) = 6 from async.worker").await;
    fixture.assert_holds(
        "select count(*) = 4 and bool_and(w.target = 'there' and w.running_since is not null and t.consumed is not null)
         from async.worker w join async.task t using (task_id)",
    )
    .await;
    fixture.assert_holds("select jsonb_array_length(async.worker_info()) = 6").await;
    fixture.run("select async.reinitialize_workers()").await;
}

/// Many tasks with random targets, pools, priorities, ends and interventions. No limit is exceeded,
/// no task runs twice, and each task has a permitted end.
async fn under_random_interventions_limits_hold_and_each_task_ends_once<E: Engine>() {
    let seed = RandomState::new().hash_one(0) % 1_000_000;
    eprintln!("seed {seed}");
    let fixture = with_spans::<E>(7, 4).await;
    fixture.run("create table deferred (task_id bigint)").await;
    fixture
        .run(&format!(
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
    while !fixture.holds("select not exists (select from async.task where processed is null)").await {
        interventions += 1;
        assert!(interventions < 3000, "seed {seed}\n{}", fixture.dump().await);
        fixture
            .run(
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
        let most = most_at_once(&fixture, &format!("pool = '{pool}'")).await;
        assert!(most <= limit, "seed {seed}: {most} at once in {pool}");
    }
    let most = most_at_once(&fixture, "true").await;
    assert!(most <= 7, "seed {seed}: {most} at once");
    fixture
        .assert_holds(
            "select bool_and(finish_status in ('FINISHED', 'FAILED', 'CANCELED')
            and failed = (finish_status <> 'FINISHED') and (processing_error is null) = not failed) from async.task",
        )
        .await;
    // The ledger has one commit for each finished task, and none for other tasks. A task that is
    // deferred while its query commits runs again.
    let deferred =
        fixture.text("select coalesce(string_agg(task_id::text, ','), '0') from deferred").await.unwrap_or_default();
    let finished = format!(
        "select string_agg(task_id::text, ',' order by task_id) from async.task where not failed and task_id not in ({deferred})"
    );
    let finished = fixture.text(&finished).await;
    let marks = format!(
        "select string_agg(mark, ',' order by mark::bigint) from ledger where mark::bigint not in ({deferred})"
    );
    let marks: Option<String> = fixture.target.session().query_one(&marks, &[]).await.expect("a ledger").get(0);
    assert_eq!(marks, finished, "seed {seed}");
    fixture.wait_until_no_slot_is_taken().await;
}

conformance!(
    lower_priorities_run_first_then_earlier_entries_in_the_order_of_their_array,
    a_more_urgent_task_overtakes_those_that_wait,
    a_target_s_pool_is_used_and_never_exceeded,
    a_named_pool_holds_across_targets,
    a_task_with_a_pool_of_its_own_does_not_count_against_its_target,
    the_total_of_workers_is_never_exceeded,
    an_unconfigured_pool_has_the_default_size,
    a_full_pool_delays_no_other_pool,
    a_pool_of_size_zero_keeps_its_tasks_until_it_is_raised,
    sizes_change_live,
    fewer_workers_than_are_busy_let_the_busy_ones_end,
    tasks_in_many_pools_all_run,
    published_counts_agree_with_running_tasks,
    under_random_interventions_limits_hold_and_each_task_ends_once,
);
