//! The rules that fit in a line: intentions, pools, backoff.

use pgasync_core::{FinishStatus, Intention, Request, Span};
use pgasync_tests::Database;
use serde_json::{Value, json};

use super::{ask, bench};

/// An intention, with the status and message that SQL knows it by.
type Standing = (FinishStatus, Option<&'static str>, Intention);

/// Where `Intention::replaced_by` and `async.intention_replaces` differ.
pub(super) async fn disagreements(database: &Database) -> Vec<String> {
    let mut olds = vec![None, Some((FinishStatus::TimedOut, None, Intention::Timeout { message: None }))];
    for status in FinishStatus::ALL {
        let ends_late = status == FinishStatus::TimedOut;
        let errors = [Some("asked"), None].into_iter().filter(|error| error.is_some() || !ends_late);
        olds.extend(errors.map(|error| Some((status, error, intention(status)))));
    }
    let mut pairs = Vec::new();
    for old in olds {
        pairs.extend(FinishStatus::ALL.map(|new| (old.clone(), new)));
    }
    let question = |(old, new): &(Option<Standing>, FinishStatus)| {
        let (status, error) = old.as_ref().map(|(status, error, _)| (status, error)).unzip();
        json!({"old": status, "old_error": error, "new": new})
    };
    let questions: Vec<Value> = pairs.iter().map(question).collect();
    let sql = "select jsonb_agg(async.intention_replaces(
          (c.it ->> 'old')::async.finish_status_t, c.it ->> 'old_error',
          (c.it ->> 'new')::async.finish_status_t) order by c.place)
        from jsonb_array_elements($1) with ordinality as c(it, place)";
    let answers = ask(database, sql, &Value::Array(questions)).await;
    let pairs = pairs.iter().zip(answers.as_array().expect("an answer a pair"));
    pairs
        .filter_map(|((old, new), answer)| {
            let ours = old.as_ref().is_none_or(|(_, _, old)| old.replaced_by(intention(*new)).is_some());
            (*answer != json!(ours)).then(|| format!("{old:?} then {new:?}: core {ours}, sql {answer}"))
        })
        .collect()
}

fn intention(status: FinishStatus) -> Intention {
    let request = Request { status, error: None, duration: Some(Span::seconds(1)) };
    Intention::of(&request).expect("it names a duration")
}

#[tokio::test]
async fn the_same_intention_stands() {
    let told = disagreements(&bench().await).await;
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// Where `async.backoff` differs from the rule that `pgasync-core` keeps to itself, said once more: doubling from the
/// first wait to the last, less up to a quarter.
pub(super) async fn backoffs_that_differ(database: &Database) -> Vec<String> {
    let first = 250_000_i64;
    let last = 300_000_000_i64;
    let mut told = Vec::new();
    for failures in [-1_i32, 0, 1, 2, 3, 9, 10, 11, 12, 30, 31, 1_000_000] {
        let doubled = first.saturating_mul(1_i64 << (failures - 1).clamp(0, 29)).min(last);
        for (random, least) in [(0.0, doubled), (1.0, doubled * 3 / 4)] {
            let sql = format!(
                "select round(extract(epoch from async.backoff({failures}, judged.span({first}), judged.span({last}), {random})) * 1000000)::bigint"
            );
            let sql = database.number(&sql).await;
            if sql != least {
                told.push(format!("{failures} failures, random {random}: {least}, sql {sql}"));
            }
        }
    }
    told
}

#[tokio::test]
async fn what_fails_again_waits_twice_as_long() {
    let told = backoffs_that_differ(&bench().await).await;
    assert!(told.is_empty(), "{}", told.join("\n"));
}
