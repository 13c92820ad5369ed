//! The files below `dist/` are what the crate assembles.

use std::fs;
use std::path::Path;

#[test]
fn the_checked_in_files_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist");
    for (name, text) in [
        ("async.sql", pgasync_sql::client()),
        ("async_server.sql", pgasync_sql::server()),
        ("async_ui.sql", pgasync_sql::ui()),
    ] {
        let file = folder.join(name);
        let kept = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(kept == text, "dist/{name} is stale: run ./dev dist");
    }
}
