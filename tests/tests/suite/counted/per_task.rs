//! The work of a plain task.

use pgasync_tests::{Engine, RustEngine, SqlEngine};

use super::counters::Work;
use super::load::{Load, start_cluster};

async fn assert_bounded<E: Engine>(bound: Work) {
    let cluster = start_cluster().await;
    let work = Load::PLAIN.run::<E>(&cluster).await;
    for ((what, measured), (_, bound)) in work.named().into_iter().zip(bound.named()) {
        assert!(measured <= bound, "{}: {measured:.2} {what} a task, the bound is {bound}\n{work:#.2?}", E::NAME);
    }
    // Claim and end: with fewer the test counts the wrong table.
    assert!(work.task_versions >= 2.0, "{work:#.2?}");
}

/// Measured on a quiet machine: 8.1 statements, of them many inside of functions, 0.22 commits, 0.82
/// transaction ids, 700 bytes, 130 to 230 buffers.
#[tokio::test]
async fn the_sql_engine_does_a_bounded_work_for_a_task() {
    assert_bounded::<SqlEngine>(Work {
        statements: 16.0,
        target_statements: 3.2,
        commits: 0.6,
        transaction_ids: 1.6,
        wal_bytes: 1100.0,
        task_versions: 2.1,
        versions: 4.0,
        buffers: 450.0,
        rows_read: 30.0,
    })
    .await;
}

/// Measured on a quiet machine: 2.1 statements, 0.52 commits, 0.49 transaction ids, 660 to 980 bytes.
/// Of the 2.3 to 3.3 row versions of a task two are its claim and its end, and the others are those of
/// claims ahead that were given back.
#[tokio::test]
async fn the_rust_engine_does_a_bounded_work_for_a_task() {
    assert_bounded::<RustEngine>(Work {
        statements: 4.5,
        target_statements: 2.2,
        commits: 1.3,
        transaction_ids: 1.2,
        wal_bytes: 1500.0,
        task_versions: 4.5,
        versions: 6.0,
        buffers: 100.0,
        rows_read: 40.0,
    })
    .await;
}
