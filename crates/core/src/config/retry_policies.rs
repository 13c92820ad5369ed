//! The configured retry policies, and the tasks that use them by default.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Document, RetryPolicyEntry};
use super::refused::{Problem, Refused, refuse};
use super::{Configuration, check};
use crate::names::TaskId;
use crate::task::retry::RetryPolicy;
use crate::time::Span;

/// The name that stands for no policy.
pub(super) const NO_POLICY: &str = "none";

/// One retry policy.
///
/// ```
/// use pgasync_core::{Configuration, Document, RetryPolicyEntry, Span};
/// let nightly = RetryPolicyEntry {
///     retry_policy: "nightly".to_owned(),
///     max_attempts: Some(5),
///     ..RetryPolicyEntry::default()
/// };
/// let mut configuration = Configuration::default();
/// configuration.apply(&Document { retry_policies: Some(vec![nightly]), ..Document::default() })?;
/// assert_eq!(configuration.retry_policies["nightly"].delay, Span::seconds(10));
/// # Ok::<(), pgasync_core::Refused>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct RetryPolicyConfiguration {
    /// How many attempts there are, the first one included; 1 to 1000. Default: 3.
    pub max_attempts: i32,
    /// The delay before the second attempt. Default: 10 seconds.
    pub delay: Span,
    /// Each further delay is this multiple of the one before, in thousandths; 1000 to 100000.
    /// Default: 2000.
    pub backoff: u32,
    /// The longest delay. Default: 1 hour.
    pub delay_max: Span,
    /// The share of a delay by which the jitter shortens it at most, in thousandths; up to 1000.
    /// Default: 100.
    pub jitter: u32,
    /// Which errors are retried: codes, classes of two characters, and the names `transient`, `any`
    /// and `reported`. Default: `transient`.
    pub sqlstates: Vec<String>,
    /// Timeouts are retried. Default: false.
    pub timeouts: bool,
    /// Tasks that waited in vain for their target are retried. Default: true.
    pub unreachable: bool,
    /// Unknown outcomes are retried, if the tasks may run twice. Default: false.
    pub unknown: bool,
    /// The effects of the tasks may happen twice. Default: false.
    pub may_run_twice: bool,
}

impl Default for RetryPolicyConfiguration {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            delay: Span::seconds(10),
            backoff: 2_000,
            delay_max: Span::seconds(3_600),
            jitter: 100,
            sqlstates: vec!["transient".to_owned()],
            timeouts: false,
            unreachable: true,
            unknown: false,
            may_run_twice: false,
        }
    }
}

impl RetryPolicyConfiguration {
    /// The policy of one task, as its push copies it. `commits` says that a part of its text may be
    /// committed when the text fails.
    #[must_use]
    pub fn of_task(&self, task: TaskId, commits: bool) -> RetryPolicy {
        let Self { max_attempts, delay, backoff, delay_max, jitter, ref sqlstates, .. } = *self;
        let Self { timeouts, unreachable, unknown, may_run_twice, .. } = *self;
        let sqlstates = sqlstates.clone();
        RetryPolicy {
            task,
            max_attempts,
            delay,
            backoff,
            delay_max,
            jitter,
            sqlstates,
            timeouts,
            unreachable,
            unknown,
            may_run_twice,
            commits,
        }
    }

    fn apply(&mut self, entry: &RetryPolicyEntry) {
        self.max_attempts = entry.max_attempts.and_then(|all| i32::try_from(all).ok()).unwrap_or(self.max_attempts);
        self.delay = entry.delay.unwrap_or(self.delay);
        self.backoff = entry.backoff.unwrap_or(self.backoff);
        self.delay_max = entry.delay_max.unwrap_or(self.delay_max);
        self.jitter = entry.jitter.unwrap_or(self.jitter);
        if let Some(sqlstates) = &entry.sqlstates {
            self.sqlstates.clone_from(sqlstates);
        }
        self.timeouts = entry.timeouts.unwrap_or(self.timeouts);
        self.unreachable = entry.unreachable.unwrap_or(self.unreachable);
        self.unknown = entry.unknown.unwrap_or(self.unknown);
        self.may_run_twice = entry.may_run_twice.unwrap_or(self.may_run_twice);
    }

    pub(super) fn entry(&self, name: &str) -> RetryPolicyEntry {
        RetryPolicyEntry {
            retry_policy: name.to_owned(),
            max_attempts: Some(i64::from(self.max_attempts)),
            delay: Some(self.delay),
            backoff: Some(self.backoff),
            delay_max: Some(self.delay_max),
            jitter: Some(self.jitter),
            sqlstates: Some(self.sqlstates.clone()),
            timeouts: Some(self.timeouts),
            unreachable: Some(self.unreachable),
            unknown: Some(self.unknown),
            may_run_twice: Some(self.may_run_twice),
        }
    }
}

impl Configuration {
    /// Makes the given list the policies.
    pub(super) fn apply_retry_policies(&mut self, entries: &[RetryPolicyEntry]) {
        let mut policies = BTreeMap::new();
        for entry in entries {
            let mut policy = self.retry_policies.remove(&entry.retry_policy).unwrap_or_default();
            policy.apply(entry);
            policies.insert(entry.retry_policy.clone(), policy);
        }
        self.retry_policies = policies;
    }

    /// Refuses a default that no policy has, and the removal of a policy that is a default.
    pub(super) fn check_default_retries(&self, document: &Document) -> Result<(), Refused> {
        let is_missing = |name: &&String| *name != NO_POLICY && !self.retry_policies.contains_key(*name);
        let given = document.control.as_ref().and_then(|control| control.default_retry.as_ref());
        if let Some(name) = given.filter(is_missing) {
            return Err(refuse("control.default_retry", Problem::NoSuchPolicy { name: name.clone() }));
        }
        for (at, entry) in document.targets.iter().flatten().enumerate() {
            if let Some(name) = entry.default_retry.as_ref().filter(is_missing) {
                let path = format!("targets[{at}].default_retry");
                return Err(refuse(path, Problem::NoSuchPolicy { name: name.clone() }));
            }
        }
        let kept = self.targets.values().filter_map(|target| target.default_retry.as_ref());
        match self.control.default_retry.iter().chain(kept).find(is_missing) {
            Some(name) => Err(refuse("retry_policies", Problem::PolicyInUse { name: name.clone() })),
            None => Ok(()),
        }
    }
}

impl RetryPolicyEntry {
    pub(super) fn check(&self, path: &str) -> Result<(), Refused> {
        let at = |name: &str| format!("{path}.{name}");
        check::thousandths(self.backoff, check::BACKOFF, &at("backoff"))?;
        check::not_negative(self.delay, &at("delay"))?;
        check::not_negative(self.delay_max, &at("delay_max"))?;
        check::thousandths(self.jitter, check::JITTER, &at("jitter"))?;
        check::attempts(self.max_attempts, &at("max_attempts"))?;
        check::policy_name(Some(&self.retry_policy), &at("retry_policy"))?;
        check::sqlstates(self.sqlstates.as_deref(), &at("sqlstates"))
    }
}

pub(super) fn check_policies(entries: &[RetryPolicyEntry]) -> Result<(), Refused> {
    let mut names = BTreeSet::new();
    for (at, entry) in entries.iter().enumerate() {
        let path = format!("retry_policies[{at}]");
        entry.check(&path)?;
        super::once(&mut names, &entry.retry_policy, &format!("{path}.retry_policy"))?;
    }
    Ok(())
}
