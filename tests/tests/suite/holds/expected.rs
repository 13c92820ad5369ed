//! What fails today, and why. A case on this list that passes fails its test: take it off then.

use super::disturbance::Disturbance;
use super::statement::Statement;
use super::tables::Lock;

/// A case of an engine that fails, with the reason.
type Row = (&'static str, Statement, Disturbance, &'static str);

const ROWS: &[Row] = &[];

/// The same for locks of the table.
const LOCKS: &[(&str, Lock, &str)] = &[];

/// Why a case fails today; `None` when it should pass.
pub(super) fn row(engine: &str, statement: Statement, disturbance: Disturbance) -> Option<&'static str> {
    let is_it = |row: &&Row| row.0 == engine && row.1 == statement && row.2 == disturbance;
    ROWS.iter().find(is_it).map(|row| row.3)
}

/// The same for a lock of the table.
pub(super) fn lock(engine: &str, lock: Lock) -> Option<&'static str> {
    LOCKS.iter().find(|row| row.0 == engine && row.1 == lock).map(|row| row.2)
}
