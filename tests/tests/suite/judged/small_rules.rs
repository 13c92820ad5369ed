//! Small rules: intentions, lost sessions, backoff.

use pgasync_core::{Failure, FinishStatus, Intention, Request, RetryPolicy, Span, TaskId, ends_session};
use pgasync_tests::Database;
use serde_json::{Value, json};

use super::every_transition::copied;
use super::{ask, prepared_database};
use crate::seed::Seed;

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
    differ.extend(retries_that_differ(database).await);
    differ
}

/// The differences between `Intention::replaced_by` and `async.intention_replaces`.
async fn intentions_that_differ(database: &Database) -> Vec<String> {
    let mut olds = vec![None, Some(Intention::DEADLINE)];
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
    let request =
        Request { error: message.map(str::to_owned), duration: Some(Span::seconds(1)), ..Request::finish(status) };
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

/// The differences between `RetryPolicy::delay` and `async.retry_delay`, for random policies.
async fn retries_that_differ(database: &Database) -> Vec<String> {
    let mut seed = Seed::of_this_run();
    let texts: Vec<String> = CODES
        .iter()
        .map(|code| format!("{code}: it failed"))
        .chain(["no code".to_owned(), "4000: short".to_owned()])
        .collect();
    let mut cases = Vec::new();
    for _ in 0..4_000 {
        let policy = policy(&mut seed);
        let attempt = 1 + i32::try_from(seed.below(12)).expect("small");
        let text = seed.pick(&texts).clone();
        let named =
            *seed.pick(&["error", "error", "reported", "timeout", "unknown", "unknown timeout", "unreachable", "lost"]);
        cases.push((policy, attempt, named, text));
    }
    let question = |(policy, attempt, named, text): &(RetryPolicy, i32, &str, String)| json!({"retry": copied(policy), "task": policy.task.0, "attempt": attempt, "failure": named, "error": text});
    let questions: Vec<Value> = cases.iter().map(question).collect();
    let sql = "select jsonb_agg(judged.length(async.retry_delay(c.it -> 'retry', (c.it ->> 'task')::bigint,
          (c.it ->> 'attempt')::int, c.it ->> 'failure', c.it ->> 'error')) order by c.place)
        from jsonb_array_elements($1) with ordinality as c(it, place)";
    let answers = ask(database, sql, &Value::Array(questions)).await;
    let mut retried = 0;
    let mut differ = Vec::new();
    for ((policy, attempt, named, text), answer) in cases.iter().zip(answers.as_array().expect("an answer a case")) {
        let failure = match *named {
            "reported" => Failure::Reported,
            "timeout" => Failure::Timeout,
            "unknown" => Failure::Unknown,
            "unknown timeout" => Failure::UnknownTimeout,
            "unreachable" => Failure::Unreachable,
            "lost" => Failure::Lost,
            _ => Failure::Error(text),
        };
        let ours = policy.delay(*attempt, failure).map(Span::as_micros);
        retried += usize::from(ours.is_some());
        if *answer != json!(ours) {
            differ.push(format!("{policy:?}, attempt {attempt}, {failure:?}: core {ours:?}, sql {answer}"));
        }
    }
    assert!(retried > 500, "{retried} of {} cases are retried", cases.len());
    differ
}

fn policy(seed: &mut Seed) -> RetryPolicy {
    let names = ["transient", "any", "reported", "40", "08", "57014", "22", "XX000", "23505"];
    let micros = |seed: &mut Seed| {
        let largest = *seed.pick(&[1, 1_000, 20_000_000, 4_000_000_000, 100_000_000_000_000]);
        Span::micros(i64::try_from(seed.below(largest)).expect("small"))
    };
    let thousandths = |seed: &mut Seed, most: u64| u32::try_from(seed.below(most + 1)).expect("small");
    RetryPolicy {
        task: TaskId(i64::try_from(seed.below(1 << 40)).expect("small")),
        max_attempts: 1 + i32::try_from(seed.below(14)).expect("small"),
        delay: micros(seed),
        backoff: if seed.chance(20) { 1_000 } else { 1_000 + thousandths(seed, 4_000) },
        delay_max: micros(seed),
        jitter: if seed.chance(20) { 0 } else { thousandths(seed, 1_000) },
        sqlstates: names.iter().filter(|_| seed.chance(30)).map(|name| (*name).to_owned()).collect(),
        timeouts: seed.chance(60),
        unreachable: seed.chance(60),
        unknown: seed.chance(60),
        may_run_twice: seed.chance(60),
        commits: seed.chance(30),
    }
}

#[tokio::test]
async fn the_small_rules_are_the_same() {
    let differ = disagreements(&prepared_database().await).await;
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
