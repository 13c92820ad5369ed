//! The broken promises after all tasks have finished.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use pgasync_tests::{Database, PATIENCE, Target};
use tokio::time::sleep;

use super::client::ClientLog;
use super::losses::Losses;
use super::observer::Observer;
use super::rows::{Row, Trace, read_ledgers, read_rows, read_visits};
use super::tally::Tally;
use super::workload::{MIXED_POOLS, POOLS, TaskKind, WORKERS};

/// The irregular launches that a test allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// No task is launched twice.
    OneLaunch,
    /// A leader that shut down gracefully paused running tasks. They run again, once for each
    /// claim.
    Pauses,
    /// No task is launched twice. Tasks may reach their deadlines, and engines may log errors,
    /// because targets and server are out of reach at times.
    Outages,
}

/// What the judge has found.
#[derive(Debug)]
pub(super) struct Judgement {
    /// A line for each kind of broken promise.
    pub(super) broken: Vec<String>,
    pub(super) tally: Tally,
}

/// A leader that claims and ends tasks reads a confirmed request within this time.
const REQUEST_READ_WITHIN: f64 = 10.0;

/// The limit on the difference between two readings of the clock.
const CLOCK_SLACK: f64 = 0.5;

/// The number of examples in the message about one kind of complaint.
const EXAMPLES_MAX: usize = 5;

pub(super) async fn judge(
    database: &Database,
    targets: &[Target],
    log: &ClientLog,
    observer: &Observer,
    losses: &Losses,
    allowed: Allowed,
) -> Judgement {
    let rows = read_rows(database).await;
    let mut traces = read_ledgers(targets).await;
    read_visits(database, &mut traces).await;
    let mut losses = losses.clone();
    losses.extend(&observer.outages());
    let mut broken = Complaints::default();
    judge_unknown_outcomes(&rows, &losses, &mut broken);
    judge_short_tasks(targets, &mut broken).await;
    judge_rows(&rows, &traces, log, allowed, &mut broken);
    judge_history(&rows, log, &mut broken);
    judge_origins(&rows, &traces, log, &mut broken);
    judge_overlaps(&rows, &traces, &mut broken);
    assert!(observer.samples() > 100, "the observer looked only {} times", observer.samples());
    observer.excesses().into_iter().for_each(|excess| broken.add("more at once than may", excess));
    judge_occupancy(database, allowed, &mut broken).await;
    eprintln!("{} tasks, {:?}, at most {:?} at once", rows.len(), by_status(&rows), observer.most());
    let tally = tally(&rows, &traces, log, &broken);
    Judgement { broken: broken.in_words(), tally }
}

/// The result in Jepsen's words.
fn tally(rows: &[Row], traces: &HashMap<i64, Trace>, log: &ClientLog, broken: &Complaints) -> Tally {
    let acknowledged: HashSet<_> = log.pushed.iter().collect();
    let unknown = || rows.iter().filter(|row| row.is_unknown());
    Tally {
        attempted: log.tried.iter().sum(),
        acknowledged: log.pushed.len(),
        recovered: rows.iter().filter(|row| !acknowledged.contains(&row.id)).count(),
        by_status: by_status(rows).into_iter().map(|(status, count)| (status.to_owned(), count)).collect(),
        unknown: unknown().count(),
        unknown_committed: unknown().filter(|row| traces.get(&row.id).is_some_and(Trace::has_committed)).count(),
        lost: broken.count(&[LOST_PUSH, LOST_EFFECT, LOST_REQUEST, "never ended"]),
        duplicated: broken.count(&["started twice", "committed twice", "taken twice"]),
        unexpected: broken.count(&["ended as it should not", "unexpected"]),
    }
}

const LOST_PUSH: &str = "lost a committed push";
const LOST_EFFECT: &str = "finished without its effect";
const LOST_REQUEST: &str = "lost a request";

/// Broken promises, by promise.
#[derive(Debug, Default)]
struct Complaints(BTreeMap<&'static str, Vec<String>>);

impl Complaints {
    fn add(&mut self, about: &'static str, text: String) {
        self.0.entry(about).or_default().push(text);
    }

    fn count(&self, about: &[&str]) -> usize {
        about.iter().filter_map(|about| self.0.get(about)).map(Vec::len).sum()
    }

    fn in_words(self) -> Vec<String> {
        let line = |(about, all): (_, Vec<String>)| {
            format!("{about}: {} times, {}", all.len(), all[..all.len().min(EXAMPLES_MAX)].join("; "))
        };
        self.0.into_iter().map(line).collect()
    }
}

/// The status of each task must agree with the ledger.
fn judge_rows(rows: &[Row], traces: &HashMap<i64, Trace>, log: &ClientLog, allowed: Allowed, broken: &mut Complaints) {
    let nothing = Trace::default();
    for row in rows {
        let trace = traces.get(&row.id).unwrap_or(&nothing);
        if row.recorded.is_none() {
            broken.add("never ended", format!("{row:?} {trace:?}"));
            continue;
        }
        let launches_max = match allowed {
            Allowed::OneLaunch | Allowed::Outages => row.kind.launches(),
            Allowed::Pauses => usize::try_from(row.run).expect("runs are counted"),
        };
        if trace.starts.len() > launches_max || trace.visits > launches_max {
            broken.add("started twice", format!("{row:?} {trace:?}"));
        }
        if trace.effects > 1 || trace.ends.len() > 1 {
            broken.add("committed twice", format!("{row:?} {trace:?}"));
        }
        if row.failed != row.status.as_ref().map(|status| status != "FINISHED") || row.tracked == Some(true) {
            broken.add("half finished", format!("{row:?}"));
        }
        if let Some(wrong) = wrong_end(row, trace, log, allowed) {
            broken.add(wrong, format!("{row:?} {trace:?}"));
        }
        if is_request_lost(row, log) {
            broken.add(LOST_REQUEST, format!("{row:?} {trace:?}"));
        }
    }
    for (id, times) in log.pulled.iter().filter(|(_, times)| **times > 1) {
        broken.add("taken twice", format!("task {id} was taken {times} times"));
    }
}

/// The contradiction between the end of a task and its entries in the ledger.
fn wrong_end(row: &Row, trace: &Trace, log: &ClientLog, allowed: Allowed) -> Option<&'static str> {
    // The task never ran, or its query was cancelled. An effect is one transaction, so it did not
    // commit, unless the outcome is unknown.
    let is_uncommitted = !trace.has_committed() || row.is_unknown();
    let as_it_should = match row.status.as_deref() {
        Some("FINISHED") => {
            let has_effect = match row.kind {
                TaskKind::Run => !trace.ends.is_empty(),
                TaskKind::Effect | TaskKind::Yield => trace.effects > 0,
                TaskKind::Defer => trace.visits > 1,
                TaskKind::Pull => true,
                TaskKind::Fail => false,
            };
            return (!has_effect).then_some(LOST_EFFECT);
        }
        Some("FAILED") => {
            row.error.starts_with("outcome unknown")
                || row.kind == TaskKind::Fail && row.error.starts_with("P0001: failed as it should")
                // The SQL engine read the result in a stage that a lock timeout rolled back. libpq keeps
                // the text of an error, without its SQLSTATE.
                || allowed == Allowed::Outages
                    && row.kind == TaskKind::Fail
                    && row.error.starts_with("failed as it should\n")
                // The query of such a task writes on the server, which may be read-only for a while.
                || allowed == Allowed::Outages && row.kind == TaskKind::Defer && row.error.starts_with("25006")
        }
        // A procedure that was cancelled has committed its start only.
        Some("CANCELED") => log.cancelled.contains(&row.id) && (trace.effects == 0 || row.is_unknown()),
        Some("TIMED_OUT") => {
            let is_due = row.times_up.is_some_and(|due| row.recorded.is_some_and(|at| at + CLOCK_SLACK >= due));
            let is_with_client = matches!(row.kind, TaskKind::Yield | TaskKind::Pull);
            allowed == Allowed::Outages && is_due && (is_uncommitted || is_with_client)
        }
        _ => false,
    };
    (!as_it_should).then_some("ended as it should not")
}

/// Whether a task ended as if the client had not requested another end long before.
fn is_request_lost(row: &Row, log: &ClientLog) -> bool {
    let claimed_after_cancel = log.cancels.get(&row.id).zip(row.claimed).is_some_and(|(cancel, claimed)| {
        row.status.as_deref() != Some("CANCELED") && claimed > cancel + REQUEST_READ_WITHIN
    });
    let timed_out_after_finish = row.status.as_deref() == Some("TIMED_OUT")
        && log.finishes.get(&row.id).zip(row.times_up).is_some_and(|(finish, due)| finish + REQUEST_READ_WITHIN < due);
    claimed_after_cancel || timed_out_after_finish
}

/// Only tasks that were claimed and not recorded during a loss may have an unknown outcome.
fn judge_unknown_outcomes(rows: &[Row], losses: &Losses, broken: &mut Complaints) {
    let mut met: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for row in rows {
        let (Some(claimed), Some(recorded)) = (row.claimed, row.recorded) else { continue };
        let unknown = row.is_unknown();
        let mut any = false;
        for loss in losses.met(claimed, recorded) {
            any = true;
            let (open, in_doubt) = met.entry(loss).or_default();
            *open += 1;
            *in_doubt += usize::from(unknown);
        }
        if unknown && !any {
            broken.add("in doubt without a loss", format!("{row:?} {losses:?}"));
        }
    }
    eprintln!("claimed and not recorded at each loss, and in doubt of them: {:?}", met.values().collect::<Vec<_>>());
}

/// The limit of the pool whose tasks are too short for the observer. The tasks count themselves.
async fn judge_short_tasks(targets: &[Target], broken: &mut Complaints) {
    let mut most = 0;
    for target in targets {
        let sql = "select coalesce(max(running), 0) from crowd";
        let row = target.session().query_one(sql, &[]).await.expect("the crowd is readable");
        most = most.max(row.get::<_, i32>(0));
    }
    let (pool, limit) = POOLS[3];
    eprintln!("at most {most} of {pool} at once by their own count");
    if i64::from(most) > i64::from(limit) {
        broken.add("more at once than may", format!("{most} of {pool} by their own count, {limit} may"));
    }
    if most < 2 {
        broken.add("the crowd was not observed", format!("at most {most} of {pool} ran at once"));
    }
}

/// No confirmed push is lost, and no finished task changes.
fn judge_history(rows: &[Row], log: &ClientLog, broken: &mut Complaints) {
    let by_id: HashMap<_, _> = rows.iter().map(|row| (row.id, row)).collect();
    for id in &log.pushed {
        if !by_id.contains_key(id) {
            broken.add(LOST_PUSH, id.to_string());
        }
    }
    for (id, frozen) in &log.frozen {
        if by_id.get(id).is_none_or(|row| row.frozen != *frozen) {
            broken.add("changed after it was finished", format!("{:?}", by_id.get(id)));
        }
    }
}

/// Each row comes from a push that was tried, which has pushed all its tasks or none. Each entry of
/// the ledgers belongs to a row.
fn judge_origins(rows: &[Row], traces: &HashMap<i64, Trace>, log: &ClientLog, broken: &mut Complaints) {
    let mut of_push: HashMap<usize, usize> = HashMap::new();
    for row in rows {
        *of_push.entry(row.push).or_default() += 1;
    }
    for (push, count) in of_push {
        let tried = log.tried.get(push).copied().unwrap_or(0);
        if count != tried {
            broken.add("unexpected", format!("{count} tasks come from push {push} of {tried} tasks"));
        }
    }
    let ids: HashSet<_> = rows.iter().map(|row| row.id).collect();
    for (id, trace) in traces.iter().filter(|(id, _)| !ids.contains(id)) {
        broken.add("unexpected", format!("task {id} has no row, and has run: {trace:?}"));
    }
}

/// The ledgers show intervals in which tasks certainly ran. The number of overlapping intervals
/// must not exceed a limit.
fn judge_overlaps(rows: &[Row], traces: &HashMap<i64, Trace>, broken: &mut Complaints) {
    for (pool, limit) in POOLS.into_iter().chain(MIXED_POOLS).chain([("all", WORKERS)]) {
        let mut edges = Vec::new();
        for row in rows.iter().filter(|row| pool == "all" || row.pool == pool) {
            if let Some(Trace { starts, ends, .. }) = traces.get(&row.id)
                && let ([.., start], [end]) = (&starts[..], &ends[..])
            {
                edges.extend([(*start, 1_i64), (*end, -1)]);
            }
            // A task that the client took runs from its claim to its end, by the clock of the server.
            if row.kind == TaskKind::Pull
                && pool != "all"
                && let (Some(claimed), Some(recorded)) = (row.claimed, row.recorded)
            {
                edges.extend([(claimed, 1), (recorded, -1)]);
            }
        }
        edges.sort_by(|a, b| a.partial_cmp(b).expect("times are numbers"));
        let mut running = 0;
        let most = edges.iter().map(|(_, step)| {
            running += step;
            running
        });
        let most = most.max().unwrap_or(0);
        if most > i64::from(limit) {
            broken.add("more at once than may", format!("{most} of {pool} by the ledger, {limit} may"));
        }
    }
}

/// The published counts of the engine agree, and its log has no errors.
async fn judge_occupancy(database: &Database, allowed: Allowed, broken: &mut Complaints) {
    // The published counts are up to a second old.
    let empty = "select coalesce(sum(workers), 0) = 0 from async.concurrency_pool_tracker";
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE && !database.holds(empty).await {
        sleep(Duration::from_millis(50)).await;
    }
    for (about, sql) in [
        ("a pool is occupied", "select i::text from async.v_concurrency_pool_info i where i.workers <> 0"),
        ("a worker is busy", "select w::text from async.worker w where w.task_id is not null"),
        ("a request is left", "select r::text from async.request r join async.task t using (task_id)"),
        (LOGGED, "select l::text from async.server_log l where l.level = 'ERROR'"),
    ] {
        if about == LOGGED && allowed == Allowed::Outages {
            continue;
        }
        for row in database.rows(sql, &[]).await {
            broken.add(about, row.get(0));
        }
    }
}

const LOGGED: &str = "the engine logged an error";

fn by_status(rows: &[Row]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row.status.as_deref().unwrap_or("none")).or_default() += 1;
    }
    counts
}
