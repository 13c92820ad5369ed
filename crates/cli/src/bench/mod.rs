//! `pgasync bench`.

use crate::args::BenchArgs;
pub(crate) async fn run(_options: &BenchArgs) -> anyhow::Result<()> {
    anyhow::bail!("not yet")
}
