//! When to look what is new, and whether pushes have to say so.
//!
//! Awake, the engine looks every few milliseconds and pushes say nothing; asleep, it holds a lock that tells pushes to
//! notify, and looks once in a while all the same. Falling asleep takes the lock first and looks then, so that no push
//! falls between the two. An open push keeps the lock from it: then it looks less and less often.

use std::time::{Duration, Instant};

/// Between two looks while awake.
const LOOK_EVERY: Duration = Duration::from_millis(8);

/// How long it stays awake after it was woken.
const AWAKE: Duration = Duration::from_millis(40);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Awake { until: Instant },
    Falling,
    Asleep,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beat {
    Look,
    FallAsleep,
    /// Give up the lock, then look.
    WakeUp,
}

#[derive(Debug)]
pub(crate) struct Rhythm {
    state: State,
    next: Instant,
    looking: bool,
    again: bool,
    refused: u32,
    idle: Duration,
}

impl Rhythm {
    pub(crate) fn new(now: Instant, idle: Duration) -> Self {
        Self { state: State::Awake { until: now }, next: now, looking: false, again: false, refused: 0, idle }
    }

    pub(crate) const fn set_idle(&mut self, idle: Duration) {
        self.idle = idle;
    }

    /// When to call [`Rhythm::beat`]; not while a look is out.
    pub(crate) fn next(&self) -> Option<Instant> {
        (!self.looking).then_some(self.next)
    }

    /// The time has come.
    pub(crate) fn beat(&mut self, now: Instant) -> Option<Beat> {
        if now < self.next || self.looking {
            return None;
        }
        self.looking = true;
        match self.state {
            State::Awake { until } if until <= now => {
                self.state = State::Falling;
                Some(Beat::FallAsleep)
            }
            State::Awake { .. } | State::Falling | State::Asleep => Some(Beat::Look),
        }
    }

    /// Somebody notified, or something happened that calls for a look.
    pub(crate) fn stir(&mut self, now: Instant) -> Option<Beat> {
        if self.looking {
            self.again = true;
            return None;
        }
        let slept = self.state == State::Asleep;
        self.state = State::Awake { until: now + AWAKE };
        self.looking = true;
        Some(if slept { Beat::WakeUp } else { Beat::Look })
    }

    /// A look at this time, without losing sleep.
    pub(crate) const fn soon(&mut self, time: Instant) {
        self.next = time;
    }

    /// A look at this time, if there is none before.
    pub(crate) fn by(&mut self, time: Instant) {
        self.next = self.next.min(time);
    }

    /// A look has been answered, with whether it fell asleep if it tried.
    pub(crate) fn looked(&mut self, now: Instant, asleep: Option<bool>) -> Option<Beat> {
        self.looking = false;
        match asleep {
            Some(true) => {
                self.refused = 0;
                self.state = State::Asleep;
            }
            Some(false) => {
                self.refused = self.refused.saturating_add(1);
                self.state = State::Awake { until: now };
            }
            None => {}
        }
        let wait = match self.state {
            State::Asleep => self.idle,
            State::Awake { .. } | State::Falling => (LOOK_EVERY * (1 << self.refused.min(10))).min(self.idle),
        };
        self.next = now + wait;
        if std::mem::take(&mut self.again) {
            return self.stir(now);
        }
        None
    }

    /// The session that slept is gone, and its lock with it.
    pub(crate) fn begin_anew(&mut self, now: Instant) {
        *self = Self::new(now, self.idle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_falls_asleep_when_nothing_happens_and_wakes_when_told() {
        let start = crate::clock::instant();
        let mut rhythm = Rhythm::new(start, Duration::from_secs(1));
        assert_eq!(rhythm.beat(start), Some(Beat::FallAsleep));
        assert_eq!((rhythm.beat(start), rhythm.next()), (None, None), "one look at a time");
        assert_eq!(rhythm.looked(start, Some(true)), None);
        assert_eq!(rhythm.next(), Some(start + Duration::from_secs(1)));
        assert_eq!(rhythm.stir(start), Some(Beat::WakeUp));
        assert_eq!(rhythm.stir(start), None);
        assert_eq!(rhythm.looked(start, None), Some(Beat::Look), "what came meanwhile is looked at");
    }

    #[test]
    fn an_open_push_makes_looks_rare() {
        let start = crate::clock::instant();
        let mut rhythm = Rhythm::new(start, Duration::from_millis(100));
        let mut now = start;
        for _ in 0..10 {
            rhythm.beat(now);
            rhythm.looked(now, Some(false));
            now = rhythm.next().expect("no look is out");
        }
        rhythm.beat(now);
        rhythm.looked(now, Some(false));
        assert_eq!(rhythm.next(), Some(now + Duration::from_millis(100)));
    }
}
