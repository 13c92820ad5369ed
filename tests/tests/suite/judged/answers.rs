//! The answers of the writer: none for rows that the core predicts, and the outcome and content of
//! all other rows.
//!
//! Each scene has every kind of event: accepted events, rejected ones, events of another run, and
//! events for a row that is gone.

use std::collections::BTreeMap;

use pgasync_core::{Phase, Rejected, Row, RowState, Run, Timestamp};
use pgasync_tests::Database;
use serde_json::{Value, json};

use super::every_transition::{Case, NOW, cases};
use super::{ask, prepared_database};
use crate::seed::Seed;

const OF_EACH_EVENT: usize = 12;
/// 2100-01-01, which no rule of the core sets.
const REWRITTEN: Timestamp = Timestamp::from_micros(4_102_444_800_000_000);

/// The circumstances of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    Quiet,
    /// The table has user triggers, which change nothing.
    Triggers,
    /// A trigger changes every third row.
    Rewriting,
    /// A trigger raises on a third of the rows, and a deferred constraint trigger on another third.
    Raising,
    /// A client locks a third of the rows and a third of the offers, and refers to a third of the
    /// rows by a foreign key.
    Held,
    /// As `Held`, and the table has user triggers.
    HeldAndTriggers,
    /// A client holds a lock on the whole table.
    TableLocked,
    /// As `TableLocked`, and the table has user triggers.
    TableLockedAndTriggers,
}

/// An event for the writer, and the row that it meets.
struct SentEvent {
    id: i64,
    question: Value,
    before: Option<Row>,
    /// The row that the core predicts, or the message of the rejection.
    expected: Result<Row, Option<String>>,
    offered: bool,
    settles: bool,
}

/// The answer and the row that the core predicts.
struct Expected {
    answer: Option<(&'static str, Option<String>)>,
    row: Option<Row>,
}

impl Scene {
    const ALL: [Self; 8] = [
        Self::Quiet,
        Self::Triggers,
        Self::Rewriting,
        Self::Raising,
        Self::Held,
        Self::HeldAndTriggers,
        Self::TableLocked,
        Self::TableLockedAndTriggers,
    ];

    /// The triggers that the session of the writer creates first.
    const fn triggers(self) -> &'static str {
        match self {
            Self::Quiet | Self::Held | Self::TableLocked => "",
            Self::Triggers | Self::HeldAndTriggers | Self::TableLockedAndTriggers => {
                "create trigger judge_before before update on async.task for each row execute procedure judged.do_nothing()"
            }
            Self::Rewriting => {
                "create trigger judge_before before update on async.task for each row execute procedure judged.rewrite()"
            }
            Self::Raising => {
                "create trigger judge_before before update on async.task for each row execute procedure judged.refuse(1);
                 create constraint trigger judge_deferred after update on async.task deferrable initially deferred
                   for each row execute procedure judged.refuse(2)"
            }
        }
    }

    /// The locks that the other session holds during the write.
    const fn held(self) -> &'static str {
        match self {
            Self::Quiet | Self::Triggers | Self::Rewriting | Self::Raising => "",
            Self::Held | Self::HeldAndTriggers => {
                "select from async.task where task_id % 3 = 0 for no key update;
                 select from async.offer where task_id % 3 = 1 for update;
                 select from async.task where task_id % 3 = 2 for key share"
            }
            Self::TableLocked | Self::TableLockedAndTriggers => "lock table async.task in access exclusive mode",
        }
    }

    fn expected(self, sent: &SentEvent) -> Expected {
        let unchanged = |outcome, error| Expected { answer: Some((outcome, error)), row: sent.before.clone() };
        if self.holds(sent) {
            return unchanged("locked", None);
        }
        if sent.before.is_none() {
            return unchanged("gone", None);
        }
        let row = match &sent.expected {
            Err(words) => return unchanged("rejected", words.clone()),
            Ok(row) => row,
        };
        let refused = || unchanged("failed", Some(format!("task {} is refused", sent.id)));
        match (self, sent.id % 3) {
            (Self::Raising, 1 | 2) => refused(),
            (Self::Rewriting, 0) => {
                let row = Some(Row { times_up: Some(REWRITTEN), ..row.clone() });
                Expected { answer: Some(("rewritten", None)), row }
            }
            _ => Expected { answer: None, row: Some(row.clone()) },
        }
    }

    fn holds(self, sent: &SentEvent) -> bool {
        let ends_offer = matches!(sent.question["name"].as_str(), Some("WITHDRAW" | "REQUEST" | "DEADLINE" | "TAKE"));
        match self {
            Self::Quiet | Self::Triggers | Self::Rewriting | Self::Raising => false,
            Self::Held | Self::HeldAndTriggers => {
                sent.id % 3 == 0 && sent.before.is_some() || sent.id % 3 == 1 && sent.offered && ends_offer
            }
            Self::TableLocked | Self::TableLockedAndTriggers => true,
        }
    }
}

impl SentEvent {
    fn new(id: i64, case: &Case, seed: &mut Seed) -> Self {
        let row = case.task.row();
        let run = match seed.below(10) {
            0 => Some(row.run - 1),
            1..5 => None,
            _ => Some(row.run),
        };
        let mut question = case.question();
        question["id"] = json!(id);
        question["run"] = json!(run);
        // Claims and plain ends settle nothing.
        let settles = case.row_event.name != "CLAIM" && !case.row_event.is_plain_end() && seed.chance(50);
        if settles {
            question["requests"] = json!([id]);
        }
        let mut expected = case.expected.clone();
        if let Some(stale) = run.filter(|run| *run != row.run) {
            let rejected = Rejected::StaleRun { stale: Run(stale), current: Run(row.run) };
            expected = Err(Some(rejected.to_string()));
        }
        let offered = matches!(case.task.phase, Phase::Offered { .. });
        let mut sent = Self { id, question, before: Some(row), expected, offered, settles };
        if seed.chance(5) {
            sent.question["task"] = Value::Null;
            sent.before = None;
            sent.offered = false;
        }
        sent
    }

    /// Whether the row has an offer. Every offered row has one, and no other row has.
    fn offers(&self, row: Option<&Row>) -> bool {
        let is_query = self.question["task"]["query"].is_string();
        row.is_some_and(|row| row.state() == RowState::Ready && row.tracked == Some(true) && !is_query)
    }
}

/// Draws events of every kind, accepted and rejected.
fn draw_events(cases: &[Case], seed: &mut Seed) -> Vec<SentEvent> {
    let mut kinds: BTreeMap<(&str, bool), Vec<&Case>> = BTreeMap::new();
    for case in cases {
        // No task reaches this phase, and `write_row`, which reads the row back after triggers,
        // frees the pool slot.
        let odd = matches!(case.task.phase, Phase::Yielded { tracked: true, .. }) && !case.task.options.track_yielded;
        if !odd {
            kinds.entry((case.row_event.name, case.expected.is_ok())).or_default().push(case);
        }
    }
    let mut all = Vec::new();
    for of_a_kind in kinds.values() {
        for _ in 0..OF_EACH_EVENT {
            let id = i64::try_from(all.len() + 1).expect("a few hundred");
            all.push(SentEvent::new(id, seed.pick::<&Case>(of_a_kind), seed));
        }
    }
    all
}

/// The differences between the answers and rows of the writer and the predictions, in this scene.
async fn disagreements_in(database: &Database, scene: Scene, cases: &[Case], seed: &mut Seed) -> Vec<String> {
    let events = draw_events(cases, seed);
    let questions: Vec<&Value> = events.iter().map(|sent| &sent.question).collect();
    database.run("truncate async.task; truncate async.offer; truncate async.request").await;
    ask(database, "select 'null'::jsonb from judged.fill($1)", &json!(questions)).await;
    database.run(scene.triggers()).await;
    let other = database.connect().await;
    other.batch_execute(&format!("begin; {}", scene.held())).await.expect("nothing else is locked");
    // Leaders of both engines have this timeout.
    database.run("set lock_timeout = '100ms'").await;
    let sql = format!("select judged.lead_write($1, judged.at({}))", NOW.as_micros());
    let answers = ask(database, &sql, &json!(questions)).await;
    other.close().await;
    database.run("reset lock_timeout").await;
    database
        .run("drop trigger if exists judge_before on async.task; drop trigger if exists judge_deferred on async.task")
        .await;
    let standing = ask(database, "select judged.standing() from (select $1::jsonb) as none", &Value::Null).await;
    compare(scene, &events, &answers, &standing)
}

fn compare(scene: Scene, events: &[SentEvent], answers: &Value, standing: &Value) -> Vec<String> {
    let mut differ = Vec::new();
    let mut of_task: BTreeMap<i64, Vec<&Value>> = BTreeMap::new();
    let mut others = Vec::new();
    for answer in answers.as_array().expect("an array of answers") {
        match answer["task"].as_i64() {
            Some(id) => of_task.entry(id).or_default().push(answer),
            None => others.push(answer["outcome"].clone()),
        }
    }
    let notes = if scene.triggers().is_empty() { vec![] } else { vec![json!("triggers")] };
    if others != notes {
        differ.push(format!("{scene:?}: besides the tasks {others:?}, expected {notes:?}"));
    }
    let (mut offers, mut requests) = (Vec::new(), Vec::new());
    for sent in events {
        let expected = scene.expected(sent);
        let answered = of_task.remove(&sent.id).unwrap_or_default();
        if !agrees(scene, sent, &expected, &answered) {
            let expected = expected.answer.as_ref();
            differ.push(format!("{scene:?}: {}\n  answers  {answered:?}\n  expected {expected:?}", sent.question));
        }
        let row = &standing["rows"][sent.id.to_string()];
        if *row != json!(expected.row) {
            differ.push(format!("{scene:?}: {}\n  core {}\n  sql  {row}", sent.question, json!(expected.row)));
        }
        if sent.offers(expected.row.as_ref()) {
            offers.push(sent.id);
        }
        let unfinished = expected.row.as_ref().is_some_and(|row| row.processed.is_none());
        let stays = match expected.answer {
            Some(("locked" | "failed", _)) => true,
            Some(("rejected", _)) => unfinished,
            _ => false,
        };
        if sent.settles && stays {
            requests.push(sent.id);
        }
    }
    for (what, expected) in [("offers", offers), ("requests", requests)] {
        if standing[what] != json!(expected) {
            differ.push(format!("{scene:?}: {what} {}\n  expected {expected:?}", standing[what]));
        }
    }
    differ
}

fn agrees(scene: Scene, sent: &SentEvent, expected: &Expected, answered: &[&Value]) -> bool {
    let Some((outcome, error)) = &expected.answer else { return answered.is_empty() };
    let [answer] = answered else { return false };
    // A row of a locked table cannot be read.
    let unread = matches!(scene, Scene::TableLocked | Scene::TableLockedAndTriggers) && answer["row"].is_null();
    answer["outcome"] == json!(outcome)
        && (answer["error"] == json!(error) || *outcome == "rejected" && error.is_none() && answer["error"].is_string())
        && answer["run"] == sent.question["run"]
        && answer["event"] == sent.question["name"]
        && (unread || answer["row"] == json!(expected.row))
}

/// The differences between the answers and rows of the writer and the predictions, in all scenes.
pub(super) async fn disagreements(database: &Database, mut seed: Seed) -> Vec<String> {
    let (cases, _) = cases();
    let mut differ = Vec::new();
    for scene in Scene::ALL {
        differ.extend(disagreements_in(database, scene, &cases, &mut seed).await);
    }
    differ
}

#[tokio::test]
async fn the_writer_answers_exactly_for_the_rows_that_differ() {
    let differ = disagreements(&prepared_database().await, Seed::of_this_run()).await;
    let first: Vec<String> = differ.iter().take(12).cloned().collect();
    assert!(differ.is_empty(), "{} disagreements, first:\n{}", differ.len(), first.join("\n"));
}
