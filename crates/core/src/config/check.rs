//! The checks of single settings.

use super::connection_string;
use super::document::{ControlEntry, PoolEntry, TargetEntry};
use super::refused::{Problem, Refused, refuse};
use super::retry_policies::NO_POLICY;
use crate::names::TargetName;
use crate::time::Span;

/// The longest length of time that is accepted: 10,000 years. A time that is further away cannot be
/// stored.
const LONGEST: Span = Span::seconds(3_652_500 * 86_400);

/// The limit on the name of a target or a pool.
const NAME_BYTES_MAX: usize = 255;

/// The limit on the SQLSTATEs of a retry policy.
const SQLSTATES_MAX: usize = 100;

impl ControlEntry {
    /// Refuses the first setting outside of its range, in the order of their names.
    pub(super) fn check(&self) -> Result<(), Refused> {
        let at = |name: &str| format!("control.{name}");
        within_a_day(self.busy_sleep, &at("busy_sleep"))?;
        at_least(self.default_concurrency_pool_workers, 0, &at("default_concurrency_pool_workers"))?;
        name(self.default_retry.as_deref(), &at("default_retry"))?;
        positive(self.default_timeout, &at("default_timeout"))?;
        not_negative(self.heavy_maintenance_sleep, &at("heavy_maintenance_sleep"))?;
        within_a_day(self.idle_sleep, &at("idle_sleep"))?;
        not_negative(self.light_maintenance_sleep, &at("light_maintenance_sleep"))?;
        routines(self.loop_routines.as_deref(), &at("loop_routines"))?;
        not_negative(self.receipt_keep, &at("receipt_keep"))?;
        result_bytes(self.result_bytes_max, &at("result_bytes_max"))?;
        at_least(self.self_concurrency, 1, &at("self_concurrency"))?;
        own_connection(self.self_connection_string.as_deref(), &at("self_connection_string"))?;
        name(self.self_target.as_deref(), &at("self_target"))?;
        routines(self.startup_routines.as_deref(), &at("startup_routines"))?;
        not_negative(self.takeover_grace, &at("takeover_grace"))?;
        not_negative(self.target_patience, &at("target_patience"))?;
        not_negative(self.task_keep_duration, &at("task_keep_duration"))?;
        at_least(self.workers, 1, &at("workers"))
    }
}

impl TargetEntry {
    pub(super) fn check(&self, path: &str) -> Result<(), Refused> {
        let at = |name: &str| format!("{path}.{name}");
        connection(self.connection_string.as_deref(), &at("connection_string"))?;
        name(self.default_retry.as_deref(), &at("default_retry"))?;
        positive(self.default_timeout, &at("default_timeout"))?;
        at_least(self.max_concurrency, 0, &at("max_concurrency"))?;
        at_least(self.max_sessions, 1, &at("max_sessions"))?;
        at_least(self.max_workers, 0, &at("max_workers"))?;
        tags(self.tags.as_deref(), &at("tags"))?;
        name(Some(&self.target), &at("target"))
    }
}

impl PoolEntry {
    pub(super) fn check(&self, path: &str) -> Result<(), Refused> {
        let at = |name: &str| format!("{path}.{name}");
        name(Some(&self.concurrency_pool), &at("concurrency_pool"))?;
        positive(self.interval, &at("interval"))?;
        at_least(self.max_workers, 0, &at("max_workers"))?;
        at_least(self.starts_max, 0, &at("starts_max"))
    }
}

pub(super) fn name(given: Option<&str>, path: &str) -> Result<(), Refused> {
    let fits = given.is_none_or(|name| name.len() <= NAME_BYTES_MAX && TargetName::new(name).is_ok());
    expect(fits, path, "a name that is not blank, of 255 bytes at most")
}

pub(super) fn policy_name(given: Option<&str>, path: &str) -> Result<(), Refused> {
    name(given, path)?;
    expect(given != Some(NO_POLICY), path, "another name than none, which stands for no policy")
}

/// The least and the largest value of a number in thousandths, and what it should be.
pub(super) type Range = (u32, u32, &'static str);
pub(super) const BACKOFF: Range = (1_000, 100_000, "a number from 1 to 100 with at most three decimals");
pub(super) const JITTER: Range = (0, 1_000, "a number from 0 to 1 with at most three decimals");

pub(super) fn thousandths(given: Option<u32>, (least, largest, expected): Range, path: &str) -> Result<(), Refused> {
    expect(given.is_none_or(|number| (least..=largest).contains(&number)), path, expected)
}

pub(super) fn attempts(given: Option<i64>, path: &str) -> Result<(), Refused> {
    expect(given.is_none_or(|all| (1..=1_000).contains(&all)), path, "a whole number from 1 to 1000")
}

pub(super) fn result_bytes(given: Option<i64>, path: &str) -> Result<(), Refused> {
    let fits = given.is_none_or(|bytes| (1 << 10..=1 << 24).contains(&bytes));
    expect(fits, path, "a whole number from 1024 to 16777216")
}

pub(super) fn sqlstates(given: Option<&[String]>, path: &str) -> Result<(), Refused> {
    let is_code = |name: &String| {
        let characters = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        (name.len() == 2 || name.len() == 5) && characters || ["transient", "any", "reported"].contains(&name.as_str())
    };
    let fits = given.is_none_or(|all| all.len() <= SQLSTATES_MAX && all.iter().all(is_code));
    expect(fits, path, "an array of up to 100 SQLSTATEs, classes of two characters, transient, any and reported")
}

pub(super) fn connection(given: Option<&str>, path: &str) -> Result<(), Refused> {
    let read = given.map_or(Ok(()), connection_string::check);
    read.map_err(|expected| refuse(path, Problem::impossible(expected)))
}

/// The connection string of the server itself, with which the SQL engine reaches it.
pub(super) fn own_connection(given: Option<&str>, path: &str) -> Result<(), Refused> {
    connection(given, path)?;
    let fits = given.is_none_or(|text| !connection_string::references_secret(text));
    expect(fits, path, "a connection string without a reference to a secret")
}

pub(super) fn tags(given: Option<&[String]>, path: &str) -> Result<(), Refused> {
    given.unwrap_or_default().iter().try_for_each(|tag| name(Some(tag), path))
}

pub(super) fn routines(given: Option<&[String]>, path: &str) -> Result<(), Refused> {
    let fits = given.is_none_or(|all| all.iter().all(|routine| TargetName::new(routine).is_ok()));
    expect(fits, path, "an array of texts that are not blank")
}

pub(super) fn at_least(given: Option<i64>, least: i64, path: &str) -> Result<(), Refused> {
    let expected =
        if least == 0 { "a whole number from 0 to 2147483647" } else { "a whole number from 1 to 2147483647" };
    let fits = given.is_none_or(|number| (least..=i64::from(i32::MAX)).contains(&number));
    expect(fits, path, expected)
}

pub(super) fn positive(given: Option<Span>, path: &str) -> Result<(), Refused> {
    let fits = given.is_none_or(|span| span > Span::ZERO && span <= LONGEST);
    expect(fits, path, "a length of time above zero, of 10000 years at most")
}

pub(super) fn within_a_day(given: Option<Span>, path: &str) -> Result<(), Refused> {
    let fits = given.is_none_or(|span| span >= Span::ZERO && span <= Span::seconds(86_400));
    expect(fits, path, "a number of seconds from 0 to 86400")
}

pub(super) fn not_negative(given: Option<Span>, path: &str) -> Result<(), Refused> {
    let fits = given.is_none_or(|span| span >= Span::ZERO && span <= LONGEST);
    expect(fits, path, "a length of time that is not negative, of 10000 years at most")
}

fn expect(fits: bool, path: &str, expected: &'static str) -> Result<(), Refused> {
    if fits { Ok(()) } else { Err(refuse(path, Problem::impossible(expected))) }
}
