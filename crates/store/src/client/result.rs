//! The rows of tasks that were pushed with [`Push::keep_result`](super::Push::keep_result).

use pgasync_core::{Run, TaskId};
use pgasync_pg::types::Type;
use serde_json::Value;

use super::Client;
use super::error::CallError;

const RESULT: &str = "select r.run, r.row_count, r.rows, r.truncated, r.bytes, r.error from async.get_result($1) r";

/// The result of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskResult {
    /// The run that returned these rows.
    pub run: Run,
    /// The number of rows that the query returned; of a query without rows, the number that it
    /// changed. `None` if the target did not say it.
    pub row_count: Option<u64>,
    /// An array with the first rows, each an object. `None` if none could be stored.
    pub rows: Option<Value>,
    /// Whether rows are missing in `rows`.
    pub truncated: bool,
    /// The size of `rows` as text, in UTF-8.
    pub bytes: Option<u32>,
    /// Why `rows` is `None`, or ends before the limit.
    pub error: Option<String>,
}

impl Client {
    /// The result of a task. `None` if the task has none, or the role may not read it.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn result(&self, task: TaskId) -> Result<Option<TaskResult>, CallError> {
        let rows = self.query("reading a result", RESULT, &[(&task.0, Type::INT8)]).await?;
        Ok(rows.first().map(|row| TaskResult {
            run: Run(row.get("run")),
            row_count: row.get::<_, Option<i64>>("row_count").and_then(|count| u64::try_from(count).ok()),
            rows: row.get("rows"),
            truncated: row.get("truncated"),
            bytes: row.get::<_, Option<i32>>("bytes").and_then(|bytes| u32::try_from(bytes).ok()),
            error: row.get("error"),
        }))
    }
}
