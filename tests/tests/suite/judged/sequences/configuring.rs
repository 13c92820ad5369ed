//! Pushes and configurations.

use std::sync::Arc;

use pgasync_core::{Document, FinalStatus, RetryPolicy, Span, Task, TaskId, TaskOptions};
use serde_json::{Value, json};

use super::{Model, ModelTask, POOLS, TARGETS};

impl Model {
    pub(super) fn push(&mut self) {
        let live: Vec<String> =
            self.configuration.targets.iter().filter(|(_, t)| !t.retired).map(|(name, _)| name.clone()).collect();
        let run_type = *self.seed.pick(&["EXECUTE", "EXECUTE", "EXECUTE", "EXECUTE_NOASYNC", "EMPTY", "DOA"]);
        let mut pushed = Vec::new();
        let mut ids = Vec::new();
        for _ in 0..=self.seed.below(3) {
            let target = self.seed.pick(&live).clone();
            let settings = self.configuration.targets[&target].clone();
            let pool = self.pool();
            self.next_id += 1;
            let runs = ["EXECUTE", "EXECUTE_NOASYNC"].contains(&run_type);
            let options = TaskOptions {
                client_pulled: settings.asynchronous_finish && self.seed.chance(60),
                asynchronous_finish: settings.asynchronous_finish && !["EXECUTE_NOASYNC", "EMPTY"].contains(&run_type),
                track_yielded: settings.concurrency_track_yielded,
                manual_timeout: self.seed.chance(40).then(|| self.span()),
                retry: self.retry(&target).filter(|_| runs).map(Arc::new),
                ..TaskOptions::default()
            };
            // A pulled task with a policy is to reach its deadline as an offer, and to be retried.
            let expires = match (options.client_pulled, &options.retry) {
                (true, Some(_)) => 0,
                (true, None) => 40,
                (false, _) => 10,
            };
            let options = TaskOptions {
                run_at: (runs && self.seed.chance(10)).then(|| self.now + self.span()),
                expires_at: (runs && self.seed.chance(expires)).then(|| self.now + self.span().times(9)),
                ..options
            };
            let track_yielded = self.seed.chance(50).then(|| self.seed.chance(50));
            let options = TaskOptions { track_yielded: track_yielded.unwrap_or(options.track_yielded), ..options };
            let priority = i32::try_from(self.seed.below(5)).expect("small") - 2;
            pushed.push(json!({
                "target": target, "priority": priority, "concurrency_pool": pool, "track_yielded": track_yielded,
                "query": (!options.client_pulled).then_some("select 1"),
                "manual_timeout": options.manual_timeout.map(interval),
                "run_at": options.run_at, "expires_at": options.expires_at,
            }));
            let task = match run_type {
                "EMPTY" => Task::born_finished(options, FinalStatus::Finished, self.now),
                "DOA" => Task::born_finished(options, FinalStatus::Doa, self.now),
                _ => Task::pushed(options),
            };
            ids.push(self.next_id);
            let pool = pool.unwrap_or_else(|| target.clone());
            let model_task = ModelTask { task, target, pool, priority, entered: self.now, timeout: None };
            self.tasks.insert(self.next_id, model_task);
        }
        self.emit(json!({"do": "push", "tasks": pushed, "run_type": run_type}), json!(ids));
    }

    /// The policy of the next task, at this target.
    fn retry(&self, target: &str) -> Option<RetryPolicy> {
        let of_target = self.configuration.targets[target].default_retry.as_ref();
        let name = of_target.or(self.configuration.control.default_retry.as_ref())?;
        Some(self.configuration.retry_policies.get(name)?.of_task(TaskId(self.next_id), false))
    }

    /// A pool that accepts new tasks, or none.
    pub(super) fn pool(&mut self) -> Option<String> {
        let pool = *self.seed.pick(&POOLS);
        let retired = self.configuration.pools.get(pool).is_some_and(|pool| pool.retired)
            && self.configuration.targets.get(pool).is_none_or(|target| target.retired);
        (!retired && self.seed.chance(40)).then(|| pool.to_owned())
    }

    pub(super) fn span(&mut self) -> Span {
        Span::micros(1 + i64::try_from(self.seed.below(6_000_000)).expect("a few seconds"))
    }

    pub(super) fn configure(&mut self) {
        let mut document = json!({});
        if self.seed.chance(50) || self.configuration.retry_policies.is_empty() {
            document["retry_policies"] = json!([self.policy("bold", true), self.policy("careful", false)]);
        }
        if self.seed.chance(50) {
            let (workers, pool) = (10 + self.seed.below(15), 3 + self.seed.below(4));
            let timeout = interval(self.span());
            document["control"] =
                json!({"workers": workers, "default_timeout": timeout, "default_concurrency_pool_workers": pool});
            document["control"]["default_retry"] = json!(self.seed.pick(&["none", "bold", "bold"]));
        }
        if self.seed.chance(60) || self.configuration.targets.len() == 1 {
            let targets: Vec<Value> = TARGETS
                .iter()
                .filter(|_| self.seed.chance(85))
                .copied()
                .collect::<Vec<_>>()
                .into_iter()
                .map(|name| self.target(name))
                .collect();
            document["targets"] = json!(targets);
        }
        if self.seed.chance(40) {
            let pools = ["p", "q"].map(|name| json!({"concurrency_pool": name, "max_workers": 1 + self.seed.below(4)}));
            let given = usize::try_from(self.seed.below(3)).expect("small");
            document["concurrency_pools"] = json!(pools[..given]);
        }
        let read = Document::from_json(&document).expect("a document that may be");
        self.configuration.apply(&read).expect("a document that may be");
        let configured = self.configured();
        self.emit(json!({"do": "configure", "document": document}), configured);
    }

    fn policy(&mut self, name: &str, may_run_twice: bool) -> Value {
        let sqlstates = if may_run_twice { json!(["any", "reported"]) } else { json!(["40"]) };
        json!({
            "retry_policy": name, "max_attempts": 2 + self.seed.below(20), "delay": interval(self.span()),
            "backoff": 1.5, "jitter": 0.2, "sqlstates": sqlstates, "timeouts": true, "unknown": true,
            "may_run_twice": may_run_twice,
        })
    }

    pub(super) fn target(&mut self, name: &str) -> Value {
        let mut target = json!({"target": name, "connection_string": ""});
        if self.seed.chance(60) {
            target["default_retry"] = json!(self.seed.pick(&["none", "bold", "bold", "careful"]));
        }
        if self.seed.chance(70) {
            target["max_workers"] = json!(3 + self.seed.below(8));
        }
        if self.seed.chance(80) {
            target["asynchronous_finish"] = json!(self.seed.chance(90));
        }
        if self.seed.chance(50) {
            target["concurrency_track_yielded"] = json!(self.seed.chance(50));
        }
        if self.seed.chance(50) {
            target["default_timeout"] = json!(interval(self.span()));
        }
        target
    }

    pub(super) fn configured(&self) -> Value {
        let control = &self.configuration.control;
        let targets = self.configuration.targets.iter().map(|(name, target)| {
            let timeout = target.default_timeout.map(Span::as_micros);
            let fields = json!([
                target.max_concurrency,
                target.asynchronous_finish,
                timeout,
                target.concurrency_track_yielded,
                target.retired
            ]);
            (name.clone(), fields)
        });
        let pools =
            self.configuration.pools.iter().map(|(name, pool)| (name.clone(), json!([pool.max_workers, pool.retired])));
        json!({
            "workers": control.workers,
            "default_timeout": control.default_timeout.as_micros(),
            "default_pool": control.default_concurrency_pool_workers,
            "targets": targets.collect::<serde_json::Map<_, _>>(),
            "pools": pools.collect::<serde_json::Map<_, _>>(),
        })
    }
}

fn interval(span: Span) -> String {
    format!("{} microseconds", span.as_micros())
}
