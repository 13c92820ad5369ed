//! The outcomes of the tasks: the tables of `pgasync report`, and what did not end as intended.

use std::fmt::{Display, Formatter, Result as FmtResult};
use std::time::Duration;

use pgasync_pg::{ConnectionSettings, Session};

use crate::output::{Cell, Column, Listing, Style, tables};
use crate::report::{Kind, Reports, Window};
use crate::server::error_text;

pub(super) struct DemoReport {
    took: Duration,
    reports: Reports,
    unintended: Listing,
}

/// Whether a task ended as its `task_data` says. A null counts as not intended.
const INTENDED: &str = "coalesce(finish_status::text = task_data->>'expected'
    and coalesce(processing_error, '') like '%' || coalesce(task_data->>'expected_error', '') || '%'
    and failed = (finish_status <> 'FINISHED'), false)";

impl DemoReport {
    pub(super) async fn read(session: &Session, took: Duration) -> anyhow::Result<Self> {
        let reports = Reports::read(session, &Window::Everything, &Kind::Data("kind".to_owned())).await?;
        let sql = format!(
            "select task_id, target, task_data->>'kind', task_data->>'expected', finish_status::text, processing_error
             from async.task where not {INTENDED} order by task_id limit 20"
        );
        let columns = ["task_id", "target", "kind", "intended", "became"].map(|name| Column::new(name, name));
        let mut unintended = Listing::new("unintended", &columns);
        unintended.columns.push(Column::cut("processing_error", "error"));
        for row in session.query(&sql, &[]).await.map_err(error_text)? {
            let words = (1..6).map(|column| Cell::from(row.get::<_, Option<String>>(column)));
            unintended.add(std::iter::once(Cell::from(row.get::<_, i64>(0))).chain(words).collect());
        }
        Ok(Self { took, reports, unintended })
    }

    /// Whether every task ended as intended.
    pub(super) fn as_intended(&self) -> bool {
        self.unintended.rows.is_empty()
    }

    pub(super) fn tasks_of_kind(&self, kind: &str) -> i64 {
        let rows = self.reports.kinds.rows.iter().filter(|row| row[0] == Cell::from(kind));
        rows.map(|row| number(&row[1])).sum()
    }

    fn tasks(&self) -> i64 {
        self.reports.outcomes.rows.iter().map(|row| number(&row[2])).sum()
    }
}

const fn number(cell: &Cell) -> i64 {
    match cell {
        Cell::Number(number) => *number,
        _ => 0,
    }
}

impl Display for DemoReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        let style = Style::of_stdout();
        let Reports { errors, outcomes, kinds } = &self.reports;
        let parts = [("Outcomes by target and pool", outcomes), ("Waits and runs by kind", kinds), ("Errors", errors)];
        writeln!(f, "\n{}", tables(&parts, &style))?;
        if self.as_intended() {
            writeln!(f, "Every task ended as intended.")?;
        } else {
            writeln!(f, "{}", tables(&[("NOT AS INTENDED (the first 20)", &self.unintended)], &style))?;
        }
        let rate = self.tasks() as f64 / self.took.as_secs_f64();
        write!(f, "\n{} tasks in {:.1} s: {rate:.0} a second.", self.tasks(), self.took.as_secs_f64())
    }
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
