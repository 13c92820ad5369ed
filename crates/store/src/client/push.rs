//! Pushing tasks.

use pgasync_core::TaskId;
use pgasync_pg::Row;
use pgasync_pg::types::{ToSql, Type};
use serde_json::Value;

use super::error::{CallError, Refusal, error_methods};
use super::{Client, NewTask};
use crate::wire::WireInterval;
use pgasync_pg::Querier;

const OPERATION: &str = "pushing tasks";

const PUSH: &str = "select t.task_id
    from async.push_tasks(
        (select pg_catalog.array_agg(row(u.data, u.target, u.priority, u.query, u.pool, u.timeout, u.track)::async.task_push_t
           order by u.n)
         from rows from (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
           pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7))
           with ordinality as u(data, target, priority, query, pool, timeout, track, n)),
        $8::async.task_run_type_t, $9) t";

/// The treatment of pushed tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunType {
    /// Run them at the target.
    #[default]
    Execute,
    /// Run them at the target. Each task finishes with its query, even if the target finishes tasks
    /// asynchronously.
    ExecuteNoAsync,
    /// Do not run them; they count as successful.
    Empty,
    /// Do not run them; they count as failed.
    Doa,
}

/// Tasks that are pushed in one transaction: all of them, or none.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a batch has no effect until it is pushed"]
pub struct Batch {
    tasks: Vec<NewTask>,
    run_type: RunType,
    source: Option<String>,
}

/// Why tasks were not pushed. A refusal names the element, counted from 1.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// An element's target was never configured.
    #[error("{0}")]
    UnknownTarget(Refusal),
    /// The last configuration left out an element's target.
    #[error("{0}")]
    RetiredTarget(Refusal),
    /// The last configuration left out an element's pool.
    #[error("{0}")]
    RetiredPool(Refusal),
    /// An element cannot run: it has no query, its target has no connection string, or its timeout,
    /// its times or its unique key are invalid.
    #[error("{0}")]
    Impossible(Refusal),
    /// The role may not use an element's target.
    #[error("{0}")]
    NotGranted(Refusal),
    /// A query, the data of a task, a name, the batch or the number of pools is above its limit.
    #[error("{0}")]
    TooLarge(Refusal),
    /// Another task has the unique key of an element.
    #[error("{0}")]
    KeyTaken(Refusal),
    /// Another transaction held the unique key of an element for too long.
    #[error("{0}")]
    KeyBusy(Refusal),
    /// Any other error. A push that ended with [`CallError::Lost`] may have been committed: check
    /// before you push again.
    #[error(transparent)]
    Failed(CallError),
}

error_methods!(
    PushError { UnknownTarget, RetiredTarget, RetiredPool, Impossible, NotGranted, TooLarge, KeyTaken, KeyBusy },
    again_is_harmless: false
);

impl Client {
    /// Pushes the tasks of a batch in one transaction. Returns their ids in order.
    ///
    /// # Errors
    /// When the server refuses a task, in which case none is pushed; or when it cannot be reached.
    pub async fn push(&self, batch: &Batch) -> Result<Vec<TaskId>, PushError> {
        if batch.tasks.is_empty() {
            return Ok(Vec::new());
        }
        let columns = Columns::of(batch);
        Ok(ids(&self.query(OPERATION, PUSH, &columns.parameters()).await?))
    }
}

impl Batch {
    /// A batch of tasks to run.
    pub fn of(tasks: impl IntoIterator<Item = NewTask>) -> Self {
        Self { tasks: tasks.into_iter().collect(), ..Self::default() }
    }

    /// Sets the treatment of the tasks.
    pub const fn run_type(mut self, run_type: RunType) -> Self {
        self.run_type = run_type;
        self
    }

    /// A name for the origin of the tasks, which the table keeps.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Pushes the batch in a session or a transaction of the caller, as part of the transaction that is
    /// open there. It may be one of tokio-postgres.
    ///
    /// # Errors
    /// As [`Client::push`].
    pub async fn push_in(&self, session: &impl Querier) -> Result<Vec<TaskId>, PushError> {
        if self.tasks.is_empty() {
            return Ok(Vec::new());
        }
        let columns = Columns::of(self);
        let pushed = session.execute_typed(PUSH, &columns.parameters()).await;
        Ok(ids(&pushed.map_err(|error| CallError::of(OPERATION, &error))?))
    }
}

impl RunType {
    const fn label(self) -> &'static str {
        match self {
            Self::Execute => "EXECUTE",
            Self::ExecuteNoAsync => "EXECUTE_NOASYNC",
            Self::Empty => "EMPTY",
            Self::Doa => "DOA",
        }
    }
}

impl From<CallError> for PushError {
    fn from(error: CallError) -> Self {
        let sort = |refusal: Refusal| match refusal.sqlstate.as_str() {
            "PA010" | "PA011" => Self::UnknownTarget(refusal),
            "PA012" => Self::RetiredTarget(refusal),
            "PA013" => Self::RetiredPool(refusal),
            "PA017" | "PA018" | "PA019" | "PA01A" | "PA01B" | "PA01C" => Self::TooLarge(refusal),
            "PA082" => Self::NotGranted(refusal),
            "PA01G" => Self::KeyTaken(refusal),
            "PA01H" => Self::KeyBusy(refusal),
            _ => Self::Impossible(refusal),
        };
        error
            .refused_with(&[
                "PA010", "PA011", "PA012", "PA013", "PA014", "PA015", "PA016", "PA017", "PA018", "PA019", "PA01A",
                "PA01B", "PA01C", "PA01D", "PA01E", "PA01F", "PA01G", "PA01H", "PA082",
            ])
            .map_or_else(Self::Failed, sort)
    }
}

/// The parameters of [`PUSH`]: one array for each column of the batch.
struct Columns<'a> {
    data: Vec<Option<&'a Value>>,
    targets: Vec<&'a str>,
    priorities: Vec<i32>,
    queries: Vec<Option<&'a str>>,
    pools: Vec<Option<&'a str>>,
    timeouts: Vec<Option<WireInterval>>,
    track_yielded: Vec<Option<bool>>,
    run_type: &'static str,
    source: Option<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a Batch) -> Self {
        let tasks = &batch.tasks;
        Self {
            data: tasks.iter().map(|task| task.data.as_ref()).collect(),
            targets: tasks.iter().map(|task| task.target.as_str()).collect(),
            priorities: tasks.iter().map(|task| task.priority.0).collect(),
            queries: tasks.iter().map(|task| task.query.as_deref()).collect(),
            pools: tasks.iter().map(|task| task.pool.as_ref().map(pgasync_core::PoolName::as_str)).collect(),
            timeouts: tasks.iter().map(|task| task.timeout.map(WireInterval)).collect(),
            track_yielded: tasks.iter().map(|task| task.track_yielded).collect(),
            run_type: batch.run_type.label(),
            source: batch.source.as_deref(),
        }
    }

    fn parameters(&self) -> [(&(dyn ToSql + Sync), Type); 9] {
        [
            (&self.data, Type::JSONB_ARRAY),
            (&self.targets, Type::TEXT_ARRAY),
            (&self.priorities, Type::INT4_ARRAY),
            (&self.queries, Type::TEXT_ARRAY),
            (&self.pools, Type::TEXT_ARRAY),
            (&self.timeouts, Type::INTERVAL_ARRAY),
            (&self.track_yielded, Type::BOOL_ARRAY),
            (&self.run_type, Type::TEXT),
            (&self.source, Type::TEXT),
        ]
    }
}

fn ids(rows: &[Row]) -> Vec<TaskId> {
    rows.iter().map(|row| TaskId(row.get(0))).collect()
}
