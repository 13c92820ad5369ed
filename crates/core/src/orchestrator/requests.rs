//! The reads of requests, and what waits for one.
//!
//! A result counts only after the requests that were committed before the query's end was seen have
//! been read. A deadline counts only after the requests that were committed before it was seen to
//! have passed have been read: a leader may come to a deadline late, and to the requests later.

use std::collections::BTreeMap;

use super::command::Command;
use super::context::Context;
use super::input::TaskSnapshot;
use crate::names::TaskId;

/// Which read is under way, whether another one is wanted, and what waits for one.
///
/// Invariant: `answered <= asked`; one read at a time is under way; whatever waits for a read waits
/// at most for the next one.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The number of the last read that was sent.
    asked: u64,
    /// The number of the last read that was answered.
    answered: u64,
    /// Another read is wanted.
    wanted: bool,
    /// A request was left unanswered because a write of its task was under way.
    deferred: bool,
    /// Tasks whose queries ended, and the read that each end waits for.
    ended: BTreeMap<TaskId, u64>,
    /// Tracked tasks whose deadlines have passed, and the read that each waits for.
    overdue: BTreeMap<TaskId, u64>,
    /// The overdue tasks that the last sweep found, and the read that they wait for.
    swept: Option<(u64, Vec<TaskSnapshot>)>,
}

/// What a read has answered for: it counts now.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use]
pub(super) struct Answered {
    /// Tasks whose queries ended.
    pub(super) ended: Vec<TaskId>,
    /// Tracked tasks whose deadlines had passed when the read began.
    pub(super) overdue: Vec<TaskId>,
    /// Overdue tasks that a sweep found.
    pub(super) swept: Option<Vec<TaskSnapshot>>,
}

impl Requests {
    /// There may be new requests.
    pub(super) const fn want(&mut self) {
        self.wanted = true;
    }

    /// The query of the task ended. The first read that begins after now has to come before the end
    /// counts.
    pub(super) fn end_after_read(&mut self, task: TaskId) {
        self.wanted = true;
        let before = self.ended.insert(task, self.asked + 1);
        debug_assert!(before.is_none(), "the query of task {task} ended twice");
    }

    /// The deadline of the tracked task has passed. The first read that begins after now has to
    /// come before that counts.
    pub(super) fn overdue_after_read(&mut self, task: TaskId) {
        self.wanted = true;
        self.overdue.entry(task).or_insert(self.asked + 1);
    }

    /// A sweep found these overdue tasks. The first read that begins after now has to come before
    /// their deadlines count.
    pub(super) fn swept_after_read(&mut self, overdue: Vec<TaskSnapshot>) {
        debug_assert!(self.swept.is_none(), "one sweep at a time is under way");
        self.wanted = true;
        self.swept = Some((self.asked + 1, overdue));
    }

    /// Starts the next read, if one is wanted and none is under way.
    pub(super) fn start_read(&mut self, cx: &mut Context) {
        debug_assert!(self.answered <= self.asked, "a read is answered that was not sent");
        if self.wanted && self.answered == self.asked {
            self.wanted = false;
            self.asked += 1;
            cx.emit(Command::ReadRequests { serial: self.asked });
        }
    }

    /// The last part of a read has come: returns what waited for it. The answer to a read that is
    /// no longer under way counts for nothing.
    pub(super) fn answered(&mut self, serial: u64) -> Answered {
        if serial != self.asked {
            return Answered::default();
        }
        self.answered = serial;
        let (ended, overdue) = (take_answered(&mut self.ended, serial), take_answered(&mut self.overdue, serial));
        let swept = self.swept.take_if(|(read, _)| *read <= serial).map(|(_, overdue)| overdue);
        Answered { ended, overdue, swept }
    }

    /// The answer to the read under way will not come. The next sweep finds the overdue tasks again.
    pub(super) fn restart(&mut self) {
        self.answered = self.asked;
        self.wanted = true;
        self.swept = None;
    }

    /// A write of the requested task is under way, so the request is read again after it.
    pub(super) const fn defer(&mut self) {
        self.deferred = true;
    }

    /// A write was answered: requests that were left because of one are read again.
    pub(super) const fn retry_deferred(&mut self) {
        if self.deferred {
            self.deferred = false;
            self.wanted = true;
        }
    }
}

/// Takes the tasks that waited for this read or an earlier one.
fn take_answered(waiting: &mut BTreeMap<TaskId, u64>, serial: u64) -> Vec<TaskId> {
    let (answered, later): (BTreeMap<_, _>, _) =
        std::mem::take(waiting).into_iter().partition(|(_, read)| *read <= serial);
    *waiting = later;
    answered.into_keys().collect()
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;

    /// The number of the read that starts now, if one does.
    fn start(requests: &mut Requests) -> Option<u64> {
        let mut cx = Context::new(Settings::default(), 1);
        requests.start_read(&mut cx);
        let command = cx.poll_command()?;
        if let Command::ReadRequests { serial } = command { Some(serial) } else { panic!("{command:?}") }
    }

    #[test]
    fn an_end_waits_for_a_read_that_begins_after_it() {
        let mut requests = Requests::default();
        requests.want();
        assert_eq!((start(&mut requests), start(&mut requests)), (Some(1), None), "one read at a time");
        requests.end_after_read(TaskId(7));
        requests.overdue_after_read(TaskId(8));
        requests.swept_after_read(vec![]);
        assert_eq!(requests.answered(1), Answered::default(), "the read may have begun before the request's commit");
        assert_eq!(start(&mut requests), Some(2));
        requests.overdue_after_read(TaskId(8));
        requests.overdue_after_read(TaskId(9));
        assert_eq!(requests.answered(1), Answered::default(), "an answer that came late");
        let second = Answered { ended: vec![TaskId(7)], overdue: vec![TaskId(8)], swept: Some(vec![]) };
        assert_eq!(requests.answered(2), second);
        assert_eq!(requests.answered(2), Answered::default(), "they wait no longer");
        assert_eq!(start(&mut requests), Some(3));
        assert_eq!(requests.answered(3), Answered { overdue: vec![TaskId(9)], ..Answered::default() });
    }

    #[test]
    fn what_a_sweep_found_is_forgotten_with_the_store() {
        let mut requests = Requests::default();
        requests.swept_after_read(vec![]);
        requests.end_after_read(TaskId(7));
        requests.restart();
        assert_eq!(start(&mut requests), Some(1));
        assert_eq!(requests.answered(1), Answered { ended: vec![TaskId(7)], ..Answered::default() });
    }

    #[test]
    fn a_deferred_request_is_read_again_after_the_write() {
        let mut requests = Requests::default();
        requests.retry_deferred();
        assert_eq!(start(&mut requests), None);
        requests.defer();
        requests.retry_deferred();
        assert_eq!(start(&mut requests), Some(1));
        requests.restart();
        assert_eq!(start(&mut requests), Some(2), "the answer was lost with the store");
    }
}
