//! Changes of many tasks at once, with a reason for each that is skipped.

use pgasync_core::{RowState, Span, TaskId};

use super::Client;
use super::error::CallError;
use super::request::{RequestError, RestartError};

/// The tasks of one call of the server.
const PART_MAX: usize = 1_000;

/// A change of tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Request that they are cancelled, with a message.
    Cancel(String),
    /// Return them to the queue, with a clean slate.
    Restart,
    /// Request that they return to the queue and become eligible after this time.
    Defer(Span),
}

/// A task that a change skipped, and why.
pub type Skipped = (TaskId, String);

impl Change {
    /// The phases of tasks that it can change.
    #[must_use]
    pub const fn phases(&self) -> &'static [RowState] {
        match self {
            Self::Cancel(_) | Self::Defer(_) => &[RowState::Ready, RowState::Running, RowState::Yielded],
            Self::Restart => &[RowState::Finished],
        }
    }

    /// The tasks in parts, each for one [`Client::change`].
    pub fn parts(tasks: &[TaskId]) -> impl Iterator<Item = &[TaskId]> {
        tasks.chunks(PART_MAX)
    }
}

impl Client {
    /// Changes tasks, and returns those that were skipped. Requests are one transaction. Restarts are
    /// one as well, unless one of them is impossible: then each is its own.
    ///
    /// # Errors
    /// When the change is refused as a whole, or the server cannot be reached. Some of the tasks may be
    /// restarted then.
    pub async fn change(&self, change: &Change, tasks: &[TaskId]) -> Result<Vec<Skipped>, RequestError> {
        let receipt = match change {
            Change::Cancel(message) => self.cancel(tasks, Some(message)).await?,
            Change::Defer(by) => self.defer(tasks, *by).await?,
            Change::Restart => return Ok(self.restart_each(tasks).await?),
        };
        Ok(receipt.warning.as_deref().map(refused).unwrap_or_default())
    }

    /// Restarts all of them at once; if one is refused, each by itself.
    async fn restart_each(&self, tasks: &[TaskId]) -> Result<Vec<Skipped>, CallError> {
        match self.restart_all(tasks).await {
            Ok(()) => return Ok(Vec::new()),
            Err(RestartError::Failed(error)) => return Err(error),
            Err(_) => {}
        }
        let mut skipped = Vec::new();
        for task in tasks {
            match self.restart(*task).await {
                Ok(()) => {}
                Err(RestartError::Failed(error)) => return Err(error),
                Err(refused) => skipped.push((*task, refused.to_string())),
            }
        }
        Ok(skipped)
    }
}

/// The ids in a warning such as `not canceled, since there is nothing to end: 3 (finished), 9 (unknown)`.
fn refused(warning: &str) -> Vec<Skipped> {
    let Some((_, list)) = warning.split_once("nothing to end: ") else { return Vec::new() };
    let entry = |entry: &str| {
        let (number, rest) = entry.trim().split_once(' ')?;
        let reason = if rest.starts_with("(unknown)") { "it does not exist" } else { "it has ended meanwhile" };
        Some((TaskId(number.parse().ok()?), reason.to_owned()))
    };
    list.split(", ").filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_a_warning_are_read() {
        let warning = "not canceled, since there is nothing to end: 3 (finished), 9 (unknown)";
        let skipped = [(TaskId(3), "it has ended meanwhile".to_owned()), (TaskId(9), "it does not exist".to_owned())];
        assert_eq!(refused(warning), skipped);
        assert_eq!(refused("another warning"), []);
    }
}
