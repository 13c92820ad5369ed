//! Tables stay small, and an idle orchestrator writes nothing.

use std::time::Duration;

use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::Fixture;

async fn old_tasks_are_deleted_and_unfinished_ones_stay<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "select count(*) from (select async.push_tasks(array_agg(async.task('select 1', 'there')), 'EMPTY')
            from generate_series(1, 12000)) p;
         update async.task set processed = now() - interval '3 days', entered = now() - interval '3 days'
         where task_id <= 11990;
         select async.defer(array[async.push_task(async.task('select 1', 'there'))], '1 hour');
         update async.task set entered = now() - interval '9 days' where processed is null",
        )
        .await;
    fixture
        .configure(&json!({ "control": { "task_keep_duration": "2 days", "heavy_maintenance_sleep": "0.5 s" } }))
        .await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    fixture.wait_for("select count(*) = 11 from async.task").await;
    fixture.assert_holds("select count(*) = 1 from async.task where processed is null").await;
    fixture.assert_holds("select last_heavy_maintenance is not null from async.control").await;
    fixture.run_task("select 1").await.succeeded();
}

async fn rows_that_refer_to_old_tasks_are_deleted_with_them<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "create table notes (task_id bigint references async.task (task_id) on delete cascade);
         create table holds (task_id bigint references async.task (task_id));
         select async.push_tasks(array_fill(async.task('select 1', 'there'), array[10]), 'EMPTY');
         update async.task set processed = now() - interval '3 days';
         insert into notes select task_id from async.task",
        )
        .await;
    fixture
        .configure(&json!({ "control": { "task_keep_duration": "2 days", "heavy_maintenance_sleep": "0.3 s" } }))
        .await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    fixture.wait_for("select count(*) = 0 from notes").await;
    // A row that cannot be deleted does not stop other work.
    fixture.run(
        "with pushed as (select * from async.push_tasks(array_fill(async.task('select 1', 'there'), array[3]), 'EMPTY'))
         insert into holds select min(task_id) from pushed;
         update async.task set processed = now() - interval '3 days'",
    )
    .await;
    // Other rows are deleted.
    fixture.wait_for("select count(*) = 1 from async.task where processed < now() - interval '2 days'").await;
    fixture.assert_holds("select count(*) = 1 from async.task t, holds h where t.task_id = h.task_id").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    fixture.run_task("select 1").await.succeeded();
    assert!(fixture.engine.is_leading().await);
}

async fn the_log_is_pruned_by_age<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "insert into async.server_log (happened, level, message)
         select now() - interval '40 days', 'NOTICE', 'old' from generate_series(1, 50);
         select async.log('new')",
        )
        .await;
    fixture.configure(&json!({ "control": { "light_maintenance_sleep": "0.3 s" } })).await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    fixture.wait_for("select count(*) = 0 from async.server_log where message = 'old'").await;
    fixture.assert_holds("select last_light_maintenance is not null from async.control").await;
    fixture.assert_holds("select count(*) = 1 from async.server_log where message = 'new'").await;
}

/// Each deletion scans the table of the user, because its column has no index. While the pass runs,
/// tasks run: a pass in the cycle would hold up each of them for as long as a step.
async fn a_slow_deletion_of_history_delays_no_task<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "create table notes (task_id bigint references async.task (task_id) on delete cascade, filler text);
         select count(*) from (select async.push_tasks(array_agg(async.task('select 1', 'there')), 'EMPTY')
            from generate_series(1, 20000)) p;
         insert into notes select task_id, repeat('-', 400) from async.task;
         update async.task set processed = now() - interval '3 days', entered = now() - interval '3 days'",
        )
        .await;
    fixture.configure(&json!({ "control": { "task_keep_duration": "2 days" } })).await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    let old = "select count(*) from async.task where processed < now() - interval '2 days'";
    fixture.wait_for(&format!("select ({old}) < 20000")).await;
    // The whole pass takes 20,000 scans of 20,000 rows.
    for _ in 0..5 {
        fixture.run_task("select 1").await.succeeded();
    }
    assert!(fixture.number(old).await > 0, "the pass is over: it took no time");
    // The rest becomes cheap.
    fixture.run("create index on notes (task_id)").await;
    fixture.wait_for(&format!("select ({old}) = 0")).await;
    fixture.wait_for("select last_heavy_maintenance is not null from async.control").await;
}

async fn a_pass_over_the_history_ends_where_rows_are_young<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    // The last row is old too, and beyond more young rows than the pass reads.
    fixture
        .run(
            "select count(*) from (select async.push_tasks(array_agg(async.task('select 1', 'there')), 'EMPTY')
            from generate_series(1, 30000)) p;
         update async.task set processed = now() - interval '3 days', entered = now() - interval '3 days'
         where task_id <= 100 or task_id = 30000",
        )
        .await;
    fixture
        .configure(&json!({ "control": { "task_keep_duration": "2 days", "heavy_maintenance_sleep": "1 hour" } }))
        .await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    fixture.wait_for("select last_heavy_maintenance is not null from async.control").await;
    fixture.assert_holds("select count(*) = 29900 and max(task_id) = 30000 from async.task").await;
}

async fn all_tables_that_a_busy_leader_writes_are_vacuumed<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    for _ in 0..3 {
        fixture.run_task("select 1").await.succeeded();
        tokio::time::sleep(Duration::from_millis(800)).await;
    }
    // Statistics of tables without writes are missing in 15 and later.
    fixture
        .wait_for(
            "select bool_and(coalesce(s.last_vacuum, s.last_autovacuum) is not null)
             from pg_stat_user_tables s
             where s.schemaname = 'async'
               and s.relname in ('worker', 'concurrency_pool_tracker', 'session', 'server_log', 'control', 'leader')",
        )
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    fixture.assert_holds("select count(*) = 0 from async.server_log where level in ('WARNING', 'ERROR')").await;
}

async fn nothing_is_logged_for_each_task<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("select async.push_tasks(array_agg(async.task(case when n % 2 = 0 then 'select 1' else 'select 1/0' end, 'there')))
        from generate_series(1, 200) n")
        .await;
    fixture.wait_until_finished().await;
    fixture.assert_holds("select count(*) < 10 from async.server_log").await;
}

async fn an_idle_orchestrator_writes_nothing<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run_task("select 1").await.succeeded();
    fixture.wait_until_no_slot_is_taken().await;
    // A new leader looks through the history once.
    fixture.wait_for("select last_heavy_maintenance is not null from async.control").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    // The versions of the rows do not change.
    let versions = "select md5(string_agg(v, ',')) from (
        select ctid::text || xmin::text from async.control union all select ctid::text || xmin::text from async.leader
        union all select ctid::text || xmin::text from async.worker
        union all select ctid::text || xmin::text from async.concurrency_pool_tracker
        union all select ctid::text || xmin::text from async.server_log) t(v)";
    let before = fixture.text(versions).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(fixture.text(versions).await, before);
}

async fn an_idle_orchestrator_holds_no_snapshot<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run_task("select 1").await.succeeded();
    for _ in 0..3 {
        fixture.run("create temp table t (n int); drop table t; select txid_current()").await;
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    // The oldest snapshot of the other sessions has to advance beyond this transaction. Other tests use
    // up numbers of transactions in the same cluster.
    let now = fixture.number("select txid_current()").await;
    let advanced = format!(
        "select coalesce(max(age(backend_xmin)), 0) <= txid_current() - {now} from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()"
    );
    fixture.wait_for(&advanced).await;
    fixture
        .assert_holds(
            "select not exists (select from pg_stat_activity where datname = current_database()
            and pid <> pg_backend_pid() and xact_start < now() - interval '5 seconds')",
        )
        .await;
}

async fn a_disabled_orchestrator_does_not_spin<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture.run("update async.control set enabled = false").await;
    fixture.engine.start().await;
    fixture.engine.wait_until_ended().await;
    fixture.assert_holds("select pid is null and not async.leader_exists() from async.control").await;
}

async fn dead_rows_of_a_busy_queue_are_vacuumed<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 6 }))] })).await;
    // More writes than the orchestrator allows before a vacuum.
    fixture.run("select count(*) from (select async.push_tasks(array_agg(async.task('select 1', 'there', concurrency_pool => 'shut')))
        from generate_series(1, 25000)) p")
        .await;
    fixture.run("select async.cancel(array_agg(task_id)) from async.task").await;
    fixture.wait_until_finished().await;
    fixture.wait_for(
        "select coalesce(last_vacuum, last_autovacuum) is not null from pg_stat_user_tables where relid = 'async.task'::regclass",
    )
    .await;
}

conformance!(
    old_tasks_are_deleted_and_unfinished_ones_stay,
    rows_that_refer_to_old_tasks_are_deleted_with_them,
    the_log_is_pruned_by_age,
    a_slow_deletion_of_history_delays_no_task,
    a_pass_over_the_history_ends_where_rows_are_young,
    all_tables_that_a_busy_leader_writes_are_vacuumed,
    nothing_is_logged_for_each_task,
    an_idle_orchestrator_writes_nothing,
    an_idle_orchestrator_holds_no_snapshot,
    a_disabled_orchestrator_does_not_spin,
    dead_rows_of_a_busy_queue_are_vacuumed,
);
