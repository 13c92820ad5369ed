//! A large backlog and many lanes cost the other tasks little.

use pgasync_tests::{Engine, RustEngine, SqlEngine};

use super::load::{Load, start_cluster};

/// What Postgres reads for a task, divided by what it reads for a task that is alone with its like
/// in one lane.
#[derive(Clone, Copy, Debug)]
struct Factor {
    buffers: f64,
    rows: f64,
}

impl Factor {
    async fn measure<E: Engine>(load: Load) -> Self {
        let cluster = start_cluster().await;
        let without = Load::PLAIN.run::<E>(&cluster).await;
        let with = load.run::<E>(&cluster).await;
        Self { buffers: with.buffers / without.buffers, rows: with.rows_read / without.rows_read }
    }

    #[track_caller]
    fn assert_below(self, engine: &str, bound: Self) {
        assert!(self.buffers < bound.buffers && self.rows < bound.rows, "{engine}: {self:.1?}, the bound is {bound:?}");
    }
}

/// Measured: 0.9 to 1.0 times the buffers, 1.0 times the rows. Without the indexes of the queue it was
/// twice the buffers and more than 100 times the rows.
async fn a_backlog_behind_a_full_pool_costs_the_other_tasks_nothing<E: Engine>() {
    let factor = Factor::measure::<E>(Load { waiting: 50_000, ..Load::PLAIN }).await;
    factor.assert_below(E::NAME, Factor { buffers: 1.8, rows: 1.5 });
}

/// After a large push autovacuum has not seen the table yet, so the planner assumes another table. An
/// index whose predicate the condition of the claims implies must not be chosen then. Measured: 1.0 to
/// 1.1 times the buffers, 1.6 to 1.8 times the rows. With such an index it was more than 100 times the rows.
async fn a_table_without_statistics_costs_the_other_tasks_nothing<E: Engine>() {
    let factor = Factor::measure::<E>(Load { waiting: 50_000, analyzed: false, ..Load::PLAIN }).await;
    factor.assert_below(E::NAME, Factor { buffers: 1.8, rows: 5.0 });
}

crate::conformance::run_on!(
    pgasync_tests::SqlEngine => sql:
        a_backlog_behind_a_full_pool_costs_the_other_tasks_nothing,
        a_table_without_statistics_costs_the_other_tasks_nothing);
crate::conformance::run_on!(
    pgasync_tests::RustEngine => rust:
        a_backlog_behind_a_full_pool_costs_the_other_tasks_nothing,
        a_table_without_statistics_costs_the_other_tasks_nothing);

/// Each task is in a lane of its own. Measured: 1.2 times the buffers, 0.7 times the rows.
#[tokio::test]
async fn two_thousand_lanes_cost_the_rust_engine_little() {
    let factor = Factor::measure::<RustEngine>(Load { pools: 2_000, ..Load::PLAIN }).await;
    factor.assert_below(RustEngine::NAME, Factor { buffers: 2.0, rows: 2.0 });
}

/// The SQL engine reads all lanes again and again, for at most a fortieth of its time. Measured: up
/// to 6 times the buffers, and 10 to 16 times the rows.
#[tokio::test]
async fn two_thousand_lanes_cost_the_sql_engine_a_bounded_work() {
    let factor = Factor::measure::<SqlEngine>(Load { pools: 2_000, ..Load::PLAIN }).await;
    factor.assert_below(SqlEngine::NAME, Factor { buffers: 12.0, rows: 40.0 });
}
