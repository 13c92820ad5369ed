//! Pushing tasks with options.

use pgasync_core::{PoolName, TargetName, TaskId, Timestamp};
use pgasync_pg::types::{ToSql, Type};
use pgasync_pg::{Querier, Row};
use serde_json::Value;

use super::error::CallError;
use super::push::PushError;
use super::{Client, NewTask};
use crate::wire::{WireInterval, WireTimestamp};

const PUSH: &str = "select p.task_id, p.duplicate
    from async.push_many((
        select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
            'task_data', u.data, 'target', u.target, 'priority', u.priority, 'query', u.query,
            'concurrency_pool', u.pool, 'timeout', u.timeout, 'track_yielded', u.track, 'source', u.source,
            'run_at', u.run_at, 'expires_at', u.expires_at, 'unique_key', u.key, 'unique_while', u.lasts,
            'on_conflict', u.conflict, 'retry', u.retry, 'keep_result', u.keep, 'receipt', u.receipt) order by u.n), '[]'::pg_catalog.jsonb)
        from rows from (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
          pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8),
          pg_catalog.unnest($9), pg_catalog.unnest($10), pg_catalog.unnest($11), pg_catalog.unnest($12),
          pg_catalog.unnest($13), pg_catalog.unnest($14), pg_catalog.unnest($15), pg_catalog.unnest($16)) with ordinality
          as u(data, target, priority, query, pool, timeout, track, source, run_at, expires_at, key, lasts, conflict,
            retry, keep, receipt, n))) p";

const PUSH_AGAIN: &str = "select p.task_id, p.duplicate
    from async.push_many((
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'query', t.query, 'target', t.target, 'priority', t.priority, 'concurrency_pool', t.concurrency_pool,
        'timeout', t.manual_timeout, 'task_data', t.task_data, 'track_yielded', t.track_yielded, 'source', t.source,
        'unique_key', t.unique_key, 'unique_while', t.unique_while,
        'retry', coalesce(t.retry operator(pg_catalog.->>) 'name', 'none'),
        'keep_result', case when t.keep_result_for is not null then true end, 'receipt', t.receipt)),
        '[]'::pg_catalog.jsonb)
      from async.task t where t.task_id operator(pg_catalog.=) $1 and t.query is not null)) p";

/// A task with options, for [`Client::push_many`].
///
/// ```
/// use pgasync_core::TargetName;
/// use pgasync_store::{NewTask, OnConflict, Push, UniqueKey};
///
/// let totals = NewTask::query("select refresh_totals()", TargetName::new("shop")?);
/// let push = Push::of(totals).unique(UniqueKey::new("totals").on_conflict(OnConflict::Replace));
/// # drop(push);
/// # Ok::<(), pgasync_core::BadName>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a push has no effect until it is sent"]
pub struct Push {
    task: NewTask,
    source: Option<String>,
    run_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    unique: Option<UniqueKey>,
    retry: Option<String>,
    keep_result: Option<bool>,
    receipt: Option<bool>,
}

/// A key that only one task has at a time, at each target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueKey {
    key: String,
    until: KeyUntil,
    on_conflict: OnConflict,
}

/// How long a task has its unique key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyUntil {
    /// Until it ends.
    #[default]
    Ended,
    /// Until it first starts, so that work is not lost that is pushed while one runs.
    Started,
}

/// What a push does if another task has its unique key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// It pushes nothing, and returns the other task.
    #[default]
    Skip,
    /// The whole push is refused, with [`PushError::KeyTaken`].
    Error,
    /// The other task is cancelled if it waits for its first start; otherwise as [`OnConflict::Skip`].
    Replace,
}

/// The result of one push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The new task, or the one that has its unique key; `None` if a trigger kept it out of the table.
    pub task: Option<TaskId>,
    /// Whether another task has its unique key, so that nothing was pushed.
    pub duplicate: bool,
}

/// Pushes the objects of a JSON array, whose keys are the options of `async.push`, as part of the
/// transaction that is open in a session of the caller, which may be one of tokio-postgres. Returns a
/// result for each, in order.
///
/// # Errors
/// When the server refuses an element, which the message counts from 1 in this array; or when the
/// session is lost.
pub async fn push_json_in(session: &impl Querier, tasks: &Value) -> Result<Vec<Pushed>, PushError> {
    let sql = "select p.task_id, p.duplicate from async.push_many($1) p";
    let rows = session.execute_typed(sql, &[(tasks, Type::JSONB)]).await;
    let rows = rows.map_err(|error| CallError::of("pushing tasks", &error))?;
    Ok(rows.iter().map(pushed).collect())
}

/// Pushes tasks with options, as part of the transaction that is open in a session of the caller, which
/// may be one of tokio-postgres. Returns a result for each, in order.
///
/// # Errors
/// As [`push_json_in`].
pub async fn push_many_in(session: &impl Querier, pushes: &[Push]) -> Result<Vec<Pushed>, PushError> {
    if pushes.is_empty() {
        return Ok(Vec::new());
    }
    let rows = session.execute_typed(PUSH, &Columns::of(pushes).parameters()).await;
    let rows = rows.map_err(|error| CallError::of("pushing tasks", &error))?;
    Ok(rows.iter().map(pushed).collect())
}

fn pushed(row: &Row) -> Pushed {
    Pushed { task: row.get::<_, Option<i64>>(0).map(TaskId), duplicate: row.get::<_, Option<bool>>(1).unwrap_or(false) }
}

impl Push {
    /// A task without further options.
    pub const fn of(task: NewTask) -> Self {
        Self {
            task,
            source: None,
            run_at: None,
            expires_at: None,
            unique: None,
            retry: None,
            keep_result: None,
            receipt: None,
        }
    }

    /// A name for the origin of the task, which the table keeps.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The time before which the task does not run.
    pub const fn run_at(mut self, run_at: Timestamp) -> Self {
        self.run_at = Some(run_at);
        self
    }

    /// The deadline of the whole task, its waiting and all its runs included.
    pub const fn expires_at(mut self, expires_at: Timestamp) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// The retry policy; `none` is none. Default: that of the target, else that of `control`.
    pub fn retry(mut self, policy: impl Into<String>) -> Self {
        self.retry = Some(policy.into());
        self
    }

    /// Keeps the rows of the query: see [`Client::result`].
    pub const fn keep_result(mut self) -> Self {
        self.keep_result = Some(true);
        self
    }

    /// Lets the query write a receipt at its target, so that its outcome is known whatever is lost. The query
    /// has to be one transaction.
    pub const fn receipt(mut self) -> Self {
        self.receipt = Some(true);
        self
    }

    /// The key that no other task at the target may have.
    pub fn unique(mut self, key: UniqueKey) -> Self {
        self.unique = Some(key);
        self
    }
}

impl UniqueKey {
    /// A key that the task has until it ends. A push whose key is taken pushes nothing.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), until: KeyUntil::default(), on_conflict: OnConflict::default() }
    }

    /// Sets how long the task has the key.
    #[must_use]
    pub const fn until(mut self, until: KeyUntil) -> Self {
        self.until = until;
        self
    }

    /// Sets what a push does whose key is taken.
    #[must_use]
    pub const fn on_conflict(mut self, on_conflict: OnConflict) -> Self {
        self.on_conflict = on_conflict;
        self
    }
}

impl Client {
    /// Pushes tasks with options in one transaction. Returns their results in order.
    ///
    /// # Errors
    /// When the server refuses a task, in which case none is pushed; or when it cannot be reached.
    pub async fn push_many(&self, pushes: &[Push]) -> Result<Vec<Pushed>, PushError> {
        if pushes.is_empty() {
            return Ok(Vec::new());
        }
        let columns = Columns::of(pushes);
        let rows = self.query("pushing tasks", PUSH, &columns.parameters()).await?;
        Ok(rows.iter().map(pushed).collect())
    }

    /// Pushes a task once more, with its query and options and the grants of this role, and returns the
    /// new one. Its `run_at` and `expires_at` are not repeated. `None` if there is no such task, or it
    /// has no query.
    ///
    /// # Errors
    /// As [`Client::push_many`].
    pub async fn push_again(&self, task: TaskId) -> Result<Option<Pushed>, PushError> {
        let rows = self.query("pushing a task again", PUSH_AGAIN, &[(&task.0, Type::INT8)]).await?;
        Ok(rows.first().map(pushed))
    }

    /// The targets with a tag, in order, without retired ones and those that the role may not use.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn targets(&self, tag: &str) -> Result<Vec<TargetName>, CallError> {
        let rows = self.query("finding targets", "select async.targets($1)", &[(&tag, Type::TEXT)]).await?;
        let names = rows.first().map(|row| row.get::<_, Vec<String>>(0)).unwrap_or_default();
        Ok(names.into_iter().filter_map(|name| TargetName::new(name).ok()).collect())
    }
}

impl KeyUntil {
    const fn label(self) -> &'static str {
        match self {
            Self::Ended => "unfinished",
            Self::Started => "waiting",
        }
    }
}

impl OnConflict {
    const fn label(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Error => "error",
            Self::Replace => "replace",
        }
    }
}

/// The parameters of [`PUSH`]: one array for each option.
struct Columns<'a> {
    data: Vec<Option<&'a Value>>,
    targets: Vec<&'a str>,
    priorities: Vec<i32>,
    queries: Vec<Option<&'a str>>,
    pools: Vec<Option<&'a str>>,
    timeouts: Vec<Option<WireInterval>>,
    track_yielded: Vec<Option<bool>>,
    sources: Vec<Option<&'a str>>,
    run_at: Vec<Option<WireTimestamp>>,
    expires_at: Vec<Option<WireTimestamp>>,
    keys: Vec<Option<&'a str>>,
    keys_last: Vec<Option<&'static str>>,
    conflicts: Vec<Option<&'static str>>,
    retries: Vec<Option<&'a str>>,
    keeps: Vec<Option<bool>>,
    receipts: Vec<Option<bool>>,
}

impl<'a> Columns<'a> {
    fn of(pushes: &'a [Push]) -> Self {
        let tasks = || pushes.iter().map(|push| &push.task);
        let keys = || pushes.iter().map(|push| push.unique.as_ref());
        Self {
            data: tasks().map(|task| task.data.as_ref()).collect(),
            targets: tasks().map(|task| task.target.as_str()).collect(),
            priorities: tasks().map(|task| task.priority.0).collect(),
            queries: tasks().map(|task| task.query.as_deref()).collect(),
            pools: tasks().map(|task| task.pool.as_ref().map(PoolName::as_str)).collect(),
            timeouts: tasks().map(|task| task.timeout.map(WireInterval)).collect(),
            track_yielded: tasks().map(|task| task.track_yielded).collect(),
            sources: pushes.iter().map(|push| push.source.as_deref()).collect(),
            run_at: pushes.iter().map(|push| push.run_at.map(WireTimestamp)).collect(),
            expires_at: pushes.iter().map(|push| push.expires_at.map(WireTimestamp)).collect(),
            keys: keys().map(|key| key.map(|key| key.key.as_str())).collect(),
            keys_last: keys().map(|key| key.map(|key| key.until.label())).collect(),
            conflicts: keys().map(|key| key.map(|key| key.on_conflict.label())).collect(),
            retries: pushes.iter().map(|push| push.retry.as_deref()).collect(),
            keeps: pushes.iter().map(|push| push.keep_result).collect(),
            receipts: pushes.iter().map(|push| push.receipt).collect(),
        }
    }

    fn parameters(&self) -> [(&(dyn ToSql + Sync), Type); 16] {
        [
            (&self.data, Type::JSONB_ARRAY),
            (&self.targets, Type::TEXT_ARRAY),
            (&self.priorities, Type::INT4_ARRAY),
            (&self.queries, Type::TEXT_ARRAY),
            (&self.pools, Type::TEXT_ARRAY),
            (&self.timeouts, Type::INTERVAL_ARRAY),
            (&self.track_yielded, Type::BOOL_ARRAY),
            (&self.sources, Type::TEXT_ARRAY),
            (&self.run_at, Type::TIMESTAMPTZ_ARRAY),
            (&self.expires_at, Type::TIMESTAMPTZ_ARRAY),
            (&self.keys, Type::TEXT_ARRAY),
            (&self.keys_last, Type::TEXT_ARRAY),
            (&self.conflicts, Type::TEXT_ARRAY),
            (&self.retries, Type::TEXT_ARRAY),
            (&self.keeps, Type::BOOL_ARRAY),
            (&self.receipts, Type::BOOL_ARRAY),
        ]
    }
}
