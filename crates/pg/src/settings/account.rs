//! The account of the operating system that this runs under.

use std::path::PathBuf;

use nix::unistd::{Uid, User};

/// The name of the account, which is the default for `user`.
pub(super) fn name() -> Option<String> {
    User::from_uid(Uid::effective()).ok().flatten().map(|user| user.name)
}

/// Its home, where libpq's files are: what `HOME` says, else what the system says.
pub(super) fn home(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let known = || User::from_uid(Uid::effective()).ok().flatten().map(|user| user.dir);
    variable("HOME").map(PathBuf::from).or_else(known)
}
