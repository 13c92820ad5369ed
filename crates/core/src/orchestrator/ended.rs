//! The tasks that ended, for a driver that asks for them.

use crate::names::TaskId;
use crate::task::Task;
use crate::task::phase::Phase;

/// Tasks that ended since the driver took them last.
///
/// Invariant: each end of a task is here once, and nothing is kept for a driver that does not ask.
#[derive(Debug, Default)]
pub(super) struct EndedTasks {
    kept: Option<Vec<TaskId>>,
}

impl EndedTasks {
    /// From now on, tasks that end are kept.
    pub(super) fn keep(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// The same wish, in a new epoch.
    pub(super) fn restarted(&self) -> Self {
        Self { kept: self.kept.as_ref().map(|_| Vec::new()) }
    }

    /// A write of this leader made the row of the task what was found.
    pub(super) fn record(&mut self, task: TaskId, found: &Task) {
        if let Some(kept) = &mut self.kept
            && matches!(found.phase, Phase::Finished { .. })
        {
            kept.push(task);
        }
    }

    pub(super) fn take(&mut self) -> Vec<TaskId> {
        self.kept.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
