//! The rule for hints, over every object file: a hint names only what its reader may use. What another
//! role has to do begins with the name of that role.

use std::collections::BTreeSet;

use crate::objects::{CLIENT, SERVER, UI};

/// Folders whose functions clients call, directly or through others.
const OF_CLIENTS: [&str; 8] =
    ["clients/", "schedules/", "client/", "caller/", "pull/", "push/", "requests/", "results/"];

/// Files there that only administrators and the owner reach.
const OF_ADMINISTRATORS: [&str; 2] = ["clients/target_setup", "clients/push_routine"];

/// Relations that a client may read.
const RELATIONS_OF_CLIENTS: [&str; 5] = ["task", "result", "v_schedule", "v_my_task", "attempt"];

/// The names in an array constant of `async.change_privileges`.
fn granted(name: &str) -> BTreeSet<&'static str> {
    let (_, text) = CLIENT.objects.iter().find(|(path, _)| *path == "permissions/change_privileges").expect("listed");
    let list = text.split(&format!("{name} constant name[] := '{{")).nth(1).and_then(|rest| rest.split('}').next());
    list.expect("an array").split(',').map(str::trim).collect()
}

/// The texts of the hints in a file, as they are written there.
fn hints(text: &'static str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in text.split("hint = ").skip(1) {
        let end = rest.find(";\n").unwrap_or(rest.len());
        // What is inside of quotes; a doubled quote splits a literal into two neighbors.
        found.push(rest[..end].split('\'').skip(1).step_by(2).collect::<Vec<_>>().concat());
    }
    found
}

/// The names behind `async.` that a sentence for the reader has: one that does not begin with the role
/// that has to act.
fn named(hint: &str) -> Vec<String> {
    let mut names = Vec::new();
    for sentence in hint.split(". ").flat_map(|part| part.split("; ")) {
        let of_others = ["An administrator", "an administrator", "The owner", "the owner"];
        if of_others.iter().any(|role| sentence.trim_start().starts_with(role)) {
            continue;
        }
        for rest in sentence.split("async.").skip(1) {
            names.push(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect());
        }
    }
    names
}

#[test]
fn a_hint_for_clients_names_only_what_clients_may_use() {
    let calls = granted("c_client_calls");
    let mut seen = 0;
    for (path, text) in [&CLIENT, &SERVER, &UI].iter().flat_map(|part| part.objects.iter()) {
        if !OF_CLIENTS.iter().any(|folder| path.starts_with(folder)) || OF_ADMINISTRATORS.contains(path) {
            continue;
        }
        for hint in hints(text) {
            for name in named(&hint) {
                seen += 1;
                let may = calls.contains(name.as_str()) || RELATIONS_OF_CLIENTS.contains(&name.as_str());
                assert!(may, "{path}: the hint names async.{name}, which clients may not use: {hint}");
            }
        }
    }
    assert!(seen > 5, "{seen} names were found");
}

/// Administrators read all views and tables, but for the columns with secrets.
#[test]
fn a_hint_for_administrators_names_only_what_they_may_use() {
    let calls = granted("c_client_calls").union(&granted("c_admin_calls")).copied().collect::<BTreeSet<_>>();
    let relations: BTreeSet<&str> = [&CLIENT, &SERVER, &UI]
        .iter()
        .flat_map(|part| part.objects.iter())
        .flat_map(|(_, text)| text.split("view async.").skip(1))
        .map(|rest| rest.split([' ', '\n', '.']).next().unwrap_or_default())
        .collect();
    let mut seen = 0;
    for (path, text) in SERVER.objects {
        // The trigger path is the owner's.
        let is_configuring = path.starts_with("configure/") && !path.ends_with("set_trigger_search_path");
        if !(is_configuring || path.ends_with("target_setup") || path.ends_with("write_off_session")) {
            continue;
        }
        for name in hints(text).iter().flat_map(|hint| named(hint)) {
            seen += 1;
            let may = calls.contains(name.as_str()) || relations.contains(name.as_str());
            assert!(may, "{path}: a hint names async.{name}, which administrators may not use");
        }
    }
    assert!(seen > 3, "{seen} names were found");
}
