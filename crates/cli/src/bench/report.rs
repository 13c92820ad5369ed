//! The result of a benchmark, as a table or as JSON.

use std::fmt::{Display, Formatter, Result as FmtResult};

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use super::databases::BenchVariant;
use super::latency::Latency;
use crate::args::EngineName;

pub(super) struct BenchReport {
    engine: EngineName,
    /// Clients, and transactions a second of pgbench.
    pub(super) baselines: Vec<(u32, f64)>,
    pub(super) runs: Vec<ThroughputRun>,
    /// CPU time in percent of a core.
    pub(super) idle: Option<f64>,
    pub(super) latency: Option<Latency>,
}

/// One throughput run.
pub(super) struct ThroughputRun {
    pub(super) variant: BenchVariant,
    pub(super) backlog: u32,
    /// Tasks a second.
    pub(super) rate: f64,
    /// The rate of pgbench with as many clients as the pool has slots.
    pub(super) baseline: f64,
}

impl ThroughputRun {
    fn share(&self) -> f64 {
        self.rate / self.baseline
    }

    /// The budget of the engine: the least share of pgbench's rate.
    fn wanted(&self) -> f64 {
        match (self.variant.engine, self.variant.size, self.variant.session_reset) {
            (EngineName::Sql, ..=8, true) => 0.05,
            (EngineName::Sql, ..=8, false) => 0.06,
            (EngineName::Sql, _, true) => 0.09,
            (EngineName::Sql, _, false) => 0.11,
            (EngineName::Rust, ..=8, true) => 0.12,
            (EngineName::Rust, ..=8, false) => 0.18,
            (EngineName::Rust, _, true) => 0.20,
            (EngineName::Rust, _, false) => 0.33,
        }
    }
}

impl BenchReport {
    pub(super) const fn of(engine: EngineName) -> Self {
        Self { engine, baselines: Vec::new(), runs: Vec::new(), idle: None, latency: None }
    }

    pub(super) fn to_json(&self) -> Value {
        let pgbench = self.baselines.iter().map(|(clients, rate)| json!({"clients": clients, "tps": rate}));
        let runs = self.runs.iter().map(|run| {
            json!({
                "pool": run.variant.size, "session_reset": run.variant.session_reset, "backlog": run.backlog,
                "tasks_per_second": run.rate, "share_of_pgbench": run.share(), "wanted": run.wanted(),
            })
        });
        json!({
            "engine": match self.engine { EngineName::Sql => "sql", EngineName::Rust => "rust" },
            "pgbench": pgbench.collect::<Vec<_>>(),
            "throughput": runs.collect::<Vec<_>>(),
            "idle_cpu_percent": self.idle,
            "latency_ms": self.latency.map(|latency| json!({"median": latency.median, "p95": latency.p95})),
        })
    }
}

impl Display for BenchReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header([
            "pool",
            "clean sessions",
            "waiting elsewhere",
            "tasks a second",
            "pgbench",
            "share",
            "wanted",
        ]);
        for run in &self.runs {
            table.add_row([
                run.variant.size.to_string(),
                if run.variant.session_reset { "yes" } else { "no" }.to_owned(),
                run.backlog.to_string(),
                format!("{:.0}", run.rate),
                format!("{:.0}", run.baseline),
                format!("{:.3}", run.share()),
                format!("{:.2}", run.wanted()),
            ]);
        }
        table.column_iter_mut().for_each(|column| {
            column.set_cell_alignment(CellAlignment::Right);
        });
        writeln!(f, "{table}")?;
        match self.idle {
            Some(percent) => writeln!(f, "Idle: {percent:.2} % of a core.")?,
            None => writeln!(f, "Idle: not measured, the leader's process is not on this machine.")?,
        }
        if let Some(Latency { median, p95 }) = self.latency {
            write!(f, "One push to one result: median {median:.1} ms, 95th percentile {p95:.1} ms.")?;
        }
        Ok(())
    }
}
