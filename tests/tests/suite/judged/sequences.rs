//! Long lives of many tasks, led through the model and through SQL side by side.
//!
//! The model works out a batch of acts and what each must do, and SQL plays it; each sequence is one transaction, which
//! is rolled back in the end. After each act every contract column of every task is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use pgasync_core::{
    Configuration, Document, Event, EventName, FinalStatus, FinishStatus, Intention, Outcome, Phase, PhaseName,
    PoolName, Request, RowEvent, Run, Span, TargetName, Task, TaskOptions, Timestamp, Transition, transitions,
};
use pgasync_tests::Database;
use serde_json::{Value, json};

use super::every_transition::needs_the_launch_state;
use super::mutants::shuffle;
use super::{ask, bench};
use crate::seed::Seed;

const STEPS: usize = 2_000;
const STEPS_PER_SEQUENCE: usize = 500;
const STEPS_PER_BATCH: usize = 50;
const TASKS_MAX: usize = 80;
const HITS_MIN: usize = 20;
const TARGETS: [&str; 4] = ["a", "b", "c", "d"];
const POOLS: [&str; 4] = ["p", "q", "a", "nobody configured it"];

/// A task, and where it waits.
#[derive(Clone, Debug)]
struct Life {
    task: Task,
    target: String,
    pool: String,
    priority: i32,
    entered: Timestamp,
    /// The timeout that its claim or its offer was given.
    timeout: Option<Span>,
}

impl Life {
    /// Every column of the contract that clients may read, and the timeout of the offer, if there is one.
    fn row(&self) -> Value {
        let mut row = serde_json::to_value(self.task.row()).expect("a row is plain data");
        let TaskOptions { asynchronous_finish, track_yielded, manual_timeout, .. } = self.task.options;
        row["target"] = json!(self.target);
        row["concurrency_pool"] = json!(self.pool);
        row["priority"] = json!(self.priority);
        row["asynchronous_finish"] = json!(asynchronous_finish);
        row["track_yielded"] = json!(track_yielded);
        row["manual_timeout"] = json!(manual_timeout);
        let offered = matches!(self.task.phase, Phase::Offered { .. });
        row["offer"] = json!(offered.then_some([self.timeout]));
        row
    }
}

/// One act, and what must come of it.
struct Act {
    act: Value,
    said: Value,
    rows: BTreeMap<i64, Value>,
}

struct Model {
    seed: Seed,
    now: Timestamp,
    next_id: i64,
    tasks: BTreeMap<i64, Life>,
    configuration: Configuration,
    hits: BTreeMap<Transition, usize>,
    refusals: usize,
    /// Users' triggers look on.
    watched: bool,
    batch: Vec<Act>,
}

impl Model {
    fn new(seed: Seed) -> Self {
        Self {
            seed,
            now: Timestamp::from_micros(1_000_000_000_000),
            next_id: 0,
            tasks: BTreeMap::new(),
            configuration: Configuration::default(),
            hits: transitions().into_iter().map(|transition| (transition, 0)).collect(),
            refusals: 0,
            watched: false,
            batch: Vec::new(),
        }
    }

    /// Empties the table, and keeps what was counted.
    fn begin(&mut self) {
        self.next_id = 0;
        self.tasks.clear();
        self.batch.clear();
        self.configuration = Configuration::default();
    }

    fn step(&mut self) {
        if self.let_time_pass() {
            self.due();
            self.promote();
            return;
        }
        match self.seed.below(100) {
            0..10 if self.tasks.len() < TASKS_MAX => self.push(),
            10..12 => self.configure(),
            12..30 => self.choose_and_claim(),
            30..33 => self.due(),
            33..37 => self.promote(),
            37..39 => self.forget(),
            _ => self.happenings(),
        }
    }

    /// Never twice the same instant, mostly moments apart, sometimes beyond a deadline, sometimes right onto one, or onto
    /// a deferral's end: then it is true.
    fn let_time_pass(&mut self) -> bool {
        let micros = 1 + if self.seed.chance(5) { self.seed.below(3_000_000) } else { self.seed.below(2_000) };
        self.now = self.now + Span::micros(i64::try_from(micros).expect("a few seconds"));
        if !self.seed.chance(6) {
            return false;
        }
        let awaited = self.tasks.values().filter_map(|life| match &life.task.phase {
            Phase::Finished { .. } => None,
            Phase::Ready { eligible_when: Some(at), .. } => Some(*at),
            phase => phase.times_up(),
        });
        let next = awaited.filter(|at| *at > self.now && *at < Timestamp::NEVER).min();
        self.now = next.unwrap_or(self.now);
        next.is_some()
    }

    fn say(&mut self, mut act: Value, said: Value) {
        act["now"] = json!(self.now.as_micros());
        let rows = self.tasks.iter().map(|(id, life)| (*id, life.row())).collect();
        self.batch.push(Act { act, said, rows });
    }

    fn timeout(&self, target: &str) -> Option<Span> {
        self.configuration.settings().timeout(&TargetName::new(target).expect("one of ours"))
    }

    fn push(&mut self) {
        let live: Vec<String> =
            self.configuration.targets.iter().filter(|(_, t)| !t.retired).map(|(name, _)| name.clone()).collect();
        let run_type = *self.seed.pick(&["EXECUTE", "EXECUTE", "EXECUTE", "EXECUTE_NOASYNC", "EMPTY", "DOA"]);
        let mut pushed = Vec::new();
        let mut ids = Vec::new();
        for _ in 0..=self.seed.below(3) {
            let target = self.seed.pick(&live).clone();
            let settings = self.configuration.targets[&target].clone();
            let pool = self.pool();
            let options = TaskOptions {
                client_pulled: settings.asynchronous_finish && self.seed.chance(60),
                asynchronous_finish: settings.asynchronous_finish && !["EXECUTE_NOASYNC", "EMPTY"].contains(&run_type),
                track_yielded: settings.concurrency_track_yielded,
                manual_timeout: self.seed.chance(40).then(|| self.span()),
            };
            let track_yielded = self.seed.chance(50).then(|| self.seed.chance(50));
            let options = TaskOptions { track_yielded: track_yielded.unwrap_or(options.track_yielded), ..options };
            let priority = i32::try_from(self.seed.below(5)).expect("small") - 2;
            pushed.push(json!({
                "target": target, "priority": priority, "concurrency_pool": pool, "track_yielded": track_yielded,
                "query": (!options.client_pulled).then_some("select 1"),
                "manual_timeout": options.manual_timeout.map(interval),
            }));
            let task = match run_type {
                "EMPTY" => Task::born_finished(options, FinalStatus::Finished, self.now),
                "DOA" => Task::born_finished(options, FinalStatus::Doa, self.now),
                _ => Task::pushed(options),
            };
            self.next_id += 1;
            ids.push(self.next_id);
            let pool = pool.unwrap_or_else(|| target.clone());
            let life = Life { task, target, pool, priority, entered: self.now, timeout: None };
            self.tasks.insert(self.next_id, life);
        }
        self.say(json!({"do": "push", "tasks": pushed, "run_type": run_type}), json!(ids));
    }

    /// One that takes new tasks, or none.
    fn pool(&mut self) -> Option<String> {
        let pool = *self.seed.pick(&POOLS);
        let retired = self.configuration.pools.get(pool).is_some_and(|pool| pool.retired)
            && self.configuration.targets.get(pool).is_none_or(|target| target.retired);
        (!retired && self.seed.chance(40)).then(|| pool.to_owned())
    }

    fn span(&mut self) -> Span {
        Span::micros(1 + i64::try_from(self.seed.below(6_000_000)).expect("a few seconds"))
    }

    fn configure(&mut self) {
        let mut document = json!({});
        if self.seed.chance(50) {
            let (workers, pool) = (10 + self.seed.below(15), 3 + self.seed.below(4));
            let timeout = interval(self.span());
            document["control"] =
                json!({"workers": workers, "default_timeout": timeout, "default_concurrency_pool_workers": pool});
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
        self.say(json!({"do": "configure", "document": document}), configured);
    }

    fn target(&mut self, name: &str) -> Value {
        let mut target = json!({"target": name, "connection_string": ""});
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

    fn configured(&self) -> Value {
        let control = &self.configuration.control;
        let targets = self.configuration.targets.iter().map(|(name, target)| {
            let timeout = target.default_timeout.map(Span::as_micros);
            let said = json!([
                target.max_concurrency,
                target.asynchronous_finish,
                timeout,
                target.concurrency_track_yielded,
                target.retired
            ]);
            (name.clone(), said)
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

    /// By sorting everything.
    fn choose_and_claim(&mut self) {
        let settings = self.configuration.settings();
        let busy = self.tasks.values().filter(|life| life.task.holds_worker()).count();
        let limit = usize::try_from(settings.workers).expect("small");
        let free_workers = limit.saturating_sub(busy);
        let mut workers = free_workers;
        let mut taken: BTreeMap<&str, u32> = BTreeMap::new();
        for life in self.tasks.values().filter(|life| life.task.holds_slot()) {
            *taken.entry(&life.pool).or_default() += 1;
        }
        let mut waiting: Vec<(i32, Timestamp, i64)> = self
            .tasks
            .iter()
            .filter(|(_, life)| match life.task.phase {
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
            .map(|(id, life)| (life.priority, life.entered, *id))
            .collect();
        waiting.sort_unstable();
        let mut chosen = Vec::new();
        for (_, _, id) in waiting {
            let life = &self.tasks[&id];
            let pool = PoolName::new(&life.pool).expect("one of ours");
            let slots = taken.entry(&life.pool).or_default();
            let runs = !life.task.options.client_pulled;
            if *slots < settings.limit(&pool) && (!runs || workers > 0) {
                *slots += 1;
                workers -= usize::from(runs);
                chosen.push(id);
            }
        }
        self.say(json!({"do": "choose", "workers": free_workers}), json!(chosen));
        let claims = chosen
            .into_iter()
            .map(|id| {
                let life = &self.tasks[&id];
                let default_timeout = self.timeout(&life.target);
                let pulled = life.task.options.client_pulled;
                (id, if pulled { Event::Offer { default_timeout } } else { Event::Claim { default_timeout } })
            })
            .collect();
        self.events(claims);
    }

    /// The tasks whose `time` has passed, the earliest first, and a few that are left out.
    fn passed(&mut self, time: impl Fn(&Phase) -> Option<Timestamp>) -> (Vec<i64>, Vec<i64>) {
        let passed = |life: &Life| time(&life.task.phase).filter(|at| *at <= self.now);
        let mut all: Vec<(Timestamp, i64)> =
            self.tasks.iter().filter_map(|(id, life)| Some((passed(life)?, *id))).collect();
        all.sort_unstable();
        let ids = all.into_iter().map(|(_, id)| id);
        ids.partition(|_| self.seed.chance(10))
    }

    fn due(&mut self) {
        let (skip, ids) = self.passed(|phase| match phase {
            Phase::Finished { .. } => None,
            Phase::Ready { .. }
            | Phase::Offered { .. }
            | Phase::Claimed { .. }
            | Phase::Launched { .. }
            | Phase::Pulled { .. }
            | Phase::Yielded { .. } => phase.times_up(),
        });
        self.say(json!({"do": "due", "skip": skip}), json!(ids));
        if self.seed.chance(30) {
            self.events(ids.into_iter().map(|id| (id, Event::Deadline)).collect());
        }
    }

    fn promote(&mut self) {
        let (skip, ids) = self.passed(|phase| match phase {
            Phase::Ready { eligible_when, .. } => *eligible_when,
            Phase::Offered { .. }
            | Phase::Claimed { .. }
            | Phase::Launched { .. }
            | Phase::Pulled { .. }
            | Phase::Yielded { .. }
            | Phase::Finished { .. } => None,
        });
        self.say(json!({"do": "deferred", "skip": skip}), json!(ids));
        self.events(ids.into_iter().map(|id| (id, Event::Promote)).collect());
    }

    /// Retention, so that there is room for new ones.
    fn forget(&mut self) {
        let finished: Vec<i64> = self
            .tasks
            .iter()
            .filter(|(_, life)| life.task.phase.name() == PhaseName::Finished && !life.task.holds_slot())
            .map(|(id, _)| *id)
            .collect();
        let ids: Vec<i64> = finished.into_iter().filter(|_| self.seed.chance(40)).collect();
        for id in &ids {
            self.tasks.remove(id);
        }
        self.say(json!({"do": "forget", "ids": ids}), Value::Null);
    }

    /// Something happens to one task or a few at once: mostly what happened least so far.
    fn happenings(&mut self) {
        let mut ids: Vec<i64> = self.tasks.keys().copied().collect();
        let mut events = Vec::new();
        for _ in 0..=self.seed.below(16) {
            if ids.is_empty() {
                break;
            }
            let at = self.seed.below(ids.len() as u64);
            let id = ids.swap_remove(usize::try_from(at).expect("a place in a list"));
            if let Some(event) = self.happening(id) {
                events.push((id, event));
            }
        }
        self.events(events);
    }

    fn happening(&mut self, id: i64) -> Option<Event> {
        let life = self.tasks[&id].clone();
        if self.seed.chance(3) {
            let run = Run(life.task.run.0 - 1);
            return Some(Event::QueryEnded { run, outcome: Outcome::Ok });
        }
        // What was pulled once and waits again is rare, and its deadline as an offer rarer.
        match life.task.phase {
            Phase::Ready { times_up: Some(_), .. } if life.task.options.client_pulled && self.seed.chance(80) => {
                return None;
            }
            Phase::Offered { times_up: Some(at) } => self.now = self.now.max(at),
            _ => {}
        }
        let events = self.imaginable(&life);
        if self.seed.chance(8) {
            let refused: Vec<Event> =
                events.into_iter().filter(|event| life.task.step(event, self.now).is_err()).collect();
            return (!refused.is_empty()).then(|| self.seed.pick(&refused).clone());
        }
        let mut rarest: Option<(usize, Event)> = None;
        for event in events {
            let Some(transition) = transition(&life.task, &event, self.now) else { continue };
            let hits = self.hits.get(&transition).copied().unwrap_or(0) / ways_on(&transition);
            if rarest.as_ref().is_none_or(|(least, _)| hits < *least || hits == *least && self.seed.chance(40)) {
                rarest = Some((hits, event));
            }
        }
        // What happened often enough leaves its task to others' acts: a claim, an offer.
        let (hits, event) = rarest?;
        (hits < HITS_MIN + HITS_MIN / 8 || event == Event::Restart || self.seed.chance(3)).then_some(event)
    }

    fn imaginable(&mut self, life: &Life) -> Vec<Event> {
        let default_timeout = self.timeout(&life.target);
        let text = self.seed.chance(50).then(|| "a client asked".to_owned());
        let run = life.task.run;
        let mut events = vec![
            Event::Claim { default_timeout },
            Event::Promote,
            Event::GiveBack { default_timeout: life.timeout },
            Event::GiveBack { default_timeout },
            Event::Launch,
            Event::Offer { default_timeout },
            Event::Withdraw,
            Event::Take { default_timeout },
            Event::Deadline,
            Event::Abandon { known: "its session cannot be reached".to_owned() },
            Event::Release,
            Event::Restart,
            Event::QueryEnded { run, outcome: Outcome::Ok },
            Event::QueryEnded { run, outcome: Outcome::Error("it broke".to_owned()) },
            Event::QueryEnded { run, outcome: Outcome::Unknown("its session is gone".to_owned()) },
        ];
        for status in FinishStatus::ALL.into_iter().chain([FinishStatus::Paused, FinishStatus::Deferred]) {
            let duration = (status == FinishStatus::Deferred || self.seed.chance(50)).then(|| self.span());
            let duration = duration.filter(|_| self.seed.chance(90)).map(|it| Span::micros(1 + it.as_micros() / 20));
            events.push(Event::Request(Request { status, error: text.clone(), duration }));
        }
        shuffle(&mut events, &mut self.seed);
        events
    }

    /// Lets events happen to tasks, each to another one, and says so to SQL in as few acts as there may be.
    fn events(&mut self, events: Vec<(i64, Event)>) {
        let mut steps = Vec::new();
        let mut outcomes = BTreeMap::new();
        let mut intended = Vec::new();
        let mut released: BTreeMap<String, u32> = BTreeMap::new();
        let before: Vec<(i64, Task)> = events.iter().map(|(id, _)| (*id, self.tasks[id].task.clone())).collect();
        for ((id, event), (_, task)) in events.into_iter().zip(before) {
            let next = task.step(&event, self.now);
            if next.is_err() && needs_the_launch_state(&task, &event) {
                continue;
            }
            match RowEvent::of(&event, task.launch_state().as_ref()) {
                Some(row_event) => {
                    let mut step = json!(row_event);
                    step["id"] = json!(id);
                    // The writer also takes events that name no run.
                    step["run"] = match &event {
                        Event::QueryEnded { run, .. } => json!(run),
                        _ => json!(self.seed.chance(70).then_some(task.run)),
                    };
                    steps.push(step);
                    outcomes.insert(id, if next.is_ok() { "applied" } else { "rejected" });
                }
                None => intended.extend(self.intention(&task, &event, next.is_ok())),
            }
            self.count(&task, &event);
            let life = self.tasks.get_mut(&id).expect("it is there");
            if let (Ok(_), Event::Claim { default_timeout } | Event::Offer { default_timeout }) = (&next, &event) {
                life.timeout = *default_timeout;
            }
            if let Ok(next) = next {
                if life.task.holds_slot() && !next.holds_slot() {
                    *released.entry(life.pool.clone()).or_insert(0) += 1;
                }
                life.task = next;
            }
        }
        // And to one that is gone.
        if self.seed.chance(5) {
            let gone = self.next_id + 1_000;
            steps.push(json!({"id": gone, "name": "RESTART"}));
            outcomes.insert(gone, "gone");
        }
        if steps.is_empty() {
            self.say(json!({"do": "nothing"}), Value::Null);
        } else {
            let mut act = json!({"do": "events", "events": steps});
            let all_or_none = !self.watched && self.seed.chance(40);
            if all_or_none {
                act["all_or_none"] = json!(true);
            }
            let said = if all_or_none && outcomes.values().all(|outcome| *outcome == "applied") {
                json!("all")
            } else {
                let outcomes: Vec<Value> = outcomes.iter().map(|(id, outcome)| json!([id, outcome])).collect();
                json!({"outcomes": outcomes, "released": released})
            };
            self.say(act, said);
        }
        // They change no row, so that they may come last.
        for (act, said) in intended {
            self.say(act, said);
        }
    }

    /// Whether SQL says the same of a request that reaches a query that runs. The deadline's own, and that a deferral
    /// needs a duration, each side sees elsewhere.
    fn intention(&self, task: &Task, event: &Event, accepted: bool) -> Option<(Value, Value)> {
        let Event::Request(request) = event else { return None };
        if request.status == FinishStatus::Deferred && request.duration.is_none() {
            return None;
        }
        let Phase::Launched { intention, .. } = &task.phase else { return None };
        let old = intention.as_ref().map(Intention::parts);
        let (status, message) = old.map(|(status, message, _)| (status, message)).unzip();
        let act = json!({"do": "intend", "old": status, "old_error": message.flatten(), "new": request.status});
        Some((act, json!(accepted)))
    }

    fn count(&mut self, task: &Task, event: &Event) {
        match transition(task, event, self.now) {
            Some(transition) => *self.hits.entry(transition).or_default() += 1,
            None => self.refusals += 1,
        }
    }

    fn rare(&self) -> Vec<&Transition> {
        self.hits.iter().filter(|(_, hits)| **hits < HITS_MIN).map(|(transition, _)| transition).collect()
    }

    fn coverage(&self) -> String {
        let mut told = format!("{} refusals\n", self.refusals);
        for (Transition { from, event, to }, hits) in &self.hits {
            let _ = writeln!(told, "{hits:>6}  {from:?} --{event:?}--> {to:?}");
        }
        told
    }
}

fn interval(span: Span) -> String {
    format!("{} microseconds", span.as_micros())
}

fn transition(task: &Task, event: &Event, now: Timestamp) -> Option<Transition> {
    let next = task.step(event, now).ok()?;
    Some(Transition { from: task.phase.name(), event: event.name(), to: next.phase.name() })
}

/// How much more of it is wanted than of another: what leads to phases that are left in many ways.
fn ways_on(transition: &Transition) -> usize {
    match (transition.from, transition.event, transition.to) {
        (_, EventName::Launch, _) => 7,
        (_, EventName::Take, _) => 5,
        (_, EventName::Request, PhaseName::Launched) => 4,
        (PhaseName::Pulled, EventName::Request, PhaseName::Ready) => 3,
        (PhaseName::Yielded, EventName::Request, PhaseName::Ready) => 2,
        _ => 1,
    }
}

/// What SQL has said so far of the rows.
#[derive(Default)]
struct Mirror(BTreeMap<i64, Value>);

impl Mirror {
    /// Takes in what an act did, and says where that is not what it must do.
    fn disagreement(&mut self, act: &Act, played: &Value) -> Option<String> {
        for id in played["gone"].as_array().into_iter().flatten() {
            self.0.remove(&id.as_i64().expect("an id"));
        }
        for (id, row) in played["changed"].as_object().into_iter().flatten() {
            self.0.insert(id.parse().expect("an id"), row.clone());
        }
        if played["said"] != act.said {
            return Some(format!("{}\n  core says {}\n  sql says  {}", act.act, act.said, played["said"]));
        }
        let rows = &act.rows;
        if *rows == self.0 {
            return None;
        }
        let ids: BTreeSet<i64> = rows.keys().chain(self.0.keys()).copied().collect();
        let differ = ids.into_iter().filter(|id| rows.get(id) != self.0.get(id));
        let lines = differ.map(|id| format!("\n  task {id}\n  core {:?}\n  sql  {:?}", rows.get(&id), self.0.get(&id)));
        Some(format!("{}{}", act.act, lines.collect::<String>()))
    }
}

/// Plays so many steps from a seed; the first disagreement.
pub(super) async fn disagreement(database: &Database, seed: Seed, steps: usize) -> Option<String> {
    play(database, &mut Model::new(seed), steps).await
}

async fn play(database: &Database, model: &mut Model, steps: usize) -> Option<String> {
    for _ in 0..steps.div_ceil(STEPS_PER_SEQUENCE) {
        // Nothing is left of the sequence before but versions of rows, which would be walked through again and again.
        database.run("vacuum async.task").await;
        database.run("vacuum judged.seen").await;
        database.run("begin; alter sequence async.task_task_id_seq restart with 1").await;
        let pools: BTreeSet<&str> = TARGETS.into_iter().chain(POOLS).chain(["async.self"]).collect();
        let pools = pools.into_iter().map(|pool| format!("('{pool}', 1000)")).collect::<Vec<_>>().join(", ");
        database.run("create temp table leader_pool (pool text primary key, taken int not null) on commit drop").await;
        database.run(&format!("insert into leader_pool values {pools}")).await;
        model.begin();
        let told = play_sequence(database, model).await;
        database.run("rollback").await;
        if told.is_some() {
            return told;
        }
    }
    None
}

async fn play_sequence(database: &Database, model: &mut Model) -> Option<String> {
    let mut mirror = Mirror::default();
    model.configure();
    for batch in 0..STEPS_PER_SEQUENCE / STEPS_PER_BATCH {
        // Where users' triggers look on, rows are written one by one.
        let watched = batch % 2 == 1;
        model.watched = watched;
        database
            .run(if watched {
                "create trigger look_on before update on async.task for each row execute procedure judged.look_on()"
            } else {
                "drop trigger if exists look_on on async.task"
            })
            .await;
        while model.batch.len() < STEPS_PER_BATCH {
            model.step();
        }
        let acts = std::mem::take(&mut model.batch);
        let said: Vec<Value> = acts.iter().map(|act| act.act.clone()).collect();
        let played = ask(database, "select judged.play($1)", &Value::Array(said)).await;
        for (act, played) in acts.iter().zip(played.as_array().expect("an answer an act")) {
            if let Some(told) = mirror.disagreement(act, played) {
                return Some(format!("triggers {watched}: {told}"));
            }
        }
    }
    None
}

#[tokio::test]
async fn after_every_step_every_column_is_the_models() {
    let database = bench().await;
    let mut model = Model::new(Seed::of_this_run());
    let mut steps = 0;
    // An unlucky run goes on until it has seen enough of everything.
    while steps < STEPS || steps < 4 * STEPS && !model.rare().is_empty() {
        let told = play(&database, &mut model, STEPS_PER_SEQUENCE).await;
        assert!(told.is_none(), "{}", told.unwrap_or_default());
        steps += STEPS_PER_SEQUENCE;
    }
    println!("{steps} steps\n{}", model.coverage());
    assert!(model.rare().is_empty(), "too rare: {:?}\n{}", model.rare(), model.coverage());
}
