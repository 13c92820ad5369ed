//! What a document would change in the present configuration.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// A setting that differs, or an entry that comes or goes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    pub(super) path: String,
    /// `added`, `changed`, `retired` or `removed`.
    pub(super) change: &'static str,
    pub(super) present: Value,
    pub(super) wanted: Value,
}

/// The lists, with the name of an entry, and what becomes of one that a document leaves out.
const LISTS: [(&str, &str, &str); 4] = [
    ("targets", "target", "retired"),
    ("concurrency_pools", "concurrency_pool", "retired"),
    ("retry_policies", "retry_policy", "removed"),
    ("schedules", "schedule", "removed"),
];

/// Keys that mean the same, the present configuration having the second one.
const SYNONYM: (&str, &str) = ("max_workers", "max_concurrency");

pub(super) fn differences(present: &Value, wanted: &Value) -> Vec<Difference> {
    let mut all = Vec::new();
    compare("control", &present["control"], &wanted["control"], &mut all);
    for (list, key, gone) in LISTS {
        let Some(entries) = wanted[list].as_array() else { continue };
        let names: BTreeSet<&str> = entries.iter().filter_map(|entry| entry[key].as_str()).collect();
        for entry in entries {
            let name = entry[key].as_str().unwrap_or_default();
            let path = format!("{list}.{name}");
            match known(present, list, key, name) {
                Some(known) => {
                    compare(&path, known, entry, &mut all);
                    if known["retired"] == true && entry["retired"] != true {
                        all.push(Difference {
                            path,
                            change: "changed",
                            present: "retired".into(),
                            wanted: "in use".into(),
                        });
                    }
                }
                None => all.push(Difference { path, change: "added", present: Value::Null, wanted: masked(entry) }),
            }
        }
        for entry in present[list].as_array().into_iter().flatten().filter(|entry| entry["retired"] != true) {
            let name = entry[key].as_str().unwrap_or_default();
            if !names.contains(name) {
                let path = format!("{list}.{name}");
                all.push(Difference { path, change: gone, present: Value::Null, wanted: Value::Null });
            }
        }
    }
    all
}

fn known<'a>(present: &'a Value, list: &str, key: &str, name: &str) -> Option<&'a Value> {
    present[list].as_array()?.iter().find(|entry| entry[key] == name)
}

/// The settings that the document gives and that differ. A null keeps the present value.
fn compare(path: &str, present: &Value, wanted: &Value, all: &mut Vec<Difference>) {
    for (key, value) in wanted.as_object().unwrap_or(&Map::new()) {
        let stored = if key == SYNONYM.0 && path.starts_with("targets.") { SYNONYM.1 } else { key };
        let there = &present[stored];
        if value.is_null()
            || ["retired", "paused"].contains(&key.as_str()) && *value == (*there == true)
            || is_same(key, there, value)
        {
            continue;
        }
        let hide = |value: &Value| if key.ends_with("connection_string") { masked_text(value) } else { value.clone() };
        all.push(Difference {
            path: format!("{path}.{key}"),
            change: "changed",
            present: there.clone(),
            wanted: hide(value),
        });
    }
}

/// A connection string with a password cannot be compared with its mask, so it counts as different.
fn is_same(key: &str, present: &Value, wanted: &Value) -> bool {
    if present == wanted {
        return true;
    }
    match (present, wanted) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::String(one), Value::String(other)) if !key.ends_with("connection_string") => {
            interval_seconds(one).is_some_and(|seconds| interval_seconds(other) == Some(seconds))
        }
        _ => false,
    }
}

/// The seconds of an interval such as `01:30:00`, `2 days 03:00:00`, `90 seconds` or `1 hour`.
fn interval_seconds(text: &str) -> Option<f64> {
    let (mut seconds, mut words) = (0.0, text.split_whitespace().peekable());
    words.peek()?;
    while let Some(word) = words.next() {
        if word.contains(':') {
            let parts: Vec<f64> = word.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
            seconds += parts.iter().fold(0.0, |sum, part| sum * 60.0 + part);
            continue;
        }
        let number: f64 = word.parse().ok()?;
        let unit = words.next()?;
        seconds += number
            * match unit.trim_end_matches('s') {
                "day" => 86_400.0,
                "hour" => 3_600.0,
                "minute" | "min" => 60.0,
                "second" | "sec" => 1.0,
                _ => return None,
            };
    }
    Some(seconds)
}

fn masked(entry: &Value) -> Value {
    let mut entry = entry.clone();
    if let Some(string) = entry.get_mut("connection_string") {
        *string = masked_text(string);
    }
    entry
}

/// What a connection string leads to, without anything that may be a part of a password.
fn masked_text(value: &Value) -> Value {
    let Some(text) = value.as_str() else { return value.clone() };
    if !text.contains("password") && !text.contains("://") {
        return value.clone();
    }
    match pgasync_pg::ConnectionSettings::of_target(text) {
        Ok(settings) => format!("{} (with a password)", settings.describe()).into(),
        Err(_) => "****".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(present: &Value, wanted: &Value) -> Vec<(String, &'static str)> {
        differences(present, wanted).into_iter().map(|difference| (difference.path, difference.change)).collect()
    }

    #[test]
    fn only_what_differs_is_named() {
        let present = json!({
            "control": {"workers": 20, "idle_sleep": 1.0, "default_timeout": "01:00:00"},
            "targets": [{"target": "a", "max_concurrency": 8}, {"target": "b"}, {"target": "old", "retired": true}],
            "concurrency_pools": [{"concurrency_pool": "p", "max_workers": 2}],
        });
        let same = json!({
            "control": {"workers": 20, "idle_sleep": 1, "default_timeout": "1 hour", "paused": null},
            "targets": [{"target": "a", "max_workers": 8}, {"target": "b", "retired": false}],
        });
        assert_eq!(paths(&present, &same), []);
        let other = json!({
            "control": {"workers": 21},
            "targets": [{"target": "a", "max_workers": 9}, {"target": "c"}, {"target": "old"}],
            "concurrency_pools": [],
        });
        let expected = [
            ("control.workers", "changed"),
            ("targets.a.max_workers", "changed"),
            ("targets.c", "added"),
            ("targets.old", "changed"),
            ("targets.b", "retired"),
            ("concurrency_pools.p", "retired"),
        ];
        assert_eq!(paths(&present, &other), expected.map(|(path, change)| (path.to_owned(), change)));
    }

    #[test]
    fn no_difference_shows_a_password() {
        let present = json!({"targets": [{"target": "a", "connection_string": "host=h password=****"}]});
        for string in
            ["host=h password=geheim", "postgres://u:geheim@h/d", "host=h password='gehe", "postgres://u:geheim"]
        {
            let wanted = json!({"targets": [{"target": "a", "connection_string": string},
                {"target": "b", "connection_string": string}]});
            let found = differences(&present, &wanted);
            assert!(found.len() == 2 && !format!("{found:?}").contains("gehe"), "{found:?}");
        }
    }
}
