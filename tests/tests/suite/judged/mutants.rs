//! Mutation tests of the SQL side: each small change to a deciding or recording function must make
//! a comparison fail.
//!
//! By default the seed draws some functions and one change to each. `PGASYNC_MUTANTS=all` tries all
//! changes to all functions.

use std::env;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use pgasync_tests::Database;

use super::every_write::{self, Writer};
use super::{answers, classification, every_transition, plan, sequences, small_rules, stated_rules};
use crate::seed::Seed;

/// Without `PGASYNC_MUTANTS=all`: the percentage of functions that are tried.
const TRIED_PERCENT: u64 = 40;
/// Without `PGASYNC_MUTANTS=all`: the number of changes to each of these functions.
const SAMPLE: usize = 1;
const QUEUES: usize = 150;
const STEPS: usize = 500;

/// A comparison with the model.
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
    StatedRules,
    Classification,
    Transactions,
}

/// The beginnings of changed lines whose change has no effect that a comparison can observe.
const EQUIVALENT: [&str; 37] = [
    // The lock is requested again, or unnecessarily. The outcome is the same.
    "if not v_table_locked or cardinality(v_left)",
    // Without the lock of the table, the write of the one row fails with `lock_timeout`. The
    // outcome is the same.
    "if not v_table_locked and cardinality(v_left) > 1 then",
    // The bound keeps the power from overflowing. Each delay is far below it.
    "select least(in_first * power(2, least(greatest(in_failures, 1), 31)",
    // The events name every row of the table, so no other row is locked.
    "where t.task_id <> any (array(select e.task_id from unnest(left_over) e))",
    // `restart_task` ignores the result of `write_now`.
    "if v_row.outcome is null then",
    // Only the order of the places matters.
    "place := place + 2;",
    // The statement does not concern a running row.
    "settles := in_event.event not in ('OFFER', 'TAKE', 'UNREACHABLE', 'RELEASE');",
    "settles := in_event.event not in ('CLAIM', 'OFFER', 'UNREACHABLE', 'RELEASE');",
    // The offer is locked again when it is deleted, with the same outcome.
    "if in_event.event in ('REQUEST', 'DEADLINE', 'TAKE') then",
    "if in_event.event in ('WITHDRAW', 'DEADLINE', 'TAKE') then",
    "if in_event.event in ('WITHDRAW', 'REQUEST', 'TAKE') then",
    // The events that are left over are written one by one, with the same outcome.
    "if v_rows <= cardinality(in_claims) then",
    "if v_rows <= cardinality(in_ends) then",
    "left_over := async.write_events_at_once(array(select e from unnest(left_over) e where e.task_id <> any (v_held)))",
    "perform set_config('100ms', true);",
    "select o.task_id from async.offer o where o.task_id <> any (v_ending)",
    "and e.task_id = all (v_taken)",
    // An offered row has its offer already.
    "if in_event.event = 'OFFER' and in_outcome is null or v_offered then",
    // The event is rejected in any case, with another message.
    "when r.phase <> 'READY' or t.query is not null and t.tracked then 'the task does not wait'",
    "when r.phase <> 'READY' and t.query is null and t.tracked then 'the task does not wait'",
    // The line matters only for a row that another session locks. The conformance suite covers it.
    "where w.outcome = any (array['failed']);",
    // Digits that are left over are skipped one by one.
    "c_number constant text := E'^[",
    // The rest of the text is read as a whole then, with the same outcome.
    "return case when not in_whole or in_rest ~ (",
    "or substr(in_rest, v_length + 1) ~ E",
    // The sizes of a step.
    "limit 5001",
    "limit 1001",
    // More heads are read than needed, and the choice is the same.
    "limit greatest(l.free, in_workers, l.heads_max))",
    "place := 1;",
    // The statement for the other rows finds none.
    "if v_applied <= cardinality(in_ids) then",
    // The line matters only with a trigger that rewrites an end. The conformance suite covers it.
    "and (t.processed is not null or t.consumed is ",
    "or t.yielded is null and t.track_yielded is not true);",
    "and t.yielded is not null and t.track_yielded is not true);",
    // The text of a hint.
    "using errcode = 'PA212', hint = 'This one writes nothing more or ends'",
    // The scan decides the same without the shortcut.
    "and v_word = 'select' and strpos(lower(v_body), 'into') = 0 then",
    "when v_word in (",
    "if strpos(v_body, ';') = 1 then",
    "or v_word = 'select' and strpos(lower(v_body), 'into') = 1 then",
];

/// Texts, and their replacements in a mutant.
const SWAPS: [(&str, &str); 23] = [
    ("least(", "greatest("),
    ("greatest(", "least("),
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
    (" is not distinct from ", " is distinct from "),
    (" then true", " then false"),
    (" then false", " then true"),
];

/// A function with one small change.
struct Mutant {
    /// The changed line.
    change: String,
    definition: String,
}

/// All changes to one function: each occurrence of a swap, each number plus one, and each name left
/// out of a list.
async fn mutants(database: &Database, function: &str) -> Vec<Mutant> {
    // Of several functions with this name, the one with most parameters is changed. The others only
    // call it.
    let sql = format!(
        "select pg_get_functiondef(p.oid) from pg_proc p
         where p.pronamespace = 'async'::regnamespace and p.proname = '{function}' order by p.pronargs desc limit 1"
    );
    let definition = database.text(&sql).await.expect("it is there");
    let body = definition.find("AS $function$").expect("it has a body");
    let mut changes = Vec::new();
    for (old, new) in SWAPS {
        changes.extend(definition[body..].match_indices(old).map(|(at, _)| (body + at, old.len(), new.to_owned())));
    }
    changes.extend(numbers(&definition, body));
    for (at, _) in definition[body..].match_indices('\'') {
        let rest = &definition[body + at + 1..];
        let name = rest.find("', ").unwrap_or(0);
        if name > 0 && rest[..name].chars().all(|letter| letter.is_ascii_alphabetic() || letter == '_') {
            changes.push((body + at, name + "'', ".len(), String::new()));
        }
    }
    let mutant = |(at, length, new): (usize, usize, String)| {
        let changed = format!("{}{new}{}", &definition[..at], &definition[at + length..]);
        let start = changed[..at].rfind('\n').map_or(0, |line| line + 1);
        let end = changed[at + new.len()..].find('\n').map_or(changed.len(), |line| at + new.len() + line);
        Mutant { change: changed[start..end].trim().to_owned(), definition: changed }
    };
    changes.into_iter().map(mutant).filter(|mutant| !mutant.change.starts_with("--")).collect()
}

/// Each whole number in the code of a function, with its successor. Digits inside names, quoted
/// texts and fractions are not numbers of their own.
fn numbers(definition: &str, body: usize) -> Vec<(usize, usize, String)> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '\'' | '$');
    let mut found = Vec::new();
    let mut rest = body;
    while let Some(start) = definition[rest..].find(|letter: char| letter.is_ascii_digit()).map(|at| rest + at) {
        let end =
            definition[start..].find(|letter: char| !letter.is_ascii_digit()).map_or(definition.len(), |at| start + at);
        rest = end;
        if definition[..start].ends_with(is_part) || definition[end..].starts_with(is_part) {
            continue;
        }
        if let Ok(number) = definition[start..end].parse::<u64>() {
            found.push((start, end - start, (number + 1).to_string()));
        }
    }
    found
}

impl Mutant {
    async fn is_noticed(&self, database: &Database, comparisons: &[Comparison]) -> bool {
        for comparison in comparisons {
            let agrees = AssertUnwindSafe(comparison.agrees(database)).catch_unwind().await.unwrap_or(false);
            database
                .run("rollback; drop trigger if exists judge_before on async.task; drop trigger if exists judge_deferred on async.task")
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
        // Another comparison may have left rows.
        database.run("truncate async.task; truncate async.offer; truncate async.request").await;
        match self {
            Self::Transitions => !every_transition::is_noticed(database).await,
            Self::AllOrNone => !every_write::is_noticed(database, Writer::All).await,
            Self::Batch => !every_write::is_noticed(database, Writer::Batch).await,
            Self::OneRow => !every_write::is_noticed(database, Writer::Row).await,
            Self::Answers => answers::disagreements(database, Seed::fixed(1)).await.is_empty(),
            Self::Sequences => sequences::disagreement(database, Seed::fixed(1), STEPS).await.is_none(),
            Self::Plan => plan::disagreement(database, Seed::fixed(1), QUEUES).await.0.is_none(),
            Self::SmallRules => small_rules::disagreements(database).await.is_empty(),
            Self::StatedRules => stated_rules::disagreements(database).await.is_empty(),
            Self::Classification => classification::disagreements_of_all(database).await.is_empty(),
            Self::Transactions => classification::disagreements_about_transactions(database).await.is_empty(),
        }
    }
}

/// The tried changes to one function that Postgres accepts and no comparison notices.
async fn unnoticed(function: &'static str, comparisons: &[Comparison]) -> Vec<String> {
    let all = env::var("PGASYNC_MUTANTS").is_ok_and(|which| which == "all");
    let mut seed = Seed::fixed(1);
    // The name of the function advances the seed, so that each function gets another sequence.
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
    let database = classification::database_with_table_t().await;
    let mut mutants = mutants(&database, function).await;
    // An unnoticed change takes longest: it passes all comparisons.
    mutants.retain(|mutant| !EQUIVALENT.iter().any(|same| mutant.change.starts_with(same)));
    let mut wanted = mutants.len();
    if all {
        for comparison in comparisons {
            assert!(comparison.agrees(&database).await, "{comparison:?} disagrees without any change");
        }
    } else {
        // Other tests check that the comparisons agree without a change.
        shuffle(&mut mutants, &mut seed);
        wanted = SAMPLE;
    }
    // A change may cause an infinite loop.
    database.run("set statement_timeout = '3s'").await;
    // A comparison may fail with a panic. That is expected, so no message is printed.
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

// The deciding and recording functions, each with the comparisons that cover it.
each_change_is_noticed! {
    step_task by Transitions;
    retry_delay by SmallRules;
    is_retried_sqlstate by SmallRules;
    may_commit by StatedRules;
    copy_retry_policy by StatedRules;
    delete_attempts by StatedRules;
    delete_results by StatedRules;
    dollar_quote by StatedRules;
    classify_kept by StatedRules;
    read_result by StatedRules;
    write_results by StatedRules;
    pool_limit by Plan;
    is_paused by Plan;
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
    scan_statements by Classification, StatedRules;
    token_length by Classification;
    comment_length by Classification;
    close_connections_query by StatedRules;
    refuse_query by StatedRules;
    classify_query by Classification, StatedRules;
    opens_transaction by Transactions, StatedRules;
    refuses_transaction_block by StatedRules;
    refuse_receipt by StatedRules;
    backoff by SmallRules;
    ends_session by SmallRules;
    release_pools by StatedRules, Sequences;
    check_constraints by Answers;
    next_row by OneRow, StatedRules, Answers, Sequences;
    after_row by Answers, Sequences;
    write_at_once by StatedRules, AllOrNone, Answers;
    write_events_at_once by Batch, StatedRules, Answers, Sequences;
    write_batch by Answers;
    write_row by OneRow, StatedRules, Answers, Sequences;
    write_all by Answers;
    is_registered_server by StatedRules;
    is_replaced by StatedRules;
    last_moved_epoch by StatedRules;
    read_identity by StatedRules;
    hold_epoch by StatedRules;
    is_leader by StatedRules;
    has_user_triggers by StatedRules;
    defer_constraints by StatedRules;
    note_changed_tasks by StatedRules;
    take_changed_tasks by StatedRules;
    changed_task_rows by StatedRules, Answers;
    finish_internal by StatedRules;
    as_events by Answers;
    present_row by Answers;
}
