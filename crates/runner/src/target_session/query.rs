//! Running one query, with the reset that follows it.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pgasync_core::{Input, Outcome, ResultText, Run, TaskId};
use pgasync_pg::{RowLimit, Session};
use tokio::sync::Notify;

use super::dblink_connections::names_dblink;
use super::{SessionTask, TASK_ROWS};
use crate::error_text;
use crate::events::LeaderEvent;

/// The limit on reading the rest of the answer after an error.
const REST_OF_ANSWER_MAX: Duration = Duration::from_secs(1);

/// The length of a row of one column, besides the value.
const ROW_OVERHEAD_BYTES: u64 = 10;

/// What is recorded if the target sends no row, one that is too long, or one that is not ASCII.
const NO_ANSWER: &str = r#"{"error": "the target answered nothing, too much, or something else than a result"}"#;

/// A text up to this size counts as sent as soon as it is handed to the session.
pub(crate) const SENT_AT_ONCE_MAX: usize = 65_536;

/// The error of a query that began a transaction and did not end it.
const LEFT_OPEN: &str = "the query left its transaction open: what it did was rolled back";

/// The SQLSTATE of `discard all` within a transaction.
const ACTIVE_SQL_TRANSACTION: &str = "25001";

const SENT_POLL_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) task: TaskId,
    pub(crate) run: Run,
    pub(crate) text: String,
    /// Reset the session after the query.
    pub(crate) reset: bool,
    /// The rows of the query are kept: the text answers one value of at most this many bytes
    /// (`async.keep_query`).
    pub(crate) answer_bytes_max: Option<u64>,
    /// The text writes a receipt, so the end of the session is not the end of the query: a backend that is
    /// terminated while it waits for a standby has committed.
    pub(crate) receipt: bool,
}

/// The end of a query, and whether the session outlives it.
pub(super) enum QueryResult {
    Ended(Outcome),
    /// The outcome is known, and the session must not run another query.
    SessionSpent(Outcome),
    /// The outcome is unknown.
    SessionLost(String),
}

impl QueryResult {
    pub(super) const fn is_ok(&self) -> bool {
        matches!(self, Self::Ended(outcome) | Self::SessionSpent(outcome) if outcome.is_ok())
    }
}

impl SessionTask {
    pub(super) async fn execute(&self, session: &Session, query: Query) -> QueryResult {
        let Query { task, run, text, reset, answer_bytes_max, receipt } = query;
        if let Some(bytes_max) = answer_bytes_max {
            session.limit_rows(RowLimit::First(bytes_max + ROW_OVERHEAD_BYTES));
        }
        let reporting = self.report_sent(session, task, run, text.len());
        let may_stay_open = pgasync_core::opens_transaction(&text);
        let may_leave_connections = reset && self.dblink_connections.is_none() && names_dblink(&text);
        let drained = Notify::new();
        let drain = async {
            let answered = match answer_bytes_max {
                None => session.discard_results(text, REST_OF_ANSWER_MAX).await.map(|()| Outcome::Ok),
                Some(_) => session.first_value(text, REST_OF_ANSWER_MAX).await.map(kept),
            };
            answered.inspect(|_| drained.notify_one())
        };
        let reset = async {
            if reset {
                session.batch_execute("discard all").await?;
                if let Some(connections) = &self.dblink_connections {
                    session.batch_execute(&connections.close).await?;
                }
            }
            Ok(())
        };
        // The limit on the reset begins when the query has ended. Without the limit, a missing
        // answer to the reset would delay the record of the outcome.
        let no_answer = async {
            drained.notified().await;
            tokio::time::sleep(self.answer_max).await;
        };
        let reset = async {
            tokio::select! {
                done = reset => Some(done),
                () = no_answer => None,
            }
        };
        // The query is polled first, so it is sent first. The reset follows without a round trip.
        let answered = async { tokio::join!(drain, reset) };
        let (result, reset) = tokio::select! {
            answered = answered => answered,
            never = reporting => match never {},
        };
        if answer_bytes_max.is_some() {
            session.limit_rows(TASK_ROWS);
        }
        match result {
            Ok(success) => match after_reset(success, reset, may_stay_open) {
                QueryResult::Ended(outcome) if may_leave_connections => QueryResult::SessionSpent(outcome),
                result => result,
            },
            Err(error) => match error.server() {
                Some(error)
                    if error_text::ends_session(&error) && (receipt || !self.is_terminated.load(Ordering::Relaxed)) =>
                {
                    QueryResult::SessionLost(error_text::query_error(&error))
                }
                Some(error) => QueryResult::Ended(Outcome::Error(error_text::query_error(&error))),
                None => QueryResult::SessionLost(error_text::connection_error(&error)),
            },
        }
    }

    /// Sends [`Input::Sent`] when a large text has left this process and its memory is free. A
    /// target may read slowly, so the core counts the text against its byte budget until then.
    /// Never returns.
    async fn report_sent(&self, session: &Session, task: TaskId, run: Run, bytes: usize) -> Infallible {
        if bytes > SENT_AT_ONCE_MAX {
            let all = session.bytes_written().saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
            while session.bytes_written() < all {
                tokio::time::sleep(SENT_POLL_INTERVAL).await;
            }
            self.emit(LeaderEvent::Core(Input::Sent { task, run }));
        }
        std::future::pending().await
    }
}

/// The end of a query whose rows are kept. The answer of a target that keeps to the rules is ASCII, so no
/// other text gets into the batch of the leader, where the server would convert it.
fn kept(answer: Option<String>) -> Outcome {
    let answer = answer.filter(|answer| answer.bytes().all(|byte| byte.is_ascii() && byte != 0));
    Outcome::OkWith(ResultText::new(answer.unwrap_or_else(|| NO_ANSWER.to_owned())))
}

/// The result of a query without an error, by the answer to the reset that follows it. Inside an
/// open transaction the target refuses the reset, and the session ends with the transaction.
/// Without an answer to the reset, the outcome is unknown only if the text may have left a
/// transaction open.
fn after_reset(success: Outcome, reset: Option<Result<(), pgasync_pg::Error>>, may_stay_open: bool) -> QueryResult {
    let error = match reset {
        Some(Ok(())) => return QueryResult::Ended(success),
        Some(Err(error)) => error,
        None if may_stay_open => {
            return QueryResult::SessionLost("the target did not answer the reset after the query".to_owned());
        }
        None => return QueryResult::SessionSpent(success),
    };
    match error.server() {
        Some(error) if error.sqlstate == ACTIVE_SQL_TRANSACTION => {
            QueryResult::SessionSpent(Outcome::Error(LEFT_OPEN.to_owned()))
        }
        Some(error) if !error_text::ends_session(&error) => QueryResult::SessionSpent(success),
        _ if may_stay_open => QueryResult::SessionLost(error_text::connection_error(&error)),
        _ => QueryResult::SessionSpent(success),
    }
}
