//! The reads of requests, and the query ends that wait for one.
//!
//! A result counts only after the requests that were committed before the query's end was seen have
//! been read.

use std::collections::BTreeSet;

use crate::names::TaskId;

/// Which read is under way, whether another one is wanted, and which ends wait.
///
/// Invariant: `answered <= asked`; one read at a time is under way.
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
    /// Tasks whose queries ended and whose ends wait for a read.
    ended: BTreeSet<TaskId>,
}

impl Requests {
    /// There may be new requests.
    pub(super) const fn want(&mut self) {
        self.wanted = true;
    }

    /// The query of the task ended: returns the number of the read that has to come first, which is
    /// the first that begins after now.
    pub(super) fn wait_for_read(&mut self, task: TaskId) -> u64 {
        self.wanted = true;
        self.ended.insert(task);
        self.asked + 1
    }

    /// The end of the task waits no longer.
    pub(super) fn stop_waiting(&mut self, task: TaskId) {
        self.ended.remove(&task);
    }

    /// The tasks whose ends wait for a read.
    pub(super) fn waiting(&self) -> Vec<TaskId> {
        self.ended.iter().copied().collect()
    }

    /// Starts the next read, if one is wanted and none is under way; returns its number.
    pub(super) const fn start(&mut self) -> Option<u64> {
        debug_assert!(self.answered <= self.asked, "a read is answered that was not sent");
        if !self.wanted || self.answered != self.asked {
            return None;
        }
        self.wanted = false;
        self.asked += 1;
        Some(self.asked)
    }

    /// The last part of a read has come; returns whether it is the one that is under way.
    pub(super) const fn answered(&mut self, serial: u64) -> bool {
        let current = serial == self.asked;
        if current {
            self.answered = serial;
        }
        current
    }

    /// The answer to the read under way will not come.
    pub(super) const fn restart(&mut self) {
        self.answered = self.asked;
        self.wanted = true;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_waits_for_a_read_that_begins_after_it() {
        let mut requests = Requests::default();
        requests.want();
        assert_eq!((requests.start(), requests.start()), (Some(1), None), "one read at a time");
        let read = requests.wait_for_read(TaskId(7));
        assert_eq!(read, 2, "the read under way may have begun before the request was committed");
        assert!(requests.answered(1));
        assert_eq!((requests.start(), requests.waiting()), (Some(read), vec![TaskId(7)]));
        assert!(!requests.answered(1), "an answer that came late");
        requests.stop_waiting(TaskId(7));
        assert_eq!(requests.waiting(), vec![]);
    }

    #[test]
    fn a_deferred_request_is_read_again_after_the_write() {
        let mut requests = Requests::default();
        requests.retry_deferred();
        assert_eq!(requests.start(), None);
        requests.defer();
        requests.retry_deferred();
        assert_eq!(requests.start(), Some(1));
        requests.restart();
        assert_eq!(requests.start(), Some(2), "the answer was lost with the store");
    }
}
