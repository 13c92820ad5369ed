//! Every event in every phase, written: the writers change a row as the core predicts, and do not
//! change it when the core rejects the event, or when the event names another run.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use pgasync_core::{Phase, Row};
use pgasync_tests::Database;
use serde_json::{Value, json};

use super::every_transition::{Case, NOW, cases};
use super::{ask, prepared_database};
use crate::seed::Seed;

const GROUPS_PER_QUESTION: usize = 1_500;
/// One of this number of cases is written.
const PART: usize = 25;
const PAIRS: usize = 500;
const ACCEPTED_AT_ONCE: usize = 25;

/// The function that writes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Writer {
    /// `async.write_at_once`: all events of a group or none.
    All,
    /// `async.write_events_at_once`: each event that fits.
    Batch,
    /// `async.write_row`: one event.
    Row,
}

/// One event, and the rows after it if it is applied and if it is not.
struct Write {
    question: Value,
    accepted: bool,
    after: Row,
    before: Row,
}

impl Write {
    /// The write of a case with this run: the run of the task, none, or another one.
    fn new(case: &Case, run: Option<i32>) -> Self {
        let before = case.task.row();
        let stale = run.is_some_and(|run| run != before.run);
        let mut question = case.question();
        question["run"] = json!(run);
        let after = case.expected.clone().ok().filter(|_| !stale);
        Self { question, accepted: after.is_some(), after: after.unwrap_or_else(|| before.clone()), before }
    }
}

/// Groups of the cases that differ for SQL, with and without their run. A rejected case is a group
/// of its own. Accepted cases share groups of the size that a busy leader writes. Some cases that
/// would be accepted have another run.
fn distinct_groups(cases: &[Case], writer: Writer) -> Vec<Vec<Write>> {
    let mut seen = BTreeSet::new();
    let (mut groups, mut accepted) = (Vec::new(), Vec::new());
    for case in cases {
        // No task reaches this phase, and `write_row`, which reads the row back after triggers,
        // frees the pool slot.
        let odd = matches!(case.task.phase, Phase::Yielded { tracked: true, .. }) && !case.task.options.track_yielded;
        if odd && matches!(writer, Writer::Row) {
            continue;
        }
        let mut question = case.question();
        if case.expected.is_err() {
            // No rejection depends on these fields.
            for it in ["message", "known", "timeout"] {
                question[it] = Value::Null;
            }
            for it in ["manual_timeout", "track_yielded", "processing_error", "failed"] {
                question["task"][it] = Value::Null;
            }
            question["duration"] = json!(!question["duration"].is_null());
        }
        if !seen.insert(question.to_string()) {
            continue;
        }
        let at = seen.len();
        let run = case.task.row().run;
        let write = Write::new(case, (at % 2 == 0).then_some(run));
        if case.expected.is_err() {
            // Single writes take long, and batches cover `step_task` as well.
            if !matches!(writer, Writer::Row) || at % 5 == 0 {
                groups.push(vec![write]);
            }
            continue;
        }
        // Kinds with their own statement are also written alone.
        if case.row_event.name == "CLAIM" || case.row_event.is_plain_end() {
            groups.push(vec![Write::new(case, None)]);
        }
        accepted.push(write);
        if at % 7 == 0 {
            groups.push(vec![Write::new(case, Some(run - 1))]);
        }
    }
    let many = if matches!(writer, Writer::All) { ACCEPTED_AT_ONCE } else { 1 };
    let mut accepted = accepted.into_iter().peekable();
    while accepted.peek().is_some() {
        groups.push(accepted.by_ref().take(many).collect());
    }
    groups
}

/// Pairs of cases: both accepted, or an accepted and a rejected one in either order. All events are
/// equally frequent.
fn pairs(cases: &[Case], seed: &mut Seed) -> Vec<Vec<Write>> {
    let mut events: Vec<&str> = cases.iter().map(|case| case.row_event.name).collect();
    events.sort_unstable();
    events.dedup();
    let some = |accepted: bool, event: &str| -> Vec<&Case> {
        cases.iter().filter(|case| case.row_event.name == event && case.expected.is_ok() == accepted).collect()
    };
    let kinds: Vec<[Vec<&Case>; 2]> = events.iter().map(|event| [some(true, event), some(false, event)]).collect();
    let mut pairs = Vec::new();
    while pairs.len() < PAIRS {
        let both = seed.chance(40);
        let [accepted, _] = seed.pick(&kinds);
        let [also, refused] = seed.pick(&kinds);
        let other = if both { also } else { refused };
        if accepted.is_empty() || other.is_empty() {
            continue;
        }
        let mut pair =
            vec![Write::new(seed.pick::<&Case>(accepted), None), Write::new(seed.pick::<&Case>(other), None)];
        if seed.chance(50) {
            pair.reverse();
        }
        pairs.push(pair);
    }
    pairs
}

/// The differences between the rows after the write and the predictions of the core.
async fn disagreements(database: &Database, writer: Writer, groups: &[&Vec<Write>]) -> Vec<String> {
    let mut differences = Vec::new();
    for some in groups.chunks(GROUPS_PER_QUESTION) {
        let questions: Vec<Vec<&Value>> =
            some.iter().map(|group| group.iter().map(|w| &w.question).collect()).collect();
        let how = match writer {
            Writer::All => "all",
            Writer::Batch => "batch",
            Writer::Row => "row",
        };
        database.run("begin").await;
        let sql = format!("select judged.write('{how}', $1, judged.at({}))", NOW.as_micros());
        let answer = ask(database, &sql, &json!(questions)).await;
        database.run("rollback").await;
        for (at, group) in some.iter().copied().enumerate() {
            let accepted = group.iter().all(|write| write.accepted);
            let mut agree = answer["answer"][at] == json!(accepted);
            for write in group {
                let row = if accepted { &write.after } else { &write.before };
                let id = write.question["id"].to_string();
                agree &= answer["rows"][&id] == json!(row);
                let kept = accepted && !write.question["result"].is_null() && row.keeps_result();
                agree &= answer["results"][&id] == json!(kept.then_some(row.run));
            }
            if !agree {
                let rows = group.iter().map(|write| {
                    let row = &answer["rows"][write.question["id"].to_string()];
                    format!("\n  {}\n  core {}\n  sql  {row}", write.question, json!(write.after))
                });
                differences.push(format!(
                    "accepted {accepted}, sql {}{}",
                    answer["answer"][at],
                    rows.collect::<String>()
                ));
            }
        }
    }
    differences
}

/// The groups are computed once in a run, because every mutant is compared with them.
fn groups(writer: Writer) -> &'static Vec<Vec<Write>> {
    static GROUPS: [OnceLock<Vec<Vec<Write>>>; 3] = [const { OnceLock::new() }; 3];
    GROUPS[writer as usize].get_or_init(|| {
        let (all, _) = cases();
        // `every_transition` compares the decisions of `step_task` for all cases, so a part of the
        // cases is enough here.
        let mut seed = Seed::of_this_run();
        let first = usize::try_from(seed.below(PART as u64)).expect("small");
        let cases: Vec<Case> = all.into_iter().skip(first).step_by(PART).collect();
        let mut groups = distinct_groups(&cases, writer);
        if matches!(writer, Writer::All) {
            groups.extend(pairs(&cases, &mut seed));
        }
        for (id, write) in groups.iter_mut().flatten().enumerate() {
            write.question["id"] = json!(id + 1);
        }
        groups
    })
}

/// Whether the two sides differ. The cases are tried in parts, because a part usually shows a
/// difference.
pub(super) async fn is_noticed(database: &Database, writer: Writer) -> bool {
    const PARTS: usize = 40;
    let groups = groups(writer);
    for part in 0..PARTS {
        let some: Vec<&Vec<Write>> = groups.iter().skip(part).step_by(PARTS).collect();
        if !disagreements(database, writer, &some).await.is_empty() {
            return true;
        }
    }
    false
}

async fn writes_what_the_model_says(writer: Writer) {
    let database = prepared_database().await;
    let groups = groups(writer);
    let accepted = groups.iter().flatten().filter(|write| write.accepted).count();
    let differences = disagreements(&database, writer, &groups.iter().collect::<Vec<_>>()).await;
    let kept = groups
        .iter()
        .flatten()
        .filter(|write| write.accepted && !write.question["result"].is_null() && write.after.keeps_result());
    assert!(kept.count() > 10, "few results are written");
    eprintln!("{} groups, {accepted} events accepted, {} disagreements", groups.len(), differences.len());
    assert!(accepted > 400 && groups.len() > 400, "{accepted} accepted in {} groups", groups.len());
    assert!(
        differences.is_empty(),
        "{} disagreements, first:\n{}",
        differences.len(),
        differences.iter().take(12).cloned().collect::<Vec<_>>().join("\n")
    );
}

#[tokio::test]
async fn all_events_or_none_are_written_as_the_model_predicts() {
    writes_what_the_model_says(Writer::All).await;
}

#[tokio::test]
async fn the_accepted_events_of_a_batch_are_written_as_the_model_predicts() {
    writes_what_the_model_says(Writer::Batch).await;
}

#[tokio::test]
async fn a_row_is_written_as_the_model_predicts() {
    writes_what_the_model_says(Writer::Row).await;
}
