//! What every part of the orchestrator decides with, and where its commands and timers go.

use std::collections::VecDeque;

use super::command::Command;
use super::settings::{Settings, Tuning};
use super::timers::{Timer, Timers};
use crate::names::SessionId;
use crate::time::{MonotonicTime, Now, Timestamp};

/// The settings, the time, a source of random numbers, the commands and the timers.
///
/// Invariant: the monotonic time never goes back.
#[derive(Debug)]
pub(super) struct Context {
    settings: Settings,
    now: Now,
    random: u64,
    commands: VecDeque<Command>,
    pub(super) timers: Timers,
}

impl Context {
    pub(super) fn new(settings: Settings, seed: u64) -> Self {
        let start = MonotonicTime::from_micros(i64::MIN);
        Self {
            settings,
            now: Now { monotonic: start, server: Timestamp::from_micros(i64::MIN) },
            random: seed,
            commands: VecDeque::new(),
            timers: Timers::default(),
        }
    }

    /// A context for a new epoch: settings, time and random numbers go on, timers and commands do
    /// not.
    pub(super) fn restarted(&self) -> Self {
        Self { now: self.now, ..Self::new(self.settings.clone(), self.random) }
    }

    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) const fn tuning(&self) -> &Tuning {
        &self.settings.tuning
    }

    pub(super) fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Sets the time. A monotonic time before the present one counts as the present one.
    pub(super) fn advance(&mut self, now: Now) {
        self.now = Now { monotonic: self.now.monotonic.max(now.monotonic), server: now.server };
    }

    pub(super) const fn now(&self) -> Now {
        self.now
    }

    pub(super) const fn monotonic(&self) -> MonotonicTime {
        self.now.monotonic
    }

    /// Appends a command: commands are carried out in the order of these calls.
    pub(super) fn emit(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    pub(super) fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Takes every command that the driver has not fetched.
    pub(super) fn take_commands(&mut self) -> VecDeque<Command> {
        std::mem::take(&mut self.commands)
    }

    /// Takes back the launch on this session, if the driver has not fetched it.
    pub(super) fn retract_launch(&mut self, session: SessionId) -> bool {
        let before = self.commands.len();
        self.commands.retain(|command| !matches!(command, Command::Launch { session: its, .. } if *its == session));
        self.commands.len() < before
    }

    pub(super) fn at(&mut self, when: MonotonicTime, timer: Timer) {
        self.timers.insert(when, timer);
    }

    /// Emits the time until which nothing is due, if the driver does not have it yet.
    pub(super) fn sleep(&mut self, next: Option<MonotonicTime>, ticked: bool) {
        if let Some(next) = self.timers.sleep_until(next, ticked, self.now.monotonic) {
            self.emit(Command::SleepUntil(next));
        }
    }

    /// The next random number, which spreads retries (splitmix64).
    pub(super) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_time_never_goes_back() {
        let mut cx = Context::new(Settings::default(), 1);
        cx.advance(Now::from_micros(10));
        cx.advance(Now::from_micros(4));
        assert_eq!(cx.monotonic(), MonotonicTime::from_micros(10));
        assert_eq!(cx.now().server, Timestamp::from_micros(4), "the server's clock may step back");
    }

    #[test]
    fn a_new_epoch_continues_the_random_numbers_and_drops_commands_and_timers() {
        let mut cx = Context::new(Settings::default(), 1);
        let first = cx.random();
        cx.emit(Command::RunRoutines);
        cx.at(MonotonicTime::from_micros(1), Timer::Drain);
        let mut restarted = cx.restarted();
        assert_ne!(restarted.random(), first);
        assert_eq!((restarted.poll_command(), restarted.timers.len()), (None, 0));
    }

    /// The first values of splitmix64 with the seed 0.
    #[test]
    fn the_random_numbers_are_those_of_splitmix64() {
        let mut cx = Context::new(Settings::default(), 0);
        let expected = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f];
        assert_eq!([cx.random(), cx.random(), cx.random()], expected);
    }

    #[test]
    fn a_new_epoch_continues_the_time_and_keeps_the_settings() {
        let mut cx = Context::new(Settings::default(), 1);
        cx.advance(Now::from_micros(7));
        let mut settings = Settings { workers: 3, ..Settings::default() };
        settings.tuning.marks_max = 9;
        cx.configure(settings);
        let restarted = cx.restarted();
        assert_eq!(restarted.now(), Now::from_micros(7));
        assert_eq!((restarted.settings().workers, restarted.tuning().marks_max), (3, 9));
    }

    #[test]
    fn a_launch_is_taken_back_only_before_the_driver_has_it() {
        let mut cx = Context::new(Settings::default(), 1);
        let launch = |task, session| Command::Launch {
            task: crate::TaskId(task),
            run: crate::Run(1),
            session: SessionId(session),
        };
        assert!(!cx.retract_launch(SessionId(1)));
        for command in [launch(1, 1), Command::RunRoutines, launch(2, 2)] {
            cx.emit(command);
        }
        assert!(cx.retract_launch(SessionId(2)) && !cx.retract_launch(SessionId(2)));
        assert_eq!(cx.take_commands(), [launch(1, 1), Command::RunRoutines]);
    }
}
