//! The settings of the whole orchestrator.

use super::document::ControlEntry;
use super::size_of;
use crate::time::Span;

/// The settings of `async.control`. The leader writes the other columns of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Whether an orchestrator may lead. A leader that reads `false` drains and resigns. Default:
    /// true.
    pub enabled: bool,
    /// The number of workers: how many queries run at once over all targets; 1 or more. Default:
    /// 20.
    pub workers: u32,
    /// The longest time between two polls of a leader without work; up to a day.
    /// Default: 1 second.
    pub idle_sleep: Span,
    /// On the SQL engine the longest time between two polls while queries run, on the Rust engine
    /// the shortest time between two runs of the LOOP routines; up to a day. Default: 10 ms.
    pub busy_sleep: Span,
    /// The time between two deletions of old tasks. Default: 24 hours.
    pub heavy_maintenance_sleep: Span,
    /// The time between two deletions of old log lines. Default: 5 minutes.
    pub light_maintenance_sleep: Span,
    /// The time for which finished tasks and log lines are kept. Default: 30 days.
    pub task_keep_duration: Span,
    /// The timeout of a task if neither the task nor its target has one; above zero. Default: 1
    /// hour.
    pub default_timeout: Span,
    /// The key of an advisory lock that the leader holds besides its own. Default: 0.
    pub advisory_mutex_id: i32,
    /// The name of the server itself as a target. Default: `async.self`.
    pub self_target: String,
    /// The connection string to the server itself. A missing port, database or user is that of the
    /// server. Default: `host=localhost`.
    pub self_connection_string: String,
    /// The size of the pool of the server as a target; 1 or more. On the SQL engine it also limits
    /// the helper sessions. Default: 4.
    pub self_concurrency: u32,
    /// Whether launches are suspended. Running queries continue. Default: false.
    pub paused: bool,
    /// The size of a pool without a configured size; 0 admits no task. Default: 4.
    pub default_concurrency_pool_workers: u32,
    /// The routines that a leader calls when it begins to lead, each as the text after `CALL`.
    /// Default: none.
    pub startup_routines: Option<Vec<String>>,
    /// The routines that a leader calls repeatedly, each as the text after `CALL`. Default: none.
    pub loop_routines: Option<Vec<String>>,
    /// Whether the log keeps lines of level DEBUG. Default: false.
    pub debug_log: bool,
    /// The time that tasks wait for an unreachable target before they fail. Default: 1 minute.
    pub target_patience: Span,
    /// The time that a successor waits before it takes the lead of a `pgasync run` that was lost.
    /// Default: 10 seconds.
    pub takeover_grace: Span,
    /// The retry policy of tasks whose target has no default. Default: none.
    pub default_retry: Option<String>,
    /// The most bytes of the rows that are kept of one task; 1024 to 16777216. Default: 1048576.
    pub result_bytes_max: u32,
    /// How long receipts stay at their targets after their tasks have ended. Default: 7 days.
    pub receipt_keep: Span,
}

impl Default for Control {
    fn default() -> Self {
        const DAY: Span = Span::seconds(86_400);
        Self {
            enabled: true,
            workers: 20,
            idle_sleep: Span::seconds(1),
            busy_sleep: Span::millis(10),
            heavy_maintenance_sleep: DAY,
            light_maintenance_sleep: Span::seconds(300),
            task_keep_duration: DAY.times(30),
            default_timeout: Span::seconds(3_600),
            advisory_mutex_id: 0,
            self_target: "async.self".to_owned(),
            self_connection_string: "host=localhost".to_owned(),
            self_concurrency: 4,
            paused: false,
            default_concurrency_pool_workers: 4,
            startup_routines: None,
            loop_routines: None,
            debug_log: false,
            target_patience: Span::seconds(60),
            takeover_grace: Span::seconds(10),
            default_retry: None,
            result_bytes_max: 1 << 20,
            receipt_keep: DAY.times(7),
        }
    }
}

impl Control {
    /// Applies the settings that the entry gives. They were checked before.
    pub(super) fn apply(&mut self, given: &ControlEntry) {
        let whole = |place: &mut u32, given: Option<i64>| *place = given.map_or(*place, size_of);
        whole(&mut self.workers, given.workers);
        whole(&mut self.self_concurrency, given.self_concurrency);
        whole(&mut self.default_concurrency_pool_workers, given.default_concurrency_pool_workers);
        whole(&mut self.result_bytes_max, given.result_bytes_max);
        set(&mut self.enabled, given.enabled.as_ref());
        set(&mut self.paused, given.paused.as_ref());
        set(&mut self.debug_log, given.debug_log.as_ref());
        set(&mut self.advisory_mutex_id, given.advisory_mutex_id.as_ref());
        set(&mut self.self_target, given.self_target.as_ref());
        set(&mut self.self_connection_string, given.self_connection_string.as_ref());
        for (place, given) in
            [(&mut self.startup_routines, &given.startup_routines), (&mut self.loop_routines, &given.loop_routines)]
        {
            if given.is_some() {
                place.clone_from(given);
            }
        }
        if given.default_retry.is_some() {
            self.default_retry.clone_from(&given.default_retry);
        }
        for (place, given) in [
            (&mut self.idle_sleep, given.idle_sleep),
            (&mut self.busy_sleep, given.busy_sleep),
            (&mut self.heavy_maintenance_sleep, given.heavy_maintenance_sleep),
            (&mut self.light_maintenance_sleep, given.light_maintenance_sleep),
            (&mut self.task_keep_duration, given.task_keep_duration),
            (&mut self.default_timeout, given.default_timeout),
            (&mut self.target_patience, given.target_patience),
            (&mut self.takeover_grace, given.takeover_grace),
            (&mut self.receipt_keep, given.receipt_keep),
        ] {
            set(place, given.as_ref());
        }
    }

    /// The entry that sets all of these settings.
    pub(super) fn entry(&self) -> ControlEntry {
        ControlEntry {
            enabled: Some(self.enabled),
            workers: Some(i64::from(self.workers)),
            idle_sleep: Some(self.idle_sleep),
            busy_sleep: Some(self.busy_sleep),
            heavy_maintenance_sleep: Some(self.heavy_maintenance_sleep),
            light_maintenance_sleep: Some(self.light_maintenance_sleep),
            task_keep_duration: Some(self.task_keep_duration),
            default_timeout: Some(self.default_timeout),
            advisory_mutex_id: Some(self.advisory_mutex_id),
            self_target: Some(self.self_target.clone()),
            self_connection_string: Some(self.self_connection_string.clone()),
            self_concurrency: Some(i64::from(self.self_concurrency)),
            paused: Some(self.paused),
            default_concurrency_pool_workers: Some(i64::from(self.default_concurrency_pool_workers)),
            startup_routines: self.startup_routines.clone(),
            loop_routines: self.loop_routines.clone(),
            debug_log: Some(self.debug_log),
            target_patience: Some(self.target_patience),
            takeover_grace: Some(self.takeover_grace),
            default_retry: self.default_retry.clone(),
            result_bytes_max: Some(i64::from(self.result_bytes_max)),
            receipt_keep: Some(self.receipt_keep),
        }
    }
}

fn set<T: Clone>(place: &mut T, given: Option<&T>) {
    if let Some(given) = given {
        place.clone_from(given);
    }
}
