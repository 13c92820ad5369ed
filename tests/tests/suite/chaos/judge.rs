//! The broken promises after all tasks have finished.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use pgasync_tests::{Database, PATIENCE, Target};
use tokio::time::sleep;

use super::client::{ClientLog, FROZEN_PART};
use super::losses::Losses;
use super::observer::Observer;
use super::workload::{POOLS, TaskKind, WORKERS};

/// The irregular launches that a test allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// No task is launched twice.
    OneLaunch,
    /// A leader that shut down gracefully paused running tasks. They run again, once for each
    /// claim.
    Pauses,
}

/// The number of examples in the message about one kind of complaint.
const EXAMPLES_MAX: usize = 5;

#[derive(Debug)]
struct Row {
    id: i64,
    kind: TaskKind,
    pool: String,
    status: Option<String>,
    failed: Option<bool>,
    tracked: Option<bool>,
    run: i32,
    error: String,
    frozen: String,
    /// The times of the claim and of the record, in seconds.
    claimed: Option<f64>,
    recorded: Option<f64>,
}

/// The entries of the ledgers for one task, in seconds.
#[derive(Debug, Default)]
struct Trace {
    starts: Vec<f64>,
    ends: Vec<f64>,
    effects: usize,
}

pub(super) async fn judge(
    database: &Database,
    targets: &[Target],
    log: &ClientLog,
    observer: &Observer,
    losses: &Losses,
    allowed: Allowed,
) -> Vec<String> {
    let rows = read_rows(database).await;
    let traces = read_ledgers(targets).await;
    let mut losses = losses.clone();
    losses.extend(&observer.outages());
    let mut broken = Complaints::default();
    judge_unknown_outcomes(&rows, &losses, &mut broken);
    judge_short_tasks(targets, &mut broken).await;
    judge_rows(&rows, &traces, log, allowed, &mut broken);
    judge_history(&rows, log, &mut broken);
    judge_overlaps(&rows, &traces, &mut broken);
    assert!(observer.samples() > 100, "the observer looked only {} times", observer.samples());
    observer.excesses().into_iter().for_each(|excess| broken.add("more at once than may", excess));
    judge_occupancy(database, &mut broken).await;
    eprintln!("{} tasks, {:?}, at most {:?} at once", rows.len(), by_status(&rows), observer.most());
    broken.in_words()
}

/// Broken promises, by promise.
#[derive(Debug, Default)]
struct Complaints(BTreeMap<&'static str, Vec<String>>);

impl Complaints {
    fn add(&mut self, about: &'static str, text: String) {
        self.0.entry(about).or_default().push(text);
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
            Allowed::OneLaunch => 1,
            Allowed::Pauses => usize::try_from(row.run).expect("runs are counted"),
        };
        if trace.starts.len() > launches_max {
            broken.add("started twice", format!("{row:?} {trace:?}"));
        }
        if trace.effects > 1 || trace.ends.len() > 1 {
            broken.add("committed twice", format!("{row:?} {trace:?}"));
        }
        if row.failed != row.status.as_ref().map(|status| status != "FINISHED") || row.tracked == Some(true) {
            broken.add("half finished", format!("{row:?}"));
        }
        let as_it_should = match row.status.as_deref() {
            Some("FINISHED") => match row.kind {
                TaskKind::Run => trace.ends.len() == 1,
                TaskKind::Effect => trace.effects == 1,
                TaskKind::Fail => false,
            },
            Some("FAILED") => {
                row.error.starts_with("outcome unknown")
                    || row.kind == TaskKind::Fail && row.error.starts_with("P0001: failed as it should")
            }
            // The task never ran, or its query was cancelled. An effect is one transaction, so it
            // did not commit, unless the outcome is unknown.
            Some("CANCELED") => {
                log.cancelled.contains(&row.id) && (trace.effects == 0 || row.error.contains("outcome unknown"))
            }
            _ => false,
        };
        if !as_it_should {
            broken.add("ended as it should not", format!("{row:?} {trace:?}"));
        }
    }
}

/// Only tasks that were claimed and not recorded during a loss may have an unknown outcome.
fn judge_unknown_outcomes(rows: &[Row], losses: &Losses, broken: &mut Complaints) {
    let mut met: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for row in rows {
        let (Some(claimed), Some(recorded)) = (row.claimed, row.recorded) else { continue };
        let unknown = row.error.contains("outcome unknown");
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
            broken.add("lost a committed push", id.to_string());
        }
    }
    for (id, frozen) in &log.frozen {
        if by_id.get(id).is_none_or(|row| row.frozen != *frozen) {
            broken.add("changed after it was finished", format!("{:?}", by_id.get(id)));
        }
    }
}

/// The ledgers show intervals in which tasks certainly ran. The number of overlapping intervals
/// must not exceed a limit.
fn judge_overlaps(rows: &[Row], traces: &HashMap<i64, Trace>, broken: &mut Complaints) {
    for (pool, limit) in POOLS.iter().copied().chain([("all", WORKERS)]) {
        let mut edges = Vec::new();
        for row in rows.iter().filter(|row| pool == "all" || row.pool == pool) {
            if let Some(Trace { starts, ends, .. }) = traces.get(&row.id)
                && let ([.., start], [end]) = (&starts[..], &ends[..])
            {
                edges.extend([(*start, 1_i64), (*end, -1)]);
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
async fn judge_occupancy(database: &Database, broken: &mut Complaints) {
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
        ("the engine logged an error", "select l::text from async.server_log l where l.level = 'ERROR'"),
    ] {
        for row in database.rows(sql, &[]).await {
            broken.add(about, row.get(0));
        }
    }
}

async fn read_rows(database: &Database) -> Vec<Row> {
    let sql = format!(
        "select t.task_id, t.task_data->>'kind', coalesce(t.concurrency_pool, t.target), t.finish_status::text,
           t.failed, t.tracked, t.run, coalesce(t.processing_error, ''), {FROZEN_PART},
           extract(epoch from t.consumed)::float8, extract(epoch from t.processed)::float8
         from async.task t order by t.task_id"
    );
    let read = |row: &pgasync_pg::Row| Row {
        id: row.get(0),
        kind: TaskKind::named(row.get(1)),
        pool: row.get(2),
        status: row.get(3),
        failed: row.get(4),
        tracked: row.get(5),
        run: row.get(6),
        error: row.get(7),
        frozen: row.get(8),
        claimed: row.get(9),
        recorded: row.get(10),
    };
    database.rows(&sql, &[]).await.iter().map(read).collect()
}

async fn read_ledgers(targets: &[Target]) -> HashMap<i64, Trace> {
    let mut traces: HashMap<i64, Trace> = HashMap::new();
    let sql = "select split_part(mark, ' ', 1), split_part(mark, ' ', 2)::bigint, extract(epoch from at)::float8
         from ledger order by at";
    for target in targets {
        for row in target.session().query(sql, &[]).await.expect("the ledger is readable") {
            let trace = traces.entry(row.get(1)).or_default();
            match row.get(0) {
                "start" => trace.starts.push(row.get(2)),
                "end" => trace.ends.push(row.get(2)),
                _ => trace.effects += 1,
            }
        }
    }
    traces
}

fn by_status(rows: &[Row]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row.status.as_deref().unwrap_or("none")).or_default() += 1;
    }
    counts
}
