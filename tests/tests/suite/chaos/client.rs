//! A client that keeps the queue full during the kills, cancels some tasks, and logs its
//! observations.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pgasync_pg::{ConnectionSettings, Session};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::seed::Seed;
use super::workload;

const PAUSE: Duration = Duration::from_millis(100);
const BACKLOG_MIN: i64 = 150;
const PUSHED_AT_ONCE: u32 = 50;
const QUICK_AT_ONCE: u32 = 40;
const QUICK_BACKLOG_MIN: i64 = 40;

/// The part of a row that must not change after the task is finished.
pub(super) const FROZEN_PART: &str = "md5((t.consumed, t.processed, t.yielded, t.finish_status, t.failed, \
     t.processing_error, t.times_up, t.run, t.target, t.query)::text)";

#[derive(Debug)]
pub(super) struct Client {
    log: Arc<Mutex<ClientLog>>,
    ending: Arc<AtomicBool>,
    /// The lock that the client holds during each of its steps.
    turns: Arc<tokio::sync::Mutex<()>>,
    working: Option<JoinHandle<()>>,
}

/// The answers that the client received.
#[derive(Debug, Default)]
pub(super) struct ClientLog {
    /// Tasks whose push was confirmed.
    pub(super) pushed: Vec<i64>,
    /// The pushed tasks that take long enough to be cancelled.
    pub(super) slow: Vec<i64>,
    /// Tasks whose cancel was requested, confirmed or not.
    pub(super) cancelled: HashSet<i64>,
    /// Finished tasks, with [`FROZEN_PART`] of their rows when the client first saw them.
    pub(super) frozen: HashMap<i64, String>,
}

impl Client {
    pub(super) fn of(settings: ConnectionSettings, seed: Seed, long_percent: u64) -> Self {
        let mut client = Self { log: Arc::default(), ending: Arc::default(), turns: Arc::default(), working: None };
        let (log, ending, turns) = (Arc::clone(&client.log), Arc::clone(&client.ending), Arc::clone(&client.turns));
        client.working = Some(tokio::spawn(async move {
            let mut worker = Worker { seed, long_percent, log, turns };
            worker.work(&settings, &ending).await;
        }));
        client
    }

    /// The client pauses while this guard is held.
    pub(super) async fn rest(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.turns).lock_owned().await
    }

    /// Ends the client, and returns its log.
    pub(super) async fn end(&mut self) -> ClientLog {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(working) = self.working.take() {
            working.await.expect("the client does not panic");
        }
        mem::take(&mut *lock(&self.log))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
    }
}

fn lock(log: &Mutex<ClientLog>) -> MutexGuard<'_, ClientLog> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Worker {
    seed: Seed,
    long_percent: u64,
    log: Arc<Mutex<ClientLog>>,
    turns: Arc<tokio::sync::Mutex<()>>,
}

impl Worker {
    async fn work(&mut self, settings: &ConnectionSettings, ending: &AtomicBool) {
        while !ending.load(Ordering::Relaxed) {
            if let Ok(session) = settings.connect().await {
                // The loop ends when the server is killed.
                while !ending.load(Ordering::Relaxed) && self.take_step(&session).await.is_ok() {
                    sleep(PAUSE).await;
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn take_step(&mut self, session: &Session) -> Result<(), pgasync_pg::Error> {
        let turns = Arc::clone(&self.turns);
        let _turn = turns.lock().await;
        let sql = "select count(*) filter (where concurrency_pool is distinct from 'quick'),
               count(*) filter (where concurrency_pool = 'quick')
             from async.task where processed is null";
        let open = session.query_one(sql, &[]).await?;
        if open.get::<_, i64>(0) < BACKLOG_MIN {
            let push = workload::push(&mut self.seed, PUSHED_AT_ONCE, self.long_percent);
            let rows = session.query(&push, &[]).await?;
            let ids = rows.iter().map(|row| row.get::<_, i64>(0));
            let mut log = lock(&self.log);
            log.slow.extend(ids.clone());
            log.pushed.extend(ids);
        }
        if open.get::<_, i64>(1) < QUICK_BACKLOG_MIN {
            let quick = session.query(&workload::push_quick(QUICK_AT_ONCE), &[]).await?;
            lock(&self.log).pushed.extend(quick.iter().map(|row| row.get::<_, i64>(0)));
        }
        if self.seed.chance(20)
            && let Some(id) = self.choose()
        {
            session.execute("select async.cancel(array[$1::bigint])", &[&id]).await?;
        }
        let sql = format!(
            "select t.task_id, {FROZEN_PART} from async.task t where t.processed > now() - interval '3 seconds'"
        );
        for row in session.query(&sql, &[]).await? {
            lock(&self.log).frozen.entry(row.get(0)).or_insert_with(|| row.get(1));
        }
        Ok(())
    }

    /// Chooses a task to cancel. It may be running, waiting or finished.
    fn choose(&mut self) -> Option<i64> {
        let mut log = lock(&self.log);
        let recent = log.slow.len().saturating_sub(400);
        let id = log.slow.get(recent..).filter(|ids| !ids.is_empty()).map(|ids| *self.seed.pick(ids))?;
        log.cancelled.insert(id);
        Some(id)
    }
}
