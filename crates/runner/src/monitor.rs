//! What a process shows of its orchestrator to others in the process: an HTTP listener, systemd.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::instant;
use crate::figures::Figures;

/// How long the orchestrator may sleep without a sign of life.
pub(crate) const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// Where an orchestrator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RunState {
    /// It has no session with the server: which orchestrator leads is not known.
    Connecting,
    /// It waits for the lead.
    StandingBy,
    /// It leads.
    Leading,
    /// It starts nothing new, and is about to end.
    Stopping,
}

impl RunState {
    const ALL: [Self; 4] = [Self::Connecting, Self::StandingBy, Self::Leading, Self::Stopping];
}

/// A view of a running orchestrator. Clones show the same one, from any thread.
///
/// The orchestrator never waits for a reader: it leaves a copy of its figures here.
#[derive(Clone, Debug)]
pub struct Monitor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    begin: Instant,
    /// The last tick, in milliseconds since the beginning.
    ticked: AtomicU64,
    state: AtomicU8,
    /// `None` while it does not lead.
    figures: Mutex<Option<Arc<Figures>>>,
    keeps_figures: bool,
}

impl Default for Monitor {
    /// A monitor of the state alone.
    fn default() -> Self {
        Self::new(false)
    }
}

impl Monitor {
    /// A monitor. With `keeps_figures` a leader copies its figures once a second, and counts the waiting
    /// tasks in a session of its own.
    #[must_use]
    pub fn new(keeps_figures: bool) -> Self {
        Self(Arc::new(Shared {
            begin: instant(),
            ticked: AtomicU64::new(0),
            state: AtomicU8::new(RunState::Connecting as u8),
            figures: Mutex::new(None),
            keeps_figures,
        }))
    }

    /// The time since the loop of the orchestrator ran last. Less than two seconds, unless it hangs.
    #[must_use]
    pub fn quiet(&self) -> Duration {
        let ticked = Duration::from_millis(self.0.ticked.load(Ordering::Relaxed));
        self.0.begin.elapsed().saturating_sub(ticked)
    }

    /// Where the orchestrator stands.
    #[must_use]
    pub fn state(&self) -> RunState {
        let state = self.0.state.load(Ordering::Relaxed);
        RunState::ALL.into_iter().find(|one| *one as u8 == state).unwrap_or(RunState::Connecting)
    }

    /// The figures of the leader; `None` while this process does not lead, or for a monitor that keeps
    /// none.
    #[must_use]
    pub fn figures(&self) -> Option<Arc<Figures>> {
        self.0.figures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn keeps_figures(&self) -> bool {
        self.0.keeps_figures
    }

    pub(crate) fn tick(&self) {
        let millis = u64::try_from(self.0.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.ticked.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn set_state(&self, state: RunState) {
        self.0.state.store(state as u8, Ordering::Relaxed);
    }

    pub(crate) fn set_figures(&self, figures: Option<Figures>) {
        let figures = figures.map(Arc::new);
        // What was there is dropped after the lock is free.
        let before = std::mem::replace(&mut *self.0.figures.lock().unwrap_or_else(PoisonError::into_inner), figures);
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_read_as_it_was_set() {
        let monitor = Monitor::default();
        assert_eq!(monitor.state(), RunState::Connecting);
        for state in RunState::ALL {
            monitor.set_state(state);
            assert_eq!(monitor.clone().state(), state);
        }
    }

    #[test]
    fn the_quiet_time_ends_with_a_tick() {
        let monitor = Monitor::default();
        std::thread::sleep(Duration::from_millis(30));
        assert!(monitor.quiet() >= Duration::from_millis(30));
        monitor.tick();
        assert!(monitor.quiet() < Duration::from_millis(30));
    }
}
