//! The configuration document: the accepted values, the refused values, and the paths in refusals.

use pgasync_core::{
    Configuration, ControlEntry, Document, PoolEntry, PoolName, Refused, Span, TargetEntry, TargetName,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn apply(configuration: &mut Configuration, document: &Value) -> Result<(), Refused> {
    configuration.apply(&Document::from_json(document)?)
}

fn refused(document: &Value) -> String {
    let mut configuration = Configuration::default();
    apply(&mut configuration, &json!({"targets": [{"target": "a", "connection_string": "dbname=x"}]})).unwrap();
    let before = configuration.clone();
    let refused = apply(&mut configuration, document).unwrap_err();
    assert_eq!(configuration, before, "a refused document changes nothing");
    refused.to_string()
}

#[test]
fn defaults_are_the_documented_ones() {
    let fresh = Configuration::default();
    assert!(fresh.control.enabled && !fresh.control.paused && !fresh.control.debug_log);
    assert_eq!(fresh.control.workers, 20);
    assert_eq!(fresh.control.busy_sleep, Span::millis(10));
    assert_eq!(fresh.control.heavy_maintenance_sleep, Span::seconds(86_400));
    assert_eq!(fresh.control.light_maintenance_sleep, Span::seconds(300));
    assert_eq!(fresh.control.default_timeout, Span::seconds(3_600));
    assert_eq!(fresh.control.target_patience, Span::seconds(60));
    assert_eq!(fresh.control.takeover_grace, Span::seconds(10));
    assert_eq!(fresh.control.default_concurrency_pool_workers, 4);
    assert_eq!(fresh.control.advisory_mutex_id, 0);
    assert_eq!(fresh.control.startup_routines, None);
    assert_eq!(fresh.control.idle_sleep, Span::seconds(1));
    assert_eq!(fresh.control.task_keep_duration, Span::seconds(30 * 86_400));
    assert_eq!(fresh.targets["async.self"].max_concurrency, 4);
}

#[test]
fn what_is_left_out_keeps_its_value_and_lists_are_whole() {
    let mut configuration = Configuration::default();
    let first = json!({
        "control": {"workers": 5, "idle_sleep": 0.5, "default_timeout": "2 hours", "paused": null},
        "targets": [
            {"target": "a", "connection_string": "dbname=a", "max_workers": 3},
            {"target": "b", "connection_string": "dbname=b", "asynchronous_finish": true},
        ],
        "concurrency_pools": [{"concurrency_pool": "p", "max_workers": 2}],
    });
    apply(&mut configuration, &first).unwrap();
    apply(&mut configuration, &json!({"control": {"workers": 6}, "targets": [{"target": "b"}]})).unwrap();
    let settings = configuration.settings();
    assert_eq!(settings.workers, 6);
    assert_eq!(configuration.control.idle_sleep, Span::millis(500));
    assert!(configuration.targets["a"].retired && !configuration.targets["b"].retired);
    assert!(configuration.targets["b"].asynchronous_finish);
    assert!(!configuration.targets["async.self"].retired, "the server itself remains");
    assert!(!configuration.pools["p"].retired, "a missing key changes nothing");
    assert_eq!(settings.limit(&PoolName::new("a").unwrap()), 3, "a retired target finishes what it has");
    assert_eq!(settings.limit(&PoolName::new("b").unwrap()), 8);
    assert_eq!(settings.limit(&PoolName::new("p").unwrap()), 2);
    assert_eq!(settings.limit(&PoolName::new("other").unwrap()), 4);
    assert_eq!(settings.timeout(&TargetName::new("b").unwrap()), Some(Span::seconds(7_200)));
    apply(&mut configuration, &json!({"concurrency_pools": []})).unwrap();
    assert!(configuration.pools["p"].retired);
}

#[test]
fn every_setting_is_taken() {
    let mut configuration = Configuration::default();
    let document = json!({"control": {
        "enabled": false, "workers": 7, "idle_sleep": 0.3, "busy_sleep": 0.02, "default_timeout": "3 hours",
        "heavy_maintenance_sleep": "2 days", "light_maintenance_sleep": "3 minutes", "task_keep_duration": "4 days",
        "advisory_mutex_id": 5, "self_concurrency": 3, "paused": true, "default_concurrency_pool_workers": 6,
        "startup_routines": ["a()"], "loop_routines": [], "debug_log": true, "target_patience": "9 minutes", "takeover_grace": "8 seconds",
    }});
    apply(&mut configuration, &document).unwrap();
    let read = serde_json::to_value(&configuration.control).unwrap();
    for (key, given) in document["control"].as_object().unwrap() {
        let fresh = serde_json::to_value(&Configuration::default().control).unwrap();
        assert_ne!(read[key], fresh[key], "{key}: {given} is something else than the default");
    }
}

#[test]
fn every_refusal_names_its_path() {
    for (document, path) in [
        (json!([]), "the configuration: this should be an object"),
        (json!({"contol": {}}), "contol: there is no such setting"),
        (json!({"control": 3}), "control: this should be an object"),
        (json!({"control": {"workers": "many"}}), "control.workers: this should be a whole number"),
        (json!({"control": {"workers": 2.5}}), "control.workers: this should be a whole number"),
        (json!({"control": {"workers": 0}}), "control.workers: this should be a whole number from 1"),
        (json!({"control": {"workers": 4_294_967_296_i64}}), "control.workers: this should be a whole number from 1"),
        (json!({"control": {"idle_sleep": -1}}), "control.idle_sleep: this should be a number of seconds from 0"),
        (json!({"control": {"task_keep_duration": "-1 day"}}), "control.task_keep_duration: this should be a length"),
        (json!({"control": {"default_timeout": "a while"}}), "control.default_timeout: this should be an interval"),
        (json!({"control": {"self_target": " "}}), "control.self_target: this should be a name"),
        (json!({"control": {"debug_log": 1}}), "control.debug_log: this should be true or false"),
        (json!({"targets": {}}), "targets: this should be an array"),
        (json!({"targets": [{}]}), "targets[0].target: this is required"),
        (json!({"targets": [{"target": "new"}]}), "targets[0].connection_string: this is required"),
        (json!({"targets": [{"target": "a"}, {"target": "a"}]}), "targets[1].target: \"a\" is given twice"),
        (json!({"targets": [{"target": "a", "max_workers": -1}]}), "targets[0].max_workers: this should be"),
        (json!({"targets": [{"target": "a", "max_concurrency": -1}]}), "targets[0].max_concurrency: this should be"),
        (json!({"targets": [{"target": "a", "max_workers": 1, "max_concurrency": 2}]}), "targets[0].max_workers: max"),
        (json!({"targets": [{"target": "a", "size": 2}]}), "targets[0].size: there is no such setting"),
        (
            json!({"concurrency_pools": [{"concurrency_pool": "p"}]}),
            "concurrency_pools[0].max_workers: this is required",
        ),
        (json!({"concurrency_pools": [{"max_workers": 1}]}), "concurrency_pools[0].concurrency_pool: this is required"),
        (json!({"control": {"workers": 2_147_483_648_i64}}), "control.workers: this should be a whole number from 1"),
        (json!({"control": {"advisory_mutex_id": 2_147_483_648_i64}}), "control.advisory_mutex_id: this should be"),
        (json!({"control": {"advisory_mutex_id": -2_147_483_649_i64}}), "control.advisory_mutex_id: this should be"),
        (
            json!({"control": {"default_concurrency_pool_workers": 3_000_000_000_i64}}),
            "control.default_concurrency_pool_",
        ),
        (json!({"control": {"idle_sleep": 86_400.000_001}}), "control.idle_sleep: this should be a number of seconds"),
        (json!({"control": {"busy_sleep": 86_401}}), "control.busy_sleep: this should be a number of seconds from 0"),
        (json!({"control": {"takeover_grace": "10001 years"}}), "control.takeover_grace: this should be a length"),
        // As Postgres compares: a month is 30 days, and a year is 360 days.
        (json!({"control": {"takeover_grace": "3600001 days"}}), "control.takeover_grace: this should be a length"),
        (json!({"control": {"takeover_grace": "1 year -361 days"}}), "control.takeover_grace: this should be a length"),
        (json!({"control": {"self_target": "\t"}}), "control.self_target: this should be a name"),
        (json!({"control": {"self_target": "a"}}), "control.self_target: \"a\" is another target's name"),
        (
            json!({"control": {"self_connection_string": "password=****"}}),
            "control.self_connection_string: this should",
        ),
        (json!({"control": {"startup_routines": "a()"}}), "control.startup_routines: this should be an array of texts"),
        (
            json!({"control": {"loop_routines": ["a()", " "]}}),
            "control.loop_routines: this should be an array of texts",
        ),
        (json!({"control": {"control_id": 1}}), "control.control_id: there is no such setting"),
        (
            json!({"targets": [{"target": "a", "max_workers": 4_294_967_295_i64}]}),
            "targets[0].max_workers: this should be",
        ),
        (
            json!({"targets": [{"target": "a", "connection_string": "a b"}]}),
            "targets[0].connection_string: this should",
        ),
        (json!({"targets": [{"target": "async.self", "retired": true}]}), "targets[0].retired: the server itself"),
        (json!({"targets": [{"target": "async.self", "max_workers": 0}]}), "targets[0].max_workers: this should be a"),
        (
            json!({"control": {"self_concurrency": 3}, "targets": [{"target": "async.self", "max_concurrency": 5}]}),
            "targets[0].max_concurrency: this differs from control.self_concurrency",
        ),
        (json!({"concurrency_pools": [7]}), "concurrency_pools[0]: this should be an object"),
    ] {
        let message = refused(&document);
        assert!(message.starts_with(path), "{document}\n message: {message}\n want: {path}");
    }
}

#[test]
fn rows_can_be_put_back() {
    let mut configuration = Configuration::default();
    let document = json!({
        "control": {"workers": 3, "pid": 77, "running_since": "2030-01-01", "version": "1", "startup_routines": [],
            "last_light_maintenance": null},
        "targets": [
            {"target": "async.self", "max_concurrency": 4, "connection_string": "host=localhost",
             "asynchronous_finish": false, "default_timeout": null, "concurrency_track_yielded": false},
        ],
        "concurrency_pools": [{"concurrency_pool": "p", "max_workers": 2, "retired": true}],
    });
    apply(&mut configuration, &document).unwrap();
    assert!(configuration.pools["p"].retired);
}

#[test]
fn the_greatest_values_are_taken() {
    let mut configuration = Configuration::default();
    let most = i64::from(i32::MAX);
    let document = json!({
        "control": {
            "workers": most, "idle_sleep": 86_400, "busy_sleep": 0.000_01, "advisory_mutex_id": i32::MIN,
            "task_keep_duration": "10000 years", "light_maintenance_sleep": "2 weeks", "takeover_grace": "0",
        },
        "targets": [{"target": "a", "connection_string": "", "max_workers": most, "default_timeout": "P1D"}],
        "concurrency_pools": [{"concurrency_pool": "p", "max_workers": 0}],
    });
    apply(&mut configuration, &document).unwrap();
    assert_eq!(i64::from(configuration.control.workers), most);
    assert_eq!(configuration.control.idle_sleep, Span::seconds(86_400));
    assert_eq!(configuration.control.busy_sleep, Span::micros(10));
    assert_eq!(configuration.control.light_maintenance_sleep, Span::seconds(14 * 86_400));
    assert_eq!(configuration.control.advisory_mutex_id, i32::MIN);
    assert_eq!(configuration.targets["a"].default_timeout, Some(Span::seconds(86_400)));
    assert_eq!(i64::from(configuration.targets["a"].max_concurrency), most);
}

#[test]
fn the_entry_of_the_server_itself_is_control_too() {
    let mut configuration = Configuration::default();
    let document = json!({"targets": [{"target": "async.self", "max_workers": 7, "connection_string": "port=1"}]});
    apply(&mut configuration, &document).unwrap();
    assert_eq!(configuration.control.self_concurrency, 7);
    assert_eq!(configuration.control.self_connection_string, "port=1");
    assert_eq!(configuration.targets["async.self"].max_concurrency, 7);
}

#[test]
fn a_new_name_of_the_server_itself_is_a_new_target() {
    let mut configuration = Configuration::default();
    apply(&mut configuration, &json!({"control": {"self_target": "me"}})).unwrap();
    assert!(configuration.targets["async.self"].retired && !configuration.targets["me"].retired);
    // A list with the old name makes it an ordinary target.
    let mut configuration = Configuration::default();
    let document = json!({"control": {"self_target": "me"}, "targets": [{"target": "async.self"}]});
    apply(&mut configuration, &document).unwrap();
    assert!(!configuration.targets["async.self"].retired && !configuration.targets["me"].retired);
}

fn some_configuration() -> Configuration {
    let mut configuration = Configuration::default();
    let document = json!({
        "control": {"self_target": "me", "idle_sleep": 0.000_001, "task_keep_duration": "1.5 days", "workers": 3,
            "loop_routines": ["f()"]},
        "targets": [{"target": "a", "connection_string": "dbname=a", "default_timeout": "00:00:00.000001"},
            {"target": "b", "connection_string": "", "retired": true}],
        "concurrency_pools": [{"concurrency_pool": "p", "max_workers": 2, "retired": true}],
    });
    apply(&mut configuration, &document).unwrap();
    configuration
}

#[test]
fn configurations_and_documents_go_to_json_and_back() {
    let configuration = some_configuration();
    let json = serde_json::to_value(&configuration).unwrap();
    assert_eq!(serde_json::from_value::<Configuration>(json.clone()).unwrap(), configuration);
    let document = configuration.document();
    assert_eq!(Document::from_json(&json).unwrap(), document, "what is written is what configure takes");
    assert_eq!(serde_json::from_value::<Document>(json).unwrap(), document);
    for entry in document.targets.unwrap() {
        let json = serde_json::to_value(&entry).unwrap();
        assert_eq!(serde_json::from_value::<TargetEntry>(json).unwrap(), entry);
    }
    let pool = document.concurrency_pools.unwrap().remove(0);
    assert_eq!(serde_json::from_value::<PoolEntry>(serde_json::to_value(&pool).unwrap()).unwrap(), pool);
    let control = document.control.unwrap();
    assert_eq!(serde_json::from_value::<ControlEntry>(serde_json::to_value(&control).unwrap()).unwrap(), control);
    assert!(serde_json::from_value::<ControlEntry>(json!({"workers": 0})).is_err());
    let partial = Document::from_json(&json!({"control": {"takeover_grace": "1.5 s"}})).unwrap();
    let json = serde_json::to_value(&partial).unwrap();
    assert_eq!(json, json!({"control": {"takeover_grace": "1500000 microseconds"}}));
    assert_eq!(serde_json::from_value::<Document>(json).unwrap(), partial);
}

#[test]
fn what_is_not_given_is_left_out_of_the_json_and_an_empty_list_is_not() {
    let control = ControlEntry {
        idle_sleep: Some(Span::millis(250)),
        takeover_grace: Some(Span::seconds(3)),
        ..ControlEntry::default()
    };
    let document = Document { control: Some(control), targets: Some(vec![]), ..Document::default() };
    let expected = json!({
        "control": { "idle_sleep": 0.25, "takeover_grace": "3 seconds" },
        "targets": [],
    });
    assert_eq!(Value::from(&document), expected);
}

#[test]
fn no_configuration_comes_from_json_that_configure_would_refuse() {
    for (pointer, value) in [
        ("/control/workers", json!(0)),
        ("/control/self_target", json!(" ")),
        ("/control/default_timeout", json!("-1 s")),
        ("/control/idle_sleep", json!(90_000)),
        ("/targets/0/max_concurrency", json!(-1)),
        ("/targets/0/target", json!("\t")),
        ("/targets/3/retired", json!(true)),
        ("/concurrency_pools/0/max_workers", json!(5_000_000_000_i64)),
    ] {
        let mut json = serde_json::to_value(some_configuration()).unwrap();
        *json.pointer_mut(pointer).unwrap() = value;
        assert!(serde_json::from_value::<Configuration>(json).is_err(), "{pointer}");
    }
}

#[test]
fn refusals_go_to_json_and_back() {
    let documents = [json!([]), json!({"x": 1}), json!({"control": {"workers": 0}}), json!({"targets": [{}]})];
    for document in documents {
        let refused = apply(&mut Configuration::default(), &document).unwrap_err();
        let json = serde_json::to_value(&refused).unwrap();
        assert_eq!(serde_json::from_value::<Refused>(json).unwrap(), refused);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let keys = ["control", "targets", "concurrency_pools", "workers", "target", "max_workers", "idle_sleep", "x"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(keys.to_vec()), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_of_an_interval_makes_the_reader_panic(text in ".{0,200}|[-+0-9.:@ PTDHMSyearsmonthdi]{0,40}") {
        let _ = Document::from_json(&json!({ "control": { "takeover_grace": text } }));
    }

    #[test]
    fn a_document_applies_completely_or_not_at_all(document in any_json()) {
        let mut configuration = Configuration::default();
        if apply(&mut configuration, &document).is_err() {
            prop_assert_eq!(configuration, Configuration::default());
        }
    }
}

/// A document that a program makes has the checks of one that is read.
#[test]
fn a_document_made_by_a_program_is_checked() {
    let refused = |document: &Document| {
        let mut configuration = Configuration::default();
        let refused = configuration.apply(document).unwrap_err();
        assert_eq!(configuration, Configuration::default(), "a refused document changes nothing");
        refused.to_string()
    };
    let control = |control| refused(&Document { control: Some(control), ..Document::default() });
    assert!(control(ControlEntry { workers: Some(0), ..ControlEntry::default() }).contains("control.workers"));
    let default_timeout = Some(Span::ZERO);
    let entry = ControlEntry { default_timeout, ..ControlEntry::default() };
    assert!(control(entry).contains("control.default_timeout"));
    let target = |name: &str| TargetEntry {
        target: name.to_owned(),
        connection_string: Some("host=h".to_owned()),
        ..TargetEntry::default()
    };
    let targets = |targets| refused(&Document { targets: Some(targets), ..Document::default() });
    for (entry, field) in [
        (TargetEntry { connection_string: Some("no pairs".to_owned()), ..target("b") }, "connection_string"),
        (TargetEntry { default_timeout: Some(Span::ZERO), ..target("b") }, "default_timeout"),
        (TargetEntry { max_concurrency: Some(-1), ..target("b") }, "max_concurrency"),
        (TargetEntry { max_workers: Some(-1), ..target("b") }, "max_workers"),
        (target(" "), "target"),
        (target("a"), "target"),
    ] {
        let text = targets(vec![target("a"), entry]);
        assert!(text.contains(&format!("targets[1].{field}")), "{text}");
    }
    let pool = |name: &str, max_workers| PoolEntry {
        concurrency_pool: name.to_owned(),
        max_workers: Some(max_workers),
        ..PoolEntry::default()
    };
    let pools = |pools| refused(&Document { concurrency_pools: Some(pools), ..Document::default() });
    assert!(
        pools(vec![pool("a", 1), pool("b", -1)])
            .starts_with("concurrency_pools[1].max_workers: this should be a whole number from 0")
    );
    assert!(
        pools(vec![pool("a", 1), pool(" ", 1)])
            .starts_with("concurrency_pools[1].concurrency_pool: this should be a name")
    );
    let twice = "concurrency_pools[1].concurrency_pool: \"a\" is given twice";
    assert!(pools(vec![pool("a", 1), pool("a", 2)]).starts_with(twice));
}

/// Postgres compares intervals as if a year had 360 days, so this one is not above zero.
#[test]
fn an_interval_is_compared_as_postgres_compares_it() {
    let text = refused(&json!({"control": {"default_timeout": "1 year -360 days"}}));
    assert!(text.contains("control.default_timeout"), "{text}");
}
