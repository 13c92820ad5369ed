//! The schemas of earlier versions.

use std::path::Path;
use std::process::Command;

/// The releases, each named after its last migration: before transitions traveled as events, the
/// first search paths, after arrivals, results, metrics.
pub(crate) const RELEASES: [&str; 5] = ["0002", "0008", "0017", "0027", "0032"];

/// The files that `pgasync sql` printed in a release, in one text.
pub(crate) fn released(migration: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("released").join(format!("{migration}.sql.gz"));
    let output = Command::new("gzip").arg("-dc").arg(&file).output().expect("gzip is a program");
    assert!(output.status.success(), "{}: {output:?}", file.display());
    String::from_utf8(output.stdout).expect("SQL is UTF-8")
}

/// The part of a release for client databases: up to the beginning of the part for servers.
pub(super) fn client_part(release: &str) -> String {
    let text = released(release);
    let server = text.find("-- pgasync 0.1.0: server part").expect("each part begins with its title");
    text[..server].to_owned()
}
