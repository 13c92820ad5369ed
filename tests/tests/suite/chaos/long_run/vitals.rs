//! Samples the server during a run: who leads, dead rows and sizes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pgasync_pg::{ConnectionSettings, Error, Session};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::super::losses;

const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);

/// Tables are looked at in each of this number of samples.
const TABLES_EVERY: u64 = 20;

/// A server that lives answers within this time.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Samples the server until it is dropped.
pub(super) struct Vitals {
    seen: Arc<Mutex<Seen>>,
    sampling: JoinHandle<()>,
}

/// What the samples show.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The changes of the epoch: the time at which the old one was last seen, and at which the new
    /// one was first seen.
    pub(super) elections: Vec<(f64, f64)>,
    /// The most dead rows of each table of the schema.
    pub(super) dead_rows: BTreeMap<String, i64>,
    /// The largest size of each table, in bytes.
    pub(super) sizes: BTreeMap<String, i64>,
    /// The longest time in which the server answered and no engine led, in seconds.
    pub(super) leaderless: f64,
    epoch: Option<(i64, f64)>,
    /// The begin of the present time without a leader.
    leaderless_since: Option<f64>,
}

impl Vitals {
    pub(super) fn watch(settings: ConnectionSettings) -> Self {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let noted = Arc::clone(&seen);
        let sampling = tokio::spawn(async move {
            loop {
                if let Ok(Ok(session)) = timeout(ANSWERS_WITHIN, settings.connect()).await {
                    let mut samples = 0;
                    while let Ok(Ok(())) = timeout(ANSWERS_WITHIN, sample(&session, samples, &noted)).await {
                        samples += 1;
                        sleep(SAMPLE_INTERVAL).await;
                    }
                }
                sleep(SAMPLE_INTERVAL).await;
            }
        });
        Self { seen, sampling }
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Vitals {
    fn drop(&mut self) {
        self.sampling.abort();
    }
}

async fn sample(session: &Session, number: u64, seen: &Mutex<Seen>) -> Result<(), Error> {
    let row = session.query_one("select epoch, async.leader_pid() is not null from async.leader", &[]).await?;
    let (epoch, leads, now): (i64, bool, f64) = (row.get(0), row.get(1), losses::now());
    let tables = if number.is_multiple_of(TABLES_EVERY) {
        let sql = "select relname::text, n_dead_tup, pg_relation_size(relid) from pg_stat_user_tables
             where schemaname = 'async'";
        session.query(sql, &[]).await?
    } else {
        Vec::new()
    };
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((before, at)) = seen.epoch
        && before != epoch
    {
        seen.elections.push((at, now));
    }
    seen.epoch = Some((epoch, now));
    if leads || number == 0 {
        seen.leaderless_since = (!leads).then_some(now);
    } else {
        let since = *seen.leaderless_since.get_or_insert(now);
        seen.leaderless = seen.leaderless.max(now - since);
    }
    for row in tables {
        let (name, dead, size): (String, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let most = seen.dead_rows.entry(name.clone()).or_default();
        *most = dead.max(*most);
        let most = seen.sizes.entry(name).or_default();
        *most = size.max(*most);
    }
    Ok(())
}
