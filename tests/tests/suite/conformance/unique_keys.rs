//! Unique keys: one task for each target and key.

use futures_util::future::join_all;
use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::{Fixture, SLOW};

const CLIENTS: usize = 50;

/// Pushes a task with the key `k`, and further options as SQL.
async fn push<E: Engine>(fixture: &Fixture<E>, options: &str) -> i64 {
    fixture.id(&format!("select async.push('select 1', 'there', unique_key => 'k'{options})"), &[]).await
}

async fn hold<E: Engine>(fixture: &Fixture<E>) {
    fixture.configure(&json!({ "control": { "paused": true } })).await;
    fixture.run("select async.wait_for_latch()").await;
}

async fn a_key_is_taken_until_the_end_of_its_task<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let sql = format!("select async.push($q${SLOW}$q$, 'there', unique_key => 'k')");
    let first = fixture.id(&sql, &[]).await;
    fixture.wait_until_it_runs(first).await;
    assert_eq!(push(&fixture, "").await, first);
    let (code, message) =
        fixture.refused("select async.push('select 1', 'there', unique_key => 'k', on_conflict => 'error')").await;
    assert_eq!(code, "PA01G");
    assert_eq!(message, format!("task 1: task {first} at 'there' has the unique key 'k'"));
    // It runs, so nothing replaces it.
    assert_eq!(push(&fixture, ", on_conflict => 'replace'").await, first);
    // Other keys, other targets and tasks without a key are others.
    let others = fixture
        .rows(
            "select duplicate from async.push_many('[{\"query\": \"select 1\", \"target\": \"there\", \"unique_key\": \"l\"},
               {\"query\": \"select 1\", \"target\": \"SELF\", \"unique_key\": \"k\"},
               {\"query\": \"select 1\", \"target\": \"there\"}]')",
            &[],
        )
        .await;
    assert!(others.iter().all(|row| !row.get::<_, bool>(0)));
    fixture.run(&format!("select async.cancel(array[{first}::bigint])")).await;
    fixture.end_of(first).await.is("CANCELED");
    let second = push(&fixture, "").await;
    assert_ne!(second, first);
    fixture.end_of(second).await.succeeded();
}

async fn a_key_of_waiting_tasks_is_free_from_the_first_start_on<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let sql = format!("select async.push($q${SLOW}$q$, 'there', unique_key => 'k', unique_while => 'waiting')");
    let first = fixture.id(&sql, &[]).await;
    fixture.wait_until_it_runs(first).await;
    hold(&fixture).await;
    let second = fixture.id(&sql, &[]).await;
    assert_ne!(second, first, "what is pushed while one runs is not lost");
    assert_eq!(fixture.id(&sql, &[]).await, second);
    // The first task waits again, without the key.
    fixture.run(&format!("select async.defer(array[{first}::bigint], '1 hour')")).await;
    fixture.wait_until(first, "READY").await;
    fixture.run(&format!("select async.cancel(array[{first}, {second}]::bigint[])")).await;
    fixture.wait_until_finished().await;
    // It was started, so it does not take the key again. The other was not.
    let third = fixture.id(&sql, &[]).await;
    fixture.run(&format!("select async.restart_task({first})")).await;
    assert_eq!(fixture.refused(&format!("select async.restart_task({second})")).await.0, "PA035");
    fixture.run(&format!("select async.cancel(array[{first}, {third}]::bigint[])")).await;
    fixture.wait_until_finished().await;
}

async fn a_waiting_task_is_replaced<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    hold(&fixture).await;
    let first = push(&fixture, "").await;
    let second = push(&fixture, ", on_conflict => 'replace', priority => 7").await;
    assert_ne!(first, second);
    let message = fixture.end_of(first).await.is("CANCELED");
    assert_eq!(message.as_deref(), Some("replaced by a task with the same unique key"));
    // In one array the first counts.
    let rows = fixture
        .rows(
            "select task_id, duplicate from async.push_many('[
               {\"query\": \"select 3\", \"target\": \"there\", \"unique_key\": \"k\", \"on_conflict\": \"replace\"},
               {\"query\": \"select 4\", \"target\": \"there\", \"unique_key\": \"k\", \"on_conflict\": \"replace\"},
               {\"query\": \"select 5\", \"target\": \"there\"}]')",
            &[],
        )
        .await;
    let answers: Vec<(i64, bool)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!((answers[0].0, answers[1].1), (answers[1].0, true), "{answers:?}");
    assert!(answers[0].0 != second && !answers[0].1 && !answers[2].1, "{answers:?}");
    fixture
        .assert_holds(
            "select array_agg(query order by task_id) = '{select 3,select 5}' from async.task where processed is null",
        )
        .await;
    fixture.configure(&json!({ "control": { "paused": false } })).await;
    fixture.wait_until_finished().await;
    fixture.assert_holds("select count(*) filter (where failed) = 2 from async.task").await;
}

async fn a_failed_push_replaces_nothing<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    let first = push(&fixture, "").await;
    let refused = fixture
        .refused(
            "select async.push_many('[
               {\"query\": \"select 3\", \"target\": \"there\", \"unique_key\": \"k\", \"on_conflict\": \"replace\"},
               {\"query\": \"select 3\", \"target\": \"there\", \"unique_key\": \"l\"},
               {\"query\": \"select 4\", \"target\": \"there\", \"unique_key\": \"l\", \"on_conflict\": \"error\"}]')",
        )
        .await;
    assert_eq!(refused.0, "PA01G");
    fixture
        .assert_holds(&format!(
            "select array_agg(task_id) = '{{{first}}}' and bool_and(processed is null) from async.task"
        ))
        .await;
}

async fn a_restart_into_a_taken_key_is_refused<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let first = push(&fixture, "").await;
    fixture.end_of(first).await.succeeded();
    hold(&fixture).await;
    let second = push(&fixture, "").await;
    let (code, message) = fixture.refused(&format!("select async.restart_task({first})")).await;
    assert_eq!(code, "PA035");
    assert_eq!(message, format!("task {first} cannot be restarted: task {second} has its unique key"));
    fixture.assert_holds(&format!("select finish_status = 'FINISHED' from async.task where task_id = {first}")).await;
    fixture.configure(&json!({ "control": { "paused": false } })).await;
    fixture.end_of(second).await.succeeded();
    fixture.wait_for("select bool_and(tracked is not true) from async.task").await;
    fixture.run(&format!("select async.restart_task({first})")).await;
    fixture.end_of(first).await.succeeded();
}

/// Each query counts those of its key that run at the same time.
async fn fifty_clients_push_one_key_and_one_task_is_unfinished<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run_there("create table runs (task_id bigint, ended bool not null default false)").await;
    let query = "insert into runs (task_id) values (##flow.TASK_ID##); commit;
        insert into ledger (mark) select 'together' from runs where not ended having count(*) > 1;
        select pg_sleep(0.02);
        update runs set ended = true where task_id = ##flow.TASK_ID##";
    let sessions = join_all((0..CLIENTS).map(|_| fixture.connect())).await;
    let pushes = sessions.iter().enumerate().map(async |(at, session)| {
        let options = ["skip", "replace", "skip"];
        let sql = format!(
            "select async.push($1, 'there', unique_key => 'k', on_conflict => '{}')",
            options[at % options.len()]
        );
        for _ in 0..10 {
            session.query_one(&sql, &[&query]).await.unwrap_or_else(|error| panic!("{error:?}"));
            let held = session.query_one("select count(*) from async.task where processed is null", &[]).await;
            assert!(held.expect("it counts").get::<_, i64>(0) <= 1, "the key is taken once");
        }
    });
    join_all(pushes).await;
    fixture.wait_until_finished().await;
    assert_eq!(fixture.target.marks("together").await, 0);
    fixture
        .assert_holds(
            "select bool_and(finish_status = 'FINISHED' or run = 0 and finish_status = 'CANCELED') from async.task",
        )
        .await;
    fixture.assert_holds("select count(*) filter (where not failed) >= 1 from async.task").await;
}

/// The pushes name the same keys, in opposite orders, some of which have tasks to replace.
async fn pushes_in_opposite_orders_do_not_deadlock<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    let sessions = join_all((0..4).map(|_| fixture.connect())).await;
    for round in 0..15 {
        let pushes = sessions.iter().enumerate().map(async |(at, session)| {
            let order = if at % 2 == 0 { "n" } else { "-n" };
            let on_conflict = if at < 2 { "skip" } else { "replace" };
            let sql = format!(
                "select count(*) from async.push_many((
                   select jsonb_agg(jsonb_build_object('query', 'select 1', 'target', 'there', 'unique_key', n::text,
                     'on_conflict', '{on_conflict}') order by {order})
                   from generate_series(1, 300) n))"
            );
            session.query_one(&sql, &[]).await.unwrap_or_else(|error| panic!("round {round}: {error:?}"))
        });
        join_all(pushes).await;
        fixture
            .assert_holds(
                "select count(*) = 300 and count(distinct unique_key) = 300 from async.task where processed is null",
            )
            .await;
        fixture
            .run(
                "update async.task set processed = clock_timestamp(), finish_status = 'FINISHED' where task_id % 3 = 0",
            )
            .await;
    }
}

async fn an_open_push_of_the_same_key_is_waited_for_and_not_for_ever<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    let (one, other) = (fixture.connect().await, fixture.connect().await);
    let sql = "select async.push('select 1', 'there', unique_key => 'k')";
    one.batch_execute("begin").await.expect("it begins");
    one.query_one(sql, &[]).await.expect("it pushes");
    other.batch_execute("set lock_timeout = '100ms'").await.expect("it sets it");
    let refused = other.query_one(sql, &[]).await.expect_err("the other push is open");
    assert_eq!(refused.sqlstate(), Some("PA01H"));
    let set: String = other.query_one("show lock_timeout", &[]).await.expect("it shows it").get(0);
    assert_eq!(set, "100ms");
    // Another key does not wait.
    let third = fixture.id("select async.push('select 1', 'there', unique_key => 'l')", &[]).await;
    other.batch_execute("set lock_timeout = 0").await.expect("it sets it");
    let (waits, ()) = tokio::join!(other.query_one(sql, &[]), async {
        fixture.wait_for("select exists (select from pg_locks where not granted and locktype = 'transactionid')").await;
        one.batch_execute("rollback").await.expect("it rolls back");
    });
    assert!(waits.expect("it pushes").get::<_, i64>(0) > third, "the other push was rolled back");
    let set: String = other.query_one("show lock_timeout", &[]).await.expect("it shows it").get(0);
    assert_eq!(set, "0");
}

conformance!(
    a_key_is_taken_until_the_end_of_its_task,
    a_key_of_waiting_tasks_is_free_from_the_first_start_on,
    a_waiting_task_is_replaced,
    a_failed_push_replaces_nothing,
    a_restart_into_a_taken_key_is_refused,
    fifty_clients_push_one_key_and_one_task_is_unfinished,
    pushes_in_opposite_orders_do_not_deadlock,
    an_open_push_of_the_same_key_is_waited_for_and_not_for_ever,
);
