//! Can the comparisons fail? One small change at a time to what SQL decides or records; each must make one fail.
//!
//! The seed draws some functions and a change to each; `PGASYNC_MUTANTS=all` tries all changes to all functions.

use std::env;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use pgasync_tests::Database;

use super::every_write::{self, Writer};
use super::{answers, classification, every_transition, plan, sequences, small_rules};
use crate::seed::Seed;

/// Without `PGASYNC_MUTANTS=all`: how many functions of a hundred are tried, and with how many changes each.
const TRIED_PERCENT: u64 = 40;
const SAMPLE: usize = 1;
const QUEUES: usize = 150;
const STEPS: usize = 500;

/// What holds a function to the model.
#[derive(Clone, Copy, Debug)]
enum Comparison {
    Transitions,
    AllOrNone,
    Batch,
    OneRow,
    Answers,
    Sequences,
    Plan,
    SmallRules,
    Classification,
    Transactions,
}

/// Changes that change nothing which may be seen here.
const EQUIVALENT: [&str; 12] = [
    // The lock is asked for again, or where it is not needed: with the same outcome.
    "if not v_table_locked or pg_catalog.cardinality(v_left)",
    // Every row of the table is named here, so that no other is locked.
    "where t.task_id <> any (array(select e.task_id from unnest(left_over) e))",
    // restart_task does not look at what write_now returns.
    "if v_row.outcome is null then",
    // Only the order of the places matters.
    "place := place + 2;",
    // A row that runs is none of those that the statement is about.
    "if in_event not in ('OFFER', 'TAKE', 'UNREACHABLE') then",
    "if in_event not in ('CLAIM', 'OFFER', 'UNREACHABLE') then",
    // The statement for the others finds none.
    "if v_applied <= cardinality(in_ids) then",
    // Only where a trigger made something else of an end: that is tried on a running engine.
    "and (t.processed is not null or t.consumed is ",
    "or t.yielded is null and t.track_yielded is not true);",
    "and t.yielded is not null and t.track_yielded is not true);",
    // The scan says the same of what the short cut does not know.
    "and v_word = 'select' and strpos(lower(v_body), 'into') = 0 then",
    "when v_word in (",
];

/// What is written instead of what.
const SWAPS: [(&str, &str); 20] = [
    (" <= ", " < "),
    (" < ", " <= "),
    (" > ", " >= "),
    (" >= ", " > "),
    (" = ", " <> "),
    (" <> ", " = "),
    (" is null", " is not null"),
    (" is not null", " is null"),
    (" and ", " or "),
    (" or ", " and "),
    (" + 1", " + 2"),
    (" - 1", " - 2"),
    ("then 1 ", "then 0 "),
    ("then -1 ", "then 0 "),
    ("not (", "("),
    (" not in (", " in ("),
    (" is not true", " is true"),
    (" is distinct from ", " is not distinct from "),
    (" then true", " then false"),
    (" then false", " then true"),
];

/// One small change.
struct Mutant {
    /// The line as it became.
    change: String,
    definition: String,
}

/// All changes to one function: each occurrence of a swap, and each name left out of a list.
async fn mutants(database: &Database, function: &str) -> Vec<Mutant> {
    let sql = format!("select pg_get_functiondef('async.{function}'::regproc)");
    let definition = database.text(&sql).await.expect("it is there");
    let body = definition.find("AS $function$").expect("it has a body");
    let mut changes = Vec::new();
    for (old, new) in SWAPS {
        changes.extend(definition[body..].match_indices(old).map(|(at, _)| (body + at, old.len(), new)));
    }
    for (at, _) in definition[body..].match_indices('\'') {
        let rest = &definition[body + at + 1..];
        let name = rest.find("', ").unwrap_or(0);
        if name > 0 && rest[..name].chars().all(|letter| letter.is_ascii_alphabetic() || letter == '_') {
            changes.push((body + at, name + "'', ".len(), ""));
        }
    }
    let mutant = |(at, length, new): (usize, usize, &str)| {
        let changed = format!("{}{new}{}", &definition[..at], &definition[at + length..]);
        let start = changed[..at].rfind('\n').map_or(0, |line| line + 1);
        let end = changed[at + new.len()..].find('\n').map_or(changed.len(), |line| at + new.len() + line);
        Mutant { change: changed[start..end].trim().to_owned(), definition: changed }
    };
    changes.into_iter().map(mutant).filter(|mutant| !mutant.change.starts_with("--")).collect()
}

impl Mutant {
    async fn is_noticed(&self, database: &Database, comparisons: &[Comparison]) -> bool {
        for comparison in comparisons {
            let agrees = AssertUnwindSafe(comparison.agrees(database)).catch_unwind().await.unwrap_or(false);
            database
                .run("rollback; drop trigger if exists odd on async.task; drop trigger if exists odder on async.task")
                .await;
            if !agrees {
                return true;
            }
        }
        false
    }
}

impl Comparison {
    async fn agrees(self, database: &Database) -> bool {
        match self {
            Self::Transitions => !every_transition::is_noticed(database).await,
            Self::AllOrNone => !every_write::is_noticed(database, Writer::All).await,
            Self::Batch => !every_write::is_noticed(database, Writer::Batch).await,
            Self::OneRow => !every_write::is_noticed(database, Writer::Row).await,
            Self::Answers => answers::disagreements(database, Seed::fixed(1)).await.is_empty(),
            Self::Sequences => sequences::disagreement(database, Seed::fixed(1), STEPS).await.is_none(),
            Self::Plan => plan::disagreement(database, Seed::fixed(1), QUEUES).await.0.is_none(),
            Self::SmallRules => small_rules::disagreements(database).await.is_empty(),
            Self::Classification => classification::disagreements_of_all(database).await.is_empty(),
            Self::Transactions => classification::disagreements_about_transactions(database).await.is_empty(),
        }
    }
}

/// Every change to one function, of those that are tried, that Postgres takes and no comparison notices.
async fn unnoticed(function: &'static str, comparisons: &[Comparison]) -> Vec<String> {
    let all = env::var("PGASYNC_MUTANTS").is_ok_and(|which| which == "all");
    let mut seed = Seed::fixed(1);
    // One seed for all draws another number for each function.
    for letter in function.bytes() {
        seed.below(u64::from(letter));
        if letter % 2 == 0 {
            seed.below(2);
        }
    }
    if !all && !seed.chance(TRIED_PERCENT) {
        println!("{function}: not drawn");
        return vec![];
    }
    let database = classification::room().await;
    let mut mutants = mutants(&database, function).await;
    // That no comparison notices a change takes longest to find out.
    mutants.retain(|mutant| !EQUIVALENT.iter().any(|same| mutant.change.starts_with(same)));
    let mut wanted = mutants.len();
    if all {
        for comparison in comparisons {
            assert!(comparison.agrees(&database).await, "{comparison:?} disagrees without any change");
        }
    } else {
        // That they agree without any change other tests say.
        shuffle(&mut mutants, &mut seed);
        wanted = SAMPLE;
    }
    // A change may make a loop endless.
    database.run("set statement_timeout = '3s'").await;
    // A comparison that fails outright does so by a panic; that is no news here.
    std::panic::set_hook(Box::new(|_| ()));
    let (mut tried, mut unnoticed) = (0, Vec::new());
    for mutant in mutants {
        if tried == wanted {
            break;
        }
        if database.session().batch_execute(&mutant.definition).await.is_err() {
            continue;
        }
        tried += 1;
        if !mutant.is_noticed(&database, comparisons).await {
            unnoticed.push(mutant.change);
        }
    }
    let _ = std::panic::take_hook();
    println!("{function}: {tried} changes, {} unnoticed", unnoticed.len());
    assert!(tried > 0, "{function} was never changed");
    unnoticed
}

pub(super) fn shuffle<T>(items: &mut [T], seed: &mut Seed) {
    for at in (1..items.len()).rev() {
        let other = usize::try_from(seed.below(at as u64 + 1)).expect("a place in a list");
        items.swap(at, other);
    }
}

macro_rules! each_change_is_noticed {
    ($($function:ident by $($comparison:ident),+;)+) => {$(
        #[tokio::test]
        async fn $function() {
            let unnoticed = unnoticed(stringify!($function), &[$(Comparison::$comparison),+]).await;
            assert!(unnoticed.is_empty(), "no comparison notices\n{}", unnoticed.join("\n"));
        }
    )+};
}

// What decides and what records, each with what holds it to the core.
each_change_is_noticed! {
    step_task by Transitions;
    pool_limit by Plan;
    due_tasks by Sequences;
    deferred_tasks by Sequences;
    intention_replaces by SmallRules;
    request_message by SmallRules;
    waits_for_launch by Plan;
    waits_for_offer by Plan;
    discover_lanes by Plan;
    plan_claims by Plan;
    statement_is_wrappable by Classification;
    statement_returns_rows by Classification;
    scan_statements by Classification;
    classify_query by Classification;
    opens_transaction by Transactions;
    backoff by SmallRules;
    ends_session by SmallRules;
    release_pools by Sequences;
    check_constraints by Answers;
    next_row by OneRow, Answers, Sequences;
    after_row by Answers, Sequences;
    write_at_once by AllOrNone, Answers;
    write_events_at_once by Batch, Answers, Sequences;
    write_batch by Answers;
    write_row by OneRow, Answers, Sequences;
    write_all by Answers;
    write_now by Sequences;
}
