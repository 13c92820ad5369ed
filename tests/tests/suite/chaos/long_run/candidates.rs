//! Several engines that compete for the lead, each restarted when it ends.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use pgasync_tests::{Database, Proxy};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::super::losses;
use super::super::seed::Seed;
use crate::cuts::restarted_engine::RestartedEngine;

/// The engines of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Sql,
    Rust,
    /// Both. They take over from each other.
    Swap,
}

/// Timeouts of the Rust engine that hold on a loaded machine, and are shorter than the usual ones.
const TIMEOUTS: &str = "server_connect=5s,server_answer=6s,server_attempt=15s,server_silence=6s,server_work=20s,\
    server_idle=8s,target_connect=5s,target_answer=3s,target_signal=3s,finish_grace=1s,cancel_grace=2s,\
    terminate_grace=2s,lost_grace=2s";

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Two to five engines.
pub(super) struct Candidates {
    crowd: Arc<Mutex<Crowd>>,
    supervising: JoinHandle<()>,
}

/// The engines, and what was seen of them.
pub(super) struct Crowd {
    pub(super) members: Vec<RestartedEngine>,
    /// Ends with an error: the time at which the engine was last seen alive, the time of the end, and
    /// the error.
    pub(super) failures: Vec<(f64, f64, String)>,
    /// The most memory of a process of each engine, in KiB.
    pub(super) memory: BTreeMap<&'static str, u64>,
    looked: f64,
}

impl Candidates {
    /// Starts engines.
    pub(super) fn start(mode: Mode, seed: &mut Seed, database: &Database, proxy: &Proxy) -> Self {
        let count = 2 + seed.below(4);
        let members = (0..count).map(|place| member(mode, place % 2 == 0, database, proxy)).collect();
        let crowd = Crowd { members, failures: Vec::new(), memory: BTreeMap::new(), looked: losses::now() };
        let crowd = Arc::new(Mutex::new(crowd));
        let supervised = Arc::clone(&crowd);
        let supervising = tokio::spawn(async move {
            loop {
                supervised.lock().await.look().await;
                sleep(LOOK_EVERY).await;
            }
        });
        Self { crowd, supervising }
    }

    pub(super) async fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().await
    }

    /// Shuts all engines down.
    pub(super) async fn stop(&self) {
        self.supervising.abort();
        let mut crowd = self.crowd.lock().await;
        for member in &mut crowd.members {
            member.stop().await;
        }
    }
}

impl Drop for Candidates {
    fn drop(&mut self) {
        self.supervising.abort();
    }
}

/// An engine of the mode. In a swap it is the Rust engine if `is_rust`.
pub(super) fn member(mode: Mode, is_rust: bool, database: &Database, proxy: &Proxy) -> RestartedEngine {
    if mode == Mode::Rust || mode == Mode::Swap && is_rust {
        RestartedEngine::rust(database, proxy).with_timeouts(TIMEOUTS)
    } else {
        RestartedEngine::sql(database)
    }
}

impl Crowd {
    async fn look(&mut self) {
        for place in 0..self.members.len() {
            let member = &mut self.members[place];
            if member.keep_running().await {
                let error = member.ends.last().map(|(_, error)| error.clone()).unwrap_or_default();
                self.failures.push((self.looked, losses::now(), format!("{}: {error}", name(member))));
            }
            let member = &mut self.members[place];
            if let Some(size) = member.pid().and_then(memory) {
                let most = self.memory.entry(name(member)).or_default();
                *most = size.max(*most);
            }
        }
        self.looked = losses::now();
    }

    /// The engine whose leader session has this backend.
    pub(super) fn leader(&mut self, backend: i32) -> Option<&mut RestartedEngine> {
        let place = self.members.iter().position(|member| member.backend() == Some(backend))?;
        let member = &mut self.members[place];
        member.pid().is_some().then_some(member)
    }
}

pub(super) fn name(member: &RestartedEngine) -> &'static str {
    if member.is_rust() { "rust" } else { "sql" }
}

/// The private memory of a process, in KiB. The shared memory of Postgres does not count.
fn memory(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.split_whitespace().next()?.parse().ok()
}
