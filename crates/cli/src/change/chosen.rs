//! The tasks that a change is for, fixed before the question.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use pgasync_core::{RowState, TaskId};
use pgasync_store::TaskFilter;

use crate::args::ServerArgs;
use crate::confirm::ConfirmArgs;
use crate::failure::{Exit, Failure};
use crate::output::OutputArgs;
use crate::server::Server;
use crate::task_filter::TaskFilterArgs;
use crate::tasks::phase;

#[derive(Args, Debug)]
pub(crate) struct ChoiceArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    /// These ids. Without any, the filter chooses
    #[arg(value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    pub(super) ids: Vec<i64>,
    #[command(flatten)]
    pub(super) filter: TaskFilterArgs,
    #[command(flatten)]
    pub(super) confirm: ConfirmArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// The most tasks of one command.
const TASKS_MAX: u32 = 1_000_000;

/// The chosen tasks that are in a phase for the change, and the named ones that are not.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) tasks: Vec<(TaskId, Option<RowState>)>,
    pub(super) skipped: Vec<(TaskId, String)>,
}

impl Chosen {
    pub(super) async fn read(server: &Server, choice: &ChoiceArgs, phases: &[RowState]) -> Result<Self, Failure> {
        let named: Vec<TaskId> = choice.ids.iter().copied().map(TaskId).collect::<BTreeSet<_>>().into_iter().collect();
        if named.is_empty() && choice.filter.is_empty() {
            return Err(Failure::usage("no task is chosen: name ids, or give a filter such as --target or --phase"));
        }
        let installed = server.installation().await?;
        if !installed.server {
            if installed.client && choice.filter.is_empty() {
                // The server of a client database knows the tasks, and warns of those that it does not.
                return Ok(Self { tasks: named.into_iter().map(|task| (task, None)).collect(), skipped: Vec::new() });
            }
            return Err(server.missing(&installed));
        }
        let mut filter = choice.filter.filter(&named);
        if filter.phases.is_empty() && named.is_empty() {
            filter.phases = phases.to_vec();
        }
        let found = server.client.find_ids(&filter, TASKS_MAX).await?;
        if u32::try_from(found.len()).is_ok_and(|count| count >= TASKS_MAX) {
            return Err(Failure::new(Exit::Negative, format!("more than {TASKS_MAX} tasks are so: choose fewer")));
        }
        let known = known(server, &named, &filter).await?;
        Ok(Self::sort(found, &named, &known, phases))
    }

    /// The phases that do not fit are skipped; so are named ids that the filter or the table lacks.
    fn sort(
        found: Vec<(TaskId, RowState)>,
        named: &[TaskId],
        known: &BTreeMap<TaskId, RowState>,
        phases: &[RowState],
    ) -> Self {
        let matching: BTreeSet<TaskId> = found.iter().map(|(task, _)| *task).collect();
        let mut chosen = Self { tasks: Vec::new(), skipped: Vec::new() };
        for (task, state) in found {
            if phases.contains(&state) {
                chosen.tasks.push((task, Some(state)));
            } else {
                chosen.skipped.push((task, format!("it is {}", phase(state))));
            }
        }
        for task in named.iter().filter(|task| !matching.contains(task)) {
            let reason = if known.contains_key(task) { "the filter excludes it" } else { "it does not exist" };
            chosen.skipped.push((*task, reason.to_owned()));
        }
        chosen
    }

    /// `312 tasks (12 RUNNING, 300 READY)`.
    pub(super) fn describe(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, state) in &self.tasks {
            *counts.entry(state.map_or("in an unknown phase", phase)).or_default() += 1;
        }
        let parts: Vec<String> = counts.into_iter().map(|(phase, count)| format!("{count} {phase}")).collect();
        let tasks = if let [(task, _)] = self.tasks[..] {
            format!("task {task}")
        } else {
            format!("{} tasks", self.tasks.len())
        };
        format!("{tasks} ({})", parts.join(", "))
    }
}

async fn known(server: &Server, named: &[TaskId], filter: &TaskFilter) -> Result<BTreeMap<TaskId, RowState>, Failure> {
    let by_id = TaskFilter { tasks: named.to_vec(), ..TaskFilter::default() };
    if named.is_empty() || *filter == by_id {
        return Ok(BTreeMap::new());
    }
    Ok(server.client.find_ids(&by_id, TASKS_MAX).await?.into_iter().collect())
}
