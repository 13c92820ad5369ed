//! Standard output, what goes to standard error beside the log, and `pgasync sql`.

use std::io::{ErrorKind, Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use crate::args::PartName;
use crate::visible;

/// Set when standard output takes no more.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether the reader of standard output has gone. A command that follows something ends then.
pub(crate) fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

pub(crate) fn script(part: PartName) -> anyhow::Result<()> {
    let text = match part {
        PartName::Client => pgasync_sql::client(),
        PartName::Server => pgasync_sql::server(),
        PartName::Ui => pgasync_sql::ui(),
        PartName::All => pgasync_sql::all(),
    };
    write_raw(&text)
}

/// Writes lines for people to standard output; escape sequences in them are made visible.
pub(crate) fn write(text: &str) -> anyhow::Result<()> {
    write_raw(&visible::lines(text))
}

/// Writes text with the colours of this program; texts of others in it are visible already.
pub(crate) fn write_styled(text: &str) -> anyhow::Result<()> {
    write_raw(text)
}

/// Writes a message to standard error. Its lines behind the first are indented, so that none looks
/// like a message of its own.
pub(crate) fn failure(message: &str) {
    let mut lines = message.lines();
    eprintln!("pgasync: {}", visible::line(lines.next().unwrap_or_default()));
    for line in lines {
        eprintln!("  {}", visible::line(line.trim()));
    }
}

/// Writes to standard output. A closed pipe is not an error.
pub(crate) fn write_raw(text: &str) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader has closed the pipe (`| head`).
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            CLOSED.store(true, Ordering::Relaxed);
            Ok(())
        }
        written => written.context("cannot write to standard output"),
    }
}
