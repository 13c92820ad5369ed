//! Finding tasks: by their phase, their outcome, their target, their age, their text.

use pgasync_core::{FinishStatus, RowState, Span, TaskId, Timestamp};
use pgasync_pg::Row;
use pgasync_pg::types::{ToSql, Type};

use super::Client;
use super::read::{ReadError, phase};
use crate::wire::{WireInterval, WireTimestamp};

const OPERATION: &str = "finding tasks";

/// The characters of a query and of an error that a [`FoundTask`] has.
const TEXT_CHARS_MAX: usize = 400;

const COLUMNS: &str = "t.task_id, async.task_execution_state(t)::pg_catalog.text as phase,
  t.finish_status::pg_catalog.text, t.failed, t.target, coalesce(t.concurrency_pool, t.target) as pool, t.priority,
  t.source, t.attempt, t.entered, t.consumed, t.processed,
  greatest(coalesce(t.consumed, t.processed, pg_catalog.clock_timestamp()) operator(pg_catalog.-) t.entered,
    interval '0') as waited,
  coalesce(t.processed, pg_catalog.clock_timestamp()) operator(pg_catalog.-) t.consumed as took";

/// Which tasks are wanted. An empty list and a `None` admit every task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskFilter {
    /// These ids.
    pub tasks: Vec<TaskId>,
    /// In one of these phases.
    pub phases: Vec<RowState>,
    /// With one of these values of `finish_status`.
    pub statuses: Vec<FinishStatus>,
    /// Failed, or not failed. Unfinished tasks are neither.
    pub failed: Option<bool>,
    /// At one of these targets.
    pub targets: Vec<String>,
    /// Counted against one of these pools.
    pub pools: Vec<String>,
    /// From one of these sources.
    pub sources: Vec<String>,
    /// With this text in the query or the error, in any case.
    pub text: Option<String>,
    /// Pushed within this time.
    pub newer_than: Option<Span>,
    /// Pushed longer ago than this.
    pub older_than: Option<Span>,
    /// Ended within this time.
    pub ended_within: Option<Span>,
}

/// A task that was found. Its texts are cut.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundTask {
    /// Its id.
    pub task: TaskId,
    /// Its phase.
    pub phase: RowState,
    /// How it ended, or the last status that it had.
    pub status: Option<String>,
    /// Whether it failed, once it has ended.
    pub failed: Option<bool>,
    /// Its target.
    pub target: String,
    /// The pool that it counts against.
    pub pool: String,
    /// Lower values run first.
    pub priority: i32,
    /// The origin that the push named.
    pub source: Option<String>,
    /// The number of its failed attempts, if it has a retry policy.
    pub attempt: Option<i32>,
    /// When it was pushed.
    pub entered: Timestamp,
    /// When it was started.
    pub consumed: Option<Timestamp>,
    /// When it ended.
    pub processed: Option<Timestamp>,
    /// The time that it waited for its last start.
    pub waited: Option<Span>,
    /// The time that it ran, or has run so far.
    pub took: Option<Span>,
    /// The beginning of its query.
    pub query: Option<String>,
    /// The beginning of its error.
    pub error: Option<String>,
}

impl Client {
    /// At most `limit` tasks that the filter admits, the newest ids first, below `before` if it is given.
    ///
    /// # Errors
    /// When the server cannot be reached, or the role may not read tasks.
    pub async fn find(
        &self,
        filter: &TaskFilter,
        before: Option<TaskId>,
        limit: u32,
    ) -> Result<Vec<FoundTask>, ReadError> {
        let mut query = Conditions::of(filter);
        if let Some(before) = before {
            query.add("t.task_id operator(pg_catalog.<) #", before.0, Type::INT8);
        }
        let limit = query.parameter(i64::from(limit), Type::INT8);
        let rest = format!("order by t.task_id desc limit {limit}");
        let rows = self.query(OPERATION, &query.select(&rest), &query.parameters()).await?;
        Ok(rows.iter().filter_map(found).collect())
    }

    /// The tasks that the filter admits and that were pushed or ended after `after`, in the order of
    /// these times, at most `limit`. A transaction that commits late shows its tasks late, so read
    /// with an `after` that lies back, and drop what was seen.
    ///
    /// # Errors
    /// As [`Client::find`].
    pub async fn changes(
        &self,
        filter: &TaskFilter,
        after: Timestamp,
        limit: u32,
    ) -> Result<Vec<FoundTask>, ReadError> {
        let mut query = Conditions::of(filter);
        query.add(
            "(t.entered operator(pg_catalog.>) # or t.processed operator(pg_catalog.>) #)",
            WireTimestamp(after),
            Type::TIMESTAMPTZ,
        );
        let limit = query.parameter(i64::from(limit), Type::INT8);
        let rest = format!("order by greatest(t.entered, t.processed), t.task_id limit {limit}");
        let rows = self.query(OPERATION, &query.select(&rest), &query.parameters()).await?;
        Ok(rows.iter().filter_map(found).collect())
    }

    /// The ids of at most `limit` tasks that the filter admits, the lowest first, with their phases.
    ///
    /// # Errors
    /// As [`Client::find`].
    pub async fn find_ids(&self, filter: &TaskFilter, limit: u32) -> Result<Vec<(TaskId, RowState)>, ReadError> {
        let mut query = Conditions::of(filter);
        let limit = query.parameter(i64::from(limit), Type::INT8);
        let sql = format!(
            "select t.task_id, async.task_execution_state(t)::pg_catalog.text as phase from async.task t {}
             order by t.task_id limit {limit}",
            query.clause()
        );
        let rows = self.query(OPERATION, &sql, &query.parameters()).await?;
        Ok(rows.iter().filter_map(|row| Some((TaskId(row.get(0)), phase(row.get(1))?))).collect())
    }

    /// The number of tasks that the filter admits, counted up to `limit`.
    ///
    /// # Errors
    /// As [`Client::find`].
    pub async fn count(&self, filter: &TaskFilter, limit: i64) -> Result<i64, ReadError> {
        let mut query = Conditions::of(filter);
        let limit = query.parameter(limit, Type::INT8);
        let sql = format!("select count(*) from (select from async.task t {} limit {limit}) counted", query.clause());
        let rows = self.query("counting tasks", &sql, &query.parameters()).await?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }

    /// The server's time.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn server_time(&self) -> Result<Timestamp, ReadError> {
        let rows = self.query("reading the time", "select pg_catalog.clock_timestamp()", &[]).await?;
        Ok(rows.first().map_or(Timestamp::from_micros(0), |row| row.get::<_, WireTimestamp>(0).0))
    }
}

/// The conditions of a filter, with their parameters.
struct Conditions {
    conditions: Vec<String>,
    values: Vec<(Box<dyn ToSql + Sync + Send>, Type)>,
}

impl Conditions {
    fn of(filter: &TaskFilter) -> Self {
        let mut all = Self { conditions: Vec::new(), values: Vec::new() };
        if !filter.tasks.is_empty() {
            let ids: Vec<i64> = filter.tasks.iter().map(|task| task.0).collect();
            all.add("t.task_id operator(pg_catalog.=) any (#)", ids, Type::INT8_ARRAY);
        }
        if !filter.phases.is_empty() {
            let phases: Vec<&str> = filter.phases.iter().map(|phase| columns_of(*phase)).collect();
            all.conditions.push(format!("({})", phases.join(" or ")));
        }
        if !filter.statuses.is_empty() {
            let labels: Vec<&'static str> = filter.statuses.iter().map(|status| status.as_str()).collect();
            all.add("t.finish_status::pg_catalog.text operator(pg_catalog.=) any (#)", labels, Type::TEXT_ARRAY);
        }
        match filter.failed {
            Some(true) => all.conditions.push("t.processed is not null and t.failed".to_owned()),
            Some(false) => all.conditions.push("t.processed is not null and not t.failed".to_owned()),
            None => {}
        }
        for (column, names) in [
            ("t.target", &filter.targets),
            ("coalesce(t.concurrency_pool, t.target)", &filter.pools),
            ("t.source", &filter.sources),
        ] {
            if !names.is_empty() {
                let condition = format!("{column} operator(pg_catalog.=) any (#)");
                all.add(&condition, names.clone(), Type::TEXT_ARRAY);
            }
        }
        if let Some(text) = &filter.text {
            all.add(
                "pg_catalog.strpos(pg_catalog.lower(pg_catalog.concat_ws(' ', t.query, t.processing_error)),
                   pg_catalog.lower(#)) operator(pg_catalog.>) 0",
                text.clone(),
                Type::TEXT,
            );
        }
        for (condition, span) in [
            ("t.entered operator(pg_catalog.>=) (pg_catalog.now() operator(pg_catalog.-) #)", filter.newer_than),
            ("t.entered operator(pg_catalog.<) (pg_catalog.now() operator(pg_catalog.-) #)", filter.older_than),
            ("t.processed operator(pg_catalog.>=) (pg_catalog.now() operator(pg_catalog.-) #)", filter.ended_within),
        ] {
            if let Some(span) = span {
                all.add(condition, WireInterval(span), Type::INTERVAL);
            }
        }
        all
    }

    /// Adds a condition; each `#` in it is the parameter.
    fn add(&mut self, condition: &str, value: impl ToSql + Sync + Send + 'static, of_type: Type) {
        let parameter = self.parameter(value, of_type);
        self.conditions.push(condition.replace('#', &parameter));
    }

    fn parameter(&mut self, value: impl ToSql + Sync + Send + 'static, of_type: Type) -> String {
        self.values.push((Box::new(value), of_type));
        format!("${}", self.values.len())
    }

    fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.values.iter().map(|(value, of_type)| (&**value as &(dyn ToSql + Sync), of_type.clone())).collect()
    }

    fn clause(&self) -> String {
        if self.conditions.is_empty() { String::new() } else { format!("where {}", self.conditions.join(" and ")) }
    }

    fn select(&self, rest: &str) -> String {
        format!(
            "select {COLUMNS}, pg_catalog.left(t.query, {TEXT_CHARS_MAX}) as query,
               pg_catalog.left(t.processing_error, {TEXT_CHARS_MAX}) as error
             from async.task t {} {rest}",
            self.clause()
        )
    }
}

/// The phase as conditions on columns, which the indexes know, unlike the function.
const fn columns_of(phase: RowState) -> &'static str {
    match phase {
        RowState::Ready => "(t.processed is null and t.consumed is null and t.yielded is null)",
        RowState::Running => "(t.processed is null and t.consumed is not null and t.yielded is null)",
        RowState::Yielded => "(t.processed is null and t.yielded is not null)",
        RowState::Finished => "t.processed is not null",
    }
}

fn found(row: &Row) -> Option<FoundTask> {
    let time = |column| row.get::<_, Option<WireTimestamp>>(column).map(|stamp| stamp.0);
    let span = |column| row.get::<_, Option<WireInterval>>(column).map(|interval| interval.0);
    Some(FoundTask {
        task: TaskId(row.get("task_id")),
        phase: phase(row.get("phase"))?,
        status: row.get("finish_status"),
        failed: row.get("failed"),
        target: row.get("target"),
        pool: row.get("pool"),
        priority: row.get("priority"),
        source: row.get("source"),
        attempt: row.get("attempt"),
        entered: time("entered")?,
        consumed: time("consumed"),
        processed: time("processed"),
        waited: span("waited"),
        took: span("took"),
        query: row.get("query"),
        error: row.get("error"),
    })
}
