//! Small rules: intentions, lost sessions, backoff.

use pgasync_core::{FinishStatus, Intention, Request, Span, ends_session};
use pgasync_tests::Database;
use serde_json::{Value, json};

use super::{ask, prepared_database};

/// SQLSTATEs that end a session, similar ones, and others that engines receive.
const CODES: &[&str] = &[
    "00000", "01000", "02000", "03000", "08000", "08001", "08003", "08004", "08006", "08007", "08P01", "0A000",
    "22000", "23505", "25001", "25003", "25006", "25P01", "25P02", "25P03", "25P04", "28000", "40001", "40P01",
    "53300", "55P03", "57000", "57014", "57P01", "57P02", "57P03", "57P04", "57P05", "XX000",
];

/// The differences between these rules in SQL and in the core.
pub(super) async fn disagreements(database: &Database) -> Vec<String> {
    let mut differ = intentions_that_differ(database).await;
    differ.extend(messages_that_differ(database).await);
    differ.extend(codes_that_differ(database).await);
    differ.extend(backoffs_that_differ(database).await);
    differ
}

/// The differences between `Intention::replaced_by` and `async.intention_replaces`.
async fn intentions_that_differ(database: &Database) -> Vec<String> {
    let mut olds = vec![None, Some(Intention::Timeout { message: None })];
    for status in FinishStatus::ALL {
        olds.extend([Some("asked"), None].map(|message| Some(intention(status, message))));
    }
    let mut pairs = Vec::new();
    for old in olds {
        pairs.extend(FinishStatus::ALL.map(|new| (old.clone(), new)));
    }
    let question = |(old, new): &(Option<Intention>, FinishStatus)| {
        let (status, message) = old.as_ref().map(|old| (old.parts().0, old.parts().1)).unzip();
        json!({"old": status, "old_error": message.flatten(), "new": new})
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
            let ours = old.as_ref().is_none_or(|old| old.replaced_by(intention(*new, Some("asked"))).is_some());
            (*answer != json!(ours)).then(|| format!("{old:?} then {new:?}: core {ours}, sql {answer}"))
        })
        .collect()
}

fn intention(status: FinishStatus, message: Option<&str>) -> Intention {
    let request = Request { status, error: message.map(str::to_owned), duration: Some(Span::seconds(1)) };
    Intention::of(&request).expect("it names a duration")
}

/// The differences between the message of an intention and the result of `async.request_message`.
async fn messages_that_differ(database: &Database) -> Vec<String> {
    // SQL does not ask for the message of an intention that keeps none.
    let keeps = |status: &FinishStatus| intention(*status, Some("asked")).is_terminal();
    let mut requests = Vec::new();
    for status in FinishStatus::ALL.into_iter().filter(keeps) {
        requests.extend([None, Some("asked")].map(|message| (status, message)));
    }
    let sql = "select jsonb_agg(
          async.request_message((c.it ->> 0)::async.finish_status_t, c.it ->> 1) order by c.place)
        from jsonb_array_elements($1) with ordinality as c(it, place)";
    let answers = ask(database, sql, &json!(requests)).await;
    let answers = requests.iter().zip(answers.as_array().expect("an answer a request"));
    answers
        .filter_map(|((status, message), answer)| {
            let (_, ours, _) = intention(*status, *message).parts();
            (*answer != json!(ours)).then(|| format!("{status}, {message:?}: core {ours:?}, sql {answer}"))
        })
        .collect()
}

/// The differences between `ends_session` and `async.ends_session`.
async fn codes_that_differ(database: &Database) -> Vec<String> {
    let sql = "select jsonb_agg(async.ends_session(c.it) order by c.place)
        from jsonb_array_elements_text($1) with ordinality as c(it, place)";
    let answers = ask(database, sql, &json!(CODES)).await;
    let answers = CODES.iter().zip(answers.as_array().expect("an answer a code"));
    answers
        .filter_map(|(code, answer)| {
            let ours = ends_session(code);
            (*answer != json!(ours)).then(|| format!("{code}: core {ours}, sql {answer}"))
        })
        .collect()
}

/// The differences between `async.backoff` and the rule of the core, whose code is private: the
/// wait doubles from the first to the last value, minus up to a quarter.
async fn backoffs_that_differ(database: &Database) -> Vec<String> {
    let first = 250_000_i64;
    let last = 300_000_000_i64;
    let mut differ = Vec::new();
    for failures in [-1_i32, 0, 1, 2, 3, 9, 10, 11, 12, 30, 31, 1_000_000] {
        let doubled = first.saturating_mul(1_i64 << (failures - 1).clamp(0, 29)).min(last);
        for (random, least) in [(0.0, doubled), (1.0, doubled * 3 / 4)] {
            let sql = format!(
                "select judged.length(async.backoff({failures}, judged.span({first}), judged.span({last}), {random}))"
            );
            let sql = database.number(&sql).await;
            if sql != least {
                differ.push(format!("{failures} failures, random {random}: {least}, sql {sql}"));
            }
        }
    }
    differ
}

#[tokio::test]
async fn the_small_rules_are_the_same() {
    let differ = disagreements(&prepared_database().await).await;
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
