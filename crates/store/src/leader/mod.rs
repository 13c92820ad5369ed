//! The leader session: the one connection that holds the locks, and through which the leader
//! writes.
//!
//! Functions of the schema compute the row after an event. The SQL engine calls the same functions.
//! This module combines the commands of the core into few statements, sends them at once, and turns
//! their rows into inputs for the core.

mod batch;
mod batch_results;
mod candidate;
mod composite;
mod configuration;
mod error;
mod firing;
mod operations;
mod periodic;
mod poll;
mod published;
mod published_metric;
mod receipts;
mod registration;
mod registry;
mod requests;
mod retry;
mod review;
mod row_event;
mod rows;
mod send;
mod statements;
mod upkeep_session;

use std::collections::BTreeMap;

use pgasync_core::{Command, Epoch, Input, Run, SessionId, TaskId};
use pgasync_pg::Session;

use firing::NextFiring;
use statements::Statements;

pub use candidate::{Candidate, Election, ResumeOutcome, end_backend, is_active, pin_search_path};
pub use configuration::{LeaderConfiguration, TargetAddress};
pub use error::{CandidacyError, LeaderError};
pub use poll::PollResult;
pub use published::{PublishedOutage, PublishedPool, PublishedSession, PublishedState};
pub use published_metric::PublishedMetric;
pub use receipts::{OldReceipts, OpenReceipt, open_receipts, void_settings};
pub use registration::Registration;
pub use registry::{
    OldSession, ServerIdentity, note_lost, old_sessions, registered_session, replaced_sessions, unknown_elections,
};
pub use review::{LaneBacklog, QueueReader, ReviewError};
pub use upkeep_session::{RowsWritten, UpkeepDue, UpkeepError, UpkeepSession};

/// The session of a leader. It remembers nothing about tasks: a command carries what its statement
/// needs.
#[derive(Debug)]
pub struct LeaderSession {
    session: Session,
    statements: Statements,
    epoch: Epoch,
    nonce: String,
    server_id: String,
    pid: i32,
    backend_start: String,
    /// Numbers of this leader's sessions in the registry.
    registered: BTreeMap<SessionId, i64>,
    /// The snapshot of the last poll. `None` before the first poll of this connection.
    polled: Option<String>,
    /// The version of the configuration at the last poll.
    configuration_version: Option<String>,
    firing: NextFiring,
    rows_written: RowsWritten,
}

/// An operation of the leader session.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Carry out a command of the core.
    Core(Command),
    /// Record the backend and the server of a target session in the registry.
    Register(SessionId, Registration),
    /// Write the state that the views show.
    Publish(PublishedState),
    /// Write the counters that `async.v_metric` shows.
    PublishMetrics(Vec<PublishedMetric>),
    /// Write a line to `async.server_log`.
    Log {
        /// `NOTICE`, `WARNING`, `ERROR` or `DEBUG`.
        level: &'static str,
        /// The text. The server masks passwords in it.
        message: String,
    },
    /// Record that the leader resigns, so that the next leader does not wait for the grace period.
    /// This is the last operation of a leader.
    RecordResignation {
        /// Why the leader resigns.
        why: String,
    },
}

impl Operation {
    /// Whether the operation is kept when the leader session is lost. Log lines are kept. The core
    /// repeats its own commands.
    #[must_use]
    pub const fn outlives_session(&self) -> bool {
        matches!(self, Self::Log { .. })
    }
}

/// The text of a task that is about to be launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchText {
    /// The query.
    pub query: String,
    /// Whether the task may run in a session at the server database itself, as a member of its
    /// owner.
    pub may_reach_self: bool,
    /// If the rows of the task are kept, the most bytes that the target may answer to this text
    /// (`async.keep_query`).
    pub answer_bytes_max: Option<u64>,
    /// The text writes a receipt (`async.receipt_query`).
    pub receipt: bool,
}

/// The results of a batch of [`Operation`]s.
#[derive(Debug, Default)]
pub struct OperationResults {
    /// Inputs for the core, in order.
    pub inputs: Vec<Input>,
    /// Texts of the marked tasks; an error is the reason why the task must not be launched.
    pub texts: Vec<(TaskId, Run, Result<LaunchText, String>)>,
    /// Registered sessions that lead to the server database itself, as a member of its owner.
    pub sessions_at_self: Vec<SessionId>,
    /// The results of a poll that do not concern the core.
    pub polled: Option<PollResult>,
    /// Tasks whose rows could not be written, and the error that a trigger or a constraint raised.
    pub failures: Vec<(TaskId, String)>,
    /// Warnings for the log.
    pub warnings: Vec<String>,
    /// Whether the server refused to publish the state.
    pub publish_refused: bool,
}

impl LeaderSession {
    /// The epoch of this leader.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// `epoch.nonce` of its election, as in the names of its sessions.
    #[must_use]
    pub fn election_name(&self) -> String {
        format!("{}.{}", self.epoch, self.nonce)
    }

    /// The id of the server in the names of its sessions.
    #[must_use]
    pub fn server_id(&self) -> &str {
        &self.server_id
    }

    /// The rows that it writes, for the upkeep.
    #[must_use]
    pub fn rows_written(&self) -> RowsWritten {
        self.rows_written.clone()
    }

    /// The pid of the backend.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// Returns when the session has ended.
    pub async fn ended(&mut self) {
        self.session.ended().await;
    }

    /// Drops the connection without waiting for operations under way.
    pub fn abandon(&mut self) {
        self.session.abandon();
    }

    /// Releases the locks and closes the session.
    ///
    /// # Errors
    /// When the session was lost before.
    pub async fn step_down(self) -> Result<(), LeaderError> {
        let released = self.session.batch_execute("select async.release_locks()").await;
        self.session.close().await;
        released.map_err(|error| LeaderError::of("releasing the lead", &error))
    }
}
