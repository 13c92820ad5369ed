//! A client that keeps the queue full during the kills, cancels some tasks, and logs its
//! observations.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pgasync_pg::{ConnectionSettings, Session};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::losses;
use super::seed::Seed;
use super::workload::{self, Load, MIXED_POOLS};

const PAUSE: Duration = Duration::from_millis(100);
const BACKLOG_MIN: i64 = 150;
const PUSHED_AT_ONCE: u32 = 50;
const QUICK_AT_ONCE: u32 = 40;
const QUICK_BACKLOG_MIN: i64 = 40;
const MIXED_AT_ONCE: u32 = 8;
const MIXED_BACKLOG_MIN: i64 = 24;

/// The client looks at the rows of this number of tasks, so that its work does not grow with the
/// length of a run.
const RECENT: i64 = 10_000;

/// An answer of a server that lives takes less than this time.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// The part of a row that must not change after the task is finished.
pub(super) const FROZEN_PART: &str = "md5((t.consumed, t.processed, t.yielded, t.finish_status, t.failed, \
     t.processing_error, t.times_up, t.run, t.target, t.query)::text)";

#[derive(Debug)]
pub(super) struct Client {
    log: Arc<Mutex<ClientLog>>,
    ending: Arc<AtomicBool>,
    /// Whether the client pushes and cancels no longer.
    is_full: Arc<AtomicBool>,
    /// The lock that the client holds during each of its steps.
    turns: Arc<tokio::sync::Mutex<()>>,
    working: Option<JoinHandle<()>>,
}

/// The answers that the client received.
#[derive(Debug, Default)]
pub(super) struct ClientLog {
    /// The number of tasks in each push that was tried.
    pub(super) tried: Vec<usize>,
    /// Tasks whose push was confirmed.
    pub(super) pushed: Vec<i64>,
    /// The pushed tasks that take long enough to be cancelled.
    pub(super) slow: Vec<i64>,
    /// Tasks whose cancel was requested, confirmed or not.
    pub(super) cancelled: HashSet<i64>,
    /// The times at which requests to cancel were confirmed.
    pub(super) cancels: HashMap<i64, f64>,
    /// The times at which requests to finish were confirmed.
    pub(super) finishes: HashMap<i64, f64>,
    /// The number of times that `get_tasks` returned a task.
    pub(super) pulled: HashMap<i64, usize>,
    /// Finished tasks, with [`FROZEN_PART`] of their rows when the client first saw them.
    pub(super) frozen: HashMap<i64, String>,
}

impl Client {
    pub(super) fn of(settings: ConnectionSettings, seed: Seed, load: Load) -> Self {
        let mut client = Self {
            log: Arc::default(),
            ending: Arc::default(),
            is_full: Arc::default(),
            turns: Arc::default(),
            working: None,
        };
        let (log, ending, turns) = (Arc::clone(&client.log), Arc::clone(&client.ending), Arc::clone(&client.turns));
        let is_full = Arc::clone(&client.is_full);
        client.working = Some(tokio::spawn(async move {
            let mut worker = Worker { seed, load, log, is_full, turns };
            worker.work(&settings, &ending).await;
        }));
        client
    }

    /// The client pushes and cancels no longer. It continues to take and finish tasks.
    pub(super) fn push_no_more(&self) {
        self.is_full.store(true, Ordering::Relaxed);
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
    load: Load,
    log: Arc<Mutex<ClientLog>>,
    is_full: Arc<AtomicBool>,
    turns: Arc<tokio::sync::Mutex<()>>,
}

impl Worker {
    async fn work(&mut self, settings: &ConnectionSettings, ending: &AtomicBool) {
        while !ending.load(Ordering::Relaxed) {
            if let Ok(Ok(session)) = timeout(ANSWERS_WITHIN, settings.connect()).await {
                // The loop ends when the server is killed.
                while !ending.load(Ordering::Relaxed)
                    && matches!(timeout(ANSWERS_WITHIN, self.take_step(&session)).await, Ok(Ok(())))
                {
                    sleep(PAUSE).await;
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn take_step(&mut self, session: &Session) -> Result<(), pgasync_pg::Error> {
        let turns = Arc::clone(&self.turns);
        let _turn = turns.lock().await;
        if !self.is_full.load(Ordering::Relaxed) {
            self.fill(session).await?;
            if self.seed.chance(20)
                && let Some(id) = self.choose()
            {
                session.execute("select async.cancel(array[$1::bigint])", &[&id]).await?;
                lock(&self.log).cancels.entry(id).or_insert_with(losses::now);
            }
        }
        if self.load.is_mixed {
            self.attend(session).await?;
        }
        let sql = format!(
            "select t.task_id, {FROZEN_PART} from async.task t where t.processed > now() - interval '3 seconds'
               and t.task_id > (select max(task_id) - {RECENT} from async.task)"
        );
        for row in session.query(&sql, &[]).await? {
            lock(&self.log).frozen.entry(row.get(0)).or_insert_with(|| row.get(1));
        }
        Ok(())
    }

    /// Pushes tasks of each group of pools that has too few.
    async fn fill(&mut self, session: &Session) -> Result<(), pgasync_pg::Error> {
        let mixed = MIXED_POOLS.map(|(pool, _)| format!("'{pool}'")).join(", ");
        let sql = format!(
            "select count(*) filter (where concurrency_pool is distinct from 'quick'
                 and coalesce(concurrency_pool, '') not in ({mixed})),
               count(*) filter (where concurrency_pool = 'quick'),
               count(*) filter (where concurrency_pool in ({mixed}))
             from async.task where processed is null"
        );
        let open = session.query_one(&sql, &[]).await?;
        if open.get::<_, i64>(0) < BACKLOG_MIN {
            let push = self.next_push(PUSHED_AT_ONCE);
            let sql = workload::push(&mut self.seed, push, PUSHED_AT_ONCE, self.load.long_percent);
            let ids = self.push(session, &sql).await?;
            lock(&self.log).slow.extend(ids);
        }
        if open.get::<_, i64>(1) < QUICK_BACKLOG_MIN {
            self.push(session, &workload::push_quick(self.next_push(QUICK_AT_ONCE), QUICK_AT_ONCE)).await?;
        }
        if self.load.is_mixed && open.get::<_, i64>(2) < MIXED_BACKLOG_MIN {
            let pushed = MIXED_AT_ONCE * u32::try_from(MIXED_POOLS.len()).expect("a few");
            self.push(session, &workload::push_mixed(self.next_push(pushed), MIXED_AT_ONCE)).await?;
        }
        Ok(())
    }

    /// Notes that `count` tasks will be pushed. Returns the number of the push.
    fn next_push(&self, count: u32) -> u32 {
        let mut log = lock(&self.log);
        log.tried.push(usize::try_from(count).expect("a few"));
        u32::try_from(log.tried.len() - 1).expect("pushes are few")
    }

    async fn push(&self, session: &Session, sql: &str) -> Result<Vec<i64>, pgasync_pg::Error> {
        let rows = session.query(sql, &[]).await?;
        let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        lock(&self.log).pushed.extend(&ids);
        Ok(ids)
    }

    /// Finishes the tasks that wait for the client, and takes others. A task whose `get_tasks` or
    /// request had no answer is found in the table.
    async fn attend(&self, session: &Session) -> Result<(), pgasync_pg::Error> {
        let waiting = "select t.task_id from async.task t
             where t.processed is null and (t.yielded is not null or t.target = 'pulled' and t.consumed is not null)
               and not exists (select from async.request r where r.task_id = t.task_id)";
        let rows = session.query(waiting, &[]).await?;
        let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        if !ids.is_empty() {
            session.execute("select async.finish($1::bigint[], 'FINISHED', null)", &[&ids]).await?;
            let now = losses::now();
            let mut log = lock(&self.log);
            for id in ids {
                log.finishes.entry(id).or_insert(now);
            }
        }
        for row in session.query("select task_id from async.get_tasks('pulled', 4, '1 ms')", &[]).await? {
            *lock(&self.log).pulled.entry(row.get(0)).or_default() += 1;
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
