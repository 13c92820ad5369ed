//! The state that the views show. The leader publishes it at most twice a second, and only when it
//! has changed.

use std::time::{Duration, Instant};

use pgasync_core::Orchestrator;
use pgasync_store::{PublishedOutage, PublishedPool, PublishedState};

use crate::target_sessions::TargetSessions;

const PUBLISH_INTERVAL: Duration = Duration::from_millis(500);

/// How long a leader waits after a refused publication.
const REFUSED_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Publisher {
    next: Instant,
    last: Option<PublishedState>,
}

impl Publisher {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { next: now, last: None }
    }

    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// The last state may not have been published: it is published again.
    pub(crate) fn repeat(&mut self) {
        self.last = None;
    }

    /// The server refused the last state: it is published again later.
    pub(crate) fn refused(&mut self, now: Instant) {
        self.repeat();
        self.next = now + REFUSED_INTERVAL;
    }

    /// The state to publish, if it is time and the state has changed.
    pub(crate) fn publish(
        &mut self,
        now: Instant,
        core: &Orchestrator,
        workers: u32,
        sessions: &TargetSessions,
    ) -> Option<PublishedState> {
        if now < self.next {
            return None;
        }
        self.next = now + PUBLISH_INTERVAL;
        let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let mut busy = sessions.busy();
        busy.sort_unstable_by_key(|session| session.session_slot);
        let current = PublishedState {
            workers: count(workers),
            busy,
            pools: core
                .occupancy()
                .map(|(pool, taken)| PublishedPool { pool: pool.clone(), taken: count(taken) })
                .collect(),
            lost: sessions
                .lost
                .iter()
                .map(|(target, (since, error))| PublishedOutage {
                    target: target.clone(),
                    since: *since,
                    error: error.clone(),
                })
                .collect(),
        };
        if self.last.as_ref() == Some(&current) {
            return None;
        }
        self.last = Some(current.clone());
        Some(current)
    }
}
