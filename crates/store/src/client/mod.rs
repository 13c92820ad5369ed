//! The calls of a client of the task table: short, and over a pool of sessions.

mod configure;
mod document;
mod error;
mod latch;
mod pool;
mod pull;
mod push;
mod read;
mod request;
mod statistics;
mod task;

use std::sync::Arc;
use std::time::Duration;

use bb8::Pool;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

pub use self::configure::ConfigureError;
pub use self::error::{CallError, Refusal};
pub use self::latch::LatchError;
use self::pool::Manager;
pub use self::pull::{TakeError, TakenTask};
pub use self::push::{Batch, PushError, RunType};
pub use self::read::{LogLine, ReadError, TaskStatus};
pub use self::request::{RequestError, RequestReceipt, RestartError};
pub use self::statistics::{
    LeaderStatistics, Period, PoolStatistics, RunningTask, Statistics, TargetState, TargetStatistics, WaitingLane,
};
pub use self::task::NewTask;
use crate::settings::Settings;

const SESSIONS_MAX_DEFAULT: u32 = 4;

const PATIENCE_DEFAULT: Duration = Duration::from_secs(10);

/// The calls of the schema `async`, over a pool of sessions that any number of tokio tasks may
/// share.
///
/// A clone is another handle on the same pool. Sessions are opened when they are needed, and again
/// after a server was away. Every call is a transaction of its own; [`Batch::push_in`] pushes
/// within another transaction. Calls prepare nothing on the server, so they work through a
/// transaction pooler.
///
/// A client database forwards calls to its server. Calls that read tables and views (tasks, the
/// log, the configuration, statistics) need the server itself.
///
/// A call whose future is dropped may have been carried out. Its session is not used again.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use pgasync_core::{FinishStatus, Priority, Span, TargetName};
/// use pgasync_store::{Batch, Client, NewTask, PushError, Settings};
///
/// let client = Client::new(Settings::from_env(Some("host=localhost dbname=jobs"))?);
/// let shop = TargetName::new("shop")?;
/// let batch = Batch::of([
///     NewTask::query("select refresh_totals()", shop.clone()).priority(Priority(-1)),
///     NewTask::query("vacuum orders", shop).timeout(Span::seconds(600)),
/// ])
/// .source("nightly");
/// let ids = match client.push(&batch).await {
///     Ok(ids) => ids,
///     Err(PushError::UnknownTarget(refusal)) => return Err(refusal.sentence.into()),
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
    settings: Arc<Settings>,
    patience: Duration,
}

impl Client {
    /// A client of the server at `settings`, with up to four sessions. Nothing is opened yet.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self::with_sessions(settings, SESSIONS_MAX_DEFAULT, PATIENCE_DEFAULT)
    }

    /// The same with up to `sessions_max` sessions (one at least). A call waits up to `patience`
    /// for a free one, and as long for a server to answer, unless `settings` have a
    /// `connect_timeout`.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn with_sessions(settings: Settings, sessions_max: u32, patience: Duration) -> Self {
        let patience = patience.max(Duration::from_millis(1));
        let pool = Pool::builder()
            .max_size(sessions_max.max(1))
            .connection_timeout(patience)
            .test_on_check_out(false)
            .build_unchecked(Manager);
        Self { pool, settings: Arc::new(settings.with_connect_timeout(patience)), patience }
    }

    async fn query(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, CallError> {
        Ok(self.query_with_warnings(operation, sql, parameters).await?.0)
    }

    /// The same, with the warnings that the server raised.
    async fn query_with_warnings(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<(Vec<Row>, Vec<String>), CallError> {
        // A place cannot fail to be made, so it is time that was lacking.
        let place = self.pool.get().await;
        let mut place = place.map_err(|_| CallError::Busy { operation, patience: self.patience })?;
        let called = place.query(&self.settings, sql, parameters).await;
        let called = called.map_err(|reason| CallError::Unreachable { operation, reason })?;
        called.map_err(|error| CallError::of(operation, &error))
    }
}
