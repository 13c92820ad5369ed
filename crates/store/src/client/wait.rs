//! Waiting for the ends of tasks.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pgasync_core::{Span, TaskId};
use pgasync_pg::types::Type;

use super::Client;
use super::error::{CallError, Refusal, error_methods};
use super::read::{TaskStatus, status};
use crate::wire::WireInterval;

const WAIT: &str = "select t.task_id, t.target, coalesce(t.concurrency_pool, t.target) as pool, t.priority,
      async.task_execution_state(t)::pg_catalog.text as phase, t.finish_status::pg_catalog.text, t.failed, t.processing_error,
      t.entered, t.consumed, t.processed, t.task_data
    from async.wait_for($1, $2) t";

/// The longest wait of one call. A call holds a snapshot on the server while it waits.
const CALL_MAX: Duration = Duration::from_secs(10);

/// Why waiting failed.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// A task does not exist.
    #[error("{0}")]
    UnknownTask(Refusal),
    /// Any other error.
    #[error(transparent)]
    Failed(CallError),
}

error_methods!(WaitError { UnknownTask }, again_is_harmless: true);

impl Client {
    /// Waits until the tasks have ended, for `patience` at most. Returns the states of those that have,
    /// in the order of `tasks`. The call occupies a session until it returns.
    ///
    /// # Errors
    /// When a task does not exist, or the server cannot be reached.
    pub async fn wait(&self, tasks: &[TaskId], patience: Duration) -> Result<Vec<TaskStatus>, WaitError> {
        let ids: Vec<i64> = tasks.iter().map(|task| task.0).collect();
        let wanted = ids.iter().collect::<BTreeSet<_>>().len();
        let begin = Instant::now();
        loop {
            let left = patience.saturating_sub(begin.elapsed()).min(CALL_MAX);
            let timeout = WireInterval(Span::micros(i64::try_from(left.as_micros()).unwrap_or(i64::MAX)));
            let rows =
                self.query("waiting for tasks", WAIT, &[(&ids, Type::INT8_ARRAY), (&timeout, Type::INTERVAL)]).await?;
            if rows.len() >= wanted || begin.elapsed() >= patience {
                return Ok(rows.iter().filter_map(status).collect());
            }
        }
    }
}

impl From<CallError> for WaitError {
    fn from(error: CallError) -> Self {
        error.refused_with(&["PA052"]).map_or_else(Self::Failed, Self::UnknownTask)
    }
}
