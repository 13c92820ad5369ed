//! `pgasync demo`.

use crate::args::DemoArgs;
use std::process::ExitCode;
pub(crate) async fn run(_options: &DemoArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not yet")
}
