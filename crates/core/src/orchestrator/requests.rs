//! The reads of requests, and the query ends that wait for one.
//!
//! A result counts only after the requests that were committed before the query's end was seen have
//! been read.

use std::collections::BTreeMap;

use super::command::Command;
use super::context::Context;
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
    /// Tasks whose queries ended, and the read that each end waits for.
    ended: BTreeMap<TaskId, u64>,
}

impl Requests {
    /// There may be new requests.
    pub(super) const fn want(&mut self) {
        self.wanted = true;
    }

    /// The query of the task ended. The first read that begins after now has to come before the end
    /// counts.
    pub(super) fn wait_for_read(&mut self, task: TaskId) {
        self.wanted = true;
        let before = self.ended.insert(task, self.asked + 1);
        debug_assert!(before.is_none(), "the query of task {task} ended twice");
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

    /// The last part of a read has come: returns the tasks whose ends waited for it. The answer to
    /// a read that is no longer under way counts for nothing.
    pub(super) fn answered(&mut self, serial: u64) -> Vec<TaskId> {
        if serial != self.asked {
            return Vec::new();
        }
        self.answered = serial;
        let (answered, waiting) = std::mem::take(&mut self.ended).into_iter().partition(|(_, read)| *read <= serial);
        self.ended = waiting;
        let answered: BTreeMap<TaskId, u64> = answered;
        answered.into_keys().collect()
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
        requests.wait_for_read(TaskId(7));
        assert_eq!(requests.answered(1), vec![], "the read may have begun before the request was committed");
        assert_eq!(start(&mut requests), Some(2));
        assert_eq!(requests.answered(1), vec![], "an answer that came late");
        assert_eq!(requests.answered(2), vec![TaskId(7)]);
        assert_eq!(requests.answered(2), vec![], "it waits no longer");
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
