//! When to poll for new work, and whether pushes have to notify.
//!
//! Awake, the leader polls every few milliseconds and pushes do not notify. Asleep, pushes notify,
//! and the leader polls rarely all the same. A leader falls asleep first and polls then, so that no
//! push falls between the two. A push that found the leader awake and is still open then commits
//! without a notification: until it has ended, the leader polls less and less often. All later
//! pushes notify meanwhile.
//!
//! A sleeping leader polls for each notification and stays asleep, so that rare pushes are seen at
//! once, and cost no writes of the state. Only notifications in numbers wake it.

use super::command::Sleep;
use super::input::OpenWriters;
use super::settings::Tuning;
use crate::time::{MonotonicTime, Span};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Awake { until: MonotonicTime },
    FallingAsleep,
    Asleep { awaited: Option<Awaited> },
}

/// The pushes that found the leader awake: their transactions have ids below `before`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Awaited {
    before: i64,
    /// How often in a row one of them was open.
    polls: u32,
}

#[derive(Debug)]
pub(super) struct Wake {
    state: State,
    next: MonotonicTime,
    /// A poll is under way.
    polling: bool,
    /// Another poll is wanted at once.
    again: bool,
    /// How often in a row it could not fall asleep.
    kept_awake: u32,
    /// The notifications while asleep, and since when they are counted.
    notified: u32,
    notified_since: MonotonicTime,
}

impl Wake {
    pub(super) const fn new(now: MonotonicTime) -> Self {
        Self {
            state: State::Awake { until: now },
            next: now,
            polling: false,
            again: false,
            kept_awake: 0,
            notified: 0,
            notified_since: now,
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
        self.again = false;
        debug_assert!(tuning.poll_every > Span::ZERO);
        Some(match self.state {
            State::Awake { until } if until <= now => {
                self.state = State::FallingAsleep;
                Sleep::FallAsleep
            }
            State::Asleep { .. } if self.notified >= tuning.notifications_max => {
                self.notified = 0;
                self.state = State::Awake { until: now + tuning.awake };
                Sleep::WakeUp
            }
            State::Asleep { awaited: Some(Awaited { before, .. }) } => Sleep::AwaitWriters { before },
            State::Awake { .. } | State::FallingAsleep | State::Asleep { awaited: None } => Sleep::Keep,
        })
    }

    /// A push notified.
    pub(super) fn notified(&mut self, now: MonotonicTime, tuning: &Tuning) {
        if let State::Awake { until } = self.state {
            // It polls soon in any case.
            self.state = State::Awake { until: until.max(now + tuning.awake) };
            self.kept_awake = 0;
            self.poll_by(now + tuning.poll_every);
            return;
        }
        if self.notified_since + tuning.awake <= now {
            (self.notified, self.notified_since) = (0, now);
        }
        self.notified = self.notified.saturating_add(1);
        self.again = true;
    }

    /// Something happened that calls for a poll, without an end of sleep.
    pub(super) fn poll_by(&mut self, time: MonotonicTime) {
        self.next = self.next.min(time);
    }

    /// A poll is answered, with the pushes that do not notify if it was to fall asleep or waits for
    /// their end.
    pub(super) fn polled(&mut self, now: MonotonicTime, writers: Option<OpenWriters>, idle: Span, tuning: &Tuning) {
        self.polling = false;
        let open = writers.filter(|writers| writers.open);
        match self.state {
            State::FallingAsleep if writers.is_none() => {
                self.kept_awake = self.kept_awake.saturating_add(1);
                self.state = State::Awake { until: now };
            }
            State::FallingAsleep => {
                self.kept_awake = 0;
                let awaited = open.map(|OpenWriters { before, .. }| Awaited { before, polls: 0 });
                self.state = State::Asleep { awaited };
            }
            State::Asleep { awaited: Some(Awaited { before, polls }) } if writers.is_some() => {
                // The poll came after their end, if they have ended.
                let awaited = open.map(|_| Awaited { before, polls: polls.saturating_add(1) });
                self.state = State::Asleep { awaited };
            }
            // Writers that it did not ask for belong to a poll before the last election or resignation.
            State::Awake { .. } | State::Asleep { .. } => {}
        }
        let wait = match self.state {
            State::Awake { .. } | State::FallingAsleep => tuning.poll_every.doubled(self.kept_awake.min(10)),
            State::Asleep { awaited: Some(Awaited { polls, .. }) } => {
                tuning.poll_every.doubled(polls.min(10)).min(tuning.writers_poll_max)
            }
            State::Asleep { awaited: None } => idle,
        };
        self.next = now + wait.min(idle);
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
    const BEFORE: i64 = 77;

    const fn writers(open: bool) -> Option<OpenWriters> {
        Some(OpenWriters { before: BEFORE, open })
    }

    /// A drain ends the lead while a poll is under way.
    #[test]
    fn the_answer_to_a_poll_of_an_earlier_lead_changes_no_state() {
        let tuning = Tuning::default();
        for open in [false, true] {
            let mut wake = Wake::new(START);
            wake.polled(START, writers(open), IDLE, &tuning);
            let later = START + tuning.poll_every;
            assert_eq!(wake.poll(later, &tuning), Some(Sleep::FallAsleep));
        }
    }

    fn asleep(tuning: &Tuning) -> Wake {
        let mut wake = Wake::new(START);
        assert_eq!(wake.poll(START, tuning), Some(Sleep::FallAsleep));
        wake.polled(START, writers(false), IDLE, tuning);
        wake
    }

    #[test]
    fn a_sleeping_leader_polls_for_each_notification_and_stays_asleep() {
        let tuning = Tuning::default();
        let mut wake = Wake::new(START);
        assert_eq!(wake.poll(START, &tuning), Some(Sleep::FallAsleep));
        assert_eq!((wake.poll(START, &tuning), wake.next()), (None, None), "one poll at a time");
        wake.polled(START, writers(false), IDLE, &tuning);
        assert_eq!(wake.next(), Some(START + IDLE));
        let mut now = START;
        for _ in 0..100 {
            now = now + tuning.awake;
            wake.notified(now, &tuning);
            assert_eq!(wake.poll(now, &tuning), Some(Sleep::Keep));
            wake.notified(now, &tuning);
            assert_eq!(wake.poll(now, &tuning), None);
            wake.polled(now, None, IDLE, &tuning);
            assert_eq!(wake.poll(now, &tuning), Some(Sleep::Keep), "what came meanwhile is polled for");
            wake.polled(now, None, IDLE, &tuning);
            assert_eq!(wake.next(), Some(now + IDLE));
        }
    }

    #[test]
    fn notifications_in_numbers_wake_it_until_they_end() {
        let tuning = Tuning::default();
        let mut wake = asleep(&tuning);
        for _ in 1..tuning.notifications_max {
            wake.notified(START, &tuning);
        }
        assert_eq!(wake.poll(START, &tuning), Some(Sleep::Keep));
        wake.notified(START, &tuning);
        wake.polled(START, None, IDLE, &tuning);
        assert_eq!(wake.poll(START, &tuning), Some(Sleep::WakeUp));
        wake.polled(START, None, IDLE, &tuning);
        assert_eq!(wake.next(), Some(START + tuning.poll_every));
        let late = START + tuning.poll_every;
        wake.notified(late, &tuning);
        assert_eq!(wake.next(), Some(late), "it is awake, and polls at its time");
        assert_eq!(wake.poll(late, &tuning), Some(Sleep::Keep));
        wake.polled(late, None, IDLE, &tuning);
        assert_eq!(wake.poll(late + tuning.awake, &tuning), Some(Sleep::FallAsleep));
    }

    #[test]
    fn a_notification_while_it_falls_asleep_leads_to_another_poll() {
        let tuning = Tuning::default();
        let mut wake = Wake::new(START);
        assert_eq!(wake.poll(START, &tuning), Some(Sleep::FallAsleep));
        wake.notified(START, &tuning);
        wake.polled(START, writers(false), IDLE, &tuning);
        assert_eq!(wake.poll(START, &tuning), Some(Sleep::Keep));
    }

    /// The leader took itself to be asleep for ever, and pushes did not notify.
    #[test]
    fn a_notification_during_a_poll_that_is_refused_is_not_lost() {
        let tuning = Tuning::default();
        let mut wake = asleep(&tuning);
        let later = START + IDLE;
        assert_eq!(wake.poll(later, &tuning), Some(Sleep::Keep));
        wake.notified(later, &tuning);
        wake.refused(later + IDLE);
        assert_eq!(wake.poll(later, &tuning), Some(Sleep::Keep));
    }

    #[test]
    fn a_refused_poll_is_repeated_at_the_given_time_in_the_same_state() {
        let tuning = Tuning::default();
        let (mut wake, later) = (Wake::new(START), START + Span::millis(5));
        assert_eq!(wake.poll(START, &tuning), Some(Sleep::FallAsleep));
        wake.refused(later);
        assert_eq!(wake.next(), Some(later));
        assert_eq!(wake.poll(later, &tuning), Some(Sleep::FallAsleep), "it is not asleep");
        wake.polled(later, writers(true), IDLE, &tuning);
        let at = later + tuning.poll_every;
        assert_eq!(wake.poll(at, &tuning), Some(Sleep::AwaitWriters { before: BEFORE }));
        wake.refused(at);
        assert_eq!(wake.poll(at, &tuning), Some(Sleep::AwaitWriters { before: BEFORE }), "it asks again");
        wake.polled(at, writers(false), IDLE, &tuning);
        assert_eq!(wake.poll(at + IDLE, &tuning), Some(Sleep::Keep));
        wake.refused(at + IDLE);
        assert_eq!(wake.poll(at + IDLE, &tuning), Some(Sleep::Keep), "it is asleep yet");
    }

    #[test]
    fn an_open_push_is_awaited_in_longer_and_longer_waits_and_polled_for_after_its_end() {
        let tuning = Tuning::default();
        let mut wake = Wake::new(START);
        assert_eq!(wake.poll(START, &tuning), Some(Sleep::FallAsleep));
        wake.polled(START, writers(true), IDLE, &tuning);
        let mut now = START;
        for polls in 0..10 {
            let due = now + tuning.poll_every.doubled(polls).min(tuning.writers_poll_max);
            assert_eq!(wake.next(), Some(due));
            now = due;
            assert_eq!(wake.poll(now, &tuning), Some(Sleep::AwaitWriters { before: BEFORE }));
            wake.polled(now, writers(true), IDLE, &tuning);
        }
        wake.notified(now, &tuning);
        assert_eq!(wake.poll(now, &tuning), Some(Sleep::AwaitWriters { before: BEFORE }), "other pushes notify");
        wake.polled(now, writers(false), IDLE, &tuning);
        assert_eq!(wake.next(), Some(now + IDLE), "this poll has seen it");
    }

    #[test]
    fn a_leader_that_cannot_fall_asleep_polls_less_and_less_often() {
        let tuning = Tuning::default();
        let mut wake = Wake::new(START);
        let mut now = START;
        for kept_awake in 1..20 {
            assert_eq!(wake.poll(now, &tuning), Some(Sleep::FallAsleep));
            wake.polled(now, None, IDLE, &tuning);
            let due = now + tuning.poll_every.doubled(kept_awake).min(IDLE);
            assert_eq!(wake.next(), Some(due));
            now = due;
        }
        wake.notified(now, &tuning);
        wake.poll(now, &tuning);
        wake.polled(now, None, IDLE, &tuning);
        assert_eq!(wake.next(), Some(now + tuning.poll_every));
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
