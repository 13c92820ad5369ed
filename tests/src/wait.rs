//! Waiting for conditions.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::database::Database;

/// The timeout for events that take well under a second on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

const DUMP_ROWS_MAX: usize = 40;

impl Database {
    /// Waits until `condition`, a query for one boolean, is true.
    ///
    /// # Panics
    /// After [`PATIENCE`], with the task table and the server's log.
    pub async fn wait_for(&self, condition: &str) {
        self.wait_for_within(condition, PATIENCE).await;
    }

    /// Waits until `condition` is true, with another timeout.
    ///
    /// # Panics
    /// After `patience`.
    pub async fn wait_for_within(&self, condition: &str, patience: Duration) {
        let begin = Instant::now();
        while !self.holds(condition).await {
            assert!(begin.elapsed() < patience, "not within {patience:?}: {condition}\n{}", self.dump().await);
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until every task is finished.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub async fn wait_until_finished(&self) {
        self.wait_for("select not exists (select from async.task where processed is null)").await;
    }

    /// Whether `condition`, a query for one boolean, is true now; null is false.
    ///
    /// # Panics
    /// When it fails.
    pub async fn holds(&self, condition: &str) -> bool {
        let rows = self.rows(condition, &[]).await;
        rows.first().and_then(|row| row.get::<_, Option<bool>>(0)).unwrap_or(false)
    }

    /// Asserts that `condition` is true.
    ///
    /// # Panics
    /// When it is false, with the task table and the server's log.
    pub async fn assert_holds(&self, condition: &str) {
        assert!(self.holds(condition).await, "false: {condition}\n{}", self.dump().await);
    }

    /// The control row, the last tasks and the end of the server's log, as text for the message of
    /// a failed test.
    pub async fn dump(&self) -> String {
        let mut text = String::new();
        for (title, sql) in [
            ("control", "select c::text from async.control as c"),
            (
                "states",
                "select (async.task_execution_state(t), t.finish_status, count(*))::text from async.task as t group by async.task_execution_state(t), t.finish_status",
            ),
            ("tasks", "select t::text from async.task as t order by t.task_id desc"),
            ("server_log", "select l::text from async.server_log as l order by l.server_log desc"),
        ] {
            let _ = writeln!(text, "-- {title}");
            // The dump must not fail: it describes another failure.
            match self.session().query(&format!("{sql} limit {DUMP_ROWS_MAX}"), &[]).await {
                Ok(rows) => rows.iter().for_each(|row| {
                    let _ = writeln!(text, "{}", row.get::<_, String>(0));
                }),
                Err(error) => {
                    let _ = writeln!(text, "{}", crate::database::in_words(&error));
                }
            }
        }
        text
    }
}
