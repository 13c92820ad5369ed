//! Requests: finish, cancel, defer and restart tasks.

use pgasync_core::{FinishStatus, Span, TaskId};
use pgasync_pg::types::Type;

use super::Client;
use super::error::{CallError, Refusal, error_methods};
use crate::wire::WireInterval;

const FINISH: &str = "select async.finish($1, $2::async.finish_status_t, $3, $4)";

/// The answer to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestReceipt {
    /// A warning that names the ids of tasks that do not exist or are finished. The request is
    /// recorded for the other ids.
    pub warning: Option<String>,
}

/// Why a request was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The request is invalid: DEFERRED without a duration, or a negative duration.
    #[error("{0}")]
    Impossible(Refusal),
    /// Any other error.
    #[error(transparent)]
    Failed(CallError),
}

error_methods!(RequestError { Impossible }, again_is_harmless: true);

/// Why a task was not restarted.
#[derive(Debug, thiserror::Error)]
pub enum RestartError {
    /// The task does not exist.
    #[error("{0}")]
    UnknownTask(Refusal),
    /// It has not finished.
    #[error("{0}")]
    Unfinished(Refusal),
    /// Its session with the target may still be alive.
    #[error("{0}")]
    SessionAlive(Refusal),
    /// The task was not pushed to run.
    #[error("{0}")]
    NothingToRun(Refusal),
    /// The task has expired.
    #[error("{0}")]
    Expired(Refusal),
    /// Another task has its unique key.
    #[error("{0}")]
    KeyTaken(Refusal),
    /// The role may not use the target of the task.
    #[error("{0}")]
    NotGranted(Refusal),
    /// Any other error. A restart that ended with [`CallError::Lost`] may have been committed, and
    /// the task may have run.
    #[error(transparent)]
    Failed(CallError),
}

error_methods!(RestartError { UnknownTask, Unfinished, SessionAlive, NothingToRun, Expired, KeyTaken, NotGranted }, again_is_harmless: false);

impl Client {
    /// Requests that tasks end with a status. The leader applies the request.
    ///
    /// # Errors
    /// When the request is invalid, or the server cannot be reached.
    pub async fn finish(
        &self,
        tasks: &[TaskId],
        status: FinishStatus,
        message: Option<&str>,
    ) -> Result<RequestReceipt, RequestError> {
        self.request("finishing tasks", tasks, status, message, None).await
    }

    /// Requests that tasks are cancelled. A task whose query commits first is FINISHED.
    ///
    /// # Errors
    /// As [`Client::finish`].
    pub async fn cancel(&self, tasks: &[TaskId], message: Option<&str>) -> Result<RequestReceipt, RequestError> {
        let message = message.or(Some("manual cancel"));
        self.request("cancelling tasks", tasks, FinishStatus::Canceled, message, None).await
    }

    /// Requests that tasks return to the queue and become eligible after `duration`.
    ///
    /// # Errors
    /// As [`Client::finish`].
    pub async fn defer(&self, tasks: &[TaskId], duration: Span) -> Result<RequestReceipt, RequestError> {
        self.request("deferring tasks", tasks, FinishStatus::Deferred, None, Some(duration)).await
    }

    /// Returns a finished task to the queue at once, with its outcome cleared.
    ///
    /// # Errors
    /// When the task cannot run again, or the server cannot be reached.
    pub async fn restart(&self, task: TaskId) -> Result<(), RestartError> {
        let sql = "select async.restart_task($1)";
        self.query("restarting a task", sql, &[(&task.0, Type::INT8)]).await?;
        Ok(())
    }

    /// Returns finished tasks to the queue at once, as [`Client::restart`] does: all of them, or none.
    ///
    /// # Errors
    /// As [`Client::restart`], for the first task that cannot run again.
    pub async fn restart_all(&self, tasks: &[TaskId]) -> Result<(), RestartError> {
        let ids: Vec<i64> = tasks.iter().map(|task| task.0).collect();
        self.query("restarting tasks", "select async.restart($1)", &[(&ids, Type::INT8_ARRAY)]).await?;
        Ok(())
    }

    async fn request(
        &self,
        operation: &'static str,
        tasks: &[TaskId],
        status: FinishStatus,
        message: Option<&str>,
        duration: Option<Span>,
    ) -> Result<RequestReceipt, RequestError> {
        let ids: Vec<i64> = tasks.iter().map(|task| task.0).collect();
        let (status, duration) = (status.as_str(), duration.map(WireInterval));
        let (_, warnings) = self
            .query_with_warnings(
                operation,
                FINISH,
                &[(&ids, Type::INT8_ARRAY), (&status, Type::TEXT), (&message, Type::TEXT), (&duration, Type::INTERVAL)],
            )
            .await?;
        Ok(RequestReceipt { warning: Some(warnings.join("; ")).filter(|text| !text.is_empty()) })
    }
}

impl From<CallError> for RequestError {
    fn from(error: CallError) -> Self {
        error.refused_with(&["PA020", "PA021", "PA022"]).map_or_else(Self::Failed, Self::Impossible)
    }
}

impl From<CallError> for RestartError {
    fn from(error: CallError) -> Self {
        let sort = |refusal: Refusal| match refusal.sqlstate.as_str() {
            "PA030" => Self::UnknownTask(refusal),
            "PA031" => Self::Unfinished(refusal),
            "PA032" => Self::SessionAlive(refusal),
            "PA034" => Self::Expired(refusal),
            "PA035" => Self::KeyTaken(refusal),
            "PA082" => Self::NotGranted(refusal),
            _ => Self::NothingToRun(refusal),
        };
        error
            .refused_with(&["PA030", "PA031", "PA032", "PA033", "PA034", "PA035", "PA082"])
            .map_or_else(Self::Failed, sort)
    }
}
