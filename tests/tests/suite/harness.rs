//! Tests of the harness, with the SQL engine.

use pgasync_tests::{Database, Engine, Outcome, SqlEngine, Target};
use serde_json::json;

#[tokio::test]
async fn an_engine_runs_pushed_tasks_and_stops_on_request() {
    let database = Database::create().await;
    let target = Target::create_on(database.cluster()).await;
    database.configure_targets(&[("elsewhere", &target, 4)]).await;
    let mut engine = SqlEngine::attach(&database);

    engine.lead().await;
    database
        .run("select async.push_tasks(array[async.task('insert into ledger (mark) values (''ran'')', 'elsewhere')])")
        .await;
    database.wait_until_finished().await;

    database.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
    assert_eq!(target.marks("ran").await, 1);
    let pid = engine.pid();
    engine.stop().await;
    assert!(!engine.is_leading().await);
    database.wait_for(&format!("select not exists (select from pg_stat_activity where pid = {pid})")).await;
}

#[tokio::test]
async fn a_second_engine_does_not_lead_unless_it_is_forced_to() {
    let database = Database::create().await;
    database.configure(&json!({"control": {"idle_sleep": 0.1}})).await;
    let (mut first, mut second) = (SqlEngine::attach(&database), SqlEngine::attach(&database));

    first.lead().await;
    second.start().await;
    assert_eq!(second.wait_until_ended().await, Outcome::Returned);
    assert!(!second.notices().is_empty(), "a notice explains why it does not lead");
    assert!(first.is_leading().await);

    second.start_forced().await;
    second.wait_until_leading().await;
    first.wait_until_ended().await;
    second.stop().await;
}
