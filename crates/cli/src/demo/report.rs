//! The outcomes of the tasks, in tables.

use std::fmt::{Display, Formatter, Result as FmtResult};
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use pgasync_pg::{ConnectionSettings, Row, Session};

use crate::server::error_text;

pub(super) struct DemoReport {
    took: Duration,
    /// Target, pool, kind, and numbers: tasks, FINISHED, FAILED, `CANCELED`, `TIMED_OUT`, otherwise
    /// than intended.
    outcomes: Vec<Row>,
    /// Target, status, times, first line of the error.
    errors: Vec<Row>,
    /// Task, kind, intended and actual status, error.
    unintended: Vec<Row>,
    /// Kind, priority, tasks, median wait and run in milliseconds.
    kinds: Vec<Row>,
}

/// Whether a task ended as its `task_data` says. A null counts as not intended.
const INTENDED: &str = "coalesce(finish_status::text = task_data->>'expected'
    and coalesce(processing_error, '') like '%' || coalesce(task_data->>'expected_error', '') || '%'
    and failed = (finish_status <> 'FINISHED'), false)";

impl DemoReport {
    pub(super) async fn read(session: &Session, took: Duration) -> anyhow::Result<Self> {
        let query = async |sql: String| session.query(&sql, &[]).await.map_err(error_text);
        Ok(Self {
            took,
            outcomes: query(format!(
                "select target, coalesce(concurrency_pool, target), count(*),
                    count(*) filter (where finish_status = 'FINISHED'), count(*) filter (where finish_status = 'FAILED'),
                    count(*) filter (where finish_status = 'CANCELED'), count(*) filter (where finish_status = 'TIMED_OUT'),
                    count(*) filter (where not {INTENDED})
                from async.task group by 1, 2 order by 1, 2"
            ))
            .await?,
            errors: query(
                "select finish_status::text, count(*), split_part(processing_error, E'\\n', 1)
                from async.task where failed group by 1, 3 order by 1, 3"
                    .into(),
            )
            .await?,
            unintended: query(format!(
                "select task_id, target, task_data->>'kind', task_data->>'expected',
                    coalesce(finish_status::text, 'none'), coalesce(processing_error, '')
                from async.task where not {INTENDED} order by task_id limit 20"
            ))
            .await?,
            kinds: query(
                "select task_data->>'kind', min(priority), count(*),
                    percentile_cont(0.5) within group (order by extract(epoch from consumed - entered)::float8),
                    percentile_cont(0.5) within group (order by extract(epoch from processed - consumed)::float8)
                from async.task group by 1 order by 2, 1"
                    .into(),
            )
            .await?,
        })
    }

    /// Whether every task ended as intended.
    pub(super) fn as_intended(&self) -> bool {
        self.unintended.is_empty()
    }

    pub(super) fn tasks_of_kind(&self, kind: &str) -> i64 {
        self.kinds.iter().filter(|row| row.get::<_, &str>(0) == kind).map(|row| row.get::<_, i64>(2)).sum()
    }

    fn tasks(&self) -> i64 {
        self.outcomes.iter().map(|row| row.get::<_, i64>(2)).sum()
    }
}

impl Display for DemoReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        let mut outcomes =
            table(&["target", "pool", "tasks", "finished", "failed", "canceled", "timed out", "not intended"], 2);
        for row in &self.outcomes {
            let numbers = (2..8).map(|column| row.get::<_, i64>(column).to_string());
            outcomes.add_row([row.get(0), row.get(1)].into_iter().chain(numbers));
        }
        let mut kinds = table(&["kind", "priority", "tasks", "median wait, s", "median run, s"], 1);
        for row in &self.kinds {
            let seconds = |column| row.get::<_, Option<f64>>(column).map_or("-".into(), |value| format!("{value:.3}"));
            let [priority, tasks] = [row.get::<_, i32>(1).to_string(), row.get::<_, i64>(2).to_string()];
            kinds.add_row([row.get(0), priority, tasks, seconds(3), seconds(4)]);
        }
        let mut errors = table(&["status", "times", "error"], 2);
        for row in &self.errors {
            let text: Option<String> = row.get(2);
            errors.add_row([row.get(0), row.get::<_, i64>(1).to_string(), text.unwrap_or_default()]);
        }
        errors.column_mut(2).into_iter().for_each(|column| column.set_cell_alignment(CellAlignment::Left));

        writeln!(f, "\nOutcomes by target and pool:\n{outcomes}")?;
        writeln!(f, "\nBy kind; a lower priority runs first:\n{kinds}")?;
        writeln!(f, "\nErrors (async.task.processing_error):\n{errors}")?;
        self.write_unintended(f)?;
        let rate = self.tasks() as f64 / self.took.as_secs_f64();
        write!(f, "\n{} tasks in {:.1} s: {rate:.0} a second.", self.tasks(), self.took.as_secs_f64())
    }
}

impl DemoReport {
    fn write_unintended(&self, f: &mut Formatter<'_>) -> FmtResult {
        if self.unintended.is_empty() {
            return writeln!(f, "\nEvery task ended as intended.");
        }
        let mut unintended = table(&["task", "target", "kind", "intended", "became", "error"], 6);
        for row in &self.unintended {
            let words = (1..6).map(|column| row.get::<_, Option<String>>(column).unwrap_or_default());
            unintended.add_row(std::iter::once(row.get::<_, i64>(0).to_string()).chain(words));
        }
        writeln!(f, "\nNOT AS INTENDED (the first 20):\n{unintended}")
    }
}

/// A table whose first `words` columns are text, the others numbers.
fn table(header: &[&str], words: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic).set_width(110);
    table.set_header(header);
    for column in table.column_iter_mut().skip(words) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Commands for a closer look at the databases.
pub(super) fn further_queries(server: &ConnectionSettings) -> String {
    let conninfo = server.conninfo();
    [
        "select * from async.v_target_status",
        "select * from async.v_concurrency_pool_info",
        "select task_id, target, finish_status, processing_error from async.task where failed",
        "call async.tail(_limit => 20)",
    ]
    .map(|sql| format!("  psql \"{conninfo}\" -c \"{sql}\"\n"))
    .concat()
}
