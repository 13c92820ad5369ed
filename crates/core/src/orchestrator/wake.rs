//! When to poll for new work, and whether pushes have to notify.
//!
//! Awake, the leader polls every few milliseconds and pushes do not notify. Asleep, pushes notify,
//! and the leader polls rarely all the same. A leader falls asleep first and polls then, so that no
//! push falls between the two. An open push keeps it from falling asleep: then it polls less and
//! less often.

use super::command::Sleep;
use super::settings::Tuning;
use crate::time::{MonotonicTime, Span};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Awake { until: MonotonicTime },
    FallingAsleep,
    Asleep,
}

#[derive(Debug)]
pub(super) struct Wake {
    state: State,
    next: MonotonicTime,
    /// A poll is under way.
    polling: bool,
    /// Another poll is wanted at once.
    again: bool,
    /// The leader fell asleep, or tried to, and the next poll has to end that.
    wake_up: bool,
    /// How often in a row it could not fall asleep.
    kept_awake: u32,
}

impl Wake {
    pub(super) const fn new(now: MonotonicTime) -> Self {
        Self {
            state: State::Awake { until: now },
            next: now,
            polling: false,
            again: false,
            wake_up: false,
            kept_awake: 0,
        }
    }

    /// When the next poll is due, if nothing happens before.
    pub(super) fn next(&self) -> Option<MonotonicTime> {
        (!self.polling).then_some(if self.again { MonotonicTime::from_micros(i64::MIN) } else { self.next })
    }

    /// Starts a poll if one is due; returns what it changes about the notifications.
    pub(super) fn poll(&mut self, now: MonotonicTime, tuning: &Tuning) -> Option<Sleep> {
        if self.polling || !self.again && now < self.next {
            return None;
        }
        self.polling = true;
        if std::mem::take(&mut self.again) {
            if !std::mem::take(&mut self.wake_up) {
                return Some(Sleep::Keep);
            }
            self.state = State::Awake { until: now + tuning.awake };
            return Some(Sleep::WakeUp);
        }
        match self.state {
            State::Awake { until } if until <= now => {
                self.state = State::FallingAsleep;
                Some(Sleep::FallAsleep)
            }
            State::Awake { .. } | State::FallingAsleep | State::Asleep => {
                debug_assert!(tuning.poll_every > Span::ZERO);
                Some(Sleep::Keep)
            }
        }
    }

    /// A push notified.
    pub(super) fn notified(&mut self, now: MonotonicTime, tuning: &Tuning) {
        self.wake_up = self.wake_up || self.state == State::Asleep;
        if !self.polling {
            self.state = State::Awake { until: now + tuning.awake };
        }
        self.again = true;
    }

    /// Something happened that calls for a poll, without an end of sleep.
    pub(super) fn poll_by(&mut self, time: MonotonicTime) {
        self.next = self.next.min(time);
    }

    /// A poll is answered, with whether pushes notify now if it was to fall asleep.
    pub(super) fn polled(&mut self, now: MonotonicTime, asleep: Option<bool>, idle: Span, tuning: &Tuning) {
        self.polling = false;
        match asleep {
            Some(true) => {
                self.kept_awake = 0;
                self.state = State::Asleep;
            }
            Some(false) => {
                self.kept_awake = self.kept_awake.saturating_add(1);
                self.state = State::Awake { until: now };
            }
            None => {}
        }
        let wait = match self.state {
            State::Asleep => idle,
            State::Awake { .. } | State::FallingAsleep => tuning.poll_every.doubled(self.kept_awake.min(10)).min(idle),
        };
        self.next = now + wait;
        if self.again {
            self.wake_up = self.wake_up || self.state == State::Asleep;
            self.state = State::Awake { until: now + tuning.awake };
        }
    }

    /// A poll was refused: the next one comes then.
    pub(super) fn refused(&mut self, at: MonotonicTime) {
        self.polling = false;
        if self.state == State::FallingAsleep {
            self.state = State::Awake { until: at };
        }
        self.next = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: MonotonicTime = MonotonicTime::from_micros(1_000);
    const IDLE: Span = Span::seconds(1);

    #[test]
    fn it_falls_asleep_when_nothing_happens_and_wakes_when_notified() {
        let tuning = Tuning::default();
        let mut wake = Wake::new(START);
        assert_eq!(wake.poll(START, &tuning), Some(Sleep::FallAsleep));
        assert_eq!((wake.poll(START, &tuning), wake.next()), (None, None), "one poll at a time");
        wake.polled(START, Some(true), IDLE, &tuning);
        assert_eq!(wake.next(), Some(START + IDLE));
        wake.notified(START, &tuning);
        assert_eq!(wake.poll(START, &tuning), Some(Sleep::WakeUp));
        wake.notified(START, &tuning);
        assert_eq!(wake.poll(START, &tuning), None);
        wake.polled(START, None, IDLE, &tuning);
        assert_eq!(wake.poll(START, &tuning), Some(Sleep::Keep), "what came meanwhile is polled for");
    }

    #[test]
    fn a_notification_while_it_falls_asleep_wakes_it() {
        let tuning = Tuning::default();
        let mut wake = Wake::new(START);
        assert_eq!(wake.poll(START, &tuning), Some(Sleep::FallAsleep));
        wake.notified(START, &tuning);
        wake.polled(START, Some(true), IDLE, &tuning);
        assert_eq!(wake.poll(START, &tuning), Some(Sleep::WakeUp));
    }

    /// The leader took itself to be asleep for ever, and pushes did not notify.
    #[test]
    fn a_notification_during_a_poll_that_is_refused_wakes_it() {
        let tuning = Tuning::default();
        let mut wake = Wake::new(START);
        wake.poll(START, &tuning);
        wake.polled(START, Some(true), IDLE, &tuning);
        let later = START + IDLE;
        assert_eq!(wake.poll(later, &tuning), Some(Sleep::Keep));
        wake.notified(later, &tuning);
        wake.refused(later);
        assert_eq!(wake.poll(later, &tuning), Some(Sleep::WakeUp));
        wake.polled(later, None, IDLE, &tuning);
        assert_eq!(wake.poll(later + tuning.awake, &tuning), Some(Sleep::FallAsleep));
    }

    #[test]
    fn a_refused_poll_is_repeated_at_the_given_time_in_the_same_state() {
        let tuning = Tuning::default();
        let (mut wake, later) = (Wake::new(START), START + Span::millis(5));
        assert_eq!(wake.poll(START, &tuning), Some(Sleep::FallAsleep));
        wake.refused(later);
        assert_eq!(wake.next(), Some(later));
        assert_eq!(wake.poll(later, &tuning), Some(Sleep::FallAsleep), "it is not asleep");
        wake.polled(later, Some(true), IDLE, &tuning);
        assert_eq!(wake.poll(later + IDLE, &tuning), Some(Sleep::Keep));
        wake.refused(later + IDLE);
        assert_eq!(wake.poll(later + IDLE, &tuning), Some(Sleep::Keep), "it is asleep yet");
    }

    #[test]
    fn an_open_push_makes_polls_rare() {
        let tuning = Tuning::default();
        let idle = Span::millis(100);
        let mut wake = Wake::new(START);
        let mut now = START;
        for _ in 0..10 {
            wake.poll(now, &tuning);
            wake.polled(now, Some(false), idle, &tuning);
            now = wake.next().expect("no poll is under way");
        }
        wake.poll(now, &tuning);
        wake.polled(now, Some(false), idle, &tuning);
        assert_eq!(wake.next(), Some(now + idle));
    }

    #[test]
    fn a_notification_keeps_it_awake_for_a_while() {
        let tuning = Tuning::default();
        let mut wake = Wake::new(START);
        wake.notified(START, &tuning);
        assert_eq!(wake.poll(START, &tuning), Some(Sleep::Keep), "it is awake");
        wake.polled(START, None, IDLE, &tuning);
        assert_eq!(wake.poll(START + tuning.poll_every, &tuning), Some(Sleep::Keep));
        wake.polled(START + tuning.poll_every, None, IDLE, &tuning);
        assert_eq!(wake.poll(START + tuning.awake, &tuning), Some(Sleep::FallAsleep));
    }
}
