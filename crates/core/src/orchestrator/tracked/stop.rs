//! Stopping a query: a cancel, then the termination of its session, then the drop of the
//! connection.

use super::TrackedTasks;
use super::session::{CancelState, TaskSession};
use super::task::Tracked;
use super::write::event_time;
use crate::names::{SessionId, TaskId};
use crate::orchestrator::command::Command;
use crate::orchestrator::context::Context;
use crate::orchestrator::input::RequestId;
use crate::task::event::{Event, Request};
use crate::task::intention::Intention;
use crate::task::phase::Phase;
use crate::task::status::FinishStatus;
use crate::time::{MonotonicTime, Span};

/// A session on which a query could not be stopped: its connection is dropped.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Dropped(pub(crate) SessionId);

impl TrackedTasks {
    /// Steps the task by an event that stops its query, and cancels the query. An intention that
    /// was there before stands, and then the step is refused; the query is cancelled all the same,
    /// because the time in which it may end by itself is over.
    pub(crate) fn stop_with(&mut self, task: TaskId, event: &Event, cx: &mut Context) -> Option<Dropped> {
        let now = cx.now();
        let tracked = self.known_mut(task)?;
        let at = event_time(tracked.task(), event, now.server);
        if let Ok(next) = tracked.task().step(event, at) {
            tracked.set_task(next, now);
        }
        self.cancel_at(task, now.monotonic, cx)
    }

    /// The time in which queries may end by themselves before a shutdown is over: what still runs
    /// is stopped, and its task waits again.
    pub(crate) fn pause_running(&mut self, cx: &mut Context) {
        let pause = Event::Request(Request::finish(FinishStatus::Paused));
        for task in self.filter(Tracked::runs_undisturbed) {
            let dropped = self.stop_with(task, &pause, cx);
            debug_assert!(dropped.is_none(), "a query that was not cancelled before is cancelled first");
        }
    }

    /// A query runs, or ran: the request is applied when the end of the query is recorded.
    pub(crate) fn intend(
        &mut self,
        task: TaskId,
        id: RequestId,
        request: &Request,
        cx: &mut Context,
    ) -> Option<Dropped> {
        let now = cx.now();
        let tracked = self.known_mut(task)?;
        let mut before = tracked.task().clone();
        if let Phase::Launched { intention: pause @ Some(Intention::Pause { .. }), .. } = &mut before.phase
            && tracked.settles.is_empty()
        {
            // No request settles this pause, so it is the leader's own at the end of a drain, and
            // gives way to a client's request.
            *pause = None;
        }
        let next = match before.step(&Event::Request(request.clone()), now.server) {
            Ok(next) => next,
            Err(why) => {
                cx.emit(Command::Dismiss { request: id, task, why });
                return None;
            }
        };
        let Phase::Launched { intention: Some(intention), .. } = &next.phase else {
            debug_assert!(false, "a request leaves task {task} in {:?}", next.phase);
            return None;
        };
        let grace = if intention.waits_for_the_end() { cx.tuning().finish_grace } else { Span::ZERO };
        tracked.set_task(next, now);
        tracked.settles.push(id);
        self.cancel_at(task, now.monotonic + grace, cx)
    }

    /// Cancels a running query at this time, if it has not ended by then.
    fn cancel_at(&mut self, task: TaskId, when: MonotonicTime, cx: &mut Context) -> Option<Dropped> {
        let TaskSession::Running { session, cancel } = *self.known(task)?.session() else {
            // A query whose session is lost, or that has ended, cannot be cancelled.
            return None;
        };
        if cancel.is_sent() {
            return None;
        }
        self.set_cancel(task, session, CancelState::Grace { until: when }, cx);
        if when <= cx.monotonic() { self.escalate(task, cx) } else { None }
    }

    /// Takes the next step to stop a running query. After the last one its session is dropped.
    pub(crate) fn escalate(&mut self, task: TaskId, cx: &mut Context) -> Option<Dropped> {
        let (now, tuning) = (cx.monotonic(), *cx.tuning());
        let TaskSession::Running { session, cancel } = *self.known(task)?.session() else {
            debug_assert!(false, "task {task} is stopped and does not run");
            return None;
        };
        let cancel = match cancel {
            CancelState::NotRequested => {
                debug_assert!(false, "task {task} is stopped without a request");
                return None;
            }
            CancelState::Grace { .. } => {
                cx.emit(Command::Cancel { session, task });
                CancelState::Cancelled { until: now + tuning.cancel_grace }
            }
            CancelState::Cancelled { .. } => {
                cx.emit(Command::Terminate { session, task });
                CancelState::Terminated { until: now + tuning.terminate_grace }
            }
            CancelState::Terminated { .. } => {
                cx.emit(Command::Disconnect { session });
                return Some(Dropped(session));
            }
        };
        self.set_cancel(task, session, cancel, cx);
        None
    }

    fn set_cancel(&mut self, task: TaskId, session: SessionId, cancel: CancelState, cx: &mut Context) {
        if let Some(tracked) = self.known_mut(task) {
            tracked.set_session(TaskSession::Running { session, cancel });
        }
        self.schedule(task, cx);
    }
}
