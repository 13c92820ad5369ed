//! The options that choose tasks, the same in every command.

use clap::{Args, ValueEnum};
use pgasync_core::{FinishStatus, RowState, Span, TaskId};
use pgasync_store::TaskFilter;

use crate::duration;

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which tasks")]
pub(crate) struct TaskFilterArgs {
    /// In this phase; several: in one of them
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PHASE,...", ignore_case = true)]
    pub(crate) phase: Vec<Phase>,
    /// With this value of finish_status; several: with one of them
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATUS,...", ignore_case = true)]
    pub(crate) status: Vec<Status>,
    /// Ended without success: FAILED, TIMED_OUT, CANCELED or DOA
    #[arg(long)]
    pub(crate) failed: bool,
    /// At this target; several: at one of them
    #[arg(long, short = 't', value_name = "TARGET")]
    pub(crate) target: Vec<String>,
    /// In this concurrency pool; several: in one of them
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Vec<String>,
    /// From this source, as the push named it; several: from one of them
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Vec<String>,
    /// With this text in the query or the error, in upper or lower case
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Pushed within this time: 90s, 15m, 2h, 3d
    #[arg(long, value_name = "TIME", value_parser = duration::span)]
    pub(crate) newer_than: Option<Span>,
    /// Pushed longer ago than this
    #[arg(long, value_name = "TIME", value_parser = duration::span)]
    pub(crate) older_than: Option<Span>,
    /// Ended within this time
    #[arg(long, value_name = "TIME", value_parser = duration::span)]
    pub(crate) ended: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Phase {
    /// It waits
    Ready,
    /// Its query runs, or a client has taken it
    Running,
    /// Its query has ended, and a client finishes it
    Yielded,
    /// It has ended, with any status
    Finished,
    /// Not finished: ready, running or yielded
    Unfinished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names are those of the table")]
pub(crate) enum Status {
    Finished,
    Failed,
    Canceled,
    #[value(alias = "timed_out")]
    TimedOut,
    Doa,
    Deferred,
    Yielded,
}

impl TaskFilterArgs {
    pub(crate) fn filter(&self, tasks: &[TaskId]) -> TaskFilter {
        TaskFilter {
            tasks: tasks.to_vec(),
            phases: self.phase.iter().flat_map(|phase| phase.states()).copied().collect(),
            statuses: self.status.iter().filter_map(|status| status.stored()).collect(),
            failed: self.failed.then_some(true),
            targets: self.target.clone(),
            pools: self.pool.clone(),
            sources: self.source.clone(),
            text: self.text.clone(),
            newer_than: self.newer_than,
            older_than: self.older_than,
            ended_within: self.ended,
        }
    }

    /// Whether no option is given, so that every task is meant.
    pub(crate) fn is_empty(&self) -> bool {
        self.filter(&[]) == TaskFilter::default()
    }
}

impl Phase {
    const fn states(self) -> &'static [RowState] {
        match self {
            Self::Ready => &[RowState::Ready],
            Self::Running => &[RowState::Running],
            Self::Yielded => &[RowState::Yielded],
            Self::Finished => &[RowState::Finished],
            Self::Unfinished => &[RowState::Ready, RowState::Running, RowState::Yielded],
        }
    }
}

impl Status {
    fn stored(self) -> Option<FinishStatus> {
        let label = match self {
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Canceled => "CANCELED",
            Self::TimedOut => "TIMED_OUT",
            Self::Doa => "DOA",
            Self::Deferred => "DEFERRED",
            Self::Yielded => "YIELDED",
        };
        FinishStatus::ALL.into_iter().find(|status| status.as_str() == label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_the_table_can_be_asked_for() {
        let ours: Vec<_> = Status::value_variants().iter().filter_map(|status| status.stored()).collect();
        for stored in FinishStatus::ALL {
            assert!(ours.contains(&stored) || stored.as_str() == "PAUSED", "{stored:?}");
        }
        assert_eq!(ours.len(), Status::value_variants().len());
    }
}
