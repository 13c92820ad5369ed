//! What is to be looked at when.

use super::held::{Pressure, Stage};
use super::input::Sighting;
use super::{Command, Lead, Orchestrator};
use crate::names::{SessionId, TargetName, TaskId};
use crate::plan::lane::Lane;
use crate::task::event::Event;
use crate::time::Timestamp;

/// What to look at. A timer that came too late for its purpose does nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Grace,
    Drain,
    Sweep,
    Task(TaskId),
    Session(SessionId),
    Target(TargetName),
    /// The lane has stood back long enough.
    Rested(Lane),
    /// The task was left alone long enough.
    Refused(TaskId),
}

impl Orchestrator {
    pub(super) fn at(&mut self, when: Timestamp, timer: Timer) {
        self.timers.insert((when, timer));
    }

    /// Sees to it that a task in hand is looked at when it has to be.
    pub(super) fn schedule(&mut self, task: TaskId) {
        let Some(held) = self.held.get_mut(&task) else { return };
        let dues = held.dues(&self.settings.tuning);
        let before = std::mem::replace(&mut held.timers, dues);
        self.unschedule(task, before.into_iter().filter(|due| !dues.contains(due)));
        for due in dues.into_iter().flatten() {
            self.timers.insert((due, Timer::Task(task)));
        }
    }

    /// Forgets when to look at a task: a deadline may be far, and tasks come and go quickly.
    pub(super) fn unschedule(&mut self, task: TaskId, dues: impl IntoIterator<Item = Option<Timestamp>>) {
        for due in dues.into_iter().flatten() {
            self.timers.remove(&(due, Timer::Task(task)));
        }
    }

    pub(super) fn fire_timers(&mut self) {
        while let Some((when, _)) = self.timers.first()
            && *when <= self.now
            && !matches!(self.lead, Lead::Blind { .. })
        {
            let Some((_, timer)) = self.timers.pop_first() else { return };
            match timer {
                Timer::Grace => self.begin_if_patient(),
                Timer::Drain => self.drain(),
                Timer::Sweep => {}
                Timer::Task(task) => self.look_at(task),
                Timer::Session(session) => self.close_if_idle(session),
                Timer::Target(target) => self.retry_target(&target),
                Timer::Rested(lane) => {
                    self.plan.set_resting(&lane, false);
                    self.refresh_pool(&lane.pool);
                }
                Timer::Refused(task) => self.try_refused(task),
            }
        }
    }

    /// A task in hand that has waited for a time which has come.
    fn look_at(&mut self, task: TaskId) {
        let now = self.now;
        let tuning = self.settings.tuning;
        let Some(held) = self.held.get(&task) else { return };
        let overdue = held.task.phase.times_up().is_some_and(|at| at <= now);
        match &held.stage {
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
                self.contested.insert(held.lane.pool.clone());
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
                self.end_now(task, &Event::Abandon);
            }
            Stage::Recording { retry: Some(retry), .. } if *retry <= now => self.write_record(task),
            Stage::Claiming { .. }
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Lost { .. }
            | Stage::Ended { .. }
            | Stage::Recording { .. }
            | Stage::Returning
            | Stage::Offering
            | Stage::Withdrawing
            | Stage::Pulled
            | Stage::Yielded
            | Stage::Abandoned => {}
        }
    }

    /// The deadline of a running query has passed.
    fn time_out(&mut self, task: TaskId) {
        if let Some(held) = self.held.get_mut(&task)
            && let Ok(next) = held.task.step(&Event::Deadline, self.now)
        {
            held.task = next;
        }
        // Whatever else was intended, its time to end by itself is over.
        self.press(task, self.now);
    }

    /// Sees to it that a running query is cancelled then, if it has not ended.
    pub(super) fn press(&mut self, task: TaskId, from: Timestamp) {
        let Some(held) = self.held.get(&task) else { return };
        let Stage::Launched { session, pressure } = held.stage else { return };
        if pressure.cancel_sent() {
            return;
        }
        self.restage(task, Stage::Launched { session, pressure: Pressure::Waiting { until: from } });
        if from <= self.now {
            self.press_on(task);
        }
    }

    /// One step harder.
    fn press_on(&mut self, task: TaskId) {
        let tuning = self.settings.tuning;
        let Some(held) = self.held.get(&task) else { return };
        let Stage::Launched { session, pressure } = held.stage else { return };
        let pressure = match pressure {
            Pressure::None => return,
            Pressure::Waiting { .. } => {
                self.say(Command::Cancel { session, task });
                Pressure::Cancelled { until: self.now + tuning.cancel_grace }
            }
            Pressure::Cancelled { .. } => {
                self.say(Command::Terminate { session, task });
                Pressure::Terminated { until: self.now + tuning.terminate_grace }
            }
            Pressure::Terminated { .. } => {
                self.say(Command::Disconnect { session });
                return self.session_lost(session);
            }
        };
        self.restage(task, Stage::Launched { session, pressure });
    }

    /// Remembers that something in the table has to be looked at then.
    pub(super) fn sweep_by(&mut self, when: Timestamp) {
        if when != Timestamp::NEVER && self.sweep_at.is_none_or(|at| when < at) {
            if let Some(later) = self.sweep_at.replace(when) {
                self.timers.remove(&(later, Timer::Sweep));
            }
            self.at(when, Timer::Sweep);
        }
    }

    pub(super) fn sweep_if_due(&mut self) {
        if !self.sweeping && self.sweep_at.is_some_and(|at| at <= self.now) {
            self.sweeping = true;
            self.sweep_at = None;
            self.say(Command::Sweep { tasks_max: self.settings.tuning.sweep_tasks_max });
        }
    }

    pub(super) fn swept(&mut self, overdue: Vec<Sighting>, promoted: &[Lane], next: Option<Timestamp>) {
        self.sweeping = false;
        self.forget_idle();
        for sighting in overdue {
            self.end_unheld(sighting, &Event::Deadline, None);
        }
        self.waiting(promoted);
        if self.bug.get() != Some(super::Bug::SweepForgotten) {
            self.sweep_by(self.now + self.settings.tuning.sweep_every);
            if let Some(next) = next {
                self.sweep_by(next);
            }
        }
    }

    /// Says until when nothing has to be done, if that has changed, or if it was said and this input
    /// came in time for it: a driver's clock may ring a little early, once.
    pub(super) fn sleep(&mut self, rang: bool) {
        let next = self.timers.first().map(|(when, _)| *when);
        // Without the store nothing fires: what is due then is not waited for.
        let early = rang && next.is_some_and(|next| next > self.now);
        if early || next != self.sleep_until {
            self.sleep_until = next;
            if let Some(next) = next {
                self.say(Command::SleepUntil(next));
            }
        }
    }
}
