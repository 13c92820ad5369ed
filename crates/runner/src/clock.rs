//! The one clock: the server's time, read once in a while and carried on by this machine's monotonic clock.

use std::time::{Duration, Instant};

use pgasync_core::{Span, Timestamp};

/// The server's time as seen from here. It never runs back.
#[derive(Debug)]
pub(crate) struct Clock {
    base: Timestamp,
    at: Instant,
    last: Timestamp,
}

impl Clock {
    /// It is `now` at the server.
    pub(crate) fn set(now: Timestamp) -> Self {
        Self { base: now, at: instant(), last: now }
    }

    /// The server's time now.
    pub(crate) fn now(&mut self) -> Timestamp {
        self.last = self.last.max(self.base + span(self.at.elapsed()));
        self.last
    }

    /// The server said that it is this time now.
    pub(crate) fn correct(&mut self, now: Timestamp) {
        self.base = now;
        self.at = instant();
    }

    /// When a time of the server's comes, on this machine.
    pub(crate) fn instant_of(&self, time: Timestamp) -> Instant {
        let micros = (time - self.base).as_micros();
        // A day ahead is far enough: who waits looks again then.
        let ahead = Duration::from_micros(u64::try_from(micros).unwrap_or(0)).min(Duration::from_secs(86_400));
        self.at + ahead
    }
}

/// This machine's monotonic clock.
pub(crate) fn instant() -> Instant {
    Instant::now()
}

fn span(duration: Duration) -> Span {
    Span::micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}
