//! The promises that a case broke, from the task table and the ledger.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgasync_pg::Error;
use pgasync_pg::Session;

use super::outcome::LATE;
use super::workload::{Client, POOLS, TaskKind, WORKERS};

/// The irregular ends that a case allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    /// The number of tasks that may have an unknown outcome.
    pub(super) unknown: usize,
    /// The number of tasks that may reach their deadlines although their queries end in time.
    pub(super) overdue: usize,
    /// The time after a deadline for cancel, termination and loss, and for an interval without a
    /// leader.
    pub(super) after_deadline: Duration,
}

/// The limit on the difference between two readings of a clock, or between two statements.
const SLACK: Duration = Duration::from_millis(500);

const UNKNOWN: &str = "outcome unknown";

#[derive(Debug)]
struct Row {
    id: i64,
    kind: TaskKind,
    status: Option<String>,
    failed: Option<bool>,
    tracked: Option<bool>,
    yielded: bool,
    error: String,
    /// Seconds since 1970.
    consumed: Option<f64>,
    processed: Option<f64>,
    times_up: Option<f64>,
    now: f64,
}

#[derive(Debug, Default)]
struct Trace {
    starts: usize,
    ends: usize,
    effects: usize,
}

/// Returns one line for each broken promise. `fired` has the times at which messages were lost.
pub(super) async fn judge(
    client: &Client,
    ledger: &Session,
    flow: &str,
    fired: &[SystemTime],
    allowed: Allowed,
) -> Result<Vec<String>, Error> {
    let rows = read_rows(&client.session).await?;
    let traces = read_traces(ledger, &client.session, flow).await?;
    let mut broken = Vec::new();
    judge_rows(&rows, &traces, client, allowed, &mut broken);
    judge_unknown(&rows, fired, allowed, &mut broken);
    judge_limits(ledger, flow, &mut broken).await?;
    Ok(broken)
}

fn judge_rows(
    rows: &[Row],
    traces: &BTreeMap<i64, Trace>,
    client: &Client,
    allowed: Allowed,
    broken: &mut Vec<String>,
) {
    for id in &client.pushed {
        if !rows.iter().any(|row| row.id == *id) {
            broken.push(format!("a committed push is lost: {id}"));
        }
    }
    let nothing = Trace::default();
    let mut overdue = 0;
    for row in rows {
        let trace = traces.get(&row.id).unwrap_or(&nothing);
        let pulled = client.pulled.get(&row.id).copied().unwrap_or(0);
        if trace.starts.max(trace.effects) > row.kind.starts() || trace.ends > 1 || pulled > 1 {
            broken.push(format!("ran twice: {row:?} {trace:?}"));
        }
        let end = row.processed.unwrap_or(row.now);
        if row.times_up.is_some_and(|times_up| end > times_up + (allowed.after_deadline + SLACK).as_secs_f64()) {
            broken.push(format!("{LATE}not ended by its deadline and graces: {row:?} {trace:?}"));
        } else if row.processed.is_none() {
            broken.push(format!("{LATE}never ended: {row:?} {trace:?}"));
            continue;
        }
        if row.processed.is_none() {
            continue;
        }
        if row.tracked == Some(true) || row.failed != row.status.as_ref().map(|status| status != "FINISHED") {
            broken.push(format!("half finished: {row:?}"));
        }
        overdue += usize::from(is_overdue(row));
        if let Some(wrong) = wrong_end(row, trace) {
            broken.push(format!("{wrong}: {row:?} {trace:?}"));
        }
    }
    if overdue > allowed.overdue {
        broken
            .push(format!("{LATE}{overdue} tasks reached deadlines that they need not reach, {} may", allowed.overdue));
    }
}

fn is_overdue(row: &Row) -> bool {
    row.status.as_deref() == Some("TIMED_OUT") && row.kind != TaskKind::Timeout
}

/// The contradiction between the end of a task and its entries in the ledger.
fn wrong_end(row: &Row, trace: &Trace) -> Option<&'static str> {
    let unknown = row.error.contains(UNKNOWN);
    let committed = match row.kind {
        TaskKind::Quick | TaskKind::Yield => trace.effects == 1,
        TaskKind::Run | TaskKind::One | TaskKind::Cancel | TaskKind::Timeout => trace.ends == 1,
        TaskKind::Defer => trace.starts == 2,
        TaskKind::Fail => false,
        TaskKind::Pull => true,
    };
    match (row.kind, row.status.as_deref()) {
        (TaskKind::Fail, Some("FINISHED")) => Some("a failure is FINISHED"),
        (_, Some("FINISHED")) => (!committed).then_some("FINISHED without its effect"),
        (TaskKind::Fail, Some("FAILED")) if row.error.starts_with("P0001: failed as it should") => None,
        (_, Some("FAILED")) => (!unknown).then_some("FAILED without a reason"),
        (TaskKind::Cancel, Some("CANCELED")) | (_, Some("TIMED_OUT"))
            if committed && !row.yielded && row.kind != TaskKind::Pull && !unknown =>
        {
            Some("its effect is committed, and its end does not say that the outcome is unknown")
        }
        (TaskKind::Cancel, Some("CANCELED")) | (TaskKind::Timeout, Some("TIMED_OUT")) => None,
        // The other checks count timeouts.
        (_, Some("TIMED_OUT")) => None,
        _ => Some("ended as it should not"),
    }
}

/// Only tasks that were claimed and not recorded when a message was lost may have an unknown
/// outcome.
fn judge_unknown(rows: &[Row], fired: &[SystemTime], allowed: Allowed, broken: &mut Vec<String>) {
    let unknown: Vec<&Row> = rows.iter().filter(|row| row.error.contains(UNKNOWN)).collect();
    if unknown.len() > allowed.unknown {
        broken.push(format!("{} outcomes are unknown, {} may be: {unknown:?}", unknown.len(), allowed.unknown));
    }
    let slack = SLACK.as_secs_f64();
    let at: Vec<f64> = fired.iter().map(|at| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()).collect();
    for row in unknown {
        let in_hand = |at: &f64| {
            row.consumed.is_some_and(|claimed| claimed < at + slack)
                && row.processed.is_none_or(|recorded| recorded > at - slack)
        };
        if !at.iter().any(in_hand) {
            broken.push(format!("its outcome is unknown although nothing was lost while it was claimed: {row:?}"));
        }
    }
}

/// Each start has recorded the number of tasks that ran at that time.
async fn judge_limits(ledger: &Session, flow: &str, broken: &mut Vec<String>) -> Result<(), Error> {
    let sql = "select pool, max(in_pool), max(coalesce(in_all, 0)) from marks where flow = $1 and pool is not null
        group by pool";
    for row in ledger.query(sql, &[&flow]).await? {
        let pool: &str = row.get(0);
        let (in_pool, in_all): (i32, i32) = (row.get(1), row.get(2));
        let limit = POOLS.iter().find(|(name, _)| *name == pool).map_or(0, |(_, limit)| *limit);
        if i64::from(in_pool) > i64::from(limit) {
            broken.push(format!("{in_pool} tasks of pool {pool} ran at once, {limit} may"));
        }
        if i64::from(in_all) > i64::from(WORKERS) {
            broken.push(format!("{in_all} tasks ran at once, {WORKERS} may"));
        }
    }
    Ok(())
}

async fn read_rows(server: &Session) -> Result<Vec<Row>, Error> {
    let sql =
        "select t.task_id, t.task_data->>'kind', t.finish_status::text, t.failed, t.tracked, t.yielded is not null,
          coalesce(t.processing_error, ''), extract(epoch from t.consumed)::float8,
          extract(epoch from t.processed)::float8, extract(epoch from nullif(t.times_up, 'infinity'))::float8,
          extract(epoch from clock_timestamp())::float8
        from async.task t order by t.task_id";
    let read = |row: &pgasync_pg::Row| Row {
        id: row.get(0),
        kind: TaskKind::named(row.get(1)),
        status: row.get(2),
        failed: row.get(3),
        tracked: row.get(4),
        yielded: row.get(5),
        error: row.get(6),
        consumed: row.get(7),
        processed: row.get(8),
        times_up: row.get(9),
        now: row.get(10),
    };
    Ok(server.query(sql, &[]).await?.iter().map(read).collect())
}

async fn read_traces(ledger: &Session, server: &Session, flow: &str) -> Result<BTreeMap<i64, Trace>, Error> {
    let mut traces: BTreeMap<i64, Trace> = BTreeMap::new();
    for row in ledger.query("select task_id, mark from marks where flow = $1", &[&flow]).await? {
        let trace = traces.entry(row.get(0)).or_default();
        match row.get(1) {
            "start" => trace.starts += 1,
            "end" => trace.ends += 1,
            _ => trace.effects += 1,
        }
    }
    for row in server.query("select task_id from visits", &[]).await? {
        traces.entry(row.get(0)).or_default().starts += 1;
    }
    Ok(traces)
}
