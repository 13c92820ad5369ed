//! The documents that are tried.

use serde_json::{Map, Value, json};

use super::values::values;
use crate::seed::Seed;

/// Documents with each key at its limits and beyond, each alone.
pub(super) fn documents() -> Vec<Value> {
    let mut documents = vec![
        json!({}),
        json!([]),
        json!(3),
        json!({"contrl": {}}),
        json!({"control": null, "targets": null, "concurrency_pools": null}),
        json!({"control": []}),
        json!({"control": {"wokers": 3}}),
        json!({"targets": {}}),
        json!({"targets": []}),
        json!({"targets": [3]}),
        json!({"targets": [{}]}),
        json!({"targets": [{"target": "there"}]}),
        json!({"targets": [{"target": "there"}, {"target": "there"}]}),
        json!({"targets": [{"target": "new"}]}),
        json!({"targets": [{"target": "there"}, {"target": "new", "connection_string": ""}]}),
        json!({"targets": [{"target": " ", "connection_string": ""}]}),
        json!({"targets": [{"target": "there", "size": 3}]}),
        json!({"targets": [{"target": "there", "connection_string": "host=h password=${ENV:PGASYNC_SECRET_A_1}"}]}),
        json!({"targets": [{"target": "there", "connection_string": "postgresql://u:${FILE:a.b-c}@h/d"}]}),
        json!({"targets": [{"target": "there", "connection_string": "password=${ENV:HOME}"}]}),
        json!({"targets": [{"target": "there", "connection_string": "password=${ENV:PGASYNC_SECRET_}"}]}),
        json!({"targets": [{"target": "there", "connection_string": "password=${FILE:..}"}]}),
        json!({"targets": [{"target": "there", "connection_string": "password=${FILE:a/b}"}]}),
        json!({"targets": [{"target": "there", "connection_string": "password='${FILE:é}'"}]}),
        json!({"targets": [{"target": "there", "connection_string": "password=x${FILE:a}"}]}),
        json!({"targets": [{"target": "there", "connection_string": "password='${FILE:a\n}'"}]}),
        json!({"targets": [{"target": "there", "connection_string": "user=${FILE:a} password=${FILE:a}"}]}),
        json!({"targets": [{"target": "there", "connection_string": "password=${OTHER:a}"}]}),
        json!({"targets": [{"target": "async.self", "connection_string": "password=${FILE:a}"}]}),
        json!({"targets": [{"target": "there", "connection_string": "host=h conect_timeout=3"}]}),
        json!({"targets": [{"target": "there", "connection_string": "host=h password=a b=c"}]}),
        json!({"targets": [{"target": "there", "connection_string": "postgresql://h/d?aplication_name=x"}]}),
        json!({"control": {"self_connection_string": "Host=h"}}),
        json!({"control": {"self_connection_string": "password=${FILE:a}"}}),
        json!({"targets": [{"target": "there", "max_workers": 3, "max_concurrency": 3}]}),
        json!({"targets": [{"target": "there", "max_workers": 3, "max_concurrency": 4}]}),
        json!({"targets": [{"target": "there", "default_timeout": "0"}]}),
        json!({"targets": [{"target": "there", "max_sessions": 0}]}),
        json!({"targets": [{"target": "there", "max_sessions": null}, {"target": "async.self", "max_sessions": 2}]}),
        json!({"targets": [{"target": "new", "asynchronous_finish": true}]}),
        json!({"targets": [{"target": "async.self", "max_workers": 3}]}),
        json!({"targets": [{"target": "async.self", "max_concurrency": 0}]}),
        json!({"targets": [{"target": "async.self", "max_workers": 0}]}),
        json!({"targets": [{"target": "async.self", "connection_string": "port=1"}]}),
        json!({"targets": [{"target": "async.self", "retired": true}]}),
        json!({"targets": [{"target": "async.self", "retired": false, "default_timeout": "1 s"}]}),
        json!({"targets": [{"target": "async.self", "max_workers": 3}], "control": {"self_concurrency": 3}}),
        json!({"targets": [{"target": "async.self", "max_workers": 3}], "control": {"self_concurrency": 4}}),
        json!({
            "targets": [{"target": "async.self", "connection_string": "port=1"}],
            "control": {"self_connection_string": "port=2"},
        }),
        json!({"control": {"self_target": "there"}}),
        json!({"control": {"self_target": "there"}, "targets": []}),
        json!({"control": {"self_target": "gone"}}),
        json!({"control": {"self_target": "new"}}),
        json!({"control": {"self_target": "new"}, "targets": []}),
        json!({"control": {"self_target": "new"}, "targets": [{"target": "async.self"}]}),
        json!({"control": {"self_target": "new"}, "targets": [{"target": "new", "session_reset": false}]}),
        json!({"control": {"control_id": 1}}),
        json!({"control": {"workers": 0}, "targets": {}}),
        json!({"control": {"workers": 0, "wokers": 1, "a": 2}}),
        json!({"targets": [{"target": "new"}], "concurrency_pools": [{}]}),
        json!({"concurrency_pools": [{"concurrency_pool": "p", "max_workers": 2_147_483_648_i64}]}),
        json!({"concurrency_pools": [{"concurrency_pool": "p", "max_workers": 2_147_483_647}]}),
        json!({"control": {"idle_sleep": 100_000}}),
        json!({"concurrency_pools": {}}),
        json!({"concurrency_pools": [7]}),
        json!({"concurrency_pools": [{"max_workers": 1}]}),
        json!({"concurrency_pools": [{"concurrency_pool": "p"}]}),
        json!({"concurrency_pools": [{"concurrency_pool": "new"}]}),
        json!({"concurrency_pools": [{"concurrency_pool": "p"}, {"concurrency_pool": "p"}]}),
        json!({"concurrency_pools": [{"concurrency_pool": "p", "retired": true}]}),
        json!({"retry_policies": {}}),
        json!({"retry_policies": []}),
        json!({"retry_policies": [], "control": {"default_retry": "none"}}),
        json!({"retry_policies": [{"retry_policy": "used"}]}),
        json!({"retry_policies": [{"retry_policy": "used"}, {"retry_policy": "used"}]}),
        json!({"retry_policies": [{"retry_policy": "none"}]}),
        json!({"retry_policies": [{"max_attempts": 1}]}),
        json!({"retry_policies": [{"retry_policy": "new"}], "control": {"default_retry": "new"}}),
        json!({"retry_policies": [{"retry_policy": "r"}], "targets": [{"target": "there", "default_retry": "used"}]}),
        json!({"control": {"default_retry": "missing"}}),
        json!({"targets": [{"target": "there"}, {"target": "gone", "default_retry": "missing"}]}),
        json!({"targets": [{"target": "there", "default_retry": "r"}]}),
        json!({"targets": [{"target": "there", "default_retry": "none"}]}),
        json!({"retry_policies": [{"retry_policy": "used", "sqlstates": ["40", "40001", "transient", "any", "reported"]}]}),
        json!({"retry_policies": [{"retry_policy": "used", "sqlstates": ["40", "4000"]}]}),
        json!({"retry_policies": [{"retry_policy": "used", "sqlstates": ["4a"]}]}),
        json!({"retry_policies": [{"retry_policy": "used", "sqlstates": vec!["40"; 100]}]}),
        json!({"retry_policies": [{"retry_policy": "used", "sqlstates": vec!["40"; 101]}]}),
        json!({"retry_policies": [{"retry_policy": "used", "max_attempts": 1_000}]}),
        json!({"retry_policies": [{"retry_policy": "used", "max_attempts": 1_001}]}),
        json!({"retry_policies": [{"retry_policy": "used", "backoff": 1.001, "jitter": 0.999}]}),
        json!({"retry_policies": [{"retry_policy": "used", "backoff": 1.0001}]}),
        json!({"retry_policies": [{"retry_policy": "used", "backoff": 0.999}]}),
        json!({"retry_policies": [{"retry_policy": "used", "backoff": 100.001}]}),
        json!({"retry_policies": [{"retry_policy": "used", "jitter": 1.001}]}),
        json!({"schedules": {}}),
        json!({"schedules": []}),
        json!({"schedules": [{}]}),
        json!({"schedules": [7]}),
        json!({"schedules": [{"schedule": "s"}]}),
        json!({"schedules": [{"schedule": "s", "when": "@daily"}]}),
        json!({"schedules": [{"schedule": "s", "when": "@daily", "query": "select 1", "target": "there"}]}),
        json!({"schedules": [{"schedule": "s", "when": 7, "query": "select 1", "target": "there"}]}),
        json!({"schedules": [schedule("s", "overlap", &json!("maybe"))]}),
        json!({"schedules": [schedule("s", "catch_up", &json!("maybe"))]}),
        json!({"schedules": [schedule("s", "catch_up", &json!("all"))]}),
        json!({"schedules": [schedule("s", "overlap", &json!("allow_all")), schedule("s", "priority", &json!(1))]}),
        json!({"schedules": [schedule("s", "last_time", &json!(7)), schedule("t", "paused", &json!(true))]}),
    ];
    for length in [127, 128] {
        // Of two bytes each.
        let name = format!("{}x", "é".repeat(length));
        documents.push(json!({"targets": [{"target": name, "connection_string": ""}]}));
        documents.push(json!({"concurrency_pools": [{"concurrency_pool": name, "max_workers": 1}]}));
        documents.push(json!({"control": {"self_target": name}, "targets": [{"target": name}]}));
    }
    for value in values() {
        for key in [
            "enabled",
            "workers",
            "idle_sleep",
            "busy_sleep",
            "default_timeout",
            "heavy_maintenance_sleep",
            "light_maintenance_sleep",
            "task_keep_duration",
            "advisory_mutex_id",
            "self_concurrency",
            "paused",
            "default_concurrency_pool_workers",
            "debug_log",
            "target_patience",
            "takeover_grace",
            "pid",
            "version",
            "running_since",
            "no_such_key",
            "self_target",
            "self_connection_string",
            "startup_routines",
            "loop_routines",
            "default_retry",
            "result_bytes_max",
            "receipt_keep",
        ] {
            documents.push(json!({"control": {key: value}}));
        }
        for key in [
            "max_workers",
            "max_concurrency",
            "asynchronous_finish",
            "concurrency_track_yielded",
            "session_reset",
            "receipts",
            "tags",
            "paused",
            "retired",
            "connection_string",
            "default_timeout",
            "max_sessions",
            "default_retry",
        ] {
            documents.push(json!({"targets": [{"target": "there", key: value}]}));
        }
        for key in ["max_attempts", "delay", "backoff", "delay_max", "jitter", "sqlstates", "timeouts", "may_run_twice"]
        {
            documents.push(json!({"retry_policies": [{"retry_policy": "used", key: value}]}));
        }
        for key in [
            "overlap",
            "catch_up",
            "priority",
            "concurrency_pool",
            "timeout",
            "task_data",
            "track_yielded",
            "source",
            "retry",
            "receipt",
            "expires_after",
            "paused",
            "owner",
            "next_time",
        ] {
            documents.push(json!({"schedules": [schedule("s", key, &value)]}));
        }
        documents.push(json!({"schedules": [{"schedule": value, "when": "@daily", "target": "tag:none"}]}));
        documents.push(json!({"retry_policies": [{"retry_policy": "used"}, {"retry_policy": value}]}));
        documents.push(json!({"targets": [{"target": value, "connection_string": ""}]}));
        documents.push(json!({"concurrency_pools": [{"concurrency_pool": "p", "max_workers": value}]}));
        documents
            .push(json!({"concurrency_pools": [{"concurrency_pool": "p", "max_workers": 1, "starts_max": value}]}));
        documents.push(json!({"concurrency_pools": [{"concurrency_pool": "p", "max_workers": 1, "interval": value}]}));
        documents.push(json!({"concurrency_pools": [{"concurrency_pool": value, "max_workers": 1}]}));
    }
    documents
}

/// A schedule without a target at present, so that the server has nothing to check there.
fn schedule(name: &str, key: &str, value: &Value) -> Value {
    let mut schedule = json!({"schedule": name, "when": "@daily", "query": "select 1", "target": "tag:none"});
    schedule[key] = value.clone();
    schedule
}

/// A random document of a few settings and names. Most of them are valid.
pub(super) fn generated(seed: &mut Seed) -> Value {
    const SETTINGS: [(&str, &[&str]); 23] = [
        ("enabled", &["true", "false"]),
        ("workers", &["1", "7", "2147483647"]),
        ("idle_sleep", &["0", "0.5", "0.00001", "86400"]),
        ("busy_sleep", &["0.02", "1"]),
        ("default_timeout", &["\"1 hour\"", "\"P1DT2H\"", "\"1.5 weeks\""]),
        ("heavy_maintenance_sleep", &["\"1 year 2 mons\"", "\"0\""]),
        ("light_maintenance_sleep", &["\"00:05:00.000001\""]),
        ("task_keep_duration", &["\"1 decade\"", "\"10000 years\""]),
        ("advisory_mutex_id", &["-2147483648", "5"]),
        ("self_target", &["\"a\"", "\"b\"", "\"async.self\"", "\"there\"", "\"gone\""]),
        ("self_connection_string", &["\"port=1\"", "\"port=2\""]),
        ("self_concurrency", &["3", "4"]),
        ("paused", &["true", "false"]),
        ("default_concurrency_pool_workers", &["0", "6"]),
        ("debug_log", &["true"]),
        ("target_patience", &["\"9 minutes\""]),
        ("takeover_grace", &["\"8 seconds\"", "\"@ 1 min\""]),
        ("startup_routines", &["[]", "[\"f()\"]"]),
        ("loop_routines", &["[\"g()\", \"h()\"]"]),
        ("pid", &["1", "[]"]),
        ("version", &["\"1\""]),
        ("default_retry", &["\"none\"", "\"r\"", "\"used\"", "\"a\""]),
        ("result_bytes_max", &["1024", "1023", "16777216", "16777217", "2000000"]),
    ];
    const OF_TARGETS: [(&str, &[&str]); 13] = [
        ("max_workers", &["0", "3", "4"]),
        ("max_concurrency", &["3", "4", "9"]),
        ("connection_string", &["\"\"", "\"dbname=x\"", "\"port=1\""]),
        ("asynchronous_finish", &["true", "true", "false"]),
        ("default_timeout", &["\"1 minute\""]),
        ("max_sessions", &["1", "7", "0"]),
        ("concurrency_track_yielded", &["true", "false"]),
        ("session_reset", &["true", "false"]),
        ("receipts", &["true", "false"]),
        ("tags", &["[]", "[\"x\"]", "[\"x\", \"y\"]", "[\"x\", \"\"]"]),
        ("default_retry", &["\"none\"", "\"r\"", "\"used\""]),
        ("paused", &["true", "false"]),
        ("retired", &["true", "false", "false"]),
    ];
    const OF_POOLS: [(&str, &[&str]); 5] = [
        ("max_workers", &["0", "3"]),
        ("starts_max", &["0", "0", "5"]),
        ("interval", &["\"1 minute\"", "\"0.5 s\""]),
        ("paused", &["true", "false"]),
        ("retired", &["true", "false"]),
    ];
    const OF_POLICIES: [(&str, &[&str]); 10] = [
        ("max_attempts", &["1", "5", "1000"]),
        ("delay", &["\"5 seconds\"", "\"00:00:00.000001\""]),
        ("backoff", &["1", "1.5", "100"]),
        ("delay_max", &["\"1 day\"", "\"1 mon\""]),
        ("jitter", &["0", "0.25", "1"]),
        ("sqlstates", &["[]", "[\"40\", \"transient\"]", "[\"XX000\"]"]),
        ("timeouts", &["true", "false"]),
        ("unreachable", &["true", "false"]),
        ("unknown", &["true", "false"]),
        ("may_run_twice", &["true", "false"]),
    ];
    const OF_SCHEDULES: [(&str, &[&str]); 10] = [
        ("overlap", &["\"skip\"", "\"buffer_one\"", "\"buffer_all\"", "\"cancel_other\"", "\"allow_all\""]),
        ("catch_up", &["\"none\"", "\"last\"", "\"last\"", "\"all\""]),
        ("priority", &["-1", "5"]),
        ("concurrency_pool", &["\"p\""]),
        ("timeout", &["\"5 minutes\"", "\"1 mon\""]),
        ("task_data", &["{\"a\": [1, null]}", "7"]),
        ("track_yielded", &["true", "false"]),
        ("source", &["\"nightly\""]),
        ("expires_after", &["\"2 hours\""]),
        ("paused", &["true", "false"]),
    ];
    const NAMES: [&str; 7] = ["a", "b", "c", "there", "gone", "async.self", "p"];

    let values = values();
    let object = |seed: &mut Seed, settings: &[(&str, &[&str])], percent: u64| {
        let mut object = Map::new();
        for (key, fitting) in settings {
            if seed.chance(percent) {
                let fitting = serde_json::from_str(seed.pick::<&str>(fitting)).expect("JSON");
                object.insert((*key).to_owned(), if seed.chance(3) { seed.pick(&values).clone() } else { fitting });
            }
        }
        if seed.chance(1) {
            object.insert((*seed.pick(&["x", "target", "Workers", "max-workers"])).to_owned(), json!(1));
        }
        object
    };
    let list = |seed: &mut Seed, name: &str, settings: &[(&str, &[&str])]| {
        let mut names: Vec<&str> = NAMES.into_iter().filter(|_| seed.chance(35)).collect();
        if seed.chance(4) {
            names.extend(names.first().copied());
        }
        let entry = |given: &&str| {
            let mut entry = object(seed, settings, 40);
            if !seed.chance(2) {
                entry.insert(name.to_owned(), if seed.chance(1) { seed.pick(&values).clone() } else { json!(given) });
            }
            Value::Object(entry)
        };
        names.iter().map(entry).collect::<Vec<Value>>()
    };
    let mut document = Map::new();
    if seed.chance(60) {
        document.insert("control".to_owned(), Value::Object(object(seed, &SETTINGS, 12)));
    }
    if seed.chance(60) {
        document.insert("targets".to_owned(), Value::Array(list(seed, "target", &OF_TARGETS)));
    }
    if seed.chance(40) {
        document.insert("concurrency_pools".to_owned(), Value::Array(list(seed, "concurrency_pool", &OF_POOLS)));
    }
    if seed.chance(40) {
        let mut policies = list(seed, "retry_policy", &OF_POLICIES);
        // Most documents keep the policy that is a default.
        let kept = ["used", "r"].into_iter().filter(|_| seed.chance(85)).collect::<Vec<_>>();
        policies.extend(kept.iter().map(|name| json!({"retry_policy": name})));
        document.insert("retry_policies".to_owned(), Value::Array(policies));
    }
    if seed.chance(40) {
        let mut schedules = list(seed, "schedule", &OF_SCHEDULES);
        for schedule in schedules.iter_mut().filter_map(Value::as_object_mut) {
            for (key, value) in [("when", "@daily"), ("query", "select 1"), ("target", "tag:none")] {
                schedule.insert(key.to_owned(), json!(value));
            }
        }
        document.insert("schedules".to_owned(), Value::Array(schedules));
    }
    if seed.chance(2) {
        document.insert(
            (*seed.pick(&["control", "targets", "concurrency_pools", "retry_policies", "schedules", "x"])).to_owned(),
            seed.pick(&values).clone(),
        );
    }
    Value::Object(document)
}
