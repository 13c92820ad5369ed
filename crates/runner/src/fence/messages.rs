//! Log messages about fences. The SQL engine writes the same texts.

use pgasync_core::TargetName;
use pgasync_store::OldSession;

use super::BackendIdentity;

/// The message about sessions that cannot be ended yet. `async.take_fence_result` writes the same
/// text.
pub(super) fn cannot_be_ended(
    target: &TargetName,
    attempt_number: u32,
    lost: &[(i64, &BackendIdentity, String)],
) -> String {
    debug_assert!(!lost.is_empty(), "the message names the first session");
    let (number, pid, error) =
        lost.first().map_or((0, 0, ""), |(number, backend, error)| (*number, backend.pid, error));
    format!(
        "{} sessions at target \"{target}\" (backend {pid} is the first) cannot be ended yet (try {attempt_number}): {error}. \
         When it is known to be gone: select async.write_off_session({number})",
        lost.len(),
    )
}

/// The message about sessions that are left alone. `async.spared_session_reason` returns the same text.
pub(super) fn left_alone(target: &TargetName, count: usize, first: &OldSession) -> String {
    format!(
        "{count} sessions at target \"{target}\" (backend {} is the first): left alone until it ends, since address, port \
         or timeline of this server have changed: it may belong to another server, of which this is a copy. If this is \
         the copy, stop the orchestrator and select async.adopt(); if nothing uses the session any more, select \
         async.write_off_session({})",
        first.pid, first.number
    )
}
