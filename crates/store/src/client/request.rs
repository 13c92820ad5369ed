//! Asking that tasks end, wait or start anew.

use pgasync_core::{FinishStatus, Span, TaskId};
use pgasync_pg::types::Type;

use super::Client;
use super::error::{CallError, Refusal, answers};
use crate::wire::Interval;

const FINISH: &str = "select async.finish($1, $2::async.finish_status_t, $3, $4)";

/// What the server said to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestReceipt {
    /// Its sentence that names ids which do not exist or are finished; the others go their way.
    pub warning: Option<String>,
}

/// Why a request was not written down.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It asks for what cannot be: DEFERRED without a duration, a negative one.
    #[error("{0}")]
    Impossible(Refusal),
    /// Anything else.
    #[error(transparent)]
    Failed(CallError),
}

answers!(RequestError { Impossible }, again_is_harmless: true);

/// Why a task was not restarted.
#[derive(Debug, thiserror::Error)]
pub enum RestartError {
    /// There is no such task, any more.
    #[error("{0}")]
    UnknownTask(Refusal),
    /// It has not finished.
    #[error("{0}")]
    Unfinished(Refusal),
    /// Its session at the target is not known to be gone.
    #[error("{0}")]
    SessionAlive(Refusal),
    /// It was never to run.
    #[error("{0}")]
    NothingToRun(Refusal),
    /// Anything else. A restart that was [`CallError::Lost`] may have been made, and the task may have run.
    #[error(transparent)]
    Failed(CallError),
}

answers!(RestartError { UnknownTask, Unfinished, SessionAlive, NothingToRun }, again_is_harmless: false);

impl Client {
    /// Asks that tasks end with a status; the leader does it.
    ///
    /// # Errors
    /// When it cannot be asked, or the server cannot be reached.
    pub async fn finish(
        &self,
        tasks: &[TaskId],
        status: FinishStatus,
        message: Option<&str>,
    ) -> Result<RequestReceipt, RequestError> {
        self.ask("finishing tasks", tasks, status, message, None).await
    }

    /// Asks that tasks be cancelled; a query that committed first is FINISHED.
    ///
    /// # Errors
    /// As [`Client::finish`].
    pub async fn cancel(&self, tasks: &[TaskId], message: Option<&str>) -> Result<RequestReceipt, RequestError> {
        let message = message.or(Some("manual cancel"));
        self.ask("cancelling tasks", tasks, FinishStatus::Canceled, message, None).await
    }

    /// Asks that tasks go back to the queue, not to be run before `duration` has passed.
    ///
    /// # Errors
    /// As [`Client::finish`].
    pub async fn defer(&self, tasks: &[TaskId], duration: Span) -> Result<RequestReceipt, RequestError> {
        self.ask("deferring tasks", tasks, FinishStatus::Deferred, None, Some(duration)).await
    }

    /// Sends a finished task back to the queue with a clean slate, at once.
    ///
    /// # Errors
    /// When it is none that could run again, or the server cannot be reached.
    pub async fn restart(&self, task: TaskId) -> Result<(), RestartError> {
        let sql = "select async.restart_task($1)";
        self.query("restarting a task", sql, &[(&task.0, Type::INT8)]).await?;
        Ok(())
    }

    async fn ask(
        &self,
        operation: &'static str,
        tasks: &[TaskId],
        status: FinishStatus,
        message: Option<&str>,
        duration: Option<Span>,
    ) -> Result<RequestReceipt, RequestError> {
        let ids: Vec<i64> = tasks.iter().map(|task| task.0).collect();
        let (status, duration) = (status.as_str(), duration.map(Interval));
        let (_, warnings) = self
            .query_and_listen(
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
            _ => Self::NothingToRun(refusal),
        };
        error.refused_with(&["PA030", "PA031", "PA032", "PA033"]).map_or_else(Self::Failed, sort)
    }
}
