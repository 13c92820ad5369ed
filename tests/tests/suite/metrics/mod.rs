//! Metrics: the HTTP listener of `pgasync run`, systemd, `async.v_metric`, and a real Prometheus.

mod agreement;
mod http;
mod listener;
mod prometheus;
mod systemd;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

/// The names in the tables of `docs/metrics.md`.
fn documented() -> BTreeSet<String> {
    let page = fs::read_to_string(root().join("docs/metrics.md")).expect("the page is there");
    let name = |line: &str| Some(line.strip_prefix("| `pgasync_")?.split_once('`')?.0.to_owned());
    page.lines().filter_map(name).map(|name| format!("pgasync_{name}")).collect()
}

/// The name of a metric without the suffixes of a histogram.
fn family(name: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}
