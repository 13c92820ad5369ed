//! Executes the schedule of a long run, and judges its end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::failpoint::Point;
use super::super::fixture::Stage;
use super::super::judge::Allowed;
use super::super::losses;
use super::super::seed::Seed;
use super::super::workload::{Load, MIXED_POOLS};
use super::candidates::{Candidates, Mode};
use super::faults::Fault;
use super::injection::{Held, Injector, Networks};
use super::report::{Injected, Report};
use super::schedule::{Planned, plan};
use super::vitals::Vitals;

/// The timeout of tasks. No task takes four seconds, but a target may be silent for ever.
const TIMEOUT: &str = "20 s";

const LONG_PERCENT: u64 = 15;

/// The lines of the log of each candidate that a failed run shows.
const LINES_MAX: usize = 400;

/// The time between two attempts to take a fault back.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// The parameters of a run.
pub(super) struct LongRun {
    pub(super) mode: Mode,
    pub(super) length: Duration,
    /// Statements that change an engine.
    pub(super) changes: String,
    /// The faults, with their weights.
    pub(super) faults: Vec<(Fault, u64)>,
}

/// A fault that has begun and not ended.
struct Open {
    until: Duration,
    fault: Fault,
    since: f64,
    held: Held,
}

impl LongRun {
    /// Runs, prints what is injected and the report, and returns the broken promises.
    pub(super) async fn execute(self, mut seed: Seed) -> Vec<String> {
        eprintln!("chaos: {:?}, seed {}, {} s", self.mode, seed.number(), self.length.as_secs());
        let planned = plan(&mut seed.fork(), self.length, &self.faults);
        let mut injector = self.prepare(seed).await;
        let vitals = Vitals::watch(injector.fixture.database.settings());
        let mut report = Report::default();
        follow(&mut injector, planned, self.length, &mut report).await;

        let fixture = &mut injector.fixture;
        fixture.reach_server().await;
        fixture.client.push_no_more();
        fixture.wait_until_settled().await;
        report.seen = vitals.seen();
        {
            let crowd = fixture.engine.crowd().await;
            report.failures.clone_from(&crowd.failures);
            report.memory.clone_from(&crowd.memory);
        }
        for (begin, end) in report.losses() {
            fixture.losses.note(begin, end);
        }
        let judgement = fixture.settle_and_judge(Allowed::Outages).await;
        let logged =
            "select left(message, 60), count(*) from async.server_log where level = 'ERROR' group by 1 order by 2 desc";
        let logged = fixture.database.rows(logged, &[]).await;
        report.logged = logged.iter().map(|row| (row.get(0), row.get(1))).collect();
        fixture.engine.stop().await;
        report.left = fixture.sessions_left().await;
        let broken = report.judge(judgement);
        if !broken.is_empty() {
            eprintln!("{}", fixture.database.dump().await);
            for member in &fixture.engine.crowd().await.members {
                let lines = member.lines();
                let last = lines.len().saturating_sub(LINES_MAX);
                eprintln!("-- candidate\n{}", lines[last..].join("\n"));
            }
        }
        broken
    }

    async fn prepare(&self, mut seed: Seed) -> Injector {
        let changes = format!("create table visits (task_id bigint);\n{}\n{}", self.changes, Point::install());
        let stage = Stage::build(seed.fork(), &changes).await;
        let networks = Networks::before(&stage).await;
        let [left, right] = &stage.targets;
        let (left, right) = (networks.left.conninfo(left.name()), networks.right.conninfo(right.name()));
        let own = stage.database.conninfo();
        stage.configure([&left, &right], |document| add_mixed_pools(document, &right, &own)).await;
        let candidates = Candidates::start(self.mode, &mut seed, &stage.database, &networks.server);
        eprintln!("chaos: {} candidates", candidates.crowd().await.members.len());
        let next_is_rust = seed.chance(50);
        let fixture = stage.open(candidates, Load { long_percent: LONG_PERCENT, is_mixed: true });
        Injector { fixture, networks, mode: self.mode, seed, next_is_rust }
    }
}

fn add_mixed_pools(document: &mut Value, conninfo: &str, own: &str) {
    let [(yielding, yielding_max), (pulled, pulled_max), (deferring, deferring_max)] = MIXED_POOLS;
    document["control"]["default_timeout"] = json!(TIMEOUT);
    document["control"]["self_connection_string"] = json!(own);
    let targets = document["targets"].as_array_mut().expect("an array");
    targets.push(json!({"target": yielding, "connection_string": conninfo, "max_workers": yielding_max,
        "asynchronous_finish": true}));
    targets.push(json!({"target": pulled, "max_workers": pulled_max, "asynchronous_finish": true}));
    let pools = document["concurrency_pools"].as_array_mut().expect("an array");
    pools.push(json!({"concurrency_pool": deferring, "max_workers": deferring_max}));
}

/// Injects each fault at its time, and takes it back.
async fn follow(injector: &mut Injector, planned: Vec<Planned>, length: Duration, report: &mut Report) {
    let begin = Instant::now();
    let mut planned = planned.into_iter().peekable();
    let mut open: Vec<Open> = Vec::new();
    loop {
        let next = planned.peek().map(|entry| entry.at);
        let first = (0..open.len()).min_by_key(|&place| open[place].until);
        if let Some(place) = first
            && next.is_none_or(|at| open[place].until <= at)
        {
            sleep_until(begin, open[place].until).await;
            take_back(injector, open.swap_remove(place), begin, report).await;
            continue;
        }
        let Some(entry) = planned.next() else { break };
        sleep_until(begin, entry.at).await;
        let since = losses::now();
        let at = begin.elapsed();
        match injector.begin(entry.fault).await {
            Ok(held) => {
                say(at, &format!("{} for {:.1} s", entry.fault, entry.lasts.as_secs_f64()));
                open.push(Open { until: entry.at + entry.lasts, fault: entry.fault, since, held });
            }
            Err(error) => {
                say(at, &format!("{}: not injected: {error}", entry.fault));
                // A part may have happened.
                report.injected.push(Injected::of(entry.fault, since, losses::now(), false));
            }
        }
    }
    sleep_until(begin, length).await;
}

async fn take_back(injector: &mut Injector, open: Open, begin: Instant, report: &mut Report) {
    let Open { fault, since, held, .. } = open;
    let lasts = fault.lasts().1 > 0;
    let is_read_only = matches!(held, Held::ReadOnly);
    let mut ended = injector.end(held).await;
    // The server must become writable again, even if it is out of reach now.
    while is_read_only && ended.is_err() {
        sleep(RETRY_AFTER).await;
        ended = injector.end(Held::ReadOnly).await;
    }
    match &ended {
        Ok(()) if lasts => say(begin.elapsed(), &format!("end of {fault}")),
        Ok(()) => {}
        Err(error) => say(begin.elapsed(), &format!("end of {fault}: {error}")),
    }
    report.injected.push(Injected::of(fault, since, losses::now(), ended.is_ok()));
}

fn say(at: Duration, what: &str) {
    eprintln!("chaos: {:7.1} s  {what}", at.as_secs_f64());
}

async fn sleep_until(begin: Instant, at: Duration) {
    sleep(at.saturating_sub(begin.elapsed())).await;
}

/// Counts by name.
pub(super) fn counted(names: impl Iterator<Item = String>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let counts: Vec<_> = counts.into_iter().map(|(name, count)| format!("{name} {count}")).collect();
    counts.join(", ")
}
