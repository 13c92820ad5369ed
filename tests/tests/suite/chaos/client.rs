//! A client that keeps the queue full whatever dies, cancels now and then, and remembers what it saw.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pgasync_store::{Session, Settings};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::seed::Seed;
use super::workload;

const PAUSE: Duration = Duration::from_millis(100);
const BACKLOG_MIN: i64 = 150;
const PUSHED_AT_ONCE: u32 = 50;

/// What a row is made of that nothing may change once the task is finished.
pub(super) const FROZEN_PART: &str = "md5((t.consumed, t.processed, t.yielded, t.finish_status, t.failed, \
     t.processing_error, t.times_up, t.run, t.target, t.query)::text)";

#[derive(Debug)]
pub(super) struct Client {
    book: Arc<Mutex<Book>>,
    ending: Arc<AtomicBool>,
    working: Option<JoinHandle<()>>,
}

/// What the client was told.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Tasks whose push was confirmed.
    pub(super) pushed: Vec<i64>,
    /// Tasks it asked to cancel, confirmed or not.
    pub(super) cancelled: HashSet<i64>,
    /// Finished tasks with [`FROZEN_PART`] of their rows as it first saw them.
    pub(super) frozen: HashMap<i64, String>,
}

impl Client {
    pub(super) fn of(settings: Settings, seed: Seed, long_percent: u64) -> Self {
        let (book, ending) = (Arc::default(), Arc::default());
        let working = tokio::spawn(work(settings, seed, long_percent, Arc::clone(&book), Arc::clone(&ending)));
        Self { book, ending, working: Some(working) }
    }

    /// Ends it, and gives what it remembers.
    pub(super) async fn end(&mut self) -> Book {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(working) = self.working.take() {
            working.await.expect("the client does not panic");
        }
        mem::take(&mut *lock(&self.book))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn work(settings: Settings, mut seed: Seed, long_percent: u64, book: Arc<Mutex<Book>>, ending: Arc<AtomicBool>) {
    while !ending.load(Ordering::Relaxed) {
        if let Ok(session) = settings.connect().await {
            // Until the server dies.
            while !ending.load(Ordering::Relaxed) && turn(&session, &mut seed, long_percent, &book).await.is_ok() {
                sleep(PAUSE).await;
            }
        }
        sleep(PAUSE).await;
    }
}

async fn turn(
    session: &Session,
    seed: &mut Seed,
    long_percent: u64,
    book: &Mutex<Book>,
) -> Result<(), tokio_postgres::Error> {
    let sql = "select count(*) from async.task where processed is null";
    if session.query_one(sql, &[]).await?.get::<_, i64>(0) < BACKLOG_MIN {
        let rows = session.query(&workload::push(seed, PUSHED_AT_ONCE, long_percent), &[]).await?;
        lock(book).pushed.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
    }
    if seed.chance(20) {
        let id = {
            let mut book = lock(book);
            // One that runs or waits, or one that finished: it is all the same to a client.
            let recent = book.pushed.len().saturating_sub(400);
            let Some(&id) = book.pushed.get(recent..).filter(|ids| !ids.is_empty()).map(|ids| seed.pick(ids)) else {
                return Ok(());
            };
            book.cancelled.insert(id);
            id
        };
        session.execute("select async.cancel(array[$1::bigint])", &[&id]).await?;
    }
    let sql =
        format!("select t.task_id, {FROZEN_PART} from async.task t where t.processed > now() - interval '3 seconds'");
    for row in session.query(&sql, &[]).await? {
        lock(book).frozen.entry(row.get(0)).or_insert_with(|| row.get(1));
    }
    Ok(())
}
