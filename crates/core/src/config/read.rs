//! Reading the document from JSON. An error has the path of the value that is refused.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::check;
use super::document::{ControlEntry, Document, PoolEntry, RetryPolicyEntry, ScheduleEntry, TargetEntry};
use super::interval::Interval;
use super::refused::{Problem, Refused, refuse};
use crate::schedule::{CatchUp, Overlap};
use crate::time::Span;

/// The type and the range of a setting.
#[derive(Debug, Clone, Copy)]
enum ValueKind {
    Flag,
    /// A whole number of 32 bits.
    Int,
    /// A whole number from 0.
    Size,
    /// A whole number from 1.
    Positive,
    /// A number of seconds, up to a day.
    Seconds,
    /// An interval, as a text.
    Interval,
    /// An interval above zero, as a text.
    Timeout,
    Name,
    PolicyName,
    /// A whole number from 1 to 1000.
    Attempts,
    /// A whole number from 1024 to 16777216.
    ResultBytes,
    /// A number with up to three decimals.
    Thousandths(check::Range),
    Sqlstates,
    ConnectionString,
    OwnConnectionString,
    Routines,
    /// An array of names.
    Tags,
    Text,
    Overlap,
    CatchUp,
    /// Any value.
    Json,
    /// A column that the leader writes. The key is accepted and ignored, so that a row of the table
    /// can be given back.
    Reported,
}

const CONTROL: [(&str, ValueKind); 28] = [
    ("enabled", ValueKind::Flag),
    ("workers", ValueKind::Positive),
    ("idle_sleep", ValueKind::Seconds),
    ("busy_sleep", ValueKind::Seconds),
    ("heavy_maintenance_sleep", ValueKind::Interval),
    ("light_maintenance_sleep", ValueKind::Interval),
    ("task_keep_duration", ValueKind::Interval),
    ("default_timeout", ValueKind::Timeout),
    ("advisory_mutex_id", ValueKind::Int),
    ("self_target", ValueKind::Name),
    ("self_connection_string", ValueKind::OwnConnectionString),
    ("self_concurrency", ValueKind::Positive),
    ("paused", ValueKind::Flag),
    ("default_concurrency_pool_workers", ValueKind::Size),
    ("startup_routines", ValueKind::Routines),
    ("loop_routines", ValueKind::Routines),
    ("debug_log", ValueKind::Flag),
    ("target_patience", ValueKind::Interval),
    ("takeover_grace", ValueKind::Interval),
    ("default_retry", ValueKind::Name),
    ("result_bytes_max", ValueKind::ResultBytes),
    ("receipt_keep", ValueKind::Interval),
    ("last_heavy_maintenance", ValueKind::Reported),
    ("last_light_maintenance", ValueKind::Reported),
    ("running_since", ValueKind::Reported),
    ("pid", ValueKind::Reported),
    ("version", ValueKind::Reported),
    ("trigger_search_path", ValueKind::Reported),
];

const TARGET: [(&str, ValueKind); 14] = [
    ("target", ValueKind::Name),
    ("max_workers", ValueKind::Size),
    ("max_concurrency", ValueKind::Size),
    ("connection_string", ValueKind::ConnectionString),
    ("asynchronous_finish", ValueKind::Flag),
    ("default_timeout", ValueKind::Timeout),
    ("max_sessions", ValueKind::Positive),
    ("concurrency_track_yielded", ValueKind::Flag),
    ("session_reset", ValueKind::Flag),
    ("receipts", ValueKind::Flag),
    ("tags", ValueKind::Tags),
    ("default_retry", ValueKind::Name),
    ("paused", ValueKind::Flag),
    ("retired", ValueKind::Flag),
];

const POOL: [(&str, ValueKind); 6] = [
    ("concurrency_pool", ValueKind::Name),
    ("max_workers", ValueKind::Size),
    ("starts_max", ValueKind::Size),
    ("interval", ValueKind::Timeout),
    ("paused", ValueKind::Flag),
    ("retired", ValueKind::Flag),
];

const RETRY_POLICY: [(&str, ValueKind); 11] = [
    ("retry_policy", ValueKind::PolicyName),
    ("max_attempts", ValueKind::Attempts),
    ("delay", ValueKind::Interval),
    ("backoff", ValueKind::Thousandths(check::BACKOFF)),
    ("delay_max", ValueKind::Interval),
    ("jitter", ValueKind::Thousandths(check::JITTER)),
    ("sqlstates", ValueKind::Sqlstates),
    ("timeouts", ValueKind::Flag),
    ("unreachable", ValueKind::Flag),
    ("unknown", ValueKind::Flag),
    ("may_run_twice", ValueKind::Flag),
];

const SCHEDULE: [(&str, ValueKind); 28] = [
    ("schedule", ValueKind::Name),
    ("when", ValueKind::Text),
    ("time_zone", ValueKind::Name),
    ("query", ValueKind::Text),
    ("target", ValueKind::Name),
    ("overlap", ValueKind::Overlap),
    ("catch_up", ValueKind::CatchUp),
    ("priority", ValueKind::Int),
    ("concurrency_pool", ValueKind::Name),
    ("timeout", ValueKind::Timeout),
    ("task_data", ValueKind::Json),
    ("track_yielded", ValueKind::Flag),
    ("source", ValueKind::Name),
    ("retry", ValueKind::Name),
    ("expires_after", ValueKind::Timeout),
    ("receipt", ValueKind::Flag),
    ("paused", ValueKind::Flag),
    ("owner", ValueKind::Reported),
    ("configured", ValueKind::Reported),
    ("last_time", ValueKind::Reported),
    ("next_time", ValueKind::Reported),
    ("look_at", ValueKind::Reported),
    ("last_fired", ValueKind::Reported),
    ("last_task_id", ValueKind::Reported),
    ("last_skipped", ValueKind::Reported),
    ("last_refused", ValueKind::Reported),
    ("last_refusal", ValueKind::Reported),
    ("refusal_logged", ValueKind::Reported),
];

const SECTIONS: [&str; 5] = ["control", "targets", "concurrency_pools", "retry_policies", "schedules"];

impl Document {
    /// Reads a document from JSON, and checks each setting in it: section by section, and within an
    /// object in the order of the names.
    ///
    /// # Errors
    /// [`Refused`] names the first key or value that is refused.
    ///
    /// ```
    /// let json = serde_json::json!({"control": {"wrokers": 3}});
    /// let refused = pgasync_core::Document::from_json(&json).unwrap_err();
    /// assert_eq!(refused.path, "control.wrokers");
    /// ```
    pub fn from_json(json: &Value) -> Result<Self, Refused> {
        let Some(sections) = json.as_object() else {
            return Err(refuse("the configuration", wrong_type("an object")));
        };
        let mut unknown: Vec<&String> = sections.keys().filter(|key| !SECTIONS.contains(&key.as_str())).collect();
        unknown.sort_unstable();
        if let Some(key) = unknown.first() {
            return Err(refuse(*key, Problem::UnknownKey));
        }
        let given = |key: &str| sections.get(key).filter(|value| !value.is_null());
        Ok(Self {
            control: given("control").map(control).transpose()?,
            targets: given("targets").map(|list| read_list(list, "targets", "target", &TARGET, target)).transpose()?,
            concurrency_pools: given("concurrency_pools")
                .map(|list| read_list(list, "concurrency_pools", "concurrency_pool", &POOL, pool))
                .transpose()?,
            retry_policies: given("retry_policies")
                .map(|list| read_list(list, "retry_policies", "retry_policy", &RETRY_POLICY, retry_policy))
                .transpose()?,
            schedules: given("schedules")
                .map(|list| read_list(list, "schedules", "schedule", &SCHEDULE, schedule))
                .transpose()?,
        })
    }
}

pub(super) fn control(json: &Value) -> Result<ControlEntry, Refused> {
    let given = Checked::new(json, "control", &CONTROL)?;
    Ok(ControlEntry {
        enabled: given.flag("enabled"),
        workers: given.number("workers"),
        idle_sleep: given.seconds("idle_sleep"),
        busy_sleep: given.seconds("busy_sleep"),
        heavy_maintenance_sleep: given.span("heavy_maintenance_sleep"),
        light_maintenance_sleep: given.span("light_maintenance_sleep"),
        task_keep_duration: given.span("task_keep_duration"),
        default_timeout: given.span("default_timeout"),
        advisory_mutex_id: given.int("advisory_mutex_id"),
        self_target: given.text("self_target"),
        self_connection_string: given.text("self_connection_string"),
        self_concurrency: given.number("self_concurrency"),
        paused: given.flag("paused"),
        default_concurrency_pool_workers: given.number("default_concurrency_pool_workers"),
        startup_routines: given.texts("startup_routines"),
        loop_routines: given.texts("loop_routines"),
        debug_log: given.flag("debug_log"),
        target_patience: given.span("target_patience"),
        takeover_grace: given.span("takeover_grace"),
        default_retry: given.text("default_retry"),
        result_bytes_max: given.number("result_bytes_max"),
        receipt_keep: given.span("receipt_keep"),
    })
}

fn target(given: &Checked) -> TargetEntry {
    TargetEntry {
        target: given.required_text("target"),
        max_workers: given.number("max_workers"),
        max_concurrency: given.number("max_concurrency"),
        connection_string: given.text("connection_string"),
        asynchronous_finish: given.flag("asynchronous_finish"),
        default_timeout: given.span("default_timeout"),
        max_sessions: given.number("max_sessions"),
        concurrency_track_yielded: given.flag("concurrency_track_yielded"),
        session_reset: given.flag("session_reset"),
        receipts: given.flag("receipts"),
        tags: given.texts("tags"),
        default_retry: given.text("default_retry"),
        paused: given.flag("paused"),
        retired: given.flag("retired"),
    }
}

fn pool(given: &Checked) -> PoolEntry {
    PoolEntry {
        concurrency_pool: given.required_text("concurrency_pool"),
        max_workers: given.number("max_workers"),
        starts_max: given.number("starts_max"),
        interval: given.span("interval"),
        paused: given.flag("paused"),
        retired: given.flag("retired"),
    }
}

fn retry_policy(given: &Checked) -> RetryPolicyEntry {
    RetryPolicyEntry {
        retry_policy: given.required_text("retry_policy"),
        max_attempts: given.number("max_attempts"),
        delay: given.span("delay"),
        backoff: given.thousandths("backoff"),
        delay_max: given.span("delay_max"),
        jitter: given.thousandths("jitter"),
        sqlstates: given.texts("sqlstates"),
        timeouts: given.flag("timeouts"),
        unreachable: given.flag("unreachable"),
        unknown: given.flag("unknown"),
        may_run_twice: given.flag("may_run_twice"),
    }
}

fn schedule(given: &Checked) -> ScheduleEntry {
    ScheduleEntry {
        schedule: given.required_text("schedule"),
        when: given.text("when"),
        target: given.text("target"),
        time_zone: given.text("time_zone"),
        query: given.text("query"),
        overlap: given.text("overlap").and_then(|name| Overlap::of(&name)),
        catch_up: given.text("catch_up").and_then(|name| CatchUp::of(&name)),
        priority: given.int("priority"),
        concurrency_pool: given.text("concurrency_pool"),
        timeout: given.span("timeout"),
        task_data: given.json("task_data"),
        track_yielded: given.flag("track_yielded"),
        source: given.text("source"),
        retry: given.text("retry"),
        expires_after: given.span("expires_after"),
        receipt: given.flag("receipt"),
        paused: given.flag("paused"),
    }
}

/// Reads a list of objects with different names.
fn read_list<T>(
    list: &Value,
    path: &str,
    name: &str,
    kinds: &[(&str, ValueKind)],
    read: impl Fn(&Checked) -> T,
) -> Result<Vec<T>, Refused> {
    let Some(items) = list.as_array() else { return Err(refuse(path, wrong_type("an array"))) };
    let mut names = Vec::new();
    let mut entries = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let given = Checked::new(item, &path, kinds)?;
        let at = format!("{path}.{name}");
        let name = given.text(name).ok_or_else(|| refuse(&at, Problem::Missing))?;
        if names.contains(&name) {
            return Err(refuse(at, Problem::Duplicate { name }));
        }
        names.push(name);
        entries.push(read(&given));
    }
    Ok(entries)
}

const fn wrong_type(expected: &'static str) -> Problem {
    Problem::WrongType { expected: Cow::Borrowed(expected) }
}

/// A JSON object whose values were checked. A null counts as a missing value.
struct Checked<'a>(&'a Map<String, Value>);

impl<'a> Checked<'a> {
    fn new(json: &'a Value, path: &str, kinds: &[(&str, ValueKind)]) -> Result<Self, Refused> {
        let Some(map) = json.as_object() else { return Err(refuse(path, wrong_type("an object"))) };
        let mut pairs: Vec<(&String, &Value)> = map.iter().collect();
        pairs.sort_unstable_by_key(|(key, _)| *key);
        for (key, value) in pairs {
            let path = format!("{path}.{key}");
            let kind = kinds.iter().find(|(name, _)| name == key).map(|(_, kind)| *kind);
            let kind = kind.ok_or_else(|| refuse(&path, Problem::UnknownKey))?;
            if !value.is_null() {
                kind.check(value, &path)?;
            }
        }
        Ok(Self(map))
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.0.get(key)?.as_bool()
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.0.get(key)?.as_i64()
    }

    /// A number that was checked to have 32 bits.
    fn int(&self, key: &str) -> Option<i32> {
        let number = i32::try_from(self.number(key)?);
        debug_assert!(number.is_ok(), "{key} was checked");
        number.ok()
    }

    /// A text that was checked to be there.
    fn required_text(&self, key: &str) -> String {
        let text = self.text(key);
        debug_assert!(text.is_some(), "{key} was checked");
        text.unwrap_or_default()
    }

    fn text(&self, key: &str) -> Option<String> {
        self.0.get(key)?.as_str().map(str::to_owned)
    }

    fn texts(&self, key: &str) -> Option<Vec<String>> {
        texts(self.0.get(key)?)
    }

    fn json(&self, key: &str) -> Option<String> {
        self.0.get(key).filter(|value| !value.is_null()).map(Value::to_string)
    }

    fn seconds(&self, key: &str) -> Option<Span> {
        seconds(self.0.get(key)?.as_f64()?)
    }

    fn thousandths(&self, key: &str) -> Option<u32> {
        thousandths(self.0.get(key)?.as_f64()?)
    }

    fn span(&self, key: &str) -> Option<Span> {
        Interval::read(self.0.get(key)?.as_str()?)?.span()
    }
}

impl ValueKind {
    fn check(self, value: &Value, path: &str) -> Result<(), Refused> {
        let wrong = |expected| refuse(path, wrong_type(expected));
        match self {
            Self::Reported | Self::Json => Ok(()),
            Self::Text => value.as_str().map(|_| ()).ok_or_else(|| wrong("a text")),
            Self::Overlap => {
                let known = value.as_str().ok_or_else(|| wrong("a text")).map(Overlap::of)?;
                known.map(|_| ()).ok_or_else(|| {
                    refuse(path, Problem::impossible("skip, buffer_one, buffer_all, cancel_other or allow_all"))
                })
            }
            Self::CatchUp => {
                let known = value.as_str().ok_or_else(|| wrong("a text")).map(CatchUp::of)?;
                known.map(|_| ()).ok_or_else(|| refuse(path, Problem::impossible("none, last or all")))
            }
            Self::Flag => value.as_bool().map(|_| ()).ok_or_else(|| wrong("true or false")),
            Self::Int => {
                let fits = value.as_i64().filter(|number| i32::try_from(*number).is_ok());
                fits.map(|_| ()).ok_or_else(|| wrong("a whole number of 32 bits"))
            }
            Self::Size | Self::Positive => {
                let number = value.as_i64().ok_or_else(|| wrong("a whole number"))?;
                check::at_least(Some(number), i64::from(matches!(self, Self::Positive)), path)
            }
            Self::Seconds => {
                let number = value.as_f64().ok_or_else(|| wrong("a number of seconds"))?;
                if number > 86_400.0 {
                    return check::within_a_day(Some(Span::seconds(86_401)), path);
                }
                check::within_a_day(seconds(number).or(Some(Span::seconds(-1))), path)
            }
            Self::Interval | Self::Timeout => {
                let interval = value.as_str().and_then(Interval::read);
                let interval = interval.ok_or_else(|| wrong("an interval, as a text"))?;
                interval.check(matches!(self, Self::Timeout), path)
            }
            Self::PolicyName => check::policy_name(Some(value.as_str().ok_or_else(|| wrong("a text"))?), path),
            Self::Attempts => check::attempts(Some(value.as_i64().ok_or_else(|| wrong("a whole number"))?), path),
            Self::ResultBytes => {
                check::result_bytes(Some(value.as_i64().ok_or_else(|| wrong("a whole number"))?), path)
            }
            Self::Thousandths(range) => {
                let number = value.as_f64().ok_or_else(|| wrong("a number"))?;
                check::thousandths(thousandths(number).or(Some(u32::MAX)), range, path)
            }
            Self::Sqlstates => {
                let names = texts(value).ok_or_else(|| wrong("an array of texts"))?;
                check::sqlstates(Some(&names), path)
            }
            Self::Name => check::name(Some(value.as_str().ok_or_else(|| wrong("a text"))?), path),
            Self::ConnectionString => check::connection(Some(value.as_str().ok_or_else(|| wrong("a text"))?), path),
            Self::OwnConnectionString => {
                check::own_connection(Some(value.as_str().ok_or_else(|| wrong("a text"))?), path)
            }
            Self::Routines => {
                let expected = "an array of texts that are not blank";
                check::routines(Some(&texts(value).ok_or_else(|| wrong(expected))?), path)
            }
            Self::Tags => {
                check::tags(Some(&texts(value).ok_or_else(|| wrong("an array of texts that are not blank"))?), path)
            }
        }
    }
}

impl Interval {
    fn check(self, above_zero: bool, path: &str) -> Result<(), Refused> {
        const YEARS_10000: i128 = 3_600_000 * 86_400 * 1_000_000;
        let ordinal = self.ordinal();
        // The limit in terms of [`Interval::ordinal`], in which a year is 360 days.
        let span = match self.span() {
            Some(_) if ordinal == 0 => Span::ZERO,
            Some(span) if (0..=YEARS_10000).contains(&ordinal) => span,
            Some(_) | None => Span::micros(-1),
        };
        if above_zero { check::positive(Some(span), path) } else { check::not_negative(Some(span), path) }
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

/// A number in thousandths; `None` for one with more than three decimals, and one out of range.
fn thousandths(number: f64) -> Option<u32> {
    let thousandths = (number * 1_000.0).round();
    let is_exact = (thousandths / 1_000.0 - number).abs() < 1e-9 && (0.0..=1e9).contains(&thousandths);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
    is_exact.then_some(thousandths as u32)
}

/// Rounds a number of seconds to microseconds; `None` for a negative number.
fn seconds(number: f64) -> Option<Span> {
    let span = std::time::Duration::try_from_secs_f64(number).ok()?;
    i64::try_from((span.as_nanos() + 500) / 1_000).ok().map(Span::micros)
}
