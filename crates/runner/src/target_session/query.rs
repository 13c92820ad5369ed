//! Running one query, with the reset that follows it.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pgasync_core::{Input, Outcome, Run, TaskId};
use pgasync_pg::Session;
use tokio::sync::Notify;

use super::SessionTask;
use super::dblink_connections::names_dblink;
use crate::error_text;
use crate::events::LeaderEvent;

/// The limit on reading the rest of the answer after an error.
const REST_OF_ANSWER_MAX: Duration = Duration::from_secs(1);

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
        matches!(self, Self::Ended(Outcome::Ok) | Self::SessionSpent(Outcome::Ok))
    }
}

impl SessionTask {
    pub(super) async fn execute(&self, session: &Session, query: Query) -> QueryResult {
        let Query { task, run, text, reset } = query;
        let reporting = self.report_sent(session, task, run, text.len());
        let may_stay_open = pgasync_core::opens_transaction(&text);
        let may_leave_connections = reset && self.dblink_connections.is_none() && names_dblink(&text);
        let drained = Notify::new();
        let drain =
            async { session.discard_results(text, REST_OF_ANSWER_MAX).await.inspect(|()| drained.notify_one()) };
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
        match result {
            Ok(()) => match after_reset(reset, may_stay_open) {
                QueryResult::Ended(outcome) if may_leave_connections => QueryResult::SessionSpent(outcome),
                result => result,
            },
            Err(error) => match error.server() {
                Some(error) if error_text::ends_session(&error) && !self.is_terminated.load(Ordering::Relaxed) => {
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

/// The result of a query without an error, by the answer to the reset that follows it. Inside an
/// open transaction the target refuses the reset, and the session ends with the transaction.
/// Without an answer to the reset, the outcome is unknown only if the text may have left a
/// transaction open.
fn after_reset(reset: Option<Result<(), pgasync_pg::Error>>, may_stay_open: bool) -> QueryResult {
    let error = match reset {
        Some(Ok(())) => return QueryResult::Ended(Outcome::Ok),
        Some(Err(error)) => error,
        None if may_stay_open => {
            return QueryResult::SessionLost("the target did not answer the reset after the query".to_owned());
        }
        None => return QueryResult::SessionSpent(Outcome::Ok),
    };
    match error.server() {
        Some(error) if error.sqlstate == ACTIVE_SQL_TRANSACTION => {
            QueryResult::SessionSpent(Outcome::Error(LEFT_OPEN.to_owned()))
        }
        Some(error) if !error_text::ends_session(&error) => QueryResult::SessionSpent(Outcome::Ok),
        _ if may_stay_open => QueryResult::SessionLost(error_text::connection_error(&error)),
        _ => QueryResult::SessionSpent(Outcome::Ok),
    }
}
