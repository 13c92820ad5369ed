//! Requests, and the rule that they are read before results are recorded.

use std::collections::BTreeMap;

use super::held::{Held, Stage};
use super::input::{Asked, RequestId, Sighting};
use super::{Command, Orchestrator};
use crate::names::{Run, TaskId};
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
    /// Slots that are free in memory and, until a read that was asked for later is answered, perhaps
    /// not in the store: each with its task's run and the number of that read.
    unreleased: BTreeMap<TaskId, (Run, u64)>,
}

impl Reading {
    /// The first read that begins after now.
    pub(super) const fn next(&mut self) -> u64 {
        self.wanted = true;
        self.asked + 1
    }

    /// The store is told of a free slot; it does not answer that, and carries out what it is told in
    /// order.
    fn releases(&mut self, task: TaskId, run: Run) {
        let read = self.next();
        self.unreleased.insert(task, (run, read));
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
    /// Asks for the requests, one read at a time.
    pub(super) fn read_requests(&mut self) {
        if self.reading.wanted && self.reading.answered == self.reading.asked {
            self.reading.wanted = false;
            self.reading.asked += 1;
            self.say(Command::ReadRequests { serial: self.reading.asked });
        }
    }

    pub(super) fn requests(&mut self, serial: u64, asked: Vec<Asked>, last: bool) {
        for one in asked {
            self.asked(one);
        }
        if last && serial == self.reading.asked {
            self.reading.answered = serial;
            self.reading.unreleased.retain(|_, (_, read)| *read > serial);
            self.record_ended(serial);
        }
    }

    /// Writes that the slot of a finished task is free.
    pub(super) fn release(&mut self, task: TaskId, run: Run) {
        self.reading.releases(task, run);
        self.say(Command::Release { task, run });
    }

    /// The store was lost: what it was told of free slots may be lost too.
    pub(super) fn release_again(&mut self) {
        for (task, (run, _)) in self.reading.unreleased.clone() {
            self.release(task, run);
        }
    }

    fn asked(&mut self, asked: Asked) {
        let Asked { id, request, about } = asked;
        let task = about.turn.task;
        let Some(held) = self.held.get(&task) else {
            return self.end_unheld(about, &Event::Request(request), Some(id));
        };
        match &held.stage {
            _ if held.settles.contains(&id) => {}
            Stage::Ahead { .. } | Stage::Queued | Stage::Marking { .. } => self.grant(task, id, request),
            Stage::Offered { .. } | Stage::Pulled | Stage::Yielded | Stage::Abandoned => {
                self.grant(task, id, request);
            }
            Stage::Launched { .. } | Stage::Lost { .. } | Stage::Ended { .. } => self.intend(task, id, &request),
            // Its row is being written: the request is read again when that is done.
            Stage::Claiming { .. }
            | Stage::Recording { .. }
            | Stage::Returning
            | Stage::Offering
            | Stage::Withdrawing => self.reading.left = true,
        }
    }

    /// No query runs: it happens at once.
    fn grant(&mut self, task: TaskId, id: RequestId, request: Request) {
        let Some(held) = self.held.get_mut(&task) else { return };
        match held.task.step(&Event::Request(request.clone()), self.now) {
            Ok(_) => {
                held.settles.push(id);
                self.end_now(task, &Event::Request(request));
            }
            Err(why) => self.say(Command::Dismiss { request: id, task, why }),
        }
    }

    /// A query runs, or ran: it happens when its end is recorded.
    fn intend(&mut self, task: TaskId, id: RequestId, request: &Request) {
        let now = self.now;
        let Some(held) = self.held.get_mut(&task) else { return };
        let mut before = held.task.clone();
        if let Phase::Launched { intention: pause @ Some(Intention::Pause { .. }), .. } = &mut before.phase
            && held.settles.is_empty()
        {
            // Nobody asked for it: it is the leader's own at the end of a drain, and gives way to what
            // is granted.
            *pause = None;
        }
        match before.step(&Event::Request(request.clone()), now) {
            Ok(next) => {
                held.task = next;
                held.settles.push(id);
                let Phase::Launched { intention: Some(intention), .. } = &held.task.phase else { return };
                let grace = self.settings.tuning.finish_grace;
                let from = if intention.waits_for_the_end() { now + grace } else { now };
                self.press(task, from);
            }
            Err(why) => self.say(Command::Dismiss { request: id, task, why }),
        }
    }

    /// A request or deadline for a task that is not in hand.
    pub(super) fn end_unheld(&mut self, about: Sighting, event: &Event, id: Option<RequestId>) {
        let task = about.turn.task;
        if self.held.contains_key(&task) {
            return;
        }
        match about.task.step(event, self.now) {
            Ok(next) => {
                self.plan.remove(&about.lane, task);
                let stage = Stage::Recording { next: Box::new(next), keeps_slot: false, retry: None };
                let mut held = Held::new(about.turn, about.lane, about.task, stage);
                held.settles.extend(id);
                self.hold(held);
                self.write_record(task);
            }
            Err(why) => self.refuse(task, id, why),
        }
    }

    fn refuse(&mut self, task: TaskId, id: Option<RequestId>, why: Rejected) {
        if let Some(request) = id {
            self.say(Command::Dismiss { request, task, why });
        }
    }
}
