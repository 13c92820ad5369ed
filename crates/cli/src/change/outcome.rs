//! What became of the chosen tasks.

use std::collections::BTreeMap;

use pgasync_core::TaskId;
use pgasync_store::{Change, Skipped};

use super::chosen::{ChoiceArgs, Chosen};
use crate::failure::{Exit, Failure};
use crate::output::{Cell, Column, Format, Listing};

/// More tasks are counted in a table, not listed.
const LISTED_MAX: usize = 50;

/// The outcome of each task: `None` as long as it is not sent.
#[derive(Debug)]
pub(super) struct Outcomes(BTreeMap<TaskId, Option<Outcome>>);

#[derive(Debug)]
enum Outcome {
    Done,
    Skipped(String),
}

impl Outcomes {
    pub(super) fn of(chosen: Chosen) -> Self {
        let open = chosen.tasks.into_iter().map(|(task, _)| (task, None));
        let skipped = chosen.skipped.into_iter().map(|(task, reason)| (task, Some(Outcome::Skipped(reason))));
        Self(open.chain(skipped).collect())
    }

    /// The tasks to send, in parts.
    pub(super) fn open(&self) -> Vec<Vec<TaskId>> {
        let open: Vec<TaskId> = self.0.iter().filter(|(_, outcome)| outcome.is_none()).map(|(task, _)| *task).collect();
        Change::parts(&open).map(<[TaskId]>::to_vec).collect()
    }

    /// Notes a part that was sent. A task of it may have ended since it was chosen.
    pub(super) fn note(&mut self, tasks: &[TaskId], skipped: Vec<Skipped>) {
        for task in tasks {
            self.0.insert(*task, Some(Outcome::Done));
        }
        for (task, reason) in skipped {
            self.0.insert(task, Some(Outcome::Skipped(reason)));
        }
    }

    pub(super) fn has_skipped(&self) -> bool {
        self.skipped() > 0
    }

    fn skipped(&self) -> usize {
        self.0.values().filter(|outcome| matches!(outcome, Some(Outcome::Skipped(_)))).count()
    }

    /// Prints them. The answer is negative if a task that was named was skipped.
    pub(super) fn write(&self, choice: &ChoiceArgs, done: &str) -> Result<Exit, Failure> {
        let format = choice.output.output;
        let mut listing = Listing::new(
            "tasks",
            &[Column::new("task_id", "task"), Column::new("outcome", "outcome"), Column::new("reason", "reason")],
        );
        for (task, outcome) in &self.0 {
            let (outcome, reason) = match outcome {
                Some(Outcome::Skipped(reason)) => ("skipped", Cell::from(reason.as_str())),
                Some(Outcome::Done) | None => (done, Cell::Null),
            };
            listing.add(vec![task.0.into(), outcome.into(), reason]);
        }
        if format == Format::Table {
            listing.rows.retain(|row| self.0.len() <= LISTED_MAX || row[2] != Cell::Null);
            listing.rows.truncate(LISTED_MAX);
            listing.write(format)?;
            let skipped = self.skipped();
            let skipped = if skipped > 0 { format!("; {skipped} skipped") } else { String::new() };
            eprintln!("{done}: {} tasks{skipped}", self.0.len() - self.skipped());
        } else {
            listing.write(format)?;
        }
        Ok(if self.has_skipped() && !choice.ids.is_empty() { Exit::Negative } else { Exit::Done })
    }
}
