//! Random faults and actions of clients, and their end.

use std::collections::BTreeSet;

use pgasync_core::{Input, PoolName, RowState, Settings, Span, TaskId};

use super::Violation;
use super::world::{POOLS, ScheduledEvent, World, sessions_max};

impl World {
    pub(super) fn chaos(&mut self) -> Result<(), Violation> {
        if self.healing {
            return Ok(());
        }
        self.check_promptness()?;
        self.check_progress()?;
        let pause = Span::millis(self.random.spread(500, 300_000));
        self.after(pause, ScheduledEvent::Chaos);
        match self.random.within(0, 100) {
            0..45 => self.push(),
            45..57 => self.request(),
            57..68 => self.pull(),
            68..79 => self.finish_from_client(),
            79..82 => self.restart(),
            82..85 => self.reconfigure(),
            85..86 => self.drain(),
            86..88 => self.lock_row(),
            88..89 => self.wait_for_latch(),
            _ => self.fault(),
        }
        Ok(())
    }

    /// The server's clock is set.
    fn step_clock(&mut self) {
        let step = Span::seconds(self.random.within(1, 4 * 3_600));
        let ahead = if self.random.percent(50) { step } else { step.times(-1) };
        self.server_ahead = self.server_ahead + ahead;
        self.clock_set = self.now;
    }

    fn fault(&mut self) {
        self.stats.faults += 1;
        let names: Vec<_> = self.targets.keys().cloned().collect();
        match self.random.index(9) {
            0 if self.random.percent(50) => self.crash_leader(),
            0 => self.crashes_at_launch = true,
            1 => self.pause_leader(),
            2 => self.cut_store(false),
            3 => self.cut_store(true),
            4 => self.step_clock(),
            _ => {
                if let Some(target) = self.random.pick(&names) {
                    self.fail_target(target);
                }
            }
        }
    }

    /// A crash between a mark and the end of its launch is the most difficult one.
    pub(super) fn crash_if_planned(&mut self) {
        if std::mem::take(&mut self.crashes_at_launch) && !self.healing {
            let span = Span::micros(self.random.within(0, 2_000));
            self.after(span, ScheduledEvent::Crash);
        }
    }

    fn reconfigure(&mut self) {
        let mut settings = self.settings.clone();
        let size = |world: &mut Self| u32::try_from(world.random.within(1, 5)).unwrap_or(1);
        match self.random.index(6) {
            0 => settings.paused = !settings.paused,
            1 => settings.workers = size(self) + 1,
            2 => {
                let names: Vec<_> = settings.targets.keys().cloned().collect();
                let max_concurrency = size(self);
                if let Some(target) = self.random.pick(&names).and_then(|name| settings.targets.get_mut(&name)) {
                    target.max_concurrency = max_concurrency;
                    target.max_sessions = sessions_max(&mut self.random);
                }
            }
            3 => {
                let names: Vec<_> = settings.targets.keys().cloned().collect();
                if let Some(name) = self.random.pick(&names)
                    && !settings.paused_targets.remove(&name)
                {
                    settings.paused_targets.insert(name);
                }
            }
            4 => {
                let name = POOLS.into_iter().filter_map(|name| PoolName::new(name).ok()).collect::<Vec<_>>();
                if let Some(name) = self.random.pick(&name)
                    && !settings.paused_pools.remove(&name)
                {
                    settings.paused_pools.insert(name);
                }
            }
            _ => {
                if let Ok(shared) = PoolName::new("shared") {
                    let limit = size(self);
                    settings.pools.insert(shared, limit);
                }
            }
        }
        self.configure(settings);
    }

    fn configure(&mut self, settings: Settings) {
        self.settings = settings.clone();
        self.ledger.configured(self.now, &settings);
        self.notify_leader(Input::Configured(Box::new(settings)));
    }

    /// The leader drains.
    fn drain(&mut self) {
        let Some(epoch) = self.store.leader else { return };
        let Some(leader) = self.leaders.get_mut(&epoch).filter(|leader| !leader.draining) else { return };
        leader.draining = true;
        let unfinished: Vec<TaskId> =
            self.store.tasks.iter().filter(|(_, t)| t.row.processed.is_none()).map(|(id, _)| *id).collect();
        for task in unfinished {
            self.ledger.note_rerun(task);
        }
        let drain_until = self.now + Span::seconds(self.random.within(0, 30));
        self.notify_leader(Input::Shutdown { drain_until });
    }

    /// All faults end.
    pub(super) fn heal(&mut self) {
        self.healing = true;
        self.server_down_until = self.now;
        for stored in self.store.tasks.values_mut() {
            stored.locked_until = self.now;
        }
        let faults: Vec<_> = self.targets.iter().map(|(name, state)| (name.clone(), state.fault)).collect();
        for (target, fault) in faults {
            self.recover(&target, fault);
        }
        let settings = Settings {
            paused: false,
            paused_targets: BTreeSet::new(),
            paused_pools: BTreeSet::new(),
            ..self.settings.clone()
        };
        self.configure(settings);
    }

    /// Clients take offered tasks, and finish YIELDED ones.
    pub(super) fn clean_up(&mut self) {
        if self.store.leader.is_none() {
            self.soon(ScheduledEvent::Elect);
        }
        self.pull();
        self.finish_from_client();
        let yielded = self.store.tasks.values().filter(|task| task.row.state() == RowState::Yielded).count();
        for _ in 0..yielded {
            self.finish_from_client();
        }
    }
}
