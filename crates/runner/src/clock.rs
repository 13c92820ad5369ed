//! The only clock of this crate: the monotonic clock of this machine, and the server's time derived
//! from it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pgasync_core::{MonotonicTime, Now, Span, Timestamp};

/// The server's time at the last poll, advanced by the monotonic clock. It follows a step of the
/// server's clock; timers use the monotonic clock and do not.
#[derive(Debug)]
pub(crate) struct Clock {
    server: Timestamp,
    at: Instant,
}

impl Clock {
    /// A clock that shows `now` as the server's time.
    pub(crate) fn set(now: Timestamp) -> Self {
        Self { server: now, at: instant() }
    }

    pub(crate) fn now(&self) -> Now {
        let now = instant();
        let server = self.server + span(now.saturating_duration_since(self.at));
        Now { monotonic: MonotonicTime::from_micros(span(now.saturating_duration_since(start())).as_micros()), server }
    }

    /// Sets the server's time to `now`.
    pub(crate) fn correct(&mut self, now: Timestamp) {
        *self = Self::set(now);
    }
}

/// The instant of a monotonic time, at most a day ahead.
pub(crate) fn instant_of(time: MonotonicTime) -> Instant {
    // The sum could overflow for a time in the far future. A tick each day does no harm.
    let ahead = Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(0));
    let most = instant() + Duration::from_secs(86_400);
    start().checked_add(ahead).map_or(most, |at| at.min(most))
}

pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// The instant of monotonic time zero.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(instant)
}

fn span(duration: Duration) -> Span {
    Span::micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_clock_may_step_and_the_monotonic_one_does_not() {
        let mut clock = Clock::set(Timestamp::from_micros(5_000_000));
        let before = clock.now();
        clock.correct(Timestamp::from_micros(1_000_000));
        let after = clock.now();
        assert!(after.server < before.server);
        assert!(after.monotonic >= before.monotonic);
        assert!(instant_of(before.monotonic) <= instant());
    }
}
