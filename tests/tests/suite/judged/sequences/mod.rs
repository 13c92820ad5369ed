//! Long sequences of actions on many tasks, run by the model and by SQL.
//!
//! The model computes a batch of actions with their results, and SQL runs the batch. Each sequence
//! is one transaction, which is rolled back. After each action the test compares every contract
//! column of every task.

mod configuring;
mod events;
mod mirror;
mod polling;

use std::collections::{BTreeMap, BTreeSet};

use pgasync_core::{Configuration, Phase, Span, TargetName, Task, TaskOptions, Timestamp, Transition, transitions};
use pgasync_tests::Database;
use serde_json::{Value, json};

use self::mirror::Mirror;
use super::{ask, prepared_database};
use crate::seed::Seed;

const STEPS: usize = 2_000;
const STEPS_PER_SEQUENCE: usize = 500;
const STEPS_PER_BATCH: usize = 50;
const TASKS_MAX: usize = 80;
const HITS_MIN: usize = 20;
const TARGETS: [&str; 4] = ["a", "b", "c", "d"];
const POOLS: [&str; 4] = ["p", "q", "a", "not configured"];

/// A task of the model, with its position in the queue.
#[derive(Clone, Debug)]
struct ModelTask {
    task: Task,
    target: String,
    pool: String,
    priority: i32,
    entered: Timestamp,
    /// The timeout of its claim or its offer.
    timeout: Option<Span>,
}

impl ModelTask {
    /// Every column of the contract that clients may read, and the timeout of the offer, if there
    /// is one.
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

/// An action, and the answer and rows that the model predicts.
struct Action {
    action: Value,
    answer: Value,
    rows: BTreeMap<i64, Value>,
}

struct Model {
    seed: Seed,
    now: Timestamp,
    next_id: i64,
    tasks: BTreeMap<i64, ModelTask>,
    configuration: Configuration,
    hits: BTreeMap<Transition, usize>,
    refusals: usize,
    /// Whether the table has a user trigger.
    has_triggers: bool,
    batch: Vec<Action>,
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
            has_triggers: false,
            batch: Vec::new(),
        }
    }

    /// Starts a sequence with an empty table. The counts stay.
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

    /// Advances the time, mostly by a short span, and sometimes beyond a deadline. No instant
    /// occurs twice. Sometimes the new time is exactly a deadline or the end of a deferral. Then
    /// returns true.
    fn let_time_pass(&mut self) -> bool {
        let micros = 1 + if self.seed.chance(5) { self.seed.below(3_000_000) } else { self.seed.below(2_000) };
        self.now = self.now + Span::micros(i64::try_from(micros).expect("a few seconds"));
        if !self.seed.chance(6) {
            return false;
        }
        let awaited = self.tasks.values().filter_map(|model_task| match &model_task.task.phase {
            Phase::Finished { .. } => None,
            Phase::Ready { eligible_when: Some(at), .. } => Some(*at),
            phase => phase.times_up(),
        });
        let next = awaited.filter(|at| *at > self.now && *at < Timestamp::NEVER).min();
        self.now = next.unwrap_or(self.now);
        next.is_some()
    }

    fn emit(&mut self, mut action: Value, answer: Value) {
        action["now"] = json!(self.now.as_micros());
        let rows = self.tasks.iter().map(|(id, model_task)| (*id, model_task.row())).collect();
        self.batch.push(Action { action, answer, rows });
    }

    fn timeout(&self, target: &str) -> Option<Span> {
        self.configuration.settings().timeout(&TargetName::new(target).expect("one of ours"))
    }
}

/// Runs `steps` steps of random sequences. Returns the first disagreement.
pub(super) async fn disagreement(database: &Database, seed: Seed, steps: usize) -> Option<String> {
    play(database, &mut Model::new(seed), steps).await
}

async fn play(database: &Database, model: &mut Model, steps: usize) -> Option<String> {
    for _ in 0..steps.div_ceil(STEPS_PER_SEQUENCE) {
        // The previous sequence left dead row versions, which every scan would read.
        database.run("vacuum async.task").await;
        database.run("vacuum judged.seen").await;
        database.run("begin; alter sequence async.task_task_id_seq restart with 1").await;
        let pools: BTreeSet<&str> = TARGETS.into_iter().chain(POOLS).chain(["async.self"]).collect();
        let pools = pools.into_iter().map(|pool| format!("('{pool}', 1000)")).collect::<Vec<_>>().join(", ");
        database.run("create temp table leader_pool (pool text primary key, taken int not null) on commit drop").await;
        database.run(&format!("insert into leader_pool values {pools}")).await;
        model.begin();
        let disagreement = play_sequence(database, model).await;
        database.run("rollback").await;
        if disagreement.is_some() {
            return disagreement;
        }
    }
    None
}

async fn play_sequence(database: &Database, model: &mut Model) -> Option<String> {
    let mut mirror = Mirror::default();
    model.configure();
    for batch in 0..STEPS_PER_SEQUENCE / STEPS_PER_BATCH {
        // With user triggers, the writer writes row by row.
        let has_triggers = batch % 2 == 1;
        model.has_triggers = has_triggers;
        database
            .run(if has_triggers {
                "create trigger judge_before before update on async.task for each row execute procedure judged.do_nothing()"
            } else {
                "drop trigger if exists judge_before on async.task"
            })
            .await;
        while model.batch.len() < STEPS_PER_BATCH {
            model.step();
        }
        let actions = std::mem::take(&mut model.batch);
        let questions: Vec<Value> = actions.iter().map(|action| action.action.clone()).collect();
        let played = ask(database, "select judged.play($1)", &Value::Array(questions)).await;
        for (action, played) in actions.iter().zip(played.as_array().expect("an answer an action")) {
            if let Some(disagreement) = mirror.disagreement(action, played) {
                return Some(format!("triggers {has_triggers}: {disagreement}"));
            }
        }
    }
    None
}

#[tokio::test]
async fn after_every_step_every_column_agrees_with_the_model() {
    let database = prepared_database().await;
    let mut model = Model::new(Seed::of_this_run());
    let mut steps = 0;
    // A run with rare transitions continues until each was seen often enough.
    while steps < STEPS || steps < 10 * STEPS && !model.rare().is_empty() {
        let disagreement = play(&database, &mut model, STEPS_PER_SEQUENCE).await;
        assert!(disagreement.is_none(), "{}", disagreement.unwrap_or_default());
        steps += STEPS_PER_SEQUENCE;
    }
    println!("{steps} steps\n{}", model.coverage());
    assert!(model.rare().is_empty(), "too rare: {:?}\n{}", model.rare(), model.coverage());
}
