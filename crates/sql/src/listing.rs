//! No SQL file is left out of the lists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::objects::{CLIENT, SERVER, UI};

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

#[test]
fn every_file_is_listed_once() {
    let mut there = BTreeSet::new();
    sql_files("objects", &mut there);
    sql_files("migrations", &mut there);

    let mut listed = BTreeSet::new();
    for (folder, part) in [("client", &CLIENT), ("server", &SERVER), ("ui", &UI)] {
        let guard = std::iter::once(format!("objects/{folder}/00_guard"));
        let migrations = part.migrations.iter().map(|(name, _)| format!("migrations/{name}"));
        let objects = part.objects.iter().map(|(name, _)| format!("objects/{folder}/{name}"));
        for path in guard.chain(migrations).chain(objects) {
            assert!(listed.insert(path.clone()), "{path} is listed twice");
        }
    }
    assert_eq!(there.difference(&listed).collect::<Vec<_>>(), [""; 0], "not listed in src/objects.rs");
}

#[test]
fn objects_are_listed_in_the_order_of_their_names() {
    for part in [&CLIENT, &SERVER, &UI] {
        let names: Vec<_> = part.objects.iter().map(|(name, _)| *name).collect();
        assert!(names.is_sorted(), "{names:#?}");
    }
}
