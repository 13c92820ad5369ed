//! Documents that `configure` accepts or refuses, and the paths of the refusals: the checks of the
//! core compared with those of SQL.

use pgasync_core::{Configuration, Document, Span};
use serde_json::{Map, Value, json};

use self::documents::{documents, generated};
use super::{ask, prepared_database};
use crate::seed::Seed;

mod documents;
mod values;

const GENERATED: usize = 600;

/// The configuration to which every document is applied.
fn standing() -> Value {
    json!({
        "targets": [{"target": "there", "connection_string": ""}, {"target": "gone", "connection_string": "", "retired": true}],
        "concurrency_pools": [{"concurrency_pool": "p", "max_workers": 3}],
        "retry_policies": [{"retry_policy": "r"}, {"retry_policy": "used", "max_attempts": 2}],
        "control": {"default_retry": "used"},
    })
}

/// The tables that the core predicts.
fn tables(configuration: &Configuration) -> Value {
    let control = &configuration.control;
    let targets = configuration.targets.iter().map(|(name, target)| {
        let row = json!({
            "max_concurrency": target.max_concurrency,
            "connection_string": target.connection_string,
            "asynchronous_finish": target.asynchronous_finish,
            "default_timeout": target.default_timeout.map(Span::as_micros),
            "max_sessions": target.max_sessions,
            "concurrency_track_yielded": target.concurrency_track_yielded,
            "session_reset": target.session_reset,
            "receipts": target.receipts,
            "tags": target.tags,
            "default_retry": target.default_retry,
            "paused": target.paused,
            "retired": target.retired,
        });
        (name.clone(), row)
    });
    let pools = configuration.pools.iter().map(|(name, pool)| {
        let row = json!({
            "max_workers": pool.max_workers,
            "starts_max": pool.starts_max,
            "interval": pool.interval.map(Span::as_micros),
            "paused": pool.paused,
            "retired": pool.retired,
        });
        (name.clone(), row)
    });
    let policies = configuration.retry_policies.iter().map(|(name, policy)| {
        let row = json!({
            "max_attempts": policy.max_attempts,
            "delay": policy.delay.as_micros(),
            "backoff": policy.backoff,
            "delay_max": policy.delay_max.as_micros(),
            "jitter": policy.jitter,
            "sqlstates": policy.sqlstates,
            "timeouts": policy.timeouts,
            "unreachable": policy.unreachable,
            "unknown": policy.unknown,
            "may_run_twice": policy.may_run_twice,
        });
        (name.clone(), row)
    });
    let schedules = configuration.schedules.iter().map(|(name, schedule)| {
        let row = json!({
            "when": schedule.when,
            "target": schedule.target,
            "time_zone": schedule.time_zone,
            "query": schedule.query,
            "overlap": schedule.overlap,
            "catch_up": schedule.catch_up,
            "priority": schedule.priority,
            "concurrency_pool": schedule.concurrency_pool,
            "timeout": schedule.timeout.map(Span::as_micros),
            "task_data": schedule.task_data.as_ref().map(|json| serde_json::from_str::<Value>(json).expect("JSON")),
            "track_yielded": schedule.track_yielded,
            "source": schedule.source,
            "retry": schedule.retry,
            "expires_after": schedule.expires_after.map(Span::as_micros),
            "receipt": schedule.receipt,
            "paused": schedule.paused,
        });
        (name.clone(), row)
    });
    json!({
        "control": {
            "enabled": control.enabled,
            "workers": control.workers,
            "idle_sleep": control.idle_sleep.as_micros(),
            "busy_sleep": control.busy_sleep.as_micros(),
            "heavy_maintenance_sleep": control.heavy_maintenance_sleep.as_micros(),
            "light_maintenance_sleep": control.light_maintenance_sleep.as_micros(),
            "task_keep_duration": control.task_keep_duration.as_micros(),
            "default_timeout": control.default_timeout.as_micros(),
            "advisory_mutex_id": control.advisory_mutex_id,
            "self_target": control.self_target,
            "self_connection_string": control.self_connection_string,
            "self_concurrency": control.self_concurrency,
            "paused": control.paused,
            "default_concurrency_pool_workers": control.default_concurrency_pool_workers,
            "startup_routines": control.startup_routines,
            "loop_routines": control.loop_routines,
            "debug_log": control.debug_log,
            "target_patience": control.target_patience.as_micros(),
            "takeover_grace": control.takeover_grace.as_micros(),
            "default_retry": control.default_retry,
            "result_bytes_max": control.result_bytes_max,
            "receipt_keep": control.receipt_keep.as_micros(),
        },
        "targets": targets.collect::<Map<_, _>>(),
        "pools": pools.collect::<Map<_, _>>(),
        "policies": policies.collect::<Map<_, _>>(),
        "schedules": schedules.collect::<Map<_, _>>(),
    })
}

/// The result of the core for each document of a chain: the path of the refusal, or the tables
/// after the document.
fn of_the_model(chain: &[Value]) -> Vec<Value> {
    let mut configuration = Configuration::default();
    let standing = Document::from_json(&standing()).expect("it may be");
    configuration.apply(&standing).expect("it may be");
    let each = chain.iter().map(|document| {
        let refused = Document::from_json(document).and_then(|document| configuration.apply(&document)).err();
        refused.map_or_else(|| tables(&configuration), |refused| json!(refused.path))
    });
    each.collect()
}

#[tokio::test]
async fn the_same_documents_are_refused_at_the_same_place_and_make_the_same_tables() {
    let database = prepared_database().await;
    ask(&database, "select to_jsonb(async.configure($1) is null)", &standing()).await;
    let mut seed = Seed::of_this_run();
    let mut chains: Vec<Vec<Value>> = documents().into_iter().map(|document| vec![document]).collect();
    chains.extend((0..GENERATED).map(|_| (0..=seed.below(3)).map(|_| generated(&mut seed)).collect()));
    let mut differences = Vec::new();
    let (mut refused, mut taken) = (0, 0);
    for some in chains.chunks(500) {
        let answers = ask(&database, "select judged.configure($1)", &json!(some)).await;
        for (chain, answers) in some.iter().zip(answers.as_array().expect("answers a chain")) {
            let answers = answers.as_array().expect("an answer a document");
            for (at, (core, answer)) in of_the_model(chain).into_iter().zip(answers).enumerate() {
                let sql = answer.as_str().map(|error| json!(error.split(": ").next().unwrap_or(error)));
                if sql.is_some() {
                    refused += 1;
                } else {
                    taken += 1;
                }
                if core != sql.unwrap_or_else(|| answer.clone()) {
                    differences.push(format!("{}\n  core {core}\n  sql  {answer}", json!(chain[..=at])));
                    break;
                }
            }
        }
    }
    println!("{refused} documents refused, {taken} taken");
    assert!(
        differences.is_empty(),
        "{} of {}\n{}",
        differences.len(),
        chains.len(),
        differences.into_iter().take(20).collect::<Vec<_>>().join("\n")
    );
    assert!(refused > GENERATED / 2 && taken > GENERATED / 2, "{refused} refused, {taken} taken");
}
