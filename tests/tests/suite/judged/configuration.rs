//! What `configure` takes and refuses, and where: the model's checks and those of SQL.

use pgasync_core::{Configuration, Document};
use serde_json::{Value, json};

use super::{ask, bench};

/// The configuration that every document meets.
fn standing() -> Value {
    json!({
        "targets": [{"target": "there", "connection_string": ""}],
        "concurrency_pools": [{"concurrency_pool": "p", "max_workers": 3}],
    })
}

fn documents() -> Vec<Value> {
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
        json!({"targets": [{"target": "there", "max_workers": 3, "max_concurrency": 3}]}),
        json!({"targets": [{"target": "there", "max_workers": 3, "max_concurrency": 4}]}),
        json!({"targets": [{"target": "there", "default_timeout": "0"}]}),
        json!({"targets": [{"target": "new", "asynchronous_finish": true}]}),
        json!({"targets": [{"target": "async.self", "max_workers": 3}]}),
        json!({"control": {"idle_sleep": 100_000}}),
        json!({"concurrency_pools": {}}),
        json!({"concurrency_pools": [7]}),
        json!({"concurrency_pools": [{"max_workers": 1}]}),
        json!({"concurrency_pools": [{"concurrency_pool": "p"}]}),
        json!({"concurrency_pools": [{"concurrency_pool": "new"}]}),
        json!({"concurrency_pools": [{"concurrency_pool": "p"}, {"concurrency_pool": "p"}]}),
        json!({"concurrency_pools": [{"concurrency_pool": "p", "retired": true}]}),
    ];
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1),
        json!(7),
        json!(2.5),
        json!(5_000_000_000_i64),
        json!("7"),
        json!("soon"),
        json!("1 hour"),
        json!("-1 hour"),
        json!({}),
        json!([]),
    ];
    for value in values {
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
        ] {
            documents.push(json!({"control": {key: value}}));
        }
        for key in [
            "max_workers",
            "max_concurrency",
            "asynchronous_finish",
            "concurrency_track_yielded",
            "session_reset",
            "retired",
        ] {
            documents.push(json!({"targets": [{"target": "there", key: value}]}));
        }
        documents.push(json!({"targets": [{"target": value, "connection_string": ""}]}));
        documents.push(json!({"concurrency_pools": [{"concurrency_pool": "p", "max_workers": value}]}));
        documents.push(json!({"concurrency_pools": [{"concurrency_pool": value, "max_workers": 1}]}));
    }
    documents
}

/// The path at which the model refuses a document, if it does.
fn of_the_model(document: &Value) -> Option<String> {
    let mut configuration = Configuration::default();
    let standing = Document::from_json(&standing()).expect("it may be");
    configuration.apply(&standing).expect("it may be");
    let refused = Document::from_json(document).and_then(|document| configuration.apply(&document)).err()?;
    Some(refused.path)
}

#[tokio::test]
async fn the_same_documents_are_refused_at_the_same_place() {
    let database = bench().await;
    ask(&database, "select to_jsonb(async.configure($1) is null)", &standing()).await;
    let documents = documents();
    let answers = ask(&database, "select judged.refusals($1)", &json!(documents)).await;
    let answers = answers.as_array().expect("an answer a document");
    let mut told = Vec::new();
    let mut refused = 0;
    for (document, answer) in documents.iter().zip(answers) {
        let sql = answer.as_str().map(|said| said.split(": ").next().unwrap_or(said).to_owned());
        let core = of_the_model(document);
        refused += usize::from(sql.is_some());
        if core != sql {
            told.push(format!("{document}: core {core:?}, sql {answer}"));
        }
    }
    println!("{} documents, {refused} refused", documents.len());
    assert!(told.is_empty(), "{} of {}\n{}", told.len(), documents.len(), told.join("\n"));
}
