//! Requests, and the rule that they are read before results are recorded.

use super::input::{RequestId, StoredRequest, TaskSnapshot};
use super::tracked::{Stage, Tracked};
use super::{Command, Orchestrator};
use crate::names::TaskId;
use crate::task::event::{Event, Request};
use crate::task::intention::Intention;
use crate::task::phase::Phase;
use crate::task::rejected::Rejected;

/// Where the reading of requests stands.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The number of the last read that was asked for.
    asked: u64,
    /// The number of the last one that was answered.
    answered: u64,
    /// Another one is wanted.
    pub(super) wanted: bool,
    /// Some request was left for later.
    left: bool,
}

impl Reading {
    /// The first read that begins after now.
    pub(super) const fn next(&mut self) -> u64 {
        self.wanted = true;
        self.asked + 1
    }

    /// What was asked for will not be answered.
    pub(super) const fn forget(&mut self) {
        self.answered = self.asked;
        self.wanted = true;
    }

    /// A task that requests were left for can take them now.
    pub(super) const fn look_again(&mut self) {
        if self.left {
            self.left = false;
            self.wanted = true;
        }
    }
}

impl Orchestrator {
    /// User triggers ran: they may have asked for something, and pushed.
    pub(super) fn triggered(&mut self) {
        self.reading.wanted = true;
        self.stirred = true;
        self.wake.poll_by(self.now.monotonic);
    }

    /// Asks for the requests, one read at a time.
    pub(super) fn read_requests(&mut self) {
        if self.reading.wanted && self.reading.answered == self.reading.asked {
            self.reading.wanted = false;
            self.reading.asked += 1;
            self.emit(Command::ReadRequests { serial: self.reading.asked });
        }
    }

    pub(super) fn requests(&mut self, serial: u64, asked: Vec<StoredRequest>, last: bool) {
        for one in asked {
            self.asked(one);
        }
        if last && serial == self.reading.asked {
            self.reading.answered = serial;
            self.record_ended(serial);
        }
    }

    fn asked(&mut self, asked: StoredRequest) {
        let StoredRequest { id, request, about } = asked;
        let task = about.position.task;
        let Some(tracked) = self.tracked.get(&task) else {
            return self.end_unheld(about, &Event::Request(request), Some(id));
        };
        match &tracked.stage {
            _ if tracked.settles.contains(&id) => {}
            Stage::Ahead { .. } | Stage::Queued | Stage::Marking { .. } => self.grant(task, id, request),
            Stage::Offered { .. } | Stage::Pulled | Stage::Yielded | Stage::Abandoned => {
                self.grant(task, id, request);
            }
            Stage::Launched { .. } | Stage::Lost { .. } | Stage::Ended { .. } => self.intend(task, id, &request),
            // Its row is being written: the request is read again when that is done.
            Stage::Writing(_) => self.reading.left = true,
        }
    }

    /// No query runs: it happens at once.
    fn grant(&mut self, task: TaskId, id: RequestId, request: Request) {
        let Some(tracked) = self.tracked.get_mut(&task) else { return };
        match tracked.task.step(&Event::Request(request.clone()), self.now.server) {
            Ok(_) => {
                tracked.settles.push(id);
                self.end_now(task, &Event::Request(request));
            }
            Err(why) => self.emit(Command::Dismiss { request: id, task, why }),
        }
    }

    /// A query runs, or ran: it happens when its end is recorded.
    fn intend(&mut self, task: TaskId, id: RequestId, request: &Request) {
        let now = self.now;
        let Some(tracked) = self.tracked.get_mut(&task) else { return };
        let mut before = tracked.task.clone();
        if let Phase::Launched { intention: pause @ Some(Intention::Pause { .. }), .. } = &mut before.phase
            && tracked.settles.is_empty()
        {
            // The leader itself wants it at the end of a drain: it gives way to what is granted.
            *pause = None;
        }
        match before.step(&Event::Request(request.clone()), now.server) {
            Ok(next) => {
                tracked.set_task(next, now);
                tracked.settles.push(id);
                let Phase::Launched { intention: Some(intention), .. } = &tracked.task.phase else { return };
                let grace = self.settings.tuning.finish_grace;
                let from = if intention.waits_for_the_end() { now.monotonic + grace } else { now.monotonic };
                self.press(task, from);
            }
            Err(why) => self.emit(Command::Dismiss { request: id, task, why }),
        }
    }

    /// A request or deadline for a task that is not in hand.
    pub(super) fn end_unheld(&mut self, about: TaskSnapshot, event: &Event, id: Option<RequestId>) {
        let task = about.position.task;
        if self.tracked.contains_key(&task) {
            return;
        }
        match about.task.step(event, self.event_time(&about.task, event)) {
            Ok(_) => {
                self.plan.remove(&about.lane, task);
                let Some(write) = self.write_of(&about.task, event.clone()) else { return };
                let stage = Stage::Writing(write);
                let mut tracked =
                    Tracked::new(about.position, about.lane, about.task, stage, &self.settings.tuning, self.now);
                tracked.settles.extend(id);
                self.track(tracked);
                self.send_write(task);
            }
            Err(why) => self.refuse(task, id, why),
        }
    }

    fn refuse(&mut self, task: TaskId, id: Option<RequestId>, why: Rejected) {
        if let Some(request) = id {
            self.emit(Command::Dismiss { request, task, why });
        }
    }
}
