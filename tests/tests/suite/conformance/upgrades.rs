//! The upgrade of a released schema while its engine runs tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pgasync_tests::{Cluster, Database, Engine, Outcome, SqlEngine, Target};

use crate::upgrades::released::released;

/// The engine of the release continues with the memory that it has, records what it runs, and ends.
async fn tasks_that_run_while_the_schema_is_replaced_keep_their_results<E: Engine>() {
    let target = Target::create_on(&Cluster::shared()).await;
    let database = Database::create().await;
    database.run("drop schema async cascade").await;
    database.run(&released("0008")).await;
    database.configure_targets(&[("there", &target, 8)]).await;
    let mut old = SqlEngine::attach(&database);
    old.lead().await;
    database
        .run(
            "select async.push_tasks(array_agg(async.task(
               format('insert into ledger (mark) select ''long %s'' from pg_sleep(2)', n), 'there')))
             from generate_series(1, 6) n",
        )
        .await;
    database.wait_for("select count(*) = 6 from async.task where consumed is not null").await;

    let replaced = Arc::new(AtomicBool::new(false));
    let pushing = {
        let (session, replaced) = (database.connect().await, Arc::clone(&replaced));
        tokio::spawn(async move {
            let mut pushed = 0_i64;
            for turn in 0.. {
                let sql = format!(
                    "select async.push_task(async.task('insert into ledger (mark) values (''short {turn}'')', 'there'))"
                );
                // A push that waits while the schema is replaced may call a function that is gone.
                let refused =
                    session.batch_execute(&sql).await.err().and_then(|error| error.sqlstate().map(str::to_owned));
                assert!(refused.is_none() || refused.as_deref() == Some("42883"), "{refused:?}");
                pushed += i64::from(refused.is_none());
                if replaced.load(Ordering::Relaxed) {
                    break;
                }
            }
            pushed
        })
    };
    database.wait_for("select count(*) > 10 from async.task where finish_status = 'FINISHED'").await;
    database.run(&pgasync_sql::all()).await;
    replaced.store(true, Ordering::Relaxed);
    let pushed: i64 = pushing.await.expect("the pushes succeed");

    assert_eq!(old.wait_until_ended().await, Outcome::Returned);
    database
        .assert_holds("select count(*) = 6 from async.task where query like '%long%' and finish_status = 'FINISHED'")
        .await;
    let mut engine = E::attach(&database);
    engine.lead().await;
    database.wait_until_finished().await;
    database
        .assert_holds(&format!(
            "select count(*) = {pushed} + 6 and bool_and(finish_status = 'FINISHED') from async.task"
        ))
        .await;
    assert_eq!(target.repeated_marks().await, Vec::<String>::new());
    let marks = target.session().query_one("select count(*) from ledger", &[]).await.expect("the ledger");
    assert_eq!(marks.get::<_, i64>(0), pushed + 6);
    engine.stop().await;
}

/// A forced takeover finds the leader of the release.
async fn the_leader_of_a_release_can_be_replaced_by_force<E: Engine>() {
    let database = Database::create().await;
    database.run("drop schema async cascade").await;
    database.run(&released("0008")).await;
    // Between two calls it neither sees that the schema is replaced nor that it is asked to resign.
    let old = database.connect().await;
    old.batch_execute("call async.main(_manual_mode => true)").await.expect("it leads");
    let pid: i32 = old.query_one("select pg_backend_pid()", &[]).await.expect("a pid").get(0);
    database.run(&pgasync_sql::all()).await;
    database.assert_holds(&format!("select async.leader_pid() = {pid} and async.leader_exists()")).await;
    let mut engine = E::attach(&database);
    engine.start_forced().await;
    engine.wait_until_leading().await;
    engine.stop().await;
    old.ended().await;
}

conformance!(
    tasks_that_run_while_the_schema_is_replaced_keep_their_results,
    the_leader_of_a_release_can_be_replaced_by_force,
);
