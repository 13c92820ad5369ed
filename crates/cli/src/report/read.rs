//! The figures of a report.

use pgasync_core::Span;
use pgasync_pg::types::{ToSql, Type};
use pgasync_pg::{Row, Session};

use crate::failure::Failure;
use crate::output::{Cell, Column, Listing};

/// The tasks that a report is about.
#[derive(Clone, Debug)]
pub(crate) enum Window {
    /// Every task of the table.
    Everything,
    /// Tasks that ended between two times before now, at these targets.
    Ended { since: Span, until: Span, targets: Option<Vec<String>> },
}

/// What the kind of a task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Source,
    UniqueKey,
    Schedule,
    Data(String),
}

/// The three tables.
#[derive(Debug)]
pub(crate) struct Reports {
    pub(crate) errors: Listing,
    pub(crate) outcomes: Listing,
    pub(crate) kinds: Listing,
}

/// More kinds and errors would be a list of tasks.
const ROWS_MAX: i64 = 100;

/// `$1` and `$2` are seconds before now, `$3` the targets, `$4` the key of the kind.
const IN_WINDOW: &str = "($1::pg_catalog.float8 is null
      or t.processed >= pg_catalog.now() - pg_catalog.make_interval(secs => $1)
        and t.processed < pg_catalog.now() - pg_catalog.make_interval(secs => $2))
    and ($3::pg_catalog.text[] is null or t.target = any ($3))";

impl Kind {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("data.")) {
            ("source", _) => Ok(Self::Source),
            ("unique_key", _) => Ok(Self::UniqueKey),
            ("schedule", _) => Ok(Self::Schedule),
            (_, Some(key)) if !key.is_empty() => Ok(Self::Data(key.to_owned())),
            _ => Err("it is source, unique_key, schedule, or data.KEY".to_owned()),
        }
    }

    /// The expression, with its key as `$4`.
    const fn sql(&self) -> &'static str {
        match self {
            Self::Source => "coalesce($4, t.source)",
            Self::UniqueKey => "coalesce($4, t.unique_key)",
            Self::Schedule => "coalesce($4, t.schedule)",
            Self::Data(_) => "t.task_data ->> $4",
        }
    }

    fn key(&self) -> Option<&str> {
        match self {
            Self::Data(key) => Some(key),
            Self::Source | Self::UniqueKey | Self::Schedule => None,
        }
    }
}

impl Reports {
    pub(crate) async fn read(session: &Session, window: &Window, kind: &Kind) -> Result<Self, Failure> {
        let seconds = |span: &Span| span.as_micros() as f64 / 1e6;
        let (since, until, targets) = match window {
            Window::Everything => (None, None, None),
            Window::Ended { since, until, targets } => (Some(seconds(since)), Some(seconds(until)), targets.clone()),
        };
        let window: [(&(dyn ToSql + Sync), Type); 3] =
            [(&since, Type::FLOAT8), (&until, Type::FLOAT8), (&targets, Type::TEXT_ARRAY)];
        let query = async |sql: &str| session.query_typed(sql, &window).await.map_err(Failure::from);
        let key = kind.key();
        let with_key = [window[0].clone(), window[1].clone(), window[2].clone(), (&key as _, Type::TEXT)];
        Ok(Self {
            errors: errors(&query(&errors_sql()).await?),
            outcomes: outcomes(&query(&outcomes_sql()).await?),
            kinds: kinds(&session.query_typed(&kinds_sql(kind), &with_key).await?),
        })
    }
}

/// The groups of `async.v_failure`, over all targets, with what was canceled.
fn errors_sql() -> String {
    format!(
        "select t.finish_status::pg_catalog.text, e.sqlstate, e.message, pg_catalog.count(*), pg_catalog.min(t.processed),
           pg_catalog.max(t.processed), pg_catalog.max(t.task_id)
         from async.task t
         cross join lateral async.error_group(t.processing_error) e
         where t.failed and {IN_WINDOW}
         group by 1, 2, 3 order by 4 desc, 1, 2, 3 limit {ROWS_MAX}"
    )
}

fn outcomes_sql() -> String {
    format!(
        "select t.target, coalesce(t.concurrency_pool, t.target), pg_catalog.count(*),
           pg_catalog.count(*) filter (where t.finish_status = 'FINISHED'),
           pg_catalog.count(*) filter (where t.finish_status = 'FAILED'),
           pg_catalog.count(*) filter (where t.finish_status = 'CANCELED'),
           pg_catalog.count(*) filter (where t.finish_status = 'TIMED_OUT'),
           pg_catalog.count(*) filter (where t.finish_status = 'DOA')
         from async.task t where t.processed is not null and {IN_WINDOW}
         group by 1, 2 order by 1, 2"
    )
}

fn kinds_sql(kind: &Kind) -> String {
    format!(
        "select k.kind, pg_catalog.count(*), pg_catalog.count(*) filter (where k.failed),
           pg_catalog.percentile_cont(0.5) within group (order by k.waited),
           pg_catalog.percentile_cont(0.95) within group (order by k.waited),
           pg_catalog.percentile_cont(0.5) within group (order by k.took),
           pg_catalog.percentile_cont(0.95) within group (order by k.took), pg_catalog.max(k.took), pg_catalog.min(k.priority)
         from (
           select {} as kind, t.failed, t.priority,
             pg_catalog.date_part('epoch', coalesce(t.consumed, t.processed) - t.entered) as waited,
             pg_catalog.date_part('epoch', t.processed - t.consumed) as took
           from async.task t where t.processed is not null and {IN_WINDOW}
         ) k
         group by k.kind order by 2 desc, 1 limit {ROWS_MAX}",
        kind.sql()
    )
}

fn errors(rows: &[Row]) -> Listing {
    let mut listing = Listing::new(
        "errors",
        &[
            Column::new("finish_status", "status"),
            Column::new("sqlstate", "SQLSTATE"),
            Column::new("times", "times"),
            Column::cut("error", "error"),
            Column::wide("first", "first"),
            Column::wide("last", "last"),
            Column::new("last_task_id", "last task"),
        ],
    );
    for row in rows {
        listing.add(vec![
            row.get::<_, Option<&str>>(0).map_or(Cell::Null, Cell::state),
            row.get::<_, Option<&str>>(1).into(),
            row.get::<_, i64>(3).into(),
            row.get::<_, Option<&str>>(2).into(),
            time(row, 4),
            time(row, 5),
            row.get::<_, i64>(6).into(),
        ]);
    }
    listing
}

fn outcomes(rows: &[Row]) -> Listing {
    let counts = ["tasks", "finished", "failed", "canceled", "timed_out", "doa"];
    let mut columns = vec![Column::new("target", "target"), Column::new("concurrency_pool", "pool")];
    columns.extend(counts.map(|name| Column::new(name, if name == "timed_out" { "timed out" } else { name })));
    let mut listing = Listing::new("outcomes", &columns);
    for row in rows {
        let names = [row.get::<_, &str>(0).into(), row.get::<_, &str>(1).into()];
        listing.add(names.into_iter().chain((2..8).map(|column| row.get::<_, i64>(column).into())).collect());
    }
    listing
}

fn kinds(rows: &[Row]) -> Listing {
    let mut listing = Listing::new(
        "kinds",
        &[
            Column::new("kind", "kind"),
            Column::new("tasks", "tasks"),
            Column::new("failed", "failed"),
            Column::new("wait_median", "wait, median"),
            Column::new("wait_95", "95 %"),
            Column::new("run_median", "run, median"),
            Column::new("run_95", "95 %"),
            Column::new("run_longest", "longest"),
            Column::hidden("priority"),
        ],
    );
    for row in rows {
        let seconds = |column| row.get::<_, Option<f64>>(column).map(span).into();
        listing.add(vec![
            row.get::<_, Option<&str>>(0).into(),
            row.get::<_, i64>(1).into(),
            row.get::<_, i64>(2).into(),
            seconds(3),
            seconds(4),
            seconds(5),
            seconds(6),
            seconds(7),
            row.get::<_, i32>(8).into(),
        ]);
    }
    listing
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "a length of time in microseconds fits into 64 bits for 292,000 years"
)]
fn span(seconds: f64) -> Span {
    Span::micros((seconds * 1e6) as i64)
}

/// A time beyond the range of jiff, such as `infinity`, is left out.
fn time(row: &Row, column: usize) -> Cell {
    let time: Option<jiff::Timestamp> = row.try_get(column).ok().flatten();
    time.map(|time| pgasync_core::Timestamp::from_micros(time.as_microsecond())).into()
}
