//! The retry policy in the row of a task.

use pgasync_core::{RetryPolicy, Span, TaskId};
use serde_json::{Map, Value};

/// The policy that `async.copy_retry_policy` made. `None` for a value that an update by hand made
/// invalid: SQL retries nothing then, too.
pub(super) fn retry_policy(task: TaskId, copy: &str) -> Option<RetryPolicy> {
    let copy: Map<String, Value> = serde_json::from_str(copy).ok()?;
    let flag = |key| copy.get(key).and_then(Value::as_bool).unwrap_or(false);
    let span = |key| copy.get(key).and_then(Value::as_i64).map(Span::micros);
    let sqlstates = copy.get("sqlstates").and_then(Value::as_array)?;
    Some(RetryPolicy {
        task,
        max_attempts: i32::try_from(copy.get("max_attempts")?.as_i64()?).ok()?,
        delay: span("delay_us")?,
        backoff: thousandths(copy.get("backoff"), 1_000)?,
        delay_max: span("delay_max_us")?,
        jitter: thousandths(copy.get("jitter"), 0)?,
        sqlstates: sqlstates.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        timeouts: flag("timeouts"),
        unreachable: flag("unreachable"),
        unknown: flag("unknown"),
        may_run_twice: flag("may_run_twice"),
        commits: flag("commits"),
    })
}

/// A number with up to three decimals, in thousandths.
fn thousandths(number: Option<&Value>, absent: u32) -> Option<u32> {
    let Some(number) = number else { return Some(absent) };
    let number = (number.as_f64()? * 1_000.0).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
    (0.0..=100_000.0).contains(&number).then_some(number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_read_with_what_is_absent_as_neutral() {
        let copy = r#"{"name": "n", "max_attempts": 3, "delay_us": 5, "delay_max_us": 6, "sqlstates": ["40"]}"#;
        let policy = retry_policy(TaskId(1), copy).expect("a valid copy");
        assert_eq!((policy.max_attempts, policy.backoff, policy.jitter), (3, 1_000, 0));
        assert_eq!((policy.delay, policy.delay_max), (Span::micros(5), Span::micros(6)));
        assert!(!policy.timeouts && !policy.unreachable && !policy.unknown && !policy.may_run_twice && !policy.commits);
        let copy = copy.replace('}', r#", "backoff": 1.5, "jitter": 0.1, "unknown": true, "commits": true}"#);
        let policy = retry_policy(TaskId(1), &copy).expect("a valid copy");
        assert_eq!((policy.backoff, policy.jitter, policy.unknown, policy.commits), (1_500, 100, true, true));
    }

    #[test]
    fn an_invalid_copy_is_no_policy() {
        for copy in ["[]", "{}", "7", r#"{"max_attempts": "x", "delay_us": 5, "delay_max_us": 6, "sqlstates": []}"#] {
            assert_eq!(retry_policy(TaskId(1), copy), None, "{copy}");
        }
    }
}
