//! The rows of the tasks, and the entries of the ledgers, as the judge reads them.

use std::collections::HashMap;

use pgasync_tests::{Database, Target};

use super::client::FROZEN_PART;
use super::workload::TaskKind;

/// The row of a task.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) kind: TaskKind,
    pub(super) pool: String,
    pub(super) status: Option<String>,
    pub(super) failed: Option<bool>,
    pub(super) tracked: Option<bool>,
    pub(super) run: i32,
    /// The number of the push that it came from.
    pub(super) push: usize,
    pub(super) error: String,
    pub(super) frozen: String,
    /// The times of the claim and of the record, in seconds.
    pub(super) claimed: Option<f64>,
    pub(super) recorded: Option<f64>,
    /// The deadline.
    pub(super) times_up: Option<f64>,
}

impl Row {
    pub(super) fn is_unknown(&self) -> bool {
        self.error.contains("outcome unknown")
    }
}

/// The entries of the ledgers for one task, in seconds.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) starts: Vec<f64>,
    pub(super) ends: Vec<f64>,
    pub(super) effects: usize,
    /// The runs of a task that defers itself.
    pub(super) visits: usize,
}

impl Trace {
    pub(super) fn has_committed(&self) -> bool {
        self.effects + self.ends.len() > 0
    }
}

pub(super) async fn read_rows(database: &Database) -> Vec<Row> {
    let sql = format!(
        "select t.task_id, t.task_data->>'kind', coalesce(t.concurrency_pool, t.target), t.finish_status::text,
           t.failed, t.tracked, t.run, coalesce(t.processing_error, ''), {FROZEN_PART},
           extract(epoch from t.consumed)::float8, extract(epoch from t.processed)::float8,
           extract(epoch from nullif(t.times_up, 'infinity'))::float8, (t.task_data->>'push')::int
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
        times_up: row.get(11),
        push: usize::try_from(row.get::<_, i32>(12)).expect("pushes are counted"),
    };
    database.rows(&sql, &[]).await.iter().map(read).collect()
}

pub(super) async fn read_ledgers(targets: &[Target]) -> HashMap<i64, Trace> {
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

pub(super) async fn read_visits(database: &Database, traces: &mut HashMap<i64, Trace>) {
    if database.holds("select to_regclass('visits') is not null").await {
        for row in database.rows("select task_id from visits", &[]).await {
            traces.entry(row.get(0)).or_default().visits += 1;
        }
    }
}
