//! Retry policies: whether a failed attempt is followed by another one, and when.

use crate::names::TaskId;
use crate::time::Span;

/// The factor of the hash that spreads the jitter.
const HASH: i64 = 2_654_435_769;

/// The retry policy of one task. A push copies it, and no change of the configuration changes it.
///
/// ```
/// use pgasync_core::{Failure, RetryPolicy, Span, TaskId};
/// let policy = RetryPolicy {
///     task: TaskId(1),
///     max_attempts: 4,
///     delay: Span::seconds(10),
///     backoff: 2_000,
///     delay_max: Span::seconds(30),
///     jitter: 0,
///     sqlstates: vec!["transient".to_owned()],
///     timeouts: false,
///     unreachable: true,
///     unknown: false,
///     may_run_twice: false,
///     commits: false,
/// };
/// let deadlock = Failure::Error("40P01: deadlock detected");
/// let delays: Vec<_> = (1..=4).map(|attempt| policy.delay(attempt, deadlock)).collect();
/// assert_eq!(delays, [10, 20, 30].map(|s| Some(Span::seconds(s))).into_iter().chain([None]).collect::<Vec<_>>());
/// assert_eq!(policy.delay(1, Failure::Error("22012: division by zero")), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RetryPolicy {
    /// The task, which the jitter depends on.
    pub task: TaskId,
    /// How many attempts there are, the first one included.
    pub max_attempts: i32,
    /// The delay before the second attempt.
    pub delay: Span,
    /// Each further delay is this multiple of the one before, in thousandths.
    pub backoff: u32,
    /// The longest delay.
    pub delay_max: Span,
    /// The share of the delay by which the jitter shortens it at most, in thousandths.
    pub jitter: u32,
    /// Which errors are retried: codes, classes of two characters, `any`, `transient` and
    /// `reported`.
    pub sqlstates: Vec<String>,
    /// Timeouts are retried.
    pub timeouts: bool,
    /// A task that waited in vain for its target is retried.
    pub unreachable: bool,
    /// Unknown outcomes are retried, if the task may run twice.
    pub unknown: bool,
    /// The effects of the task may happen twice.
    pub may_run_twice: bool,
    /// A part of its text may be committed when the text fails.
    pub commits: bool,
}

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure<'a> {
    /// The target reported this error, which begins with its SQLSTATE.
    Error(&'a str),
    /// A request said FAILED of a pulled or yielded task.
    Reported,
    /// The deadline passed, and no query runs.
    Timeout,
    /// The outcome of the query is unknown.
    Unknown,
    /// The deadline passed, and what was done is unknown.
    UnknownTimeout,
    /// The task waited in vain for its target; its query was not sent.
    Unreachable,
    /// The deadline passed, and the query may still run.
    Lost,
}

impl RetryPolicy {
    /// The delay before the attempt that follows this one, which failed; `None` if there is none.
    #[must_use]
    pub fn delay(&self, attempt: i32, failure: Failure<'_>) -> Option<Span> {
        let unknown = self.unknown && self.may_run_twice;
        let counts = match failure {
            Failure::Error(text) => sqlstate(text).is_some_and(|code| self.names(code)),
            Failure::Reported => self.sqlstates.iter().any(|name| name == "reported"),
            Failure::Timeout => self.timeouts,
            Failure::Unknown => unknown,
            Failure::UnknownTimeout => unknown && self.timeouts,
            Failure::Unreachable => self.unreachable,
            Failure::Lost => false,
        };
        let half_done = self.commits && !self.may_run_twice && failure != Failure::Unreachable;
        (counts && !half_done && attempt < self.max_attempts).then(|| self.delay_after(attempt))
    }

    fn names(&self, code: &str) -> bool {
        self.sqlstates.iter().any(|name| match name.as_str() {
            "any" => true,
            "transient" => is_transient(code),
            name => name == code || name.len() == 2 && code.starts_with(name),
        })
    }

    /// Integers, so that SQL computes the same.
    fn delay_after(&self, attempt: i32) -> Span {
        let longest = i128::from(self.delay_max.as_micros());
        let mut delay = i128::from(self.delay.as_micros());
        for _ in 1..attempt {
            if delay >= longest || self.backoff == 1_000 {
                break;
            }
            delay = delay * i128::from(self.backoff) / 1_000;
        }
        let delay = delay.min(longest);
        let seed = (self.task.0 & 0xf_ffff) * 2_048 + i64::from(attempt);
        let hash = ((seed * HASH) & 0xffff_ffff) >> 16;
        let shortened = delay - delay * i128::from(self.jitter) * i128::from(hash) / 65_536_000;
        Span::micros(i64::try_from(shortened).unwrap_or(i64::MAX))
    }
}

/// The SQLSTATE with which the text of an error begins.
fn sqlstate(text: &str) -> Option<&str> {
    let (code, _) = text.split_once(": ")?;
    let is_code = code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    is_code.then_some(code)
}

/// Whether an error may pass by itself.
///
/// Source: the Postgres manual, appendix "PostgreSQL Error Codes". 40003 says that the outcome is
/// unknown. PA216 is a lost run whose receipt was voided.
fn is_transient(code: &str) -> bool {
    ["08", "40", "53"].iter().any(|class| code.starts_with(class)) && code != "40003"
        || ["55P03", "57P01", "57P02", "57P03", "PA216"].contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            task: TaskId(7),
            max_attempts: 5,
            delay: Span::seconds(10),
            backoff: 1_500,
            delay_max: Span::seconds(60),
            jitter: 0,
            sqlstates: vec!["transient".to_owned(), "22".to_owned(), "P0001".to_owned()],
            timeouts: true,
            unreachable: true,
            unknown: true,
            may_run_twice: true,
            commits: false,
        }
    }

    fn retries(policy: &RetryPolicy, failure: Failure<'_>) -> bool {
        policy.delay(1, failure).is_some()
    }

    #[test]
    fn codes_classes_and_names_stand_for_errors() {
        for (text, is_retried) in [
            ("40001: could not serialize", true),
            ("40003: unknown", false),
            ("08006: gone", true),
            ("53300: too many", true),
            ("55P03: locked", true),
            ("57P03: starting", true),
            ("PA216: voided", true),
            ("PA215: a reference", false),
            ("57014: canceled", false),
            ("22012: division by zero", true),
            ("P0001: raised", true),
            ("P0002: no data", false),
            ("XX000: internal", false),
            ("a text without a code", false),
            ("22012", false),
            ("2201: short", false),
            ("22p12: lower case", false),
        ] {
            assert_eq!(retries(&policy(), Failure::Error(text)), is_retried, "{text}");
        }
        let any = RetryPolicy { sqlstates: vec!["any".to_owned()], ..policy() };
        assert!(retries(&any, Failure::Error("XX000: internal")));
        assert!(!retries(&any, Failure::Error("no code")), "any SQLSTATE is one");
        assert!(!retries(&any, Failure::Reported));
        let reported = RetryPolicy { sqlstates: vec!["reported".to_owned()], ..policy() };
        assert!(retries(&reported, Failure::Reported) && !retries(&reported, Failure::Error("22012: no")));
    }

    #[test]
    fn each_kind_of_failure_has_its_switch_and_an_unknown_outcome_needs_permission() {
        let all = policy();
        let kinds = [Failure::Timeout, Failure::Unknown, Failure::UnknownTimeout, Failure::Unreachable];
        assert!(kinds.iter().all(|kind| retries(&all, *kind)));
        assert!(!retries(&all, Failure::Lost), "the query may still run");
        for (policy, expected) in [
            (RetryPolicy { timeouts: false, ..policy() }, [false, true, false, true]),
            (RetryPolicy { unknown: false, ..policy() }, [true, false, false, true]),
            (RetryPolicy { unreachable: false, ..policy() }, [true, true, true, false]),
            (RetryPolicy { may_run_twice: false, ..policy() }, [true, false, false, true]),
            (RetryPolicy { may_run_twice: false, commits: true, ..policy() }, [false, false, false, true]),
            (RetryPolicy { commits: true, ..policy() }, [true, true, true, true]),
        ] {
            assert_eq!(kinds.map(|kind| retries(&policy, kind)), expected, "{policy:?}");
        }
    }

    #[test]
    fn delays_grow_up_to_the_longest_one_and_end_with_the_last_attempt() {
        let delays = |policy: &RetryPolicy| (1..=5).map(|at| policy.delay(at, Failure::Timeout)).collect::<Vec<_>>();
        let expected = [10_000, 15_000, 22_500, 33_750].map(|millis| Some(Span::millis(millis)));
        assert_eq!(delays(&policy()), [&expected[..], &[None]].concat());
        let short = RetryPolicy { delay_max: Span::seconds(12), ..policy() };
        assert_eq!(delays(&short)[1], Some(Span::seconds(12)));
        let even = RetryPolicy { backoff: 1_000, ..policy() };
        assert_eq!(delays(&even)[3], Some(Span::seconds(10)));
    }

    #[test]
    fn jitter_shortens_a_delay_by_its_share_at_most_and_spreads_the_tasks() {
        let jittered = |task| RetryPolicy { task: TaskId(task), jitter: 500, ..policy() };
        let delays: Vec<i64> =
            (1..=1_000).filter_map(|task| Some(jittered(task).delay(1, Failure::Timeout)?.as_micros())).collect();
        assert!(delays.iter().all(|delay| (5_000_000..=10_000_000).contains(delay)));
        for tenth in 0..10 {
            let from = 5_000_000 + tenth * 500_000;
            let in_tenth = delays.iter().filter(|delay| (from..from + 500_000).contains(*delay)).count();
            assert!((90..=110).contains(&in_tenth), "{in_tenth} of 1000 delays are in the tenth from {from}");
        }
    }
}
