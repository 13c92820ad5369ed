//! The poller: one session, which reads the snapshot while it is wanted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pgasync_core::Timestamp;
use pgasync_store::{CallError, Client, Minute, ReadError};
use tokio::time::{Instant, timeout};

use super::Feed;
use super::snapshot::{Lead, Missing, Part, Snapshot};

/// The least time between two snapshots.
const INTERVAL: Duration = Duration::from_secs(1);

/// The poller rests this many times as long as a read took.
const REST_FACTOR: u32 = 3;

/// The rights, failures and schedules are read less often.
const SLOW_INTERVAL: Duration = Duration::from_secs(10);
const SCHEDULES_INTERVAL: Duration = Duration::from_secs(2);

/// The longest rest.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The pause after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

const SCHEDULES_MAX: u32 = 2_000;

const MINUTE: i64 = 60_000_000;
const MINUTES_KEPT: i64 = 60;

/// Reads snapshots for ever.
pub(crate) async fn poll(client: Client, feed: Arc<Feed>) {
    let mut poller = Poller {
        client,
        snapshot: Snapshot::default(),
        minutes: BTreeMap::new(),
        rights: None,
        failures: None,
        schedules: None,
    };
    loop {
        let begun = Instant::now();
        let pause = match poller.read(&feed).await {
            Ok(()) => INTERVAL.max(begun.elapsed() * REST_FACTOR),
            Err(error) => {
                tracing::warn!("the dashboard cannot read the server: {error}");
                poller.snapshot.problem = Some(error.to_string());
                poller.rights = None;
                poller.publish(&feed);
                RETRY_INTERVAL
            }
        };
        let _ = timeout(pause.min(PAUSE_MAX), feed.changed.notified()).await;
        while !feed.is_wanted() {
            // The time limit is for streams that are opened between the check and the wait.
            let _ = timeout(Duration::from_secs(1), feed.wanted.notified()).await;
        }
    }
}

struct Poller {
    client: Client,
    snapshot: Snapshot,
    minutes: BTreeMap<i64, Minute>,
    /// When these were last read.
    rights: Option<Instant>,
    failures: Option<Instant>,
    schedules: Option<Instant>,
}

impl Poller {
    /// Reads the cheap parts, publishes, and then the others.
    async fn read(&mut self, feed: &Feed) -> Result<(), CallError> {
        if feed.is_changed.swap(false, Ordering::Relaxed) {
            (self.failures, self.schedules) = (None, None);
        }
        if is_due(self.rights, SLOW_INTERVAL) {
            self.read_rights().await?;
            self.rights = Some(Instant::now());
        }
        let begun = Instant::now();
        if self.snapshot.locked.is_none() {
            let (now, phases) = whole(self.client.phase_counts().await)?;
            self.read_minutes(now).await?;
            self.snapshot.phases = phases;
            self.snapshot.now = Some(now);
            set(&mut self.snapshot.running, self.client.running().await)?;
            // A refused statement is a line in the log of the server, so none is sent for want of a privilege.
            if self.snapshot.rights.views {
                let lead = self.client.lead().await;
                let lead = lead.map(|(leader, workers, busy)| Lead { leader, workers, busy });
                set(&mut self.snapshot.lead, lead)?;
                set(&mut self.snapshot.targets, self.client.target_overviews().await)?;
            } else {
                self.snapshot.lead = Err(Missing::NotAllowed);
                self.snapshot.targets = Err(Missing::NotAllowed);
            }
        }
        self.snapshot.begun = Some(begun);
        self.snapshot.problem = None;
        // The first page shows all parts.
        if self.snapshot.waiting != Err(Missing::NotYet) || self.snapshot.locked.is_some() {
            self.publish(feed);
        }
        if self.snapshot.locked.is_none() {
            self.read_slow_parts().await?;
            self.publish(feed);
        }
        Ok(())
    }

    async fn read_slow_parts(&mut self) -> Result<(), CallError> {
        let begun = Instant::now();
        if is_due(self.schedules, SCHEDULES_INTERVAL) {
            if self.snapshot.rights.schedules {
                set(&mut self.snapshot.schedules, self.client.schedules(SCHEDULES_MAX).await)?;
            } else {
                self.snapshot.schedules = Err(Missing::NotAllowed);
            }
            self.schedules = Some(Instant::now());
        }
        if self.snapshot.rights.views {
            set(&mut self.snapshot.pools, self.client.pools().await)?;
            set(&mut self.snapshot.waiting, self.client.why_waiting().await)?;
            if is_due(self.failures, SLOW_INTERVAL) {
                set(&mut self.snapshot.failures, self.client.failures().await)?;
                self.failures = Some(Instant::now());
            }
        } else {
            self.snapshot.pools = Err(Missing::NotAllowed);
            self.snapshot.waiting = Err(Missing::NotAllowed);
            self.snapshot.failures = Err(Missing::NotAllowed);
        }
        self.snapshot.slow_begun = Some(begun);
        Ok(())
    }

    async fn read_rights(&mut self) -> Result<(), CallError> {
        let installed = self.client.installation().await?;
        self.snapshot.locked = installed
            .owned
            .then(|| format!("The role \"{}\" has the rights of the owner of the schema async.", installed.role));
        self.snapshot.role = installed.role;
        self.snapshot.rights = self.client.rights().await?;
        Ok(())
    }

    /// Counts the present minute and the one before again, and all of the hour at first. Commits that are
    /// late by a minute are counted.
    async fn read_minutes(&mut self, now: Timestamp) -> Result<(), CallError> {
        let first = now.as_micros() - (MINUTES_KEPT - 1) * MINUTE;
        let last = self.minutes.last_key_value().map_or(first, |(begin, _)| begin - MINUTE);
        let minutes = match self.client.minutes(Timestamp::from_micros(last.max(first))).await {
            Err(ReadError::Failed(CallError::Refused(refusal))) if refusal.sqlstate == "57014" => {
                // Too many tasks in this hour: the chart begins now.
                self.client.minutes(now).await
            }
            minutes => minutes,
        };
        for minute in whole(minutes)? {
            self.minutes.insert(minute.begin.as_micros(), minute);
        }
        let oldest = first - first.rem_euclid(MINUTE);
        self.minutes = self.minutes.split_off(&oldest);
        self.snapshot.minutes = Arc::new(self.minutes.values().copied().collect());
        Ok(())
    }

    fn publish(&mut self, feed: &Feed) {
        self.snapshot.version += 1;
        feed.publish(self.snapshot.clone());
    }
}

fn is_due(last: Option<Instant>, interval: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= interval)
}

/// A part that every page needs.
fn whole<T>(read: Result<T, ReadError>) -> Result<T, CallError> {
    read.map_err(|error| match error {
        ReadError::NotAllowed(refusal) => CallError::Refused(refusal),
        ReadError::Failed(error) => error,
    })
}

/// A part that may be missing: the role may not read it, or the server took too long. Anything else ends the
/// reading.
fn set<T>(part: &mut Part<T>, read: Result<T, ReadError>) -> Result<(), CallError> {
    *part = match read {
        Ok(value) => Ok(Arc::new(value)),
        Err(ReadError::NotAllowed(_)) => Err(Missing::NotAllowed),
        Err(ReadError::Failed(CallError::Refused(refusal))) => Err(Missing::Failed(refusal.message)),
        Err(ReadError::Failed(error)) => return Err(error),
    };
    Ok(())
}
