//! What is shown to the views, about once a second, and only when it changed.

use std::time::{Duration, Instant};

use pgasync_core::Orchestrator;
use pgasync_store::Published;

use crate::sessions::Sessions;

const PUBLISH_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Publisher {
    next: Instant,
    shown: Option<Published>,
}

impl Publisher {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { next: now, shown: None }
    }

    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// What to publish, if it is time to and there is anything new.
    pub(crate) fn publish(
        &mut self,
        now: Instant,
        core: &Orchestrator,
        workers: u32,
        sessions: &Sessions,
    ) -> Option<Published> {
        if now < self.next {
            return None;
        }
        self.next = now + PUBLISH_EVERY;
        let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let mut busy = sessions.busy();
        busy.sort_unstable();
        let current = Published {
            workers: count(workers),
            busy,
            pools: core.occupancy().map(|(pool, taken)| (pool.to_string(), count(taken))).collect(),
            lost: sessions
                .lost
                .iter()
                .map(|(target, (since, error))| (target.to_string(), *since, error.clone()))
                .collect(),
        };
        if self.shown.as_ref() == Some(&current) {
            return None;
        }
        self.shown = Some(current.clone());
        Some(current)
    }
}
