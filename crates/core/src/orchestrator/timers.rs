//! What is to be looked at when.

use super::input::TaskSnapshot;
use super::tracked::{Pressure, Stage, Write, WriteState};
use super::{Command, Lead, Orchestrator};
use crate::names::{SessionId, TargetName, TaskId};
use crate::plan::lane::Lane;
use crate::task::event::Event;
use crate::time::{MonotonicTime, Timestamp};

/// What to look at. A timer that came too late for its purpose does nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Drain,
    /// What the store refused.
    Retry,
    Sweep,
    Task(TaskId),
    Session(SessionId),
    Target(TargetName),
    /// The lane has stood back long enough.
    Rested(Lane),
    /// The task was left alone long enough.
    Skipped(TaskId),
}

impl Orchestrator {
    pub(super) fn at(&mut self, when: MonotonicTime, timer: Timer) {
        self.timers.insert((when, timer));
    }

    /// Sees to it that a task in hand is looked at when it has to be.
    pub(super) fn schedule(&mut self, task: TaskId) {
        let Some(tracked) = self.tracked.get_mut(&task) else { return };
        let dues = tracked.dues(&self.settings.tuning);
        let before = std::mem::replace(&mut tracked.timers, dues);
        self.unschedule(task, before.into_iter().filter(|due| !dues.contains(due)));
        for due in dues.into_iter().flatten() {
            self.timers.insert((due, Timer::Task(task)));
        }
    }

    /// Forgets when to look at a task: a deadline may be far, and tasks come and go quickly.
    pub(super) fn unschedule(&mut self, task: TaskId, dues: impl IntoIterator<Item = Option<MonotonicTime>>) {
        for due in dues.into_iter().flatten() {
            self.timers.remove(&(due, Timer::Task(task)));
        }
    }

    pub(super) fn fire_timers(&mut self) {
        if let Lead::Blind { .. } = self.lead {
            // Only the reading of rows is tried again.
            return self.retry();
        }
        while let Some((when, _)) = self.timers.first()
            && *when <= self.now.monotonic
        {
            let Some((_, timer)) = self.timers.pop_first() else { return };
            match timer {
                Timer::Drain => self.drain(),
                Timer::Retry => self.retry(),
                Timer::Sweep => {}
                Timer::Task(task) => self.look_at(task),
                Timer::Session(session) => self.close_if_idle(session),
                Timer::Target(target) => self.retry_target(&target),
                Timer::Rested(lane) => {
                    self.plan.set_resting(&lane, false);
                    self.refresh_pool(&lane.pool);
                }
                Timer::Skipped(task) => self.try_skipped(task),
            }
        }
    }

    /// A task in hand that has waited for a time which has come.
    fn look_at(&mut self, task: TaskId) {
        let now = self.now.monotonic;
        let tuning = self.settings.tuning;
        let Some(tracked) = self.tracked.get(&task) else { return };
        let overdue = tracked.is_overdue(self.now);
        match &tracked.stage {
            Stage::Ahead { since } => {
                if overdue {
                    self.end_now(task, &Event::Deadline);
                } else if *since + tuning.ahead_age_max <= now {
                    self.give_back(task);
                }
            }
            Stage::Queued | Stage::Marking { .. } | Stage::Pulled | Stage::Yielded if overdue => {
                self.end_now(task, &Event::Deadline);
            }
            Stage::Offered { .. } if overdue => self.end_now(task, &Event::Deadline),
            Stage::Offered { .. } => {
                self.contested.insert(tracked.lane.pool.clone());
            }
            Stage::Launched { pressure, .. } => {
                let pressed = pressure.until().is_some_and(|until| until <= now);
                if overdue && !pressure.cancel_sent() {
                    self.time_out(task);
                } else if pressed {
                    self.press_on(task);
                }
            }
            Stage::Lost { since, .. } if overdue && *since + tuning.lost_grace <= now => {
                let known = format!("outcome unknown: target \"{}\" could not be reached", tracked.lane.target);
                self.end_now(task, &Event::Abandon { known });
            }
            Stage::Writing(Write { state: WriteState::Due { at }, .. }) if *at <= now => self.send_write(task),
            Stage::Writing(_)
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Lost { .. }
            | Stage::Ended { .. }
            | Stage::Pulled
            | Stage::Yielded
            | Stage::Abandoned => {}
        }
    }

    /// The deadline of a running query has passed.
    fn time_out(&mut self, task: TaskId) {
        let now = self.now;
        if let Some(tracked) = self.tracked.get(&task) {
            let at = self.event_time(&tracked.task, &Event::Deadline);
            if let Ok(next) = tracked.task.step(&Event::Deadline, at)
                && let Some(tracked) = self.tracked.get_mut(&task)
            {
                tracked.set_task(next, now);
            }
        }
        // Whatever else was intended, its time to end by itself is over.
        self.press(task, now.monotonic);
    }

    /// Sees to it that a running query is cancelled then, if it has not ended.
    pub(super) fn press(&mut self, task: TaskId, from: MonotonicTime) {
        let Some(tracked) = self.tracked.get(&task) else { return };
        let Stage::Launched { session, pressure } = tracked.stage else { return };
        if pressure.cancel_sent() {
            return;
        }
        self.restage(task, Stage::Launched { session, pressure: Pressure::Waiting { until: from } });
        if from <= self.now.monotonic {
            self.press_on(task);
        }
    }

    /// One step harder.
    fn press_on(&mut self, task: TaskId) {
        let tuning = self.settings.tuning;
        let Some(tracked) = self.tracked.get(&task) else { return };
        let Stage::Launched { session, pressure } = tracked.stage else { return };
        let pressure = match pressure {
            Pressure::None => return,
            Pressure::Waiting { .. } => {
                self.emit(Command::Cancel { session, task });
                Pressure::Cancelled { until: self.now.monotonic + tuning.cancel_grace }
            }
            Pressure::Cancelled { .. } => {
                self.emit(Command::Terminate { session, task });
                Pressure::Terminated { until: self.now.monotonic + tuning.terminate_grace }
            }
            Pressure::Terminated { .. } => {
                self.emit(Command::Disconnect { session });
                return self.session_lost(session);
            }
        };
        self.restage(task, Stage::Launched { session, pressure });
    }

    /// Remembers that something in the table has to be looked at then.
    pub(super) fn sweep_by(&mut self, when: MonotonicTime) {
        if when != MonotonicTime::NEVER && self.sweep_at.is_none_or(|at| when < at) {
            if let Some(later) = self.sweep_at.replace(when) {
                self.timers.remove(&(later, Timer::Sweep));
            }
            self.at(when, Timer::Sweep);
        }
    }

    /// The same for a time of the server's, if there is one.
    pub(super) fn sweep_at_server_time(&mut self, when: Option<Timestamp>) {
        if let Some(when) = when {
            self.sweep_by(self.now.monotonic_at(when));
        }
    }

    pub(super) fn sweep_if_due(&mut self) {
        if !self.sweeping && self.sweep_at.is_some_and(|at| at <= self.now.monotonic) {
            self.sweeping = true;
            self.sweep_at = None;
            let tasks_max = self.settings.tuning.sweep_tasks_max;
            self.emit(Command::Sweep { tasks_max, skip: self.left_alone() });
        }
    }

    pub(super) fn swept(
        &mut self,
        overdue: Vec<TaskSnapshot>,
        promoted: &[Lane],
        next: Option<Timestamp>,
        failed: &[TaskId],
    ) {
        self.sweeping = false;
        for task in failed {
            self.leave_unpromoted(*task);
        }
        self.forget_idle();
        for sighting in overdue {
            self.end_unheld(sighting, &Event::Deadline, None);
        }
        self.waiting(promoted);
        self.sweep_by(self.now.monotonic + self.settings.tuning.sweep_every);
        self.sweep_at_server_time(next);
    }

    /// Says until when nothing has to be done, if that has changed, or if it was said and this input
    /// came in time for it: a driver's clock may ring a little early, once.
    pub(super) fn sleep(&mut self, rang: bool) {
        let timer = match self.lead {
            // Without the store nothing else is due.
            Lead::Blind { .. } => self.retries.at(),
            Lead::Not | Lead::Starting { .. } | Lead::Leads { .. } => self.timers.first().map(|(when, _)| *when),
        };
        let next = timer.into_iter().chain(self.upkeep_at()).min();
        let early = rang && next.is_some_and(|next| next > self.now.monotonic);
        if early || next != self.sleep_until {
            self.sleep_until = next;
            if let Some(next) = next {
                self.emit(Command::SleepUntil(next));
            }
        }
    }
}
