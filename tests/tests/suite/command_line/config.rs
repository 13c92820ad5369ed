//! `pgasync config`.

use serde_json::{Value, json};

use super::fixture::{Ran, on, server, with_input};

fn changes(ran: &Ran) -> Vec<(String, String)> {
    let document = ran.json();
    let all = document["differences"].as_array().expect("an array");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    all.iter().map(|one| (text(&one["path"]), text(&one["change"]))).collect()
}

#[tokio::test]
async fn what_show_prints_is_what_the_server_has_in_json_and_in_toml() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    database
        .run(
            "select async.set_target('secret', '{\"connection_string\": \"host=h password=geheim\", \"tags\": [\"x\"]}');
             select async.set_pool('p', 2, '{\"starts_max\": 3, \"interval\": \"1 minute\"}');
             select async.configure('{\"retry_policies\": [{\"retry_policy\": \"r\", \"max_attempts\": 4}]}')",
        )
        .await;
    let folder = tempfile::tempdir().expect("a folder");
    for form in ["json", "toml"] {
        let shown = on(&conninfo, &["config", "show", "-o", form]).done().stdout;
        assert!(!shown.contains("geheim") && shown.contains("****"), "{shown}");
        let file = folder.path().join(format!("shown.{form}"));
        std::fs::write(&file, shown).expect("it is written");
        let file = file.to_str().expect("UTF-8");
        on(&conninfo, &["config", "check", file]).done();
        assert_eq!(changes(&on(&conninfo, &["config", "diff", file, "-o", "json"]).done()), []);
        on(&conninfo, &["config", "apply", file]).done();
    }
    database.assert_holds("select connection_string ~ 'geheim' from async.target where target = 'secret'").await;
}

#[tokio::test]
async fn apply_shows_the_differences_and_changes_nothing_without_a_yes() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("wanted.toml");
    let text =
        "[control]\nworkers = 7\ndefault_timeout = \"1 hour\"\n\n[[targets]]\ntarget = \"there\"\nmax_workers = 3\n
[[targets]]\ntarget = \"new\"\nconnection_string = \"host=h password=geheim\"\n";
    std::fs::write(&file, text).expect("it is written");
    let file = file.to_str().expect("UTF-8");
    let expected = [
        ("control.workers", "changed"),
        ("targets.there.max_workers", "changed"),
        ("targets.new", "added"),
        ("targets.down", "retired"),
    ];
    let expected = expected.map(|(path, change)| (path.to_owned(), change.to_owned()));
    let diff = on(&conninfo, &["config", "diff", file, "-o", "json"]);
    assert_eq!((diff.code, changes(&diff)), (Some(1), expected.to_vec()));
    assert!(!diff.stdout.contains("geheim"), "{diff:#?}");
    let asked = on(&conninfo, &["config", "apply", file]);
    assert!(asked.code == Some(2) && asked.stderr.contains("4 changes, 1 of which retire"), "{asked:#?}");
    database.assert_holds("select workers = 4 from async.control").await;
    on(&conninfo, &["config", "apply", file, "--yes"]).done();
    database.assert_holds("select workers = 7 from async.control").await;
    database.assert_holds("select retired from async.target where target = 'down'").await;
}

#[tokio::test]
async fn a_wrong_file_is_refused_with_its_place_and_without_its_passwords() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    let config =
        |command: &'static str, input: &str| with_input(&["config", command, "-"], &["--server", &conninfo], input);
    let before = database.text("select async.configuration()").await;
    for (code, input, part) in [
        (2, "{", "-: it is no JSON: EOF"),
        (2, "[]", "-: it must be an object"),
        (2, "{\"targets\": [{\"target\": \"a\", \"connection_string\": \"password=geheim\" x}]}", "it is no JSON"),
        (1, "{\"control\": {\"workers\": -1}}", "control.workers"),
        (1, "{\"controls\": {}}", "controls: is no section"),
        (
            1,
            "{\"targets\": [{\"target\": \"a\", \"connection_string\": \"host=h password=****\"}]}",
            "targets[0].connection_string",
        ),
    ] {
        for command in ["check", "apply"] {
            let ran = config(command, input);
            ran.refused(code, part);
            assert!(!ran.stderr.contains("geheim"), "{ran:#?}");
        }
    }
    assert_eq!(database.text("select async.configuration()").await, before);
    on(&conninfo, &["config", "diff", "/no/such/file"])
        .code
        .map_or_else(|| panic!("it ended"), |code| assert_eq!(code, 2));
    let valid = config("check", &json!({"control": {"workers": 9}}).to_string()).done();
    assert_eq!(valid.stderr, "- is valid\n");
    database.assert_holds("select workers = 4 from async.control").await;
}
