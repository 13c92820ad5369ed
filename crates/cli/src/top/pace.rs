//! How often the server is read.

use std::time::Duration;

const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Reading takes at most a tenth of the time, so that a server with deep queues or thousands of lanes is
/// not kept busy by those who look at it.
const PAUSE_PER_COST: u32 = 9;

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
        (self.cost * PAUSE_PER_COST).max(PAUSE_MIN)
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
        pace.note(Duration::from_secs(2));
        assert_eq!(pace.pause(), Duration::from_secs(18));
    }
}
