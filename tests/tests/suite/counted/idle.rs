//! An idle leader writes nothing.

use std::time::Duration;

use pgasync_tests::{Database, Engine, Target};
use tokio::time::sleep;

use super::load::start_cluster;

/// Longer than all intervals at which a leader looks at its tables, except those of maintenance.
const SPAN: Duration = Duration::from_secs(4);

/// A leader has work for a while after its last task.
const SPANS_MAX: usize = 8;

async fn an_idle_leader_writes_no_wal_and_takes_no_transaction_id<E: Engine>() {
    let cluster = start_cluster().await;
    let database = Database::create_on(&cluster).await;
    let target = Target::create_on(&cluster).await;
    database.configure_targets(&[("there", &target, 4)]).await;
    let mut engine = E::attach(&database);
    engine.lead().await;
    database.run("select async.push_task(async.task('select 0', 'there'))").await;
    database.wait_until_finished().await;

    let written = "select (pg_current_wal_insert_lsn(), txid_snapshot_xmax(txid_current_snapshot()))";
    let (mut spans, mut before) = (0, database.text(written).await);
    loop {
        sleep(SPAN).await;
        let after = database.text(written).await;
        if after == before {
            break;
        }
        spans += 1;
        assert!(spans < SPANS_MAX, "{}: {before:?} became {after:?} in {SPAN:?}", E::NAME);
        before = after;
    }
    engine.stop().await;
}

crate::conformance::run_on!(
    pgasync_tests::SqlEngine => sql: an_idle_leader_writes_no_wal_and_takes_no_transaction_id);
crate::conformance::run_on!(
    pgasync_tests::RustEngine => rust: an_idle_leader_writes_no_wal_and_takes_no_transaction_id);
