//! The document read from JSON, with the path of whatever does not belong.

use serde_json::{Map, Value};

use super::document::{ControlEntry, Document, PoolEntry, TargetEntry};
use super::interval::parse_interval;
use super::{Problem, Refused};
use crate::time::Span;

/// Columns of `control` that report and are not set: accepted, so that a row can be put back.
const REPORTED: [&str; 8] = [
    "last_heavy_maintenance",
    "last_light_maintenance",
    "running_since",
    "pid",
    "version",
    "startup_routines",
    "loop_routines",
    "control_id",
];

impl Document {
    /// Reads a document from JSON.
    ///
    /// # Errors
    /// [`Refused`] names the first key or value that does not belong.
    ///
    /// ```
    /// let json = serde_json::json!({"control": {"wrokers": 3}});
    /// let refused = pgasync_core::Document::from_json(&json).unwrap_err();
    /// assert_eq!(refused.path, "control.wrokers");
    /// ```
    pub fn from_json(json: &Value) -> Result<Self, Refused> {
        let object = Object::new(json, String::new())?;
        object.only(&["control", "targets", "concurrency_pools"])?;
        Ok(Self {
            control: object.given("control").map(|value| control(value, "control".to_owned())).transpose()?,
            targets: object.list("targets", target)?,
            concurrency_pools: object.list("concurrency_pools", pool)?,
        })
    }
}

fn control(json: &Value, path: String) -> Result<ControlEntry, Refused> {
    let object = Object::new(json, path)?;
    let settings = [
        "enabled",
        "workers",
        "idle_sleep",
        "busy_sleep",
        "heavy_maintenance_sleep",
        "light_maintenance_sleep",
        "task_keep_duration",
        "default_timeout",
        "advisory_mutex_id",
        "self_target",
        "self_connection_string",
        "self_concurrency",
        "paused",
        "default_concurrency_pool_workers",
        "debug_log",
        "target_patience",
        "takeover_grace",
    ];
    object.only(&[&settings[..], &REPORTED].concat())?;
    Ok(ControlEntry {
        enabled: object.flag("enabled")?,
        workers: object.number("workers")?,
        idle_sleep: object.seconds("idle_sleep")?,
        busy_sleep: object.seconds("busy_sleep")?,
        heavy_maintenance_sleep: object.span("heavy_maintenance_sleep")?,
        light_maintenance_sleep: object.span("light_maintenance_sleep")?,
        task_keep_duration: object.span("task_keep_duration")?,
        default_timeout: object.span("default_timeout")?,
        advisory_mutex_id: object.small_number("advisory_mutex_id")?,
        self_target: object.text("self_target")?,
        self_connection_string: object.text("self_connection_string")?,
        self_concurrency: object.number("self_concurrency")?,
        paused: object.flag("paused")?,
        default_concurrency_pool_workers: object.number("default_concurrency_pool_workers")?,
        debug_log: object.flag("debug_log")?,
        target_patience: object.span("target_patience")?,
        takeover_grace: object.span("takeover_grace")?,
    })
}

fn target(json: &Value, path: String) -> Result<TargetEntry, Refused> {
    let object = Object::new(json, path)?;
    object.only(&[
        "target",
        "max_workers",
        "max_concurrency",
        "connection_string",
        "asynchronous_finish",
        "default_timeout",
        "concurrency_track_yielded",
        "session_reset",
        "retired",
    ])?;
    Ok(TargetEntry {
        target: object.required("target")?,
        max_workers: object.number("max_workers")?,
        max_concurrency: object.number("max_concurrency")?,
        connection_string: object.text("connection_string")?,
        asynchronous_finish: object.flag("asynchronous_finish")?,
        default_timeout: object.span("default_timeout")?,
        concurrency_track_yielded: object.flag("concurrency_track_yielded")?,
        session_reset: object.flag("session_reset")?,
        retired: object.flag("retired")?,
    })
}

fn pool(json: &Value, path: String) -> Result<PoolEntry, Refused> {
    let object = Object::new(json, path)?;
    object.only(&["concurrency_pool", "max_workers", "retired"])?;
    Ok(PoolEntry {
        concurrency_pool: object.required("concurrency_pool")?,
        max_workers: object.number("max_workers")?,
        retired: object.flag("retired")?,
    })
}

/// A JSON object that knows where it stands. A null is as good as nothing.
struct Object<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

impl<'a> Object<'a> {
    fn new(json: &'a Value, path: String) -> Result<Self, Refused> {
        match json.as_object() {
            Some(map) => Ok(Self { map, path }),
            None => {
                let path = if path.is_empty() { "the configuration".to_owned() } else { path };
                Err(Refused { path, problem: Problem::WrongType { expected: "an object" } })
            }
        }
    }

    fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn refuse(&self, key: &str, problem: Problem) -> Refused {
        Refused { path: self.at(key), problem }
    }

    fn only(&self, known: &[&str]) -> Result<(), Refused> {
        let unknown = self.map.keys().find(|key| !known.contains(&key.as_str()));
        unknown.map_or(Ok(()), |key| Err(self.refuse(key, Problem::UnknownKey)))
    }

    fn given(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn read<T>(
        &self,
        key: &str,
        expected: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, Refused> {
        let Some(value) = self.given(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.refuse(key, Problem::WrongType { expected }))
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, Refused> {
        self.read(key, "true or false", Value::as_bool)
    }

    fn number(&self, key: &str) -> Result<Option<i64>, Refused> {
        self.read(key, "a whole number", Value::as_i64)
    }

    fn small_number(&self, key: &str) -> Result<Option<i32>, Refused> {
        self.read(key, "a whole number of 32 bits", |value| value.as_i64().and_then(|n| i32::try_from(n).ok()))
    }

    fn text(&self, key: &str) -> Result<Option<String>, Refused> {
        self.read(key, "a text", |value| value.as_str().map(str::to_owned))
    }

    fn required(&self, key: &str) -> Result<String, Refused> {
        self.text(key)?.ok_or_else(|| self.refuse(key, Problem::Missing))
    }

    /// A setting whose column is a number of seconds.
    fn seconds(&self, key: &str) -> Result<Option<Span>, Refused> {
        self.read(key, "a number of seconds", |value| {
            value.as_number().and_then(|number| parse_interval(&number.to_string()))
        })
    }

    /// A setting whose column is an interval.
    fn span(&self, key: &str) -> Result<Option<Span>, Refused> {
        self.read(key, "an interval, as a text", |value| value.as_str().and_then(parse_interval))
    }

    fn list<T>(
        &self,
        key: &str,
        read: impl Fn(&Value, String) -> Result<T, Refused>,
    ) -> Result<Option<Vec<T>>, Refused> {
        let Some(value) = self.given(key) else { return Ok(None) };
        let wrong = || self.refuse(key, Problem::WrongType { expected: "an array" });
        let items = value.as_array().ok_or_else(wrong)?.iter().enumerate();
        items.map(|(at, item)| read(item, format!("{}[{at}]", self.at(key)))).collect::<Result<_, _>>().map(Some)
    }
}
