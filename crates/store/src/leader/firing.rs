//! When the next schedule fires, as the polls read it.

use pgasync_core::Timestamp;

/// The time that the last poll read, and whether it had come.
#[derive(Debug, Default)]
pub(super) struct NextFiring {
    known: Option<(Timestamp, bool)>,
}

impl NextFiring {
    /// The time, if the core does not know it yet: it has changed, or it has come. A time that has come
    /// and stays is no news: another transaction holds its schedule, and the sweep looks again.
    pub(super) fn news(&mut self, fires_at: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let known = std::mem::replace(&mut self.known, fires_at.map(|at| (at, at <= now)));
        if self.known == known { None } else { fires_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_news_when_it_changes_and_when_it_has_come() {
        let at = Timestamp::from_micros;
        let mut firing = NextFiring::default();
        assert_eq!(firing.news(None, at(1)), None);
        assert_eq!(firing.news(Some(at(9)), at(2)), Some(at(9)));
        assert_eq!(firing.news(Some(at(9)), at(3)), None);
        assert_eq!(firing.news(Some(at(9)), at(9)), Some(at(9)), "a step of the clock");
        assert_eq!(firing.news(Some(at(9)), at(11)), None, "held by another transaction");
        assert_eq!(firing.news(Some(at(12)), at(11)), Some(at(12)));
        assert_eq!(firing.news(None, at(11)), None);
    }
}
