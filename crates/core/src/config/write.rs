//! Documents and configurations as JSON that [`Document::from_json`] reads.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::Configuration;
use super::control::Control;
use super::document::{ControlEntry, Document, PoolEntry, RetryPolicyEntry, ScheduleEntry, TargetEntry};
use super::interval::AsInterval;
use crate::schedule::{CatchUp, Overlap};
use crate::time::Span;

/// A JSON object that has only the given values.
struct Object(Map<String, Value>);

impl Object {
    fn with(mut self, key: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.0.insert(key.to_owned(), value.into());
        }
        self
    }

    fn seconds(self, key: &str, span: Option<Span>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a day in microseconds is exact")]
        let seconds = span.map(|span| span.as_micros() as f64 / 1e6);
        self.with(key, seconds)
    }

    fn thousandths(self, key: &str, number: Option<u32>) -> Self {
        self.with(key, number.map(|number| f64::from(number) / 1_000.0))
    }

    fn interval(self, key: &str, span: Option<Span>) -> Self {
        self.with(key, span.map(|span| AsInterval(span).to_string()))
    }
}

impl From<&ControlEntry> for Value {
    fn from(entry: &ControlEntry) -> Self {
        let object = Object(Map::new())
            .with("enabled", entry.enabled)
            .with("workers", entry.workers)
            .seconds("idle_sleep", entry.idle_sleep)
            .seconds("busy_sleep", entry.busy_sleep)
            .interval("heavy_maintenance_sleep", entry.heavy_maintenance_sleep)
            .interval("light_maintenance_sleep", entry.light_maintenance_sleep)
            .interval("task_keep_duration", entry.task_keep_duration)
            .interval("default_timeout", entry.default_timeout)
            .with("advisory_mutex_id", entry.advisory_mutex_id)
            .with("self_target", entry.self_target.clone())
            .with("self_connection_string", entry.self_connection_string.clone())
            .with("self_concurrency", entry.self_concurrency)
            .with("paused", entry.paused)
            .with("default_concurrency_pool_workers", entry.default_concurrency_pool_workers)
            .with("startup_routines", entry.startup_routines.clone())
            .with("loop_routines", entry.loop_routines.clone())
            .with("debug_log", entry.debug_log)
            .interval("target_patience", entry.target_patience)
            .interval("takeover_grace", entry.takeover_grace)
            .with("default_retry", entry.default_retry.clone())
            .with("result_bytes_max", entry.result_bytes_max)
            .interval("receipt_keep", entry.receipt_keep);
        Self::Object(object.0)
    }
}

impl From<&TargetEntry> for Value {
    fn from(entry: &TargetEntry) -> Self {
        let object = Object(Map::new())
            .with("target", Some(entry.target.clone()))
            .with("max_workers", entry.max_workers)
            .with("max_concurrency", entry.max_concurrency)
            .with("connection_string", entry.connection_string.clone())
            .with("asynchronous_finish", entry.asynchronous_finish)
            .interval("default_timeout", entry.default_timeout)
            .with("max_sessions", entry.max_sessions)
            .with("concurrency_track_yielded", entry.concurrency_track_yielded)
            .with("session_reset", entry.session_reset)
            .with("receipts", entry.receipts)
            .with("tags", entry.tags.clone())
            .with("default_retry", entry.default_retry.clone())
            .with("paused", entry.paused)
            .with("retired", entry.retired);
        Self::Object(object.0)
    }
}

impl From<&PoolEntry> for Value {
    fn from(entry: &PoolEntry) -> Self {
        let object = Object(Map::new())
            .with("concurrency_pool", Some(entry.concurrency_pool.clone()))
            .with("max_workers", entry.max_workers)
            .with("starts_max", entry.starts_max)
            .interval("interval", entry.interval)
            .with("paused", entry.paused)
            .with("retired", entry.retired);
        Self::Object(object.0)
    }
}

impl From<&RetryPolicyEntry> for Value {
    fn from(entry: &RetryPolicyEntry) -> Self {
        let object = Object(Map::new())
            .with("retry_policy", Some(entry.retry_policy.clone()))
            .with("max_attempts", entry.max_attempts)
            .interval("delay", entry.delay)
            .thousandths("backoff", entry.backoff)
            .interval("delay_max", entry.delay_max)
            .thousandths("jitter", entry.jitter)
            .with("sqlstates", entry.sqlstates.clone())
            .with("timeouts", entry.timeouts)
            .with("unreachable", entry.unreachable)
            .with("unknown", entry.unknown)
            .with("may_run_twice", entry.may_run_twice);
        Self::Object(object.0)
    }
}

impl From<&ScheduleEntry> for Value {
    fn from(entry: &ScheduleEntry) -> Self {
        let data = entry.task_data.as_ref().and_then(|json| serde_json::from_str::<Self>(json).ok());
        let object = Object(Map::new())
            .with("schedule", Some(entry.schedule.clone()))
            .with("when", entry.when.clone())
            .with("target", entry.target.clone())
            .with("time_zone", entry.time_zone.clone())
            .with("query", entry.query.clone())
            .with("overlap", entry.overlap.map(Overlap::as_str))
            .with("catch_up", entry.catch_up.map(CatchUp::as_str))
            .with("priority", entry.priority)
            .with("concurrency_pool", entry.concurrency_pool.clone())
            .interval("timeout", entry.timeout)
            .with("task_data", data)
            .with("track_yielded", entry.track_yielded)
            .with("source", entry.source.clone())
            .with("retry", entry.retry.clone())
            .interval("expires_after", entry.expires_after)
            .with("receipt", entry.receipt)
            .with("paused", entry.paused);
        Self::Object(object.0)
    }
}

impl From<&Document> for Value {
    fn from(document: &Document) -> Self {
        let targets = document.targets.as_ref().map(|all| all.iter().map(Self::from).collect::<Vec<_>>());
        let pools = document.concurrency_pools.as_ref().map(|all| all.iter().map(Self::from).collect::<Vec<_>>());
        let policies = document.retry_policies.as_ref().map(|all| all.iter().map(Self::from).collect::<Vec<_>>());
        let schedules = document.schedules.as_ref().map(|all| all.iter().map(Self::from).collect::<Vec<_>>());
        let object = Object(Map::new())
            .with("control", document.control.as_ref().map(Self::from))
            .with("targets", targets)
            .with("concurrency_pools", pools)
            .with("retry_policies", policies)
            .with("schedules", schedules);
        Self::Object(object.0)
    }
}

macro_rules! as_json {
    ($($name:ident)+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Value::from(self).serialize(serializer)
            }
        }
    )+};
}

as_json!(ControlEntry TargetEntry PoolEntry RetryPolicyEntry ScheduleEntry Document);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Reads a part of a document through [`Document::from_json`], so that no check is bypassed.
macro_rules! as_part {
    ($($name:ident by $document:expr, $part:expr;)+) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let document: fn(Value) -> Value = $document;
                let part: fn(Document) -> Option<Self> = $part;
                let read = Document::from_json(&document(Value::deserialize(deserializer)?)).map_err(D::Error::custom)?;
                part(read).ok_or_else(|| D::Error::custom("this is required"))
            }
        }
    )+};
}

as_part! {
    ControlEntry by |it| serde_json::json!({"control": it}), |document| document.control;
    TargetEntry by |it| serde_json::json!({"targets": [it]}), |document| document.targets?.pop();
    PoolEntry by |it| serde_json::json!({"concurrency_pools": [it]}), |document| document.concurrency_pools?.pop();
    RetryPolicyEntry by |it| serde_json::json!({"retry_policies": [it]}), |document| document.retry_policies?.pop();
    ScheduleEntry by |it| serde_json::json!({"schedules": [it]}), |document| document.schedules?.pop();
}

/// Serializes as the entry that sets all of these settings.
impl Serialize for Control {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entry().serialize(serializer)
    }
}

/// Serializes as the document that turns a default configuration into this one.
impl Serialize for Configuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.document().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Configuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut configuration = Self::empty();
        configuration.apply(&Document::deserialize(deserializer)?).map_err(D::Error::custom)?;
        Ok(configuration)
    }
}
