//! What all scenarios share: the server, the options, the reference and the results.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use pgasync_pg::{ConnectionSettings, Session};

use super::arguments::{BenchArgs, Scenario};
use super::reference::{Reference, ReferenceRate};
use super::report::{Machine, Report};
use super::results::{Case, Results};
use super::{cpu, databases};
use crate::args::EngineName;
use crate::server::error_text;

/// Connections of the server that a measurement needs beside those of the workers.
const OTHER_CONNECTIONS: i64 = 16;

pub(super) struct Bench<'a> {
    pub(super) options: &'a BenchArgs,
    /// The database in which others are created.
    pub(super) cluster: ConnectionSettings,
    pub(super) results: Results,
    /// Whether the server runs on this machine, so that its CPU time can be read.
    pub(super) is_local: bool,
    postgres: String,
    connections_max: i64,
    reference: Reference,
    /// The reference by clients, in this run.
    reference_rates: BTreeMap<u32, ReferenceRate>,
    progress: Option<ProgressBar>,
    scenario: Scenario,
    run: u32,
    /// Holds the lock against another benchmark on this server.
    _administrator: Session,
}

impl<'a> Bench<'a> {
    /// Checks that the server permits the benchmark. Changes nothing.
    pub(super) async fn prepare(options: &'a BenchArgs) -> anyhow::Result<Self> {
        let server = options.server.open()?;
        let administrator = server.connect().await?;
        let cluster = server.settings;
        databases::check_server(&administrator).await?;
        let sql = "select pg_backend_pid(), current_setting('server_version'),
            current_setting('max_connections')::bigint - (select count(*) from pg_stat_activity where datname is not null)";
        let row = administrator.query_one(sql, &[]).await.map_err(error_text)?;
        if options.runs == 0 || options.seconds <= 0.0 {
            bail!("--runs and --seconds must be more than 0");
        }
        Ok(Self {
            options,
            is_local: cpu::is_backend_here(row.try_get(0)?),
            postgres: row.try_get(1)?,
            connections_max: row.try_get(2)?,
            reference: Reference::find().await,
            cluster,
            results: Results::default(),
            reference_rates: BTreeMap::new(),
            progress: stderr().is_terminal().then(ProgressBar::new_spinner),
            scenario: Scenario::Throughput,
            run: 1,
            _administrator: administrator,
        })
    }

    /// The scenarios that were named, or all but those that need more than a server.
    pub(super) fn scenarios(&self) -> Vec<Scenario> {
        match self.options.scenarios.as_slice() {
            [] => Scenario::ON_ANY_SERVER.to_vec(),
            named => named.to_vec(),
        }
    }

    pub(super) fn engines(&self) -> Vec<EngineName> {
        match self.options.engine.as_slice() {
            [] => vec![EngineName::Rust, EngineName::Sql],
            named => named.to_vec(),
        }
    }

    pub(super) fn begin_run(&mut self, run: u32) {
        self.run = run;
        self.reference_rates.clear();
    }

    pub(super) fn begin(&mut self, scenario: Scenario) {
        self.scenario = scenario;
    }

    /// Shows on a terminal what is measured.
    pub(super) fn show(&self, step: &str) {
        if let Some(progress) = &self.progress {
            let runs = self.options.runs;
            progress.set_message(format!("run {} of {runs}, {}: {step}", self.run, self.scenario.name()));
            progress.tick();
        }
    }

    /// Adds a measured number to the results of the present scenario.
    pub(super) fn add(&mut self, case: &Case, subject: &str, metric: &'static str, value: f64) {
        self.results.add(self.scenario, case, subject, metric, value);
    }

    /// The newest value of the first case of the present scenario.
    pub(super) fn first_of(&self, subject: &str, metric: &str) -> Option<f64> {
        self.results.first_of(self.scenario, subject, metric)
    }

    /// Notes that something is not measured, with the reason.
    pub(super) fn skip(&mut self, what: &str, reason: &str) {
        self.results.skip(self.scenario, what, reason);
    }

    /// Whether the server has connections for so many workers. Notes it if not.
    pub(super) fn has_connections(&mut self, workers: u32) -> bool {
        let fits = i64::from(workers) + OTHER_CONNECTIONS <= self.connections_max;
        if !fits {
            let free = self.connections_max;
            self.skip(&format!("{workers} workers"), &format!("the server has {free} free connections"));
        }
        fits
    }

    /// The rate of the reference with so many clients, measured once in a run.
    pub(super) async fn reference(&mut self, clients: u32) -> anyhow::Result<ReferenceRate> {
        if let Some(known) = self.reference_rates.get(&clients) {
            return Ok(*known);
        }
        self.show(&format!("{}, {clients} clients", self.reference.name()));
        let rate = self.reference.measure(&self.cluster, clients, self.options.seconds, self.is_local).await;
        let rate = rate.with_context(|| format!("{} with {clients} clients", self.reference.name()))?;
        self.reference_rates.insert(clients, rate);
        Ok(rate)
    }

    pub(super) fn reference_name(&self) -> &'static str {
        self.reference.name()
    }

    pub(super) fn into_report(self) -> Report {
        if let Some(progress) = &self.progress {
            progress.finish_and_clear();
        }
        Report {
            machine: Machine::read(),
            postgres: self.postgres,
            reference: self.reference.describe(),
            runs: self.options.runs,
            full: self.options.full,
            seconds: self.options.seconds,
            results: self.results,
        }
    }
}
