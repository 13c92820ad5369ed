//! `pgasync completions` and `pgasync man`: texts that follow from the command line.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;

use crate::args::Arguments;
use crate::failure::{Exit, Failure};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync completions bash > /etc/bash_completion.d/pgasync
  pgasync completions zsh > ~/.zfunc/_pgasync")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync man /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The folder; it must exist
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

pub(crate) fn completions(arguments: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "pgasync", &mut script);
    crate::print::write_raw(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// Writes `pgasync.1`, and a page for each command.
pub(crate) fn man(arguments: &ManArgs) -> Result<Exit, Failure> {
    let folder = &arguments.folder;
    if !folder.is_dir() {
        return Err(Failure::usage(format!("{} is not a folder", folder.display())));
    }
    let mut all = Arguments::command();
    all.build();
    pages(folder, "pgasync", &all)?;
    Ok(Exit::Done)
}

/// The page of a command, and those of its subcommands.
fn pages(folder: &Path, name: &str, command: &Command) -> Result<(), Failure> {
    page(folder, name, command)?;
    for command in command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help") {
        pages(folder, &format!("{name}-{}", command.get_name()), command)?;
    }
    Ok(())
}

fn page(folder: &Path, name: &str, command: &Command) -> Result<(), Failure> {
    let path = folder.join(format!("{name}.1"));
    let mut text = Vec::new();
    let fail = |error: std::io::Error| Failure::new(Exit::Negative, format!("{}: {error}", path.display()));
    clap_mangen::Man::new(command.clone()).title(name).render(&mut text).map_err(fail)?;
    fs::write(&path, text).map_err(fail)
}
