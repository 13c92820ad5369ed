//! Measures the time in which the machine stalled this process. Lateness on a stalled machine
//! proves nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A thread that sleeps for short times, and adds up by how much each sleep was too long.
pub(super) struct Stalls {
    /// The sum of all stalls so far, in microseconds.
    lost: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl Stalls {
    pub(super) fn watch() -> Self {
        let (lost, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let stalls = Self { lost: Arc::clone(&lost), ended: Arc::clone(&ended) };
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let begin = Instant::now();
                thread::sleep(LOOK_EVERY);
                let late = begin.elapsed().saturating_sub(LOOK_EVERY);
                lost.fetch_add(u64::try_from(late.as_micros()).unwrap_or(0), Ordering::Relaxed);
            }
        });
        stalls
    }

    /// The time in which this process was stalled so far.
    pub(super) fn so_far(&self) -> Duration {
        Duration::from_micros(self.lost.load(Ordering::Relaxed))
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}
