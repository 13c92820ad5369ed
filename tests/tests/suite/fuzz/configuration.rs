//! Configuration documents.

use pgasync_core::{Configuration, Document};
use serde_json::Value;

use super::fuzz;

const DICTIONARY: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "1.5",
    "1e30",
    "99999999999999999999",
    "{\"control\": ",
    "{\"targets\": [{",
    "{\"concurrency_pools\": [{",
    "\"workers\": 3",
    "\"idle_sleep\": 0.5",
    "\"idle_sleep\": \"1 second\"",
    "\"task_keep_duration\": \"1 mon 2 days 03:04:05.678\"",
    "\"default_timeout\": \"-1 h\"",
    "\"default_timeout\": \"P1Y2M3DT4H5M6S\"",
    "\"self_target\": \"SELF\"",
    "\"self_connection_string\": \"host=a\"",
    "\"self_concurrency\": 4",
    "\"target\": \"SELF\"",
    "\"target\": \"a\"",
    "\"max_workers\": 2",
    "\"max_concurrency\": 2",
    "\"connection_string\": \"host=h\"",
    "\"connection_string\": \"postgresql://u@h/d\"",
    "\"asynchronous_finish\": true",
    "\"concurrency_track_yielded\": true",
    "\"session_reset\": false",
    "\"tags\": [\"nightly\"]",
    "\"retired\": true",
    "\"concurrency_pool\": \"p\"",
    "\"default_concurrency_pool_workers\": 0",
    "\"advisory_mutex_id\": 5",
    "\"enabled\": false",
    "\"paused\": true",
    "1 day ",
    "2 hours ",
    "3 min ",
    "infinity",
    "ago",
    "\\u0000",
    "é",
];

fn check(input: &[u8]) -> impl std::hash::Hash + use<> {
    // What is no JSON does not reach the configuration.
    let Ok(json) = serde_json::from_slice::<Value>(input) else { return ("no JSON", String::new()) };
    let document = match Document::from_json(&json) {
        Ok(document) => document,
        Err(refused) => {
            // The path of an unknown setting is its name, which may be empty.
            assert!(!refused.path.is_empty() || json.get("").is_some(), "{refused}");
            return ("not read", general(&refused.to_string()));
        }
    };
    let printed = serde_json::to_value(&document).expect("a document is JSON");
    let again = Document::from_json(&printed).unwrap_or_else(|refused| panic!("{printed}: {refused}"));
    assert_eq!(again, document, "a document that is printed and read is the same: {printed}");

    let mut configuration = Configuration::default();
    if let Err(refused) = configuration.apply(&document) {
        assert_eq!(configuration, Configuration::default(), "a refused document changes nothing");
        assert!(!refused.path.is_empty(), "{refused}");
        return ("refused", general(&refused.to_string()));
    }
    let mut other = Configuration::default();
    let whole = serde_json::to_value(configuration.document()).expect("a document is JSON");
    let document = Document::from_json(&whole).unwrap_or_else(|refused| panic!("{whole}: {refused}"));
    other.apply(&document).unwrap_or_else(|refused| panic!("{whole}: {refused}"));
    assert_eq!(other, configuration, "a configuration is the same after its own document: {whole}");
    let before = configuration.clone();
    configuration.apply(&document).expect("the document of a configuration applies to it");
    assert_eq!(configuration, before, "the document of a configuration changes nothing");
    let lists = [configuration.targets.len().min(3), configuration.pools.len().min(3)];
    ("applied", format!("{lists:?} {:?}", json.get("control").map(|control| control.as_object().map(|map| map.len()))))
}

/// A message without numbers and names that the input has made up.
fn general(message: &str) -> String {
    message.chars().filter(|c| !c.is_ascii_digit()).take(60).collect()
}

#[test]
fn a_document_that_is_printed_and_read_is_the_same() {
    fuzz("configuration", DICTIONARY, check);
}
