//! The results with the circumstances of the measurement, and as a JSON document.

use std::fs;

use serde_json::{Value, json};

use super::results::Results;

pub(super) struct Report {
    pub(super) machine: Machine,
    /// The version of the server.
    pub(super) postgres: String,
    pub(super) reference: String,
    pub(super) runs: u32,
    pub(super) full: bool,
    pub(super) seconds: f64,
    pub(super) results: Results,
}

/// The machine of this program.
pub(super) struct Machine {
    pub(super) processors: usize,
    pub(super) model: String,
    pub(super) memory_gib: Option<f64>,
}

impl Machine {
    pub(super) fn read() -> Self {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim_start_matches([' ', '\t', ':']).to_owned())
        };
        let kibibytes = field("/proc/meminfo", "MemTotal:");
        let memory = kibibytes.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
        Self {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            model: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned()),
            memory_gib: memory.map(|kibibytes| kibibytes / 1024.0 / 1024.0),
        }
    }
}

impl Report {
    /// `format` grows when something is renamed or removed. The names of metrics end with their
    /// units; a metric without one is a ratio.
    pub(super) fn to_json(&self) -> Value {
        let results = self.results.measured.iter().map(|known| {
            json!({
                "scenario": known.scenario.name(), "case": known.case.to_json(), "subject": known.subject,
                "metric": known.metric, "median": known.median(), "min": known.min(), "max": known.max(),
                "values": known.values,
            })
        });
        let skipped =
            self.results.skipped.iter().map(|(scenario, note)| json!({"scenario": scenario.name(), "note": note}));
        json!({
            "format": 1,
            "pgasync": env!("CARGO_PKG_VERSION"),
            "postgres": self.postgres,
            "reference": self.reference,
            "machine": {
                "processors": self.machine.processors, "model": self.machine.model,
                "memory_gib": self.machine.memory_gib,
            },
            "runs": self.runs,
            "full": self.full,
            "seconds": self.seconds,
            "results": results.collect::<Vec<_>>(),
            "skipped": skipped.collect::<Vec<_>>(),
        })
    }

    /// One line about the circumstances.
    pub(super) fn circumstances(&self) -> String {
        let machine = &self.machine;
        let memory = machine.memory_gib.map(|gib| format!(", {gib:.0} GiB")).unwrap_or_default();
        format!(
            "pgasync {}, Postgres {}, {} processors ({}){memory}. Reference: {}. Runs: {}.",
            env!("CARGO_PKG_VERSION"),
            self.postgres,
            machine.processors,
            machine.model,
            self.reference,
            self.runs,
        )
    }
}
