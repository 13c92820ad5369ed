//! What all pages share: one snapshot of the server, read by one poller while a page is open.

mod poller;
mod snapshot;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

pub(crate) use self::poller::poll;
pub(crate) use self::snapshot::{Missing, Snapshot};

/// An older snapshot is read again for a page.
const AGE_MAX: Duration = Duration::from_secs(2);

/// How long a page waits for that. Then it shows the older one, with its age.
const FRESH_PATIENCE: Duration = Duration::from_secs(2);

/// How long after the last page the poller goes on.
const INTEREST: Duration = Duration::from_secs(15);

pub(crate) struct Feed {
    latest: watch::Sender<Arc<Snapshot>>,
    wanted: Notify,
    last_wanted: Mutex<Option<Instant>>,
    /// An action has changed something, so everything is read again, and at once.
    changed: Notify,
    is_changed: AtomicBool,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self {
            latest: watch::Sender::new(Arc::new(Snapshot::default())),
            wanted: Notify::new(),
            last_wanted: Mutex::new(None),
            changed: Notify::new(),
            is_changed: AtomicBool::new(false),
        }
    }

    /// A receiver of each snapshot. The poller goes on while there is one.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        let receiver = self.latest.subscribe();
        self.want();
        receiver
    }

    /// A snapshot that is young enough for a page, or the newest one.
    pub(crate) async fn fresh(&self) -> Arc<Snapshot> {
        self.newer_than(|snapshot| snapshot.is_younger_than(AGE_MAX)).await
    }

    /// Waits for a snapshot that was read after this call, so that the page after an action shows it.
    pub(crate) async fn read_again(&self) {
        let now = Instant::now();
        self.is_changed.store(true, Ordering::Relaxed);
        self.changed.notify_one();
        self.newer_than(|snapshot| snapshot.slow_begun.is_some_and(|begun| begun >= now)).await;
    }

    async fn newer_than(&self, is_enough: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let mut receiver = self.latest.subscribe();
        self.want();
        let waiting = receiver.wait_for(|snapshot| is_enough(snapshot));
        if let Ok(Ok(snapshot)) = timeout(FRESH_PATIENCE, waiting).await {
            return Arc::clone(&snapshot);
        }
        Arc::clone(&self.latest.borrow())
    }

    fn want(&self) {
        *self.last_wanted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.wanted.notify_one();
    }

    /// Whether a stream is open, or a page was read lately.
    fn is_wanted(&self) -> bool {
        let last = *self.last_wanted.lock().unwrap_or_else(PoisonError::into_inner);
        self.latest.receiver_count() > 0 || last.is_some_and(|last| last.elapsed() < INTEREST)
    }

    fn publish(&self, snapshot: Snapshot) {
        self.latest.send_replace(Arc::new(snapshot));
    }
}
