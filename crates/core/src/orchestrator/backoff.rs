//! How long to wait before something that failed is tried again: the only backoff there is.

use crate::time::Span;

/// Waits that double from the first to the last, and start anew after a success.
///
/// Each wait is shortened by up to a quarter, so that what failed together is not tried together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    first: Span,
    last: Span,
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new(first: Span, last: Span) -> Self {
        Self { first, last, failures: 0 }
    }

    /// Counts a failure, and returns the wait after it. Of `random` the last eight bits are used.
    pub(crate) fn next(&mut self, random: u64) -> Span {
        let wait = self.first.doubled(self.failures).min(self.last);
        self.failures = self.failures.saturating_add(1);
        let shortened = wait.as_micros() / 1_024 * i64::try_from(random & 0xff).unwrap_or(0);
        Span::micros(wait.as_micros() - shortened)
    }

    /// How often it failed since the last success.
    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts a success.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_last_and_are_spread() {
        let wait = |failures, random| {
            let mut backoff = Backoff { failures, ..Backoff::new(Span::seconds(1), Span::seconds(10)) };
            backoff.next(random)
        };
        assert_eq!(wait(0, 0), Span::seconds(1));
        assert_eq!(wait(2, 0), Span::seconds(4));
        assert_eq!(wait(60, 0), Span::seconds(10));
        assert!(wait(60, 255) < Span::seconds(8) && wait(60, 255) > Span::seconds(7));
    }

    #[test]
    fn a_success_begins_the_waits_anew() {
        let mut backoff = Backoff::new(Span::seconds(1), Span::seconds(10));
        assert_eq!([backoff.next(0), backoff.next(0)], [Span::seconds(1), Span::seconds(2)]);
        assert_eq!(backoff.failures(), 2);
        backoff.reset();
        assert_eq!((backoff.failures(), backoff.next(0)), (0, Span::seconds(1)));
    }
}
