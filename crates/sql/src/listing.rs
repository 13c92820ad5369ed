//! The rules for files and folders below `objects/`: every file is listed, has the name of its
//! object, and is in the folder for its purpose.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::objects::{CLIENT, Part, SERVER, UI};

const PARTS: [(&str, &Part); 3] = [("client", &CLIENT), ("server", &SERVER), ("ui", &UI)];

/// The paths of all `.sql` files below a folder of the crate, without the ending.
fn sql_files(folder: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("a folder of the crate") {
        let entry = entry.expect("readable");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            sql_files(&path, found);
        } else if let Some(path) = path.strip_suffix(".sql") {
            found.insert(path.to_owned());
        }
    }
}

/// What a file creates: the names of functions, procedures and views of the schema `async`, each
/// once.
fn created(text: &str) -> BTreeSet<&str> {
    ["function", "procedure", "view"]
        .into_iter()
        .flat_map(|kind| text.split(&format!("\ncreate or replace {kind} async.")).skip(1).collect::<Vec<_>>())
        .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default())
        .collect()
}

/// The lines of a file that are neither comments nor the setting of a search path.
fn code(text: &str) -> String {
    text.lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .filter(|line| !line.trim_start().starts_with("set search_path"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn every_file_is_listed_once() {
    let mut there = BTreeSet::new();
    sql_files("objects", &mut there);
    sql_files("migrations", &mut there);

    let mut listed = BTreeSet::new();
    for (folder, part) in PARTS {
        let guard = std::iter::once(format!("objects/{folder}/guard"));
        let migrations = part.migrations.iter().map(|(name, _)| format!("migrations/{name}"));
        let objects = part.objects.iter().map(|(name, _)| format!("objects/{folder}/{name}"));
        for path in guard.chain(migrations).chain(objects) {
            assert!(listed.insert(path.clone()), "{path} is listed twice");
        }
    }
    assert_eq!(there.difference(&listed).collect::<Vec<_>>(), [""; 0], "not listed in src/objects.rs");
}

#[test]
fn a_file_creates_the_object_that_it_is_named_after_and_no_other() {
    let mut names = BTreeSet::new();
    for (folder, part) in PARTS {
        for (path, text) in part.objects {
            let name = path.rsplit('/').next().unwrap_or_default();
            let text = format!("\n{text}");
            let created = created(&text);
            if path.contains("install/") || path.contains("comments/") || name == "finish" && created.is_empty() {
                assert!(created.is_empty() || created == BTreeSet::from([name]), "{folder}/{path} creates {created:?}");
                continue;
            }
            assert_eq!(created, BTreeSet::from([name]), "{folder}/{path}");
            assert!(names.insert(name), "{name} has two files");
        }
    }
    assert!(names.len() > 200, "{}", names.len());
}

/// The files of the server part outside of `folder` for which `found` holds.
fn files_outside(folder: &str, found: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let outside = SERVER.objects.iter().filter(|(path, _)| !path.starts_with(folder));
    outside.filter(|(_, text)| found(&code(text))).map(|(path, _)| *path).collect()
}

#[test]
fn only_its_folder_touches_dblink() {
    // A column has this name.
    let touches = |text: &str| {
        let text = text.replace("dblink_schema", "");
        text.contains("dblink_") || text.contains("dblink(")
    };
    // `log/log` writes an error over a separate connection, because the error rolls the transaction
    // of the caller back.
    assert_eq!(files_outside("dblink/", touches), ["log/log", "finish"]);
}

#[test]
fn only_its_folder_changes_tasks() {
    assert_eq!(files_outside("record/", |text| text.contains("update async.task ")), [""; 0]);
    let deletes = |text: &str| text.contains("delete from async.task ");
    assert_eq!(files_outside("record/", deletes), [""; 0]);
}

#[test]
fn the_deciding_folder_reads_no_clock_and_no_memory_and_writes_nothing() {
    let forbidden = [
        "pg_temp.",
        "clock_timestamp",
        "now()",
        "random()",
        "insert into",
        "update async",
        "delete from",
        "set_config",
    ];
    let deciding: Vec<_> = SERVER.objects.iter().filter(|(path, _)| path.starts_with("decide/")).collect();
    assert!(deciding.len() > 20, "{deciding:#?}");
    for (path, text) in deciding {
        let text = code(text);
        for word in forbidden {
            // The texts for targets have it.
            let in_text = match *path {
                "decide/results/keep_block" | "decide/receipts/void_settings" => word == "set_config",
                "decide/receipts/receipt_query" => ["set_config", "insert into"].contains(&word),
                "decide/receipts/void_query" => word == "insert into",
                _ => false,
            };
            if in_text {
                continue;
            }
            assert!(!text.contains(word), "{path} has {word}");
        }
    }
}
