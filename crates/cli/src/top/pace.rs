//! How often the server is read.

use std::time::Duration;

pub(super) const PAUSE_MIN: Duration = Duration::from_secs(1);

/// A screen that is older than that would be useless on a server under load, where it is needed.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Reading takes a fifth of the time, so that a server with deep queues or thousands of lanes is not kept
/// busy with its readers.
const PAUSE_PER_COST: u32 = 4;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    cost: Duration,
}

impl Pace {
    /// Notes the time that a reading took.
    pub(super) fn note(&mut self, cost: Duration) {
        self.cost = cost;
    }

    /// The pause before the next one.
    pub(super) fn pause(&self) -> Duration {
        (self.cost * PAUSE_PER_COST).clamp(PAUSE_MIN, PAUSE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dear_readings_are_rare() {
        let mut pace = Pace::default();
        pace.note(Duration::from_millis(5));
        assert_eq!(pace.pause(), PAUSE_MIN);
        pace.note(Duration::from_millis(600));
        assert_eq!(pace.pause(), Duration::from_millis(2_400));
        pace.note(Duration::from_secs(60));
        assert_eq!(pace.pause(), PAUSE_MAX);
    }
}
