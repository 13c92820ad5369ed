//! Schedules: which of their times fire, and what a time does at a target.
//!
//! The engines call `async.decide_schedule` and `async.decide_overlap`. These are the same rules, for
//! the tests that compare them. The times themselves come from the caller (`async.next_time`).

use crate::time::{Span, Timestamp};

/// A clock that was set back by more than this goes on from its present time.
pub const SET_BACK_MIN: Span = Span::seconds(3_600);

/// A time that is later than this has been missed.
pub const LATE_MAX: Span = Span::seconds(60);

/// Which of the times that have come fire, if no leader could fire them in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUp {
    /// The last one, unless it has been missed.
    None,
    /// The last one.
    Last,
    /// Each one, in order.
    All,
}

/// What a time does at a target while a task of its schedule there has not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// It passes.
    Skip,
    /// It waits for the end of the task, unless another time waits.
    BufferOne,
    /// It waits for the end of the task, after those that wait.
    BufferAll,
    /// It cancels the task, and waits for its end instead of those that wait.
    CancelOther,
    /// It pushes its task.
    AllowAll,
}

/// What a time does at a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtTarget {
    /// It pushes its task.
    Push,
    /// It waits for the end of the task.
    Wait,
    /// It cancels the task, and waits for its end instead of those that wait.
    Replace,
    /// It passes.
    Skip,
}

/// The state of a schedule: all times up to `last` are decided, and `next` is the first one after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleState {
    /// Up to this time.
    pub last: Timestamp,
    /// The first time after it.
    pub next: Timestamp,
}

/// What [`ScheduleState::decide`] decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// The times that fire, in order.
    pub fires: Vec<Timestamp>,
    /// The state after that.
    pub state: ScheduleState,
    /// The clock was set back, and the schedule goes on from now.
    pub set_back: bool,
}

impl CatchUp {
    /// Its name in SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Last => "last",
            Self::All => "all",
        }
    }
}

impl Overlap {
    /// Every policy.
    pub const ALL: [Self; 5] = [Self::Skip, Self::BufferOne, Self::BufferAll, Self::CancelOther, Self::AllowAll];

    /// Its name in SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::BufferOne => "buffer_one",
            Self::BufferAll => "buffer_all",
            Self::CancelOther => "cancel_other",
            Self::AllowAll => "allow_all",
        }
    }

    /// What a time does at a target. `unfinished`: a task of the schedule there has not finished.
    /// `waiting`: another time waits there.
    ///
    /// ```
    /// use pgasync_core::{AtTarget, Overlap};
    /// assert_eq!(Overlap::Skip.at_target(true, false), AtTarget::Skip);
    /// assert_eq!(Overlap::BufferOne.at_target(true, false), AtTarget::Wait);
    /// assert_eq!(Overlap::BufferOne.at_target(true, true), AtTarget::Skip);
    /// ```
    #[must_use]
    pub const fn at_target(self, unfinished: bool, waiting: bool) -> AtTarget {
        match (self, unfinished, waiting) {
            (Self::AllowAll, _, _)
            | (Self::CancelOther, false, _)
            | (Self::Skip | Self::BufferOne | Self::BufferAll, false, false) => AtTarget::Push,
            (Self::CancelOther, true, _) => AtTarget::Replace,
            (Self::BufferAll, _, _) | (Self::BufferOne, true, false) => AtTarget::Wait,
            (Self::BufferOne, _, true) | (Self::Skip, _, _) => AtTarget::Skip,
        }
    }
}

impl AtTarget {
    /// Its name in SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Wait => "wait",
            Self::Replace => "replace",
            Self::Skip => "skip",
        }
    }
}

impl ScheduleState {
    /// Decides which times fire now, at most `times_max`. `next_time` returns the first time of the
    /// schedule after another time.
    ///
    /// ```
    /// use pgasync_core::{CatchUp, ScheduleState, Span, Timestamp};
    /// let minute = |n: i64| Timestamp::from_micros(n * 60_000_000);
    /// let state = ScheduleState { last: minute(0), next: minute(1) };
    /// let each_minute = |after: Timestamp| after + Span::seconds(60);
    /// let firing = state.decide(CatchUp::Last, minute(5), 100, each_minute);
    /// assert_eq!(firing.fires, [minute(5)]);
    /// assert_eq!(firing.state, ScheduleState { last: minute(5), next: minute(6) });
    /// ```
    #[must_use]
    pub fn decide(
        self,
        catch_up: CatchUp,
        now: Timestamp,
        times_max: usize,
        next_time: impl Fn(Timestamp) -> Timestamp,
    ) -> Firing {
        if self.last > now + SET_BACK_MIN {
            let state = Self { last: now, next: next_time(now) };
            return Firing { fires: vec![], state, set_back: true };
        }
        let mut firing = Firing { fires: vec![], state: self, set_back: false };
        while firing.state.next <= now && firing.fires.len() < times_max {
            let time = firing.state.next;
            debug_assert!(time > firing.state.last, "a time fires twice");
            firing.state = Self { last: time, next: next_time(time) };
            match catch_up {
                CatchUp::All => firing.fires.push(time),
                // The times before the last one pass.
                CatchUp::Last | CatchUp::None if firing.state.next <= now => {}
                CatchUp::Last => firing.fires.push(time),
                CatchUp::None if now <= time + LATE_MAX => firing.fires.push(time),
                CatchUp::None => {}
            }
        }
        firing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn decide(catch_up: CatchUp, last: i64, now: i64, times_max: usize) -> (Vec<Timestamp>, Timestamp, bool) {
        let state = ScheduleState { last: at(last), next: at(last + 100) };
        let firing = state.decide(catch_up, at(now), times_max, |after| after + Span::seconds(100));
        assert!(firing.set_back || firing.state.next == firing.state.last + Span::seconds(100));
        (firing.fires, firing.state.last, firing.set_back)
    }

    #[test]
    fn nothing_fires_before_its_time() {
        for catch_up in [CatchUp::None, CatchUp::Last, CatchUp::All] {
            assert_eq!(decide(catch_up, 0, 99, 9), (vec![], at(0), false));
            assert_eq!(decide(catch_up, 0, 100, 9), (vec![at(100)], at(100), false));
            assert_eq!(decide(catch_up, 0, 500, 0), (vec![], at(0), false), "no room");
        }
    }

    #[test]
    fn missed_times_fire_as_the_policy_says() {
        assert_eq!(decide(CatchUp::None, 0, 360, 9), (vec![at(300)], at(300), false));
        assert_eq!(decide(CatchUp::None, 0, 361, 9), (vec![], at(300), false));
        assert_eq!(decide(CatchUp::Last, 0, 399, 9), (vec![at(300)], at(300), false));
        assert_eq!(decide(CatchUp::All, 0, 399, 9), (vec![at(100), at(200), at(300)], at(300), false));
        assert_eq!(decide(CatchUp::All, 0, 399, 2), (vec![at(100), at(200)], at(200), false));
    }

    #[test]
    fn a_clock_that_was_set_back_goes_on_from_its_time() {
        assert_eq!(decide(CatchUp::All, 3_600, 0, 9), (vec![], at(3_600), false), "an hour");
        assert_eq!(decide(CatchUp::All, 3_601, 0, 9), (vec![], at(0), true));
    }
}
