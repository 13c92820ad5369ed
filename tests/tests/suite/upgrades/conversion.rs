//! The conversion of the schema of the library, with history and configuration, in place.

use std::process::Command;

use pgasync_tests::{Cluster, Database, Engine, RustEngine, SqlEngine, Target};

use super::original;

/// Runs `pgasync` on a database. Returns the exit code, and what it printed.
pub(super) fn pgasync(arguments: &[&str], database: &Database) -> (i32, String) {
    let done = Command::new("pgasync").args(arguments).args(["--server", &database.conninfo()]).output();
    let done = done.expect("./dev puts pgasync on PATH");
    let printed = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    (done.status.code().expect("it ends"), printed)
}

/// What a conversion must not change, for each task except the two finishes that clients had committed.
const KEPT: &str = "
    select count(*) = 34 and bool_and(t.task_id is not null) from public.before b
    left join async.task t on t.task_id = b.task_id
      and (t.target, t.priority, t.entered, t.yielded, t.source, t.query, t.processing_error)
        is not distinct from (b.target, b.priority, b.entered, b.yielded, b.source, b.query, b.processing_error)
      and (t.asynchronous_finish, t.task_data, t.concurrency_pool, t.manual_timeout, t.track_yielded, t.eligible_when)
        is not distinct from
        (b.asynchronous_finish, b.task_data, b.concurrency_pool, b.manual_timeout, b.track_yielded, b.eligible_when)
      and (b.task_id > 32 or (t.consumed, t.processed) is not distinct from (b.consumed, b.processed))";

/// What the tables and views show before an engine leads.
async fn assert_history_and_configuration(database: &Database) {
    database.assert_holds(KEPT).await;
    // The history is readable in the views. Statuses that the library did not give follow from `failed`.
    for (tasks, phase) in
        [("1 to 12", "FINISHED"), ("13 to 14", "RUNNING"), ("15 to 16", "YIELDED"), ("17 to 32", "READY")]
    {
        let (first, last) = tasks.split_once(" to ").expect("a range");
        let sql =
            format!("select bool_and(phase = '{phase}') from async.v_task where task_id between {first} and {last}");
        assert!(database.holds(&sql).await, "tasks {tasks} are not {phase}");
    }
    database
        .assert_holds(
            "select string_agg(concat(finish_status, case when failed then '!' end), ' ' order by task_id)
               = 'FINISHED FAILED! CANCELED! TIMED_OUT! FAILED! FAILED! FINISHED FINISHED FINISHED FINISHED DOA! FINISHED'
             and not bool_or(coalesce(tracked, false)) from async.task where task_id <= 12",
        )
        .await;
    database
        .assert_holds(
            "select c.enabled and c.workers = 7 and c.idle_sleep = 0.2 and c.task_keep_duration = '90 days'
               and c.default_timeout = '2 hours' and c.default_concurrency_pool_workers = 3 and not c.debug_log
               and c.advisory_mutex_id = 4711 and c.startup_routines = '{public.begin_shift()}'
               and c.loop_routines = '{public.beat()}' and c.last_heavy_maintenance = '2026-01-01'
               and c.self_connection_string = (select connection_string from async.target where target = c.self_target)
             from async.control c",
        )
        .await;
    database
        .assert_holds(
            "select string_agg(concat_ws(' ', t.target, t.max_concurrency, t.asynchronous_finish, t.default_timeout,
                 t.concurrency_track_yielded, t.retired), ', ' order by t.target collate \"C\")
               = 'async.self 4 f f f, callback 2 t t f, hands 4 t t f, there 5 f 00:10:00 f f' from async.target t",
        )
        .await;
    database
        .assert_holds("select string_agg(concat_ws(' ', concurrency_pool, max_workers), ', ') = 'nightly 1' from async.concurrency_pool")
        .await;
    database
        .assert_holds("select count(*) >= 2 from async.server_log where message like 'Init%' or message = ''")
        .await;
    database.assert_holds("select count(*) = 0 from public.audit").await;
    database.assert_holds("select count(*) = 2 from async.request").await;
}

async fn a_server_goes_on_with_its_history_and_configuration<E: Engine>() {
    let target = Target::create_on(&Cluster::shared()).await;
    let database = original::used(&target).await;
    database.run(&pgasync_sql::all()).await;

    assert_history_and_configuration(&database).await;
    let mut engine = E::attach(&database);
    engine.lead().await;
    // What clients work on goes on, and is not presumed failed.
    database.run("select async.finish(array[14, 15]::bigint[], 'FINISHED', null)").await;
    database
        .wait_for("select count(*) = 1 from async.get_tasks('hands', 1, '10 seconds') g where g.task_id = 31")
        .await;
    database.run("select async.finish(array[31]::bigint[], 'FINISHED', null)").await;
    database.wait_until_finished().await;
    engine.stop().await;

    database
        .assert_holds(
            "select string_agg(format('%s %s', task_id, finish_status), ', ' order by task_id) = '13 FAILED, 32 CANCELED'
             from async.task where task_id > 12 and finish_status <> 'FINISHED'",
        )
        .await;
    database.assert_holds("select processing_error like '%unknown%' from async.task where task_id = 13").await;
    database.assert_holds("select processing_error = 'manual cancel' from async.task where task_id = 32").await;
    let ledger = "select string_agg(mark, ', ' order by mark collate \"C\") from ledger";
    let found: String = target.session().query_one(ledger, &[]).await.expect("a ledger").get(0);
    let expected = (17..30).map(|id| format!("once {id}")).collect::<Vec<_>>().join(", ");
    assert_eq!(found, format!("flow 30, {expected}"));
    // Users' triggers see the ends, their routines run, and their views and keys hold.
    database
        .assert_holds(
            "select count(distinct task_id) = 19 from public.audit
             where state = 'FINISHED' and task_id between 13 and 32 and task_id <> 13",
        )
        .await;
    database
        .assert_holds(
            "select count(distinct task_id) = 2 from public.audit where task_id in (13, 32) and state = 'FINISHED'",
        )
        .await;
    database.assert_holds("select (select count(*) from public.shift) = 1 and beats > 0 from public.heart").await;
    database.assert_holds("select count(*) = 10 and bool_and(state = 'FINISHED') from public.my_task").await;
    database.run("delete from async.task where task_id = 1").await;
    database.assert_holds("select array_agg(task_id) = '{17}' from public.flow_step").await;
    // Numbers go on.
    assert_eq!(database.number("select async.push_task(async.task('select 1', 'there'))").await, 35);
}

/// The statements of the page on moving over, around the installation.
#[tokio::test]
async fn the_statements_of_the_page_run() {
    const MARK: &str = "<!-- not executed: it needs the schema of the library; the tests execute it there -->";
    let page = include_str!("../../../../docs/moving-over.md");
    let blocks: Vec<&str> = page
        .split(MARK)
        .skip(1)
        .map(|rest| rest.split("```sql").nth(1).and_then(|block| block.split("```").next()).expect("a block follows"))
        .collect();
    assert_eq!(blocks.len(), 3);
    let target = Target::create_on(&Cluster::shared()).await;
    let database = original::used(&target).await;
    for block in &blocks[..2] {
        database.run(block).await;
    }
    database.run(&pgasync_sql::all()).await;
    let phases = database.rows(blocks[2], &[]).await;
    assert_eq!(phases.iter().map(|row| row.get::<_, i64>("count")).sum::<i64>(), 34);
}

#[tokio::test]
async fn installing_again_changes_nothing() {
    let target = Target::create_on(&Cluster::shared()).await;
    let database = original::used(&target).await;
    database.run(&pgasync_sql::all()).await;
    let before = original::everything(&database).await;
    database.run(&pgasync_sql::all()).await;
    assert!(before == original::everything(&database).await, "the second installation changed something");
}

#[tokio::test]
async fn the_program_converts_as_well() {
    let target = Target::create_on(&Cluster::shared()).await;
    let database = original::used(&target).await;
    let before = original::everything(&database).await;
    let (code, printed) = pgasync(&["migrate", "--plan"], &database);
    assert_eq!(code, 1, "{printed}");
    assert!(printed.contains("converts the schema of the library with the same names"), "{printed}");
    assert!(before == original::everything(&database).await, "a plan changes nothing");

    let (code, printed) = pgasync(&["migrate"], &database);
    assert_eq!(code, 0, "{printed}");
    database.assert_holds(KEPT).await;
    let (code, printed) = pgasync(&["migrate", "--plan"], &database);
    assert_eq!((code, printed.contains("the schema is that of this program")), (0, true), "{printed}");
}

#[tokio::test]
async fn a_client_database_keeps_its_server_and_its_types() {
    let server = Database::create().await;
    let target = Target::create_on(&Cluster::shared()).await;
    server.configure_targets(&[("there", &target, 2)]).await;
    let client = original::client().await;
    client
        .run(&format!(
            "select async.server('{}');
             create function public.push_all(async.task_push_t[]) returns bigint language sql as
               'select count(*) from async.push_tasks($1)'",
            server.conninfo().replace('\'', "''")
        ))
        .await;
    let password = client.text("select connection_string from async.client_control").await;
    client.run(&pgasync_sql::client()).await;
    assert_eq!(client.text("select connection_string from async.client_control").await, password);
    client.assert_holds("select client_only from async.client_control").await;
    assert_eq!(client.number("select public.push_all(array[async.task('select 1', 'there')])").await, 1);
    server.assert_holds("select count(*) = 1 from async.task").await;
}

/// The refusals: what is in the way, SQLSTATE, and a part of the message.
#[tokio::test]
async fn what_is_in_the_way_is_named_and_everything_stays_as_it_was() {
    let target = Target::create_on(&Cluster::shared()).await;
    for (obstacle, removal, code, text) in [
        (
            "create view public.mine as select target from async.v_target",
            "drop view public.mine",
            "PA219",
            "view public.mine depends on view async.v_target",
        ),
        (
            "alter table async.control rename debug_log to debug",
            "alter table async.control rename debug to debug_log",
            "PA219",
            "async.control differs",
        ),
        (
            "alter table async.task alter target drop not null; update async.task set target = null where task_id in (3, 4)",
            "update async.task set target = 'there' where target is null",
            "PA219",
            "2 tasks have no target, the first is 3",
        ),
        (
            "update async.target set max_concurrency = -1 where target = 'hands';
             update async.concurrency_pool set max_workers = -1 where concurrency_pool = 'hands'",
            "update async.target set max_concurrency = 1 where target = 'hands';
             update async.concurrency_pool set max_workers = 1 where concurrency_pool = 'hands'",
            "23514",
            "target_max_concurrency_not_negative",
        ),
        (
            "create type async.other as enum ('FINISHED'); alter type async.routine_type_t rename value 'LOOP' to 'CYCLE'",
            "drop type async.other; alter type async.routine_type_t rename value 'CYCLE' to 'LOOP'",
            "PA219",
            "its type async.routine_type_t is STARTUP CYCLE, not STARTUP LOOP",
        ),
    ] {
        let database = original::used(&target).await;
        database.run(obstacle).await;
        let before = original::everything(&database).await;
        let installing = database.connect().await;
        let refused = installing.batch_execute(&pgasync_sql::all()).await.expect_err(obstacle);
        let error = refused.server().expect("an error of the server");
        let words = format!("{} {:?} {:?}", error.message, error.detail, error.hint);
        assert_eq!((error.sqlstate, words.contains(text)), (code, true), "{words}");
        assert!(before == original::everything(&database).await, "{obstacle}\nsomething changed");
        database.run(removal).await;
        database.run(&pgasync_sql::all()).await;
    }
}

#[tokio::test]
async fn a_running_orchestrator_is_named_and_goes_on() {
    let database = original::server().await;
    database.run("update async.control set advisory_mutex_id = -5").await;
    let mut running = SqlEngine::attach(&database);
    running.start_with("call async.main()").await;
    let pid = running.pid();
    database.wait_for(&format!("select pid = {pid} from async.control")).await;
    assert!(!running.has_ended());
    let before = original::everything(&database).await;
    let (code, message) = database.refused(&pgasync_sql::all()).await;
    assert_eq!((code.as_str(), message.contains(&pid.to_string())), ("PA218", true), "{message}");
    assert!(before == original::everything(&database).await, "something changed");
    assert!(!running.has_ended());

    database.run("rollback").await;
    running.terminate().await;
    database.run(&pgasync_sql::all()).await;
    database.assert_holds("select pid is null from async.control").await;
}

mod sql {
    #[tokio::test]
    async fn a_server_goes_on_with_its_history_and_configuration() {
        super::a_server_goes_on_with_its_history_and_configuration::<super::SqlEngine>().await;
    }
}

mod rust {
    #[tokio::test]
    async fn a_server_goes_on_with_its_history_and_configuration() {
        super::a_server_goes_on_with_its_history_and_configuration::<super::RustEngine>().await;
    }
}
