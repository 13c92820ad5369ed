//! Would anybody notice? One small change at a time to what SQL decides; each must make a comparison fail.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use pgasync_tests::Database;

use super::{classification, every_transition, plan, sequences, small_rules};
use crate::seed::Seed;

const QUEUES: usize = 150;
const STEPS: usize = 2_000;

/// What holds a function to the model.
#[derive(Clone, Copy, Debug)]
enum Comparison {
    Transitions,
    Sequences,
    Plan,
    SmallRules,
    Backoff,
    Classification,
}

use Comparison::{Backoff, Classification, Plan, Sequences, SmallRules, Transitions};

/// The functions that decide, each with what would notice, the quickest first.
const FUNCTIONS: [(&str, &[Comparison]); 15] = [
    ("step_task", &[Transitions]),
    ("pool_limit", &[Plan, Sequences]),
    ("due_tasks", &[Sequences]),
    ("deferred_tasks", &[Sequences]),
    ("intention_replaces", &[SmallRules]),
    ("discover_lanes", &[Plan]),
    ("plan_claims", &[Plan]),
    ("backoff", &[Backoff]),
    ("next_rows", &[Sequences]),
    ("apply_batch", &[Sequences]),
    ("apply_row", &[Sequences]),
    ("statement_is_wrappable", &[Classification]),
    ("statement_returns_rows", &[Classification]),
    ("scan_statements", &[Classification]),
    ("classify_query", &[Classification]),
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

/// A change, and where.
struct Mutant {
    function: &'static str,
    comparisons: &'static [Comparison],
    line: String,
    change: String,
    definition: String,
}

/// All changes to one function: each occurrence of a swap, and each name left out of a list.
async fn mutants(database: &Database, function: &'static str, comparisons: &'static [Comparison]) -> Vec<Mutant> {
    let definition = database
        .text(&format!("select pg_get_functiondef(oid) from pg_proc where oid = 'async.{function}'::regproc"))
        .await
        .expect("it is there");
    let body = definition.find("AS $function$").expect("it has a body");
    let mut mutants = Vec::new();
    let mut mutate = |at: usize, old: &str, new: &str| {
        let line_start = definition[..at].rfind('\n').map_or(0, |at| at + 1);
        let line_end = definition[at..].find('\n').map_or(definition.len(), |end| at + end);
        let line = definition[line_start..line_end].trim().to_owned();
        if line.starts_with("--") {
            return;
        }
        let changed = format!("{}{new}{}", &definition[..at], &definition[at + old.len()..]);
        let change = format!("{:?} for {old:?} at {}", new, at - line_start);
        mutants.push(Mutant { function, comparisons, line, change, definition: changed });
    };
    for (old, new) in SWAPS {
        for (at, _) in definition.match_indices(old).filter(|(at, _)| *at > body) {
            mutate(at, old, new);
        }
    }
    for (at, _) in definition.match_indices('\'').filter(|(at, _)| *at > body) {
        let rest = &definition[at + 1..];
        let Some(end) = rest.find("', ") else { continue };
        if rest[..end].chars().all(|letter| letter.is_ascii_alphabetic() || letter == '_') && end > 0 {
            mutate(at, &definition[at..at + end + 4], "");
        }
    }
    mutants
}

impl Mutant {
    async fn is_noticed(&self, database: &Database) -> bool {
        for comparison in self.comparisons {
            // What fails outright is noticed too.
            let agree = AssertUnwindSafe(comparison.agrees(database)).catch_unwind().await.unwrap_or(false);
            database.run("rollback").await;
            if !agree {
                return true;
            }
        }
        false
    }
}

impl Comparison {
    async fn agrees(self, database: &Database) -> bool {
        match self {
            Transitions => !every_transition::is_noticed(database).await,
            Sequences => sequences::disagreement(database, Seed::of_this_run(), STEPS).await.is_none(),
            Plan => plan::disagreement(database, Seed::of_this_run(), QUEUES).await.0.is_none(),
            SmallRules => small_rules::disagreements(database).await.is_empty(),
            Backoff => small_rules::backoffs_that_differ(database).await.is_empty(),
            Classification => classification::disagreements_of_all(database).await.is_empty(),
        }
    }
}

#[tokio::test]
async fn each_change_to_what_sql_decides_is_noticed() {
    if std::env::var("LOUD").is_err() { std::panic::set_hook(Box::new(|_| ()));}
    let database = classification::room().await;
    database.run("set statement_timeout = '5s'; set client_min_messages = error").await;
    let mut unnoticed = Vec::new();
    let mut tried = 0;
    for (function, comparisons) in FUNCTIONS {
        if std::env::var("MUTANTS_OF").is_ok_and(|only| !only.split(',').any(|it| it == function)) {
            continue;
        }
        let standing = database
            .text(&format!("select pg_get_functiondef(oid) from pg_proc where oid = 'async.{function}'::regproc"))
            .await
            .expect("it is there");
        for comparison in comparisons {
            assert!(comparison.agrees(&database).await, "{comparison:?} fails as it is");
        }
        let all = mutants(&database, function, comparisons).await;
        let started = std::time::Instant::now();
        let (mut of, mut un) = (0, 0);
        for mutant in all {
            if database.session().batch_execute(&mutant.definition).await.is_err() {
                continue;
            }
            of += 1;
            if !mutant.is_noticed(&database).await {
                un += 1;
                println!("UNNOTICED {}: {} in: {}", mutant.function, mutant.change, mutant.line);
                unnoticed.push(mutant.line);
            }
        }
        tried += of;
        println!("{function}: {of} mutants, {un} unnoticed, {:?}", started.elapsed());
        database.run(&standing).await;
    }
    println!("{tried} tried, {} unnoticed", unnoticed.len());
}
