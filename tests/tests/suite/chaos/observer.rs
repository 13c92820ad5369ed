//! Counts at the targets how many queries of each pool run at one instant.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pgasync_pg::{ConnectionSettings, Session};
use pgasync_tests::Cluster;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::losses::{self, Losses};
use super::workload::{MIXED_POOLS, POOLS, WORKERS};

/// The time between two samples.
pub(super) const SAMPLE_INTERVAL: Duration = Duration::from_millis(8);

/// Samples `pg_stat_activity` of the targets' cluster until it is dropped.
#[derive(Debug)]
pub(super) struct Observer {
    seen: Arc<Mutex<Seen>>,
    sampling: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    samples: u64,
    /// The pids of the last sample.
    pids: Vec<i32>,
    /// The highest count in one sample, for each pool and for all pools.
    most: BTreeMap<String, usize>,
    /// The times at which the server of the targets did not answer. All its sessions are lost then.
    outages: Losses,
}

/// A running query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Query {
    pool: String,
    pid: i32,
    started: String,
}

impl Observer {
    pub(super) fn of(cluster: &Cluster) -> Self {
        let seen = Arc::default();
        let sampling = tokio::spawn(sample(cluster.settings("postgres"), Arc::clone(&seen)));
        Self { seen, sampling }
    }

    /// The pids of the backends that run a task, in the last sample.
    pub(super) fn pids(&self) -> Vec<i32> {
        self.seen().pids.clone()
    }

    /// The number of samples.
    pub(super) fn samples(&self) -> u64 {
        self.seen().samples
    }

    /// The highest count in one sample, for each pool and for all pools.
    pub(super) fn most(&self) -> BTreeMap<String, usize> {
        self.seen().most.clone()
    }

    /// The times at which the server of the targets lost its sessions.
    pub(super) fn outages(&self) -> Losses {
        self.seen().outages.clone()
    }

    /// A line for each limit that was exceeded.
    pub(super) fn excesses(&self) -> Vec<String> {
        let seen = self.seen();
        let limits = POOLS.iter().chain(&MIXED_POOLS).chain(&[("all", WORKERS)]);
        limits
            .filter_map(|&(pool, limit)| {
                let most = seen.most.get(pool).copied().unwrap_or(0);
                (most > limit as usize).then(|| format!("{most} queries of pool {pool} ran at once, {limit} may"))
            })
            .collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.sampling.abort();
    }
}

async fn sample(settings: ConnectionSettings, seen: Arc<Mutex<Seen>>) {
    let mut before = HashSet::new();
    let mut answered = None;
    loop {
        // The cluster may be down. Then no query runs there.
        let Ok(session) = settings.connect().await else {
            sleep(SAMPLE_INTERVAL).await;
            continue;
        };
        let mut session_is_new = true;
        while let Ok(now) = queries(&session).await {
            if let Some(last) = answered.filter(|_| session_is_new) {
                seen.lock().unwrap_or_else(PoisonError::into_inner).outages.note_since(last);
            }
            session_is_new = false;
            answered = Some(losses::now());
            seen.lock().unwrap_or_else(PoisonError::into_inner).note(&now, &before);
            before = now;
            sleep(SAMPLE_INTERVAL).await;
        }
        before = HashSet::new();
    }
}

impl Seen {
    /// Adds a sample. `pg_stat_activity` is not a snapshot of one instant, so only queries that are
    /// also in the sample before are counted. All of these ran at the same time.
    fn note(&mut self, now: &HashSet<Query>, before: &HashSet<Query>) {
        self.samples += 1;
        self.pids = now.iter().map(|query| query.pid).collect();
        let mut counts = BTreeMap::new();
        for query in now.intersection(before) {
            *counts.entry(query.pool.as_str()).or_insert(0) += 1;
            *counts.entry("all").or_insert(0) += 1;
        }
        for (pool, count) in counts {
            let most = self.most.entry(pool.to_owned()).or_insert(0);
            *most = count.max(*most);
        }
    }
}

async fn queries(session: &Session) -> Result<HashSet<Query>, pgasync_pg::Error> {
    let sql = "select substring(query from 'pool:([a-z]+)'), pid, query_start::text from pg_stat_activity
         where application_name like 'pgasync/%' and state = 'active' and query ~ 'pool:[a-z]+'";
    let rows = session.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| Query { pool: row.get(0), pid: row.get(1), started: row.get(2) }).collect())
}
