//! The account of the operating system that the process runs under.

use std::path::PathBuf;

use nix::unistd::{Uid, User};

/// The name of the account, the default of `user`.
pub(super) fn name() -> Option<String> {
    User::from_uid(Uid::effective()).ok().flatten().map(|user| user.name)
}

/// The home directory, which holds the files of libpq: `HOME`, else the entry of the account.
pub(super) fn home(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let known = || User::from_uid(Uid::effective()).ok().flatten().map(|user| user.dir);
    variable("HOME").map(PathBuf::from).or_else(known)
}
