//! Standard output, and `pgasync sql`.

use std::io::{ErrorKind, Write, stdout};

use anyhow::Context;

use crate::args::PartName;

pub(crate) fn script(part: PartName) -> anyhow::Result<()> {
    let text = match part {
        PartName::Client => pgasync_sql::client(),
        PartName::Server => pgasync_sql::server(),
        PartName::Ui => pgasync_sql::ui(),
        PartName::All => pgasync_sql::all(),
    };
    write(&text)
}

/// Writes to standard output. A closed pipe is not an error.
pub(crate) fn write(text: &str) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader has closed the pipe (`| head`).
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}
