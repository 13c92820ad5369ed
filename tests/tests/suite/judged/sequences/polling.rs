//! Steps of a leader that follow from the table: claims, deadlines, ends of deferrals, retention.

use std::collections::BTreeMap;

use pgasync_core::{Event, Phase, PhaseName, PoolName, Timestamp};
use serde_json::{Value, json};

use super::{Model, ModelTask};

impl Model {
    /// Chooses and claims tasks by sorting all of them.
    pub(super) fn choose_and_claim(&mut self) {
        let settings = self.configuration.settings();
        let busy = self.tasks.values().filter(|model_task| model_task.task.holds_worker()).count();
        let limit = usize::try_from(settings.workers).expect("small");
        let free_workers = limit.saturating_sub(busy);
        let mut workers = free_workers;
        let mut taken: BTreeMap<&str, u32> = BTreeMap::new();
        for model_task in self.tasks.values().filter(|model_task| model_task.task.holds_slot()) {
            *taken.entry(&model_task.pool).or_default() += 1;
        }
        let mut waiting: Vec<(i32, Timestamp, i64)> = self
            .tasks
            .iter()
            .filter(|(_, model_task)| match model_task.task.phase {
                Phase::Ready { eligible_when, times_up } => {
                    eligible_when.is_none() && times_up.is_none_or(|at| at > self.now)
                }
                Phase::Offered { .. }
                | Phase::Claimed { .. }
                | Phase::Launched { .. }
                | Phase::Pulled { .. }
                | Phase::Yielded { .. }
                | Phase::Finished { .. } => false,
            })
            .map(|(id, model_task)| (model_task.priority, model_task.entered, *id))
            .collect();
        waiting.sort_unstable();
        let mut chosen = Vec::new();
        for (_, _, id) in waiting {
            let model_task = &self.tasks[&id];
            let pool = PoolName::new(&model_task.pool).expect("one of ours");
            let slots = taken.entry(&model_task.pool).or_default();
            let runs = !model_task.task.options.client_pulled;
            if *slots < settings.limit(&pool) && (!runs || workers > 0) {
                *slots += 1;
                workers -= usize::from(runs);
                chosen.push(id);
            }
        }
        self.emit(json!({"do": "choose", "workers": free_workers}), json!(chosen));
        let claims = chosen
            .into_iter()
            .map(|id| {
                let model_task = &self.tasks[&id];
                let default_timeout = self.timeout(&model_task.target);
                let pulled = model_task.task.options.client_pulled;
                (id, if pulled { Event::Offer { default_timeout } } else { Event::Claim { default_timeout } })
            })
            .collect();
        self.events(claims);
    }

    /// The tasks whose `time` has passed, the earliest first, and a few of them that are to be
    /// skipped.
    pub(super) fn passed(&mut self, time: impl Fn(&Phase) -> Option<Timestamp>) -> (Vec<i64>, Vec<i64>) {
        let passed = |model_task: &ModelTask| time(&model_task.task.phase).filter(|at| *at <= self.now);
        let mut all: Vec<(Timestamp, i64)> =
            self.tasks.iter().filter_map(|(id, model_task)| Some((passed(model_task)?, *id))).collect();
        all.sort_unstable();
        let ids = all.into_iter().map(|(_, id)| id);
        ids.partition(|_| self.seed.chance(10))
    }

    pub(super) fn due(&mut self) {
        let (skip, ids) = self.passed(|phase| match phase {
            Phase::Finished { .. } => None,
            Phase::Ready { .. }
            | Phase::Offered { .. }
            | Phase::Claimed { .. }
            | Phase::Launched { .. }
            | Phase::Pulled { .. }
            | Phase::Yielded { .. } => phase.times_up(),
        });
        self.emit(json!({"do": "due", "skip": skip}), json!(ids));
        if self.seed.chance(30) {
            self.events(ids.into_iter().map(|id| (id, Event::Deadline)).collect());
        }
    }

    pub(super) fn promote(&mut self) {
        let (skip, ids) = self.passed(|phase| match phase {
            Phase::Ready { eligible_when, .. } => *eligible_when,
            Phase::Offered { .. }
            | Phase::Claimed { .. }
            | Phase::Launched { .. }
            | Phase::Pulled { .. }
            | Phase::Yielded { .. }
            | Phase::Finished { .. } => None,
        });
        self.emit(json!({"do": "deferred", "skip": skip}), json!(ids));
        self.events(ids.into_iter().map(|id| (id, Event::Promote)).collect());
    }

    /// Deletes finished tasks, so that there is room for new ones.
    pub(super) fn forget(&mut self) {
        let finished: Vec<i64> = self
            .tasks
            .iter()
            .filter(|(_, model_task)| {
                model_task.task.phase.name() == PhaseName::Finished && !model_task.task.holds_slot()
            })
            .map(|(id, _)| *id)
            .collect();
        let ids: Vec<i64> = finished.into_iter().filter(|_| self.seed.chance(40)).collect();
        for id in &ids {
            self.tasks.remove(id);
        }
        self.emit(json!({"do": "forget", "ids": ids}), Value::Null);
    }
}
