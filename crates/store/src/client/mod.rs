//! The calls of a client of the task table: short, and over a pool of sessions.

mod change;
mod configure;
mod details;
mod error;
mod find;
mod installation;
mod latch;
mod overview;
mod pool;
mod pull;
mod push;
mod push_options;
mod read;
mod request;
mod result;
mod rights;
mod schedule;
mod schedules;
mod set;
mod statistics;
mod task;
mod wait;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use bb8::{Pool, PooledConnection};
use pgasync_pg::types::{ToSql, Type};
use pgasync_pg::{ConnectionSettings, Row};

pub use self::change::{Change, Skipped};
pub use self::configure::ConfigureError;
pub use self::details::{EndedAttempt, OpenRequest, TaskDetails};
pub use self::error::{CallError, Refusal};
pub use self::find::{FoundTask, TaskFilter};
pub use self::installation::Installation;
pub use self::latch::LatchError;
pub use self::overview::{COUNT_MAX, Minute, PhaseCounts, PoolOverview, RunningQuery, TargetOverview};
use self::pool::{Attempts, Manager, Parameter};
pub use self::pull::{TakeError, TakenTask};
pub use self::push::{Batch, PushError, RunType};
pub use self::push_options::{KeyUntil, OnConflict, Push, Pushed, UniqueKey, push_json_in, push_many_in};
pub use self::read::{LogLine, ReadError, TaskStatus};
pub use self::request::{RequestError, RequestReceipt, RestartError};
pub use self::result::TaskResult;
pub use self::rights::Rights;
pub use self::schedule::{NewSchedule, ScheduleError};
pub use self::schedules::ScheduleOverview;
pub use self::statistics::{
    Failure, LeaderStatistics, Period, PoolStatistics, RunningTask, Statistics, StatisticsScope, TargetState,
    TargetStatistics, WaitingLane,
};
pub use self::task::NewTask;
pub use self::wait::WaitError;
pub use self::worker::{WorkOutcome, Worker, WorkerError};

const SESSIONS_MAX_DEFAULT: u32 = 4;

const PATIENCE_DEFAULT: Duration = Duration::from_secs(10);

/// The pool's own limit on waiting. It is longer than any wait that [`Client::session`] allows.
const POOL_WAIT_MAX: Duration = Duration::from_secs(86_400);

/// The calls of the schema `async`, over a pool of sessions that any number of tokio tasks may
/// share.
///
/// A clone is another handle on the same pool, which opens sessions when they are needed and
/// replaces those that are lost. A call that cannot get a session fails at once with the reason,
/// unless another call's session may become free. Every call is a transaction of its own;
/// [`Batch::push_in`], [`push_many_in`] and [`push_json_in`] push within another transaction. Calls prepare nothing on the server, so
/// they work through a transaction pooler.
///
/// A client database forwards calls to its server. Calls that read tables and views (tasks, the
/// log, the configuration, statistics) need the server itself.
///
/// A call whose future is dropped may have been carried out. Its session is not used again.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use pgasync_core::{FinishStatus, Priority, Span, TargetName};
/// use pgasync_pg::ConnectionSettings;
/// use pgasync_store::{Batch, Client, NewTask, PushError};
///
/// let client = Client::new(ConnectionSettings::from_env(Some("host=localhost dbname=jobs"))?);
/// let shop = TargetName::new("shop")?;
/// let batch = Batch::of([
///     NewTask::query("select refresh_totals()", shop.clone()).priority(Priority(-1)),
///     NewTask::query("vacuum orders", shop).timeout(Span::seconds(600)),
/// ])
/// .source("nightly");
/// let ids = match client.push(&batch).await {
///     Ok(ids) => ids,
///     Err(PushError::UnknownTarget(refusal)) => return Err(refusal.message.into()),
///     Err(error) if error.may_be_tried_again() => client.push(&batch).await?,
///     Err(error) => return Err(error.into()),
/// };
/// client.finish(&ids[1..], FinishStatus::Failed, Some("no longer wanted")).await?;
/// println!("{:?}", client.task(ids[0]).await?);
/// for lane in client.statistics().await?.waiting {
///     println!("{} of {} wait: {}", lane.waiting, lane.target, lane.reason);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    pool: Pool<Manager>,
    attempts: Arc<Attempts>,
    patience: Duration,
}

impl Client {
    /// A client of the server at `settings`, with up to four sessions. Nothing is opened yet.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(settings: ConnectionSettings) -> Self {
        Self::with_sessions(settings, SESSIONS_MAX_DEFAULT, PATIENCE_DEFAULT)
    }

    /// A client with up to `sessions_max` sessions (at least one). A call waits up to `patience`
    /// for a free session. An attempt to open one has the same limit, unless `settings` have a
    /// `connect_timeout`.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn with_sessions(settings: ConnectionSettings, sessions_max: u32, patience: Duration) -> Self {
        let patience = patience.max(Duration::from_millis(1));
        let attempts = Attempts::new();
        let manager = Manager::new(settings.with_connect_timeout(patience), Arc::clone(&attempts));
        let pool = Pool::builder()
            .max_size(sessions_max.max(1))
            .connection_timeout(POOL_WAIT_MAX)
            .retry_connection(false)
            .build_unchecked(manager);
        Self { pool, attempts, patience }
    }

    async fn query(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, CallError> {
        Ok(self.query_with_warnings(operation, sql, parameters).await?.0)
    }

    /// Executes a statement; returns its rows and the warnings that the server raised.
    async fn query_with_warnings(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<(Vec<Row>, Vec<String>), CallError> {
        let mut session = self.session(operation).await?;
        session.query(sql, parameters).await.map_err(|error| CallError::of(operation, &error))
    }

    /// Executes statements in one transaction that reads only, with one snapshot; returns the rows of each.
    async fn query_snapshot(
        &self,
        operation: &'static str,
        statements: &[(&str, &[Parameter<'_>])],
    ) -> Result<Vec<Vec<Row>>, CallError> {
        let mut session = self.session(operation).await?;
        session.query_snapshot(statements).await.map_err(|error| CallError::of(operation, &error))
    }

    /// Returns a session of the pool as soon as one is free or opened. While a session is being
    /// opened, the limit of that attempt applies; otherwise `patience` applies.
    async fn session(&self, operation: &'static str) -> Result<PooledConnection<'_, Manager>, CallError> {
        let mut failures = self.attempts.failures();
        let busy = || CallError::Busy { operation, patience: self.patience };
        let failed = async {
            loop {
                let reason = failures.next().await;
                // If sessions are open, one of them may become free.
                if self.pool.state().connections == 0 {
                    return reason;
                }
            }
        };
        let waited = async {
            loop {
                tokio::time::sleep(self.patience).await;
                if !self.attempts.are_under_way() {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            session = self.pool.get() => session.map_err(|_| busy()),
            reason = failed => Err(CallError::Unreachable { operation, reason }),
            () = waited => Err(busy()),
        }
    }
}
