//! The settings by which the orchestrator decides.

use std::collections::{BTreeMap, BTreeSet};

use crate::names::{PoolName, TargetName};
use crate::plan::lane::Lane;
use crate::time::Span;

/// The part of the configuration that the orchestrator needs.
///
/// ```
/// use pgasync_core::{PoolName, Settings, Span, TargetName, TargetSettings};
/// let sales = TargetName::new("sales")?;
/// let mut settings = Settings { workers: 8, ..Settings::default() };
/// let target = TargetSettings { max_concurrency: 3, default_timeout: None, max_sessions: None };
/// settings.targets.insert(sales.clone(), target);
/// assert_eq!(settings.limit(&PoolName::of(None, &sales)), 3);
/// assert_eq!(settings.limit(&PoolName::new("not configured")?), 4);
/// assert_eq!(settings.timeout(&sales), Some(Span::seconds(3_600)));
/// # Ok::<(), pgasync_core::BadName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Settings {
    /// Queries that run at the same time, over all targets.
    pub workers: u32,
    /// Whether launching is paused.
    pub paused: bool,
    /// The size of a pool without a configured size.
    pub default_pool_workers: u32,
    /// The time limit of a task for which neither the task nor its target has one; `None` is no
    /// limit.
    pub default_timeout: Option<Span>,
    /// The time that tasks wait for a target that cannot be reached, before they fail.
    pub target_patience: Span,
    /// How long a leader without work sleeps between two polls.
    pub idle_sleep: Span,
    /// The shortest time between two runs of the LOOP routines.
    pub busy_sleep: Span,
    /// Whether there are LOOP routines.
    pub has_routines: bool,
    /// The targets.
    pub targets: BTreeMap<TargetName, TargetSettings>,
    /// The pools that were given a size.
    pub pools: BTreeMap<PoolName, u32>,
    /// The time between two starts of tasks of a pool; pools without it have no limit.
    pub spacings: BTreeMap<PoolName, Span>,
    /// The targets for which no task starts.
    pub paused_targets: BTreeSet<TargetName>,
    /// The pools in which no task starts.
    pub paused_pools: BTreeSet<PoolName>,
    /// Bounds and waits that no configuration sets.
    pub tuning: Tuning,
}

/// The settings of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TargetSettings {
    /// The size of the pool that bears its name.
    pub max_concurrency: u32,
    /// The time limit of a task without one of its own.
    pub default_timeout: Option<Span>,
    /// How many sessions the leader has there at most, over all pools; `None` is no limit.
    pub max_sessions: Option<u32>,
}

/// Waits and bounds that no configuration sets. The unit of a bound is in its name.
///
/// ```
/// use pgasync_core::{Settings, Tuning};
/// // Claims nothing ahead of its turn.
/// let tuning = Tuning { ahead_per_slot_max: 0, marked_per_slot_max: 0, ..Tuning::default() };
/// let settings = Settings { tuning, ..Settings::default() };
/// assert_eq!(settings.tuning.window_heads_max, 512);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tuning {
    /// A query that was asked to finish or defer may still end by itself this long.
    pub finish_grace: Span,
    /// From a cancel request to the end of the session.
    pub cancel_grace: Span,
    /// From asking for a session's end to dropping the connection.
    pub terminate_grace: Span,
    /// How long a lost session's end is waited for before an overdue task is given up.
    pub lost_grace: Span,
    /// The first and the longest wait after a target failed.
    pub backoff_first: Span,
    /// See `backoff_first`.
    pub backoff_last: Span,
    /// The first and the longest wait before the row of a task in hand, which could not be written,
    /// is written again.
    pub write_backoff_first: Span,
    /// See `write_backoff_first`; a waiting task that could not be written is left alone no longer.
    pub write_backoff_last: Span,
    /// The first wait before a waiting task that could not be claimed is tried again.
    pub claim_backoff_first: Span,
    /// The first and the longest wait before what the store refused as a whole is sent again.
    pub store_backoff_first: Span,
    /// See `store_backoff_first`.
    pub store_backoff_last: Span,
    /// The first and the longest wait between two attempts to prove the lead.
    pub proof_backoff_first: Span,
    /// See `proof_backoff_first`; less than what a lost leader is granted to come back.
    pub proof_backoff_last: Span,
    /// A lead that is lost later than this after its last proof is proved again at once.
    pub losses_apart: Span,
    /// Between two polls while awake.
    pub poll_every: Span,
    /// How long a leader stays awake after it was woken.
    pub awake: Span,
    /// A sleeping leader polls once for each notification. It wakes up for this many within
    /// `awake`: notifications cost the pushes more than polls cost the leader.
    pub notifications_max: u32,
    /// The longest wait between two polls while a push is open that may not notify.
    pub writers_poll_max: Span,
    /// A sleeping leader polls at least this often, whatever `idle_sleep` is. The server ends an
    /// idle leader session after longer than this.
    pub poll_at_least_every: Span,
    /// The time between two readings of the rows of tracked tasks of which no query runs.
    pub audit_every: Span,
    /// The log of launch marks is rotated after this many marks.
    pub marks_max: usize,
    /// How much longer than everything else a drain waits for rows that cannot be written.
    pub drain_record_grace: Span,
    /// How long a drain waits for sessions to close.
    pub closing_grace: Span,
    /// Claims ahead for each slot of a pool whose tasks are short; 0 claims nothing ahead.
    pub ahead_per_slot_max: u32,
    /// A task is short if it runs no longer than this.
    pub ahead_task_max: Span,
    /// A claim ahead that was not launched by then is given back.
    pub ahead_age_max: Span,
    /// Launches marked ahead for each slot of a pool whose tasks are very short, so that a slot
    /// does not wait for the store; 0 marks nothing ahead. The successor of a lost leader cannot
    /// know whether these were launched.
    pub marked_per_slot_max: u32,
    /// A task is very short if it runs no longer than this.
    pub marked_task_max: Span,
    /// An offer that no client took gives way to other tasks after this time.
    pub offer_patience: Span,
    /// The time that the lane of such an offer then gets no slot.
    pub offer_rest: Span,
    /// A session without work is closed after this time.
    pub session_idle_max: Span,
    /// Between two moves of a session to a target that lacks one, while other tasks of the priority can
    /// use the session. Meanwhile they go first.
    pub session_move_every: Span,
    /// The same for a move to a target that has an even share of the sessions, or an eighth less.
    pub session_balance_every: Span,
    /// Texts tracked in memory at once, unless a single one is longer.
    pub text_bytes_max: u64,
    /// Tasks looked at in one sweep.
    pub sweep_tasks_max: usize,
    /// A sweep takes place at least this often.
    pub sweep_every: Span,
    /// Lanes whose heads are being read at once.
    pub refill_lanes_max: usize,
    /// Heads read for a lane, for each slot of its pool: those claimed ahead and as many again.
    pub window_heads_per_slot: usize,
    /// Heads read for a lane, at least and at most.
    pub window_heads_min: usize,
    /// See `window_heads_min`.
    pub window_heads_max: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            finish_grace: Span::seconds(5),
            cancel_grace: Span::seconds(5),
            terminate_grace: Span::seconds(10),
            lost_grace: Span::seconds(5),
            backoff_first: Span::millis(250),
            backoff_last: Span::seconds(15),
            write_backoff_first: Span::millis(50),
            write_backoff_last: Span::seconds(30),
            claim_backoff_first: Span::millis(50),
            store_backoff_first: Span::millis(50),
            store_backoff_last: Span::seconds(2),
            proof_backoff_first: Span::millis(50),
            proof_backoff_last: Span::seconds(2),
            losses_apart: Span::seconds(10),
            poll_every: Span::millis(8),
            awake: Span::millis(40),
            notifications_max: 8,
            writers_poll_max: Span::millis(250),
            poll_at_least_every: Span::seconds(5),
            audit_every: Span::seconds(60),
            marks_max: 50_000,
            drain_record_grace: Span::seconds(5),
            closing_grace: Span::seconds(2),
            ahead_per_slot_max: 8,
            ahead_task_max: Span::millis(20),
            ahead_age_max: Span::millis(100),
            marked_per_slot_max: 2,
            marked_task_max: Span::millis(10),
            offer_patience: Span::millis(500),
            offer_rest: Span::seconds(2),
            session_idle_max: Span::seconds(30),
            session_move_every: Span::millis(50),
            session_balance_every: Span::millis(500),
            text_bytes_max: 64 << 20,
            sweep_tasks_max: 1_000,
            sweep_every: Span::seconds(60),
            refill_lanes_max: 64,
            window_heads_per_slot: 16,
            window_heads_min: 32,
            window_heads_max: 512,
        }
    }
}

/// As the documentation has them; no target.
impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 20,
            paused: false,
            default_pool_workers: 4,
            default_timeout: Some(Span::seconds(3_600)),
            target_patience: Span::seconds(60),
            idle_sleep: Span::seconds(1),
            busy_sleep: Span::millis(10),
            has_routines: false,
            targets: BTreeMap::new(),
            pools: BTreeMap::new(),
            spacings: BTreeMap::new(),
            paused_targets: BTreeSet::new(),
            paused_pools: BTreeSet::new(),
            tuning: Tuning::default(),
        }
    }
}

impl Tuning {
    /// How many tasks that run so long are claimed ahead for each slot: as many as surely come to
    /// run before such a claim is too old. A slot may take longer than its queries from one end to
    /// the next: on a slow machine it waits for the store and for a processor.
    pub(crate) fn ahead_per_slot(&self, average: Span, cycle: Option<Span>) -> u32 {
        if average > self.ahead_task_max {
            return 0;
        }
        let each = cycle.map_or(average, |cycle| cycle.max(average));
        let fitting = self.ahead_age_max.as_micros() / 2 / each.as_micros().max(1);
        u32::try_from(fitting).unwrap_or(u32::MAX).clamp(1, self.ahead_per_slot_max.max(1)).min(self.ahead_per_slot_max)
    }

    /// How many launches of tasks that run so long are marked ahead for each slot.
    pub(crate) fn marked_per_slot(&self, average: Span) -> u32 {
        if average > self.marked_task_max { 0 } else { self.marked_per_slot_max }
    }
}

impl Settings {
    /// How many tasks the pool holds: what was configured for it, else its target's size if it
    /// bears a target's name, else the default.
    #[must_use]
    pub fn limit(&self, pool: &PoolName) -> u32 {
        if let Some(limit) = self.pools.get(pool) {
            return *limit;
        }
        let target = TargetName::new(pool.as_str()).ok().and_then(|name| self.targets.get(&name));
        target.map_or(self.default_pool_workers, |target| target.max_concurrency)
    }

    /// Whether the target or the pool of the lane is paused, so that none of its tasks starts.
    #[must_use]
    pub fn is_paused(&self, lane: &Lane) -> bool {
        self.paused_targets.contains(&lane.target) || self.paused_pools.contains(&lane.pool)
    }

    /// The time limit at the target of a task without one of its own; `None` is no limit.
    #[must_use]
    pub fn timeout(&self, target: &TargetName) -> Option<Span> {
        self.targets.get(target).and_then(|target| target.default_timeout).or(self.default_timeout)
    }

    /// How many heads a pool's lanes should see.
    #[must_use]
    pub(crate) fn window_heads(&self, pool: &PoolName) -> usize {
        let slots = usize::try_from(self.limit(pool).min(self.workers)).unwrap_or(usize::MAX);
        slots
            .saturating_mul(self.tuning.window_heads_per_slot)
            .clamp(self.tuning.window_heads_min, self.tuning.window_heads_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_of_a_target_comes_before_the_one_of_all() {
        let (own, other) = (TargetName::new("own").unwrap(), TargetName::new("other").unwrap());
        let mut settings = Settings { default_timeout: Some(Span::seconds(9)), ..Settings::default() };
        let target = |default_timeout| TargetSettings { max_concurrency: 1, default_timeout, max_sessions: None };
        settings.targets.insert(own.clone(), target(Some(Span::seconds(3))));
        settings.targets.insert(other.clone(), target(None));
        assert_eq!(settings.timeout(&own), Some(Span::seconds(3)));
        assert_eq!(settings.timeout(&other), Some(Span::seconds(9)));
        settings.default_timeout = None;
        assert_eq!(settings.timeout(&TargetName::new("unknown").unwrap()), None);
    }

    #[test]
    fn how_much_is_done_ahead_follows_from_how_long_tasks_take() {
        let tuning = Tuning::default();
        let just_longer = |span: Span| Span::micros(span.as_micros() + 1);
        assert_eq!(tuning.marked_per_slot(tuning.marked_task_max), tuning.marked_per_slot_max);
        assert_eq!(tuning.marked_per_slot(just_longer(tuning.marked_task_max)), 0);
        assert_eq!(tuning.ahead_per_slot(tuning.ahead_task_max, None), 2, "half of 100 ms has two of 20");
        assert_eq!(tuning.ahead_per_slot(just_longer(tuning.ahead_task_max), None), 0);
        assert_eq!(tuning.ahead_per_slot(Span::ZERO, None), tuning.ahead_per_slot_max);
        assert_eq!(tuning.ahead_per_slot(Span::ZERO, Some(Span::millis(12))), 4, "half of 100 ms has four of 12");
        assert_eq!(tuning.ahead_per_slot(Span::ZERO, Some(Span::millis(1_000))), 1, "one at least");
    }
}
