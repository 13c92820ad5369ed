//! The core's document as the JSON that `async.configure` takes.

use pgasync_core::{ControlEntry, Document, PoolEntry, Span, TargetEntry};
use serde_json::{Map, Value, json};

/// Writes only what the document gives: a setting that is left out keeps its value.
pub(super) fn to_json(document: &Document) -> Value {
    let list = |entries: Vec<Value>| Value::Array(entries);
    object([
        ("control", document.control.as_ref().map(control)),
        ("targets", document.targets.as_ref().map(|all| list(all.iter().map(target).collect()))),
        ("concurrency_pools", document.concurrency_pools.as_ref().map(|all| list(all.iter().map(pool).collect()))),
    ])
}

fn control(entry: &ControlEntry) -> Value {
    object([
        ("enabled", entry.enabled.map(Value::from)),
        ("workers", entry.workers.map(Value::from)),
        ("idle_sleep", entry.idle_sleep.map(seconds)),
        ("busy_sleep", entry.busy_sleep.map(seconds)),
        ("heavy_maintenance_sleep", entry.heavy_maintenance_sleep.map(interval)),
        ("light_maintenance_sleep", entry.light_maintenance_sleep.map(interval)),
        ("task_keep_duration", entry.task_keep_duration.map(interval)),
        ("default_timeout", entry.default_timeout.map(interval)),
        ("advisory_mutex_id", entry.advisory_mutex_id.map(Value::from)),
        ("self_target", entry.self_target.clone().map(Value::from)),
        ("self_connection_string", entry.self_connection_string.clone().map(Value::from)),
        ("self_concurrency", entry.self_concurrency.map(Value::from)),
        ("paused", entry.paused.map(Value::from)),
        ("default_concurrency_pool_workers", entry.default_concurrency_pool_workers.map(Value::from)),
        ("debug_log", entry.debug_log.map(Value::from)),
        ("target_patience", entry.target_patience.map(interval)),
        ("takeover_grace", entry.takeover_grace.map(interval)),
    ])
}

fn target(entry: &TargetEntry) -> Value {
    object([
        ("target", Some(Value::from(entry.target.clone()))),
        ("max_workers", entry.max_workers.map(Value::from)),
        ("max_concurrency", entry.max_concurrency.map(Value::from)),
        ("connection_string", entry.connection_string.clone().map(Value::from)),
        ("asynchronous_finish", entry.asynchronous_finish.map(Value::from)),
        ("default_timeout", entry.default_timeout.map(interval)),
        ("concurrency_track_yielded", entry.concurrency_track_yielded.map(Value::from)),
        ("session_reset", entry.session_reset.map(Value::from)),
        ("retired", entry.retired.map(Value::from)),
    ])
}

fn pool(entry: &PoolEntry) -> Value {
    object([
        ("concurrency_pool", Some(Value::from(entry.concurrency_pool.clone()))),
        ("max_workers", entry.max_workers.map(Value::from)),
        ("retired", entry.retired.map(Value::from)),
    ])
}

fn object<const N: usize>(entries: [(&str, Option<Value>); N]) -> Value {
    let given = entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

fn interval(span: Span) -> Value {
    json!(format!("{} microseconds", span.as_micros()))
}

/// Sleeps are numbers of seconds, in which a span is exact to the microsecond.
fn seconds(span: Span) -> Value {
    json!(std::time::Duration::from_micros(span.as_micros().unsigned_abs()).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_left_out_and_an_empty_list_is_not() {
        let document = Document {
            control: Some(ControlEntry {
                idle_sleep: Some(Span::millis(250)),
                takeover_grace: Some(Span::seconds(3)),
                ..ControlEntry::default()
            }),
            targets: Some(vec![]),
            concurrency_pools: None,
        };
        let wanted = json!({
            "control": { "idle_sleep": 0.25, "takeover_grace": "3000000 microseconds" },
            "targets": [],
        });
        assert_eq!(to_json(&document), wanted);
    }
}
