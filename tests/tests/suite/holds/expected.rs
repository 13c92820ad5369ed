//! What fails today, and why. A case on this list that passes fails its test: take it off then.

use super::disturbance::Disturbance;
use super::statement::Statement;
use super::tables::Lock;

/// A case of an engine that fails, with the reason.
type Row = (&'static str, Statement, Disturbance, &'static str);

const FOR_UPDATE: &str =
    "FOR UPDATE SKIP LOCKED leaves out a row that a foreign key holds for key share, and the row is parked";
const COMMIT_ENDS_MAIN: &str = "a deferred constraint raises at the commit of the whole cycle, which ends main()";
const TAKE_IN_ONE: &str = "get_tasks writes all rows in one statement, so one that raises fails the call";
const OFFER_LOST: &str = "withdraw_offers deletes the offer and ignores that the task did not take the event: it stays tracked without an offer";
const EVERY_CYCLE: &str =
    "an overdue row is tried in each cycle, parked or not, and each attempt waits for lock_timeout";
const OFFER_NOT_PARKED: &str = "write_offers compares the outcome before it calls park, so the row is tried in each cycle and waits for lock_timeout";
const GIVEN_BACK_ONCE: &str = "take_stock ignores that a row did not take GIVE_BACK: it stays RUNNING without a query";
const LOCK_TIMEOUT: &str = "the rows are tried again at once, and each attempt waits for lock_timeout";
const SWEEP_SLEEPS: &str =
    "lead_sweep leaves out a row that is held and plans no next look at it: only later times count";

const ROWS: &[Row] = &[
    ("sql", Statement::Claim, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("rust", Statement::Claim, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("sql", Statement::PlainEnd, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("rust", Statement::PlainEnd, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("sql", Statement::IntendedEnd, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("rust", Statement::IntendedEnd, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("sql", Statement::Request, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("rust", Statement::Request, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("sql", Statement::DeadlineOfYielded, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("rust", Statement::DeadlineOfYielded, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("sql", Statement::DeadlineOfPulled, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("rust", Statement::DeadlineOfPulled, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("sql", Statement::DeadlineOfWaiting, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("rust", Statement::DeadlineOfWaiting, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("sql", Statement::Unreachable, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("rust", Statement::Unreachable, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("sql", Statement::GiveBack, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("rust", Statement::GiveBack, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("sql", Statement::Offer, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("rust", Statement::Offer, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("sql", Statement::Withdraw, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("rust", Statement::Withdraw, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("sql", Statement::Promote, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("rust", Statement::Promote, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("sql", Statement::Take, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("rust", Statement::Take, Disturbance::ReferencedBesideTriggers, FOR_UPDATE),
    ("sql", Statement::Claim, Disturbance::RaisingAtCommit, COMMIT_ENDS_MAIN),
    ("sql", Statement::PlainEnd, Disturbance::RaisingAtCommit, COMMIT_ENDS_MAIN),
    ("sql", Statement::IntendedEnd, Disturbance::RaisingAtCommit, COMMIT_ENDS_MAIN),
    ("sql", Statement::Request, Disturbance::RaisingAtCommit, COMMIT_ENDS_MAIN),
    ("sql", Statement::DeadlineOfYielded, Disturbance::RaisingAtCommit, COMMIT_ENDS_MAIN),
    ("sql", Statement::DeadlineOfPulled, Disturbance::RaisingAtCommit, COMMIT_ENDS_MAIN),
    ("sql", Statement::DeadlineOfWaiting, Disturbance::RaisingAtCommit, COMMIT_ENDS_MAIN),
    ("sql", Statement::Unreachable, Disturbance::RaisingAtCommit, COMMIT_ENDS_MAIN),
    ("sql", Statement::GiveBack, Disturbance::RaisingAtCommit, COMMIT_ENDS_MAIN),
    ("sql", Statement::Offer, Disturbance::RaisingAtCommit, COMMIT_ENDS_MAIN),
    ("sql", Statement::Withdraw, Disturbance::RaisingAtCommit, COMMIT_ENDS_MAIN),
    ("sql", Statement::Promote, Disturbance::RaisingAtCommit, COMMIT_ENDS_MAIN),
    ("sql", Statement::Release, Disturbance::RaisingAtCommit, COMMIT_ENDS_MAIN),
    ("sql", Statement::Take, Disturbance::Referenced, FOR_UPDATE),
    ("sql", Statement::Promote, Disturbance::Referenced, FOR_UPDATE),
    ("sql", Statement::Take, Disturbance::Raising, TAKE_IN_ONE),
    ("sql", Statement::Take, Disturbance::RaisingAtCommit, TAKE_IN_ONE),
    ("sql", Statement::Withdraw, Disturbance::Held, OFFER_LOST),
    ("sql", Statement::Withdraw, Disturbance::Raising, OFFER_LOST),
    ("rust", Statement::Take, Disturbance::Referenced, FOR_UPDATE),
    ("rust", Statement::Promote, Disturbance::Referenced, FOR_UPDATE),
    ("rust", Statement::Take, Disturbance::Raising, TAKE_IN_ONE),
    ("rust", Statement::Take, Disturbance::RaisingAtCommit, TAKE_IN_ONE),
    ("rust", Statement::Withdraw, Disturbance::Held, OFFER_LOST),
    ("rust", Statement::Withdraw, Disturbance::Raising, OFFER_LOST),
    ("sql", Statement::DeadlineOfYielded, Disturbance::Held, EVERY_CYCLE),
    ("sql", Statement::DeadlineOfPulled, Disturbance::Held, EVERY_CYCLE),
    ("sql", Statement::DeadlineOfWaiting, Disturbance::Held, EVERY_CYCLE),
    ("sql", Statement::Unreachable, Disturbance::Held, EVERY_CYCLE),
    ("sql", Statement::Offer, Disturbance::Held, OFFER_NOT_PARKED),
    ("sql", Statement::GiveBack, Disturbance::Held, GIVEN_BACK_ONCE),
    ("sql", Statement::GiveBack, Disturbance::Raising, GIVEN_BACK_ONCE),
    ("rust", Statement::GiveBack, Disturbance::Held, LOCK_TIMEOUT),
    ("rust", Statement::Release, Disturbance::Held, LOCK_TIMEOUT),
    ("rust", Statement::Promote, Disturbance::Held, SWEEP_SLEEPS),
];

/// Cases near the bound, which fail in some runs and pass in others.
const AT_TIMES: &[Row] = &[("rust", Statement::Claim, Disturbance::Held, LOCK_TIMEOUT)];

const LOCK_ENDS_MAIN: &str =
    "a statement that meets the lock raises lock_not_available outside of a block, which ends main()";
const LOCK_WHILE_MARKING: &str = "lock_not_available while a launch is marked costs the lead";

/// The same for locks of the table. A lock does harm when it is granted at the commit before a certain statement: whether a
/// case fails in each run.
const LOCKS: &[(&str, Lock, bool, &str)] = &[
    ("sql", Lock::Half, true, LOCK_ENDS_MAIN),
    ("sql", Lock::AddColumn, false, LOCK_ENDS_MAIN),
    ("sql", Lock::Long, false, LOCK_ENDS_MAIN),
    ("rust", Lock::Half, false, LOCK_WHILE_MARKING),
    ("rust", Lock::AddColumn, false, LOCK_WHILE_MARKING),
    ("rust", Lock::Long, false, LOCK_WHILE_MARKING),
];

/// Why a case fails today; `None` when it should pass.
pub(super) fn row(engine: &str, statement: Statement, disturbance: Disturbance) -> Option<&'static str> {
    let is_it = |row: &&Row| row.0 == engine && row.1 == statement && row.2 == disturbance;
    ROWS.iter().find(is_it).map(|row| row.3)
}

/// Whether a case may fail and may pass today.
pub(super) fn at_times(engine: &str, statement: Statement, disturbance: Disturbance) -> bool {
    AT_TIMES.iter().any(|row| row.0 == engine && row.1 == statement && row.2 == disturbance)
}

/// The same for a lock of the table, and whether it fails in each run.
pub(super) fn lock(engine: &str, lock: Lock) -> Option<(bool, &'static str)> {
    LOCKS.iter().find(|row| row.0 == engine && row.1 == lock).map(|row| (row.2, row.3))
}
