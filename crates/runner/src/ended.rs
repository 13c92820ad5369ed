//! Handing over the tasks that ended to others in the process.

use pgasync_core::TaskId;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Where a leader leaves the tasks that ended. Never waits: what does not fit is dropped, and counted.
#[derive(Clone, Debug)]
pub struct EndedTasks {
    sender: mpsc::Sender<Vec<TaskId>>,
}

/// Takes the tasks that ended.
pub type EndedTasksReceiver = mpsc::Receiver<Vec<TaskId>>;

impl EndedTasks {
    /// Both ends. The leader leaves a list after each turn of its loop in which tasks ended; at most
    /// `lists_max` lists wait.
    #[must_use]
    pub fn new(lists_max: usize) -> (Self, EndedTasksReceiver) {
        let (sender, receiver) = mpsc::channel(lists_max);
        (Self { sender }, receiver)
    }
}

/// What the leader does with its ended tasks.
#[derive(Debug)]
pub(crate) struct EndedTasksSender {
    tasks: Option<EndedTasks>,
    dropped: u64,
}

impl EndedTasksSender {
    pub(crate) const fn new(tasks: Option<EndedTasks>) -> Self {
        Self { tasks, dropped: 0 }
    }

    pub(crate) const fn is_wanted(&self) -> bool {
        self.tasks.is_some()
    }

    pub(crate) fn send(&mut self, ended: Vec<TaskId>) {
        let Some(tasks) = self.tasks.as_ref().filter(|_| !ended.is_empty()) else { return };
        match tasks.sender.try_send(ended) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => self.tasks = None,
            Err(TrySendError::Full(lost)) => {
                let before = self.dropped;
                self.dropped += lost.len() as u64;
                // Logged at 1, 2, 4, 8 and so on.
                if before.checked_ilog2() != self.dropped.checked_ilog2() {
                    tracing::warn!(dropped = self.dropped, "ended tasks are not traced: the exporter is too slow");
                }
            }
        }
    }
}
