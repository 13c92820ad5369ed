//! Reading requests, and applying them: at once where no query runs, else when the query ends.

use super::Orchestrator;
use super::command::Command;
use super::input::{RequestId, StoredRequest};
use super::tracked::Stage;
use crate::names::TaskId;
use crate::task::event::{Event, Request};
use crate::task::intention::Intention;
use crate::task::phase::Phase;

impl Orchestrator {
    /// User triggers ran: they may have made requests, and pushed tasks.
    pub(super) fn triggered(&mut self) {
        self.requests.want();
        self.upkeep.changed();
        self.wake.poll_by(self.cx.monotonic());
    }

    pub(super) fn read_requests(&mut self) {
        if let Some(serial) = self.requests.start() {
            self.cx.emit(Command::ReadRequests { serial });
        }
    }

    pub(super) fn requests_read(&mut self, serial: u64, requests: Vec<StoredRequest>, last: bool) {
        for request in requests {
            self.requested(request);
        }
        if last && self.requests.answered(serial) {
            self.record_ended(serial);
        }
    }

    fn requested(&mut self, stored: StoredRequest) {
        let StoredRequest { id, request, about } = stored;
        let task = about.position.task;
        let Some(tracked) = self.tracked.get(task) else {
            return self.end_untracked(about, &Event::Request(request), Some(id));
        };
        match tracked.stage() {
            // It is read again until the write that settles it is committed.
            _ if tracked.settles.contains(&id) => {}
            // The row is being written: the request is read again after the write.
            Stage::Writing(_) => self.requests.defer(),
            Stage::Launched { .. } | Stage::Lost { .. } | Stage::Ended { .. } => self.intend(task, id, &request),
            Stage::ClaimedAhead { .. }
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Offered { .. }
            | Stage::Pulled
            | Stage::Yielded
            | Stage::Abandoned => self.grant(task, id, request),
        }
    }

    /// No query runs: the request is applied at once.
    fn grant(&mut self, task: TaskId, id: RequestId, request: Request) {
        let now = self.cx.now().server;
        let Some(tracked) = self.tracked.known_mut(task) else { return };
        match tracked.task().step(&Event::Request(request.clone()), now) {
            Ok(_) => {
                tracked.settles.push(id);
                self.end_now(task, &Event::Request(request));
            }
            Err(why) => self.cx.emit(Command::Dismiss { request: id, task, why }),
        }
    }

    /// A query runs, or ran: the request is applied when the end of the query is recorded.
    fn intend(&mut self, task: TaskId, id: RequestId, request: &Request) {
        let now = self.cx.now();
        let Some(tracked) = self.tracked.known_mut(task) else { return };
        let mut before = tracked.task().clone();
        if let Phase::Launched { intention: pause @ Some(Intention::Pause { .. }), .. } = &mut before.phase
            && tracked.settles.is_empty()
        {
            // No request settles this pause, so it is the leader's own at the end of a drain, and gives
            // way to a client's request.
            *pause = None;
        }
        match before.step(&Event::Request(request.clone()), now.server) {
            Ok(next) => {
                let Phase::Launched { intention: Some(intention), .. } = &next.phase else {
                    debug_assert!(false, "a request leaves task {task} in {:?}", next.phase);
                    return;
                };
                let waits = intention.waits_for_the_end();
                tracked.set_task(next, now);
                tracked.settles.push(id);
                let grace = self.cx.tuning().finish_grace;
                self.cancel_at(task, if waits { now.monotonic + grace } else { now.monotonic });
            }
            Err(why) => self.cx.emit(Command::Dismiss { request: id, task, why }),
        }
    }
}
