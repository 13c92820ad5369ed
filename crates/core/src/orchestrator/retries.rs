//! Commands that the store refused, until they are sent again.

use super::backoff::Backoff;
use super::command::Command;
use super::context::Context;
use super::settings::Tuning;
use super::timers::Timer;
use crate::time::MonotonicTime;

/// The refused commands. All of them are sent again at one time.
///
/// Invariant: `at` is set exactly while a command waits.
#[derive(Debug)]
pub(super) struct Retries {
    backoff: Backoff,
    commands: Vec<Command>,
    at: Option<MonotonicTime>,
}

impl Retries {
    pub(super) const fn new(tuning: &Tuning) -> Self {
        let backoff = Backoff::new(tuning.store_backoff_first, tuning.store_backoff_last);
        Self { backoff, commands: Vec::new(), at: None }
    }

    /// When the refused commands are sent again.
    pub(super) const fn at(&self) -> Option<MonotonicTime> {
        self.at
    }

    /// The wait after one more refusal.
    pub(super) fn next(&mut self, cx: &mut Context) -> MonotonicTime {
        let random = cx.random();
        cx.monotonic() + self.backoff.next(random)
    }

    /// The command is sent again later.
    pub(super) fn push(&mut self, command: Command, cx: &mut Context) {
        let at = self.next(cx);
        self.commands.push(command);
        if self.at.is_none() {
            self.at = Some(at);
            cx.at(at, Timer::Retry);
        }
    }

    /// The commands that are due.
    pub(super) fn take_due(&mut self, now: MonotonicTime) -> Vec<Command> {
        debug_assert_eq!(self.at.is_none(), self.commands.is_empty(), "commands wait exactly until a time");
        if self.at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.at = None;
        std::mem::take(&mut self.commands)
    }

    /// The store carried a command out.
    pub(super) const fn succeeded(&mut self) {
        self.backoff.reset();
    }

    /// The store was lost: the refused commands are decided again.
    pub(super) fn clear(&mut self) {
        self.commands.clear();
        self.at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;
    use crate::time::Now;

    #[test]
    fn what_was_refused_together_is_sent_together() {
        let mut cx = Context::new(Settings::default(), 1);
        cx.advance(Now::from_micros(0));
        let mut retries = Retries::new(cx.tuning());
        retries.push(Command::RunStartup, &mut cx);
        let at = retries.at().expect("a time");
        retries.push(Command::Resign, &mut cx);
        assert_eq!((retries.at(), cx.timers.len()), (Some(at), 1));
        assert_eq!(retries.take_due(cx.monotonic()), vec![]);
        assert_eq!(retries.take_due(at), vec![Command::RunStartup, Command::Resign]);
        assert_eq!((retries.at(), retries.take_due(at)), (None, vec![]));
    }

    #[test]
    fn waits_grow_until_a_command_is_carried_out() {
        let mut cx = Context::new(Settings::default(), 1);
        cx.advance(Now::from_micros(0));
        let mut retries = Retries::new(cx.tuning());
        let mut wait = |retries: &mut Retries| retries.next(&mut cx) - MonotonicTime::from_micros(0);
        let (first, second, third) = (wait(&mut retries), wait(&mut retries), wait(&mut retries));
        assert!(first < second && second < third, "{first} {second} {third}");
        retries.succeeded();
        assert!(wait(&mut retries) < second);
    }

    #[test]
    fn what_was_refused_is_forgotten_with_the_store() {
        let mut cx = Context::new(Settings::default(), 1);
        cx.advance(Now::from_micros(0));
        let mut retries = Retries::new(cx.tuning());
        retries.push(Command::RunStartup, &mut cx);
        retries.clear();
        assert_eq!((retries.at(), retries.take_due(MonotonicTime::NEVER)), (None, vec![]));
    }
}
