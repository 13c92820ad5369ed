//! Applying requests: at once where no query runs, else when the query ends.

use super::command::Command;
use super::input::StoredRequest;
use super::scheduler::Scheduler;
use super::tracked::{Dropped, TaskSession, Tracked};
use crate::task::event::Event;

impl Scheduler {
    pub(super) fn requests_read(&mut self, serial: u64, requests: Vec<StoredRequest>, last: bool) {
        for request in requests {
            self.requested(request);
        }
        if last {
            let answered = self.requests.answered(serial);
            for task in answered.ended {
                if let Some(event) = self.tracked.known(task).and_then(Tracked::end_of_query) {
                    self.record(task, event);
                }
            }
            for task in answered.overdue {
                self.end_overdue(task);
            }
            if let Some(overdue) = answered.swept {
                self.sweep.finished();
                for snapshot in overdue {
                    self.record_untracked(snapshot, Event::Deadline, None);
                }
            }
        }
    }

    fn requested(&mut self, stored: StoredRequest) {
        let StoredRequest { id, request, about } = stored;
        let (task, now) = (about.position.task, self.cx.now().server);
        let Some(tracked) = self.tracked.get(task) else {
            return self.record_untracked(about, Event::Request(request), Some(id));
        };
        if tracked.settles.contains(&id) {
            // It is read again until the write that settles it is committed.
            return;
        }
        if tracked.pending_write().is_some() {
            return self.requests.defer();
        }
        if let TaskSession::Running { .. } | TaskSession::Lost { .. } | TaskSession::Ended { .. } = tracked.session() {
            if let Some(Dropped(session)) = self.tracked.intend(task, id, &request, &mut self.cx) {
                self.session_lost(session);
            }
            return;
        }
        let event = Event::Request(request);
        if let Err(why) = tracked.task().step(&event, now) {
            return self.cx.emit(Command::Dismiss { request: id, task, why });
        }
        if let Some(tracked) = self.tracked.known_mut(task) {
            tracked.settles.push(id);
        }
        self.record(task, event);
    }
}
