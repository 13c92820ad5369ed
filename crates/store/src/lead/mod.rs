//! The leader's one session: it holds both locks, and every write of the leader goes through it.
//!
//! What becomes of an event is decided by the functions in the schema, which the SQL engine uses too. Here
//! commands are put together into few statements, sent at once, and their answers are told apart.

mod batch;
mod candidate;
mod configuration;
mod error;
mod operations;
mod poll;
mod registry;
mod requests;
mod row_event;
mod rows;
mod send;
mod statements;
mod upkeep;
mod vacuum;

use std::collections::BTreeMap;

use pgasync_core::{Command, Epoch, Input, Run, SessionId, TargetName, TaskId, Timestamp};

use pgasync_pg::ConnectionString;
use pgasync_pg::Session;
use statements::Statements;

pub use candidate::{Candidate, Election, Resumed, end_backend, is_at_work};
pub use configuration::{Configuration, TargetAddress};
pub use error::{CandidacyError, LeadError};
pub use poll::Seen;
pub use registry::{
    OldSession, ServerIdentity, note_lost, old_sessions, registered_session, replaced_sessions, unknown_elections,
};
pub use vacuum::{VacuumError, vacuum};

/// The session that leads. It remembers nothing about tasks: what a statement needs to know comes with
/// the command.
#[derive(Debug)]
pub struct Lead {
    session: Session,
    statements: Statements,
    epoch: Epoch,
    nonce: String,
    server_id: String,
    pid: i32,
    /// When that began.
    backend_start: String,
    /// The registry's numbers of this leader's sessions.
    registered: BTreeMap<SessionId, i64>,
    /// What the last poll saw of the configuration.
    configured: Option<String>,
    /// Where maintenance goes on.
    history_after: Option<i64>,
    /// Rows of the queue written since it was last vacuumed.
    written: i64,
}

/// Something to be done through the leader's session.
#[derive(Clone, Debug)]
pub enum Op {
    /// What the core wants.
    Core(Command),
    /// Write down where a session is.
    Register(SessionId, Registration),
    /// Show to the views who runs what.
    Publish(Published),
    /// A line in `async.server_log`.
    Log {
        /// `NOTICE`, `WARNING`, `ERROR` or `DEBUG`.
        level: &'static str,
        /// The text; passwords in it are masked.
        message: String,
    },
    /// The last thing before the locks are given up.
    Goodbye {
        /// Why.
        why: String,
    },
}

impl Op {
    /// The core does not ask for it again after the leader's session was lost.
    #[must_use]
    pub const fn is_told_once(&self) -> bool {
        matches!(self, Self::Log { .. })
    }
}

/// Where a session with a target is.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Which of the leader's slots it takes.
    pub slot: i32,
    /// The target.
    pub target: TargetName,
    /// How to reach it again.
    pub connection_string: ConnectionString,
    /// The role that it is logged in as.
    pub role: String,
    /// Its backend.
    pub pid: i32,
    /// When that began, as the target prints it.
    pub backend_start: String,
    /// The server that it is with.
    pub server: ServerIdentity,
}

/// What the views show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// How many workers there are.
    pub workers: i32,
    /// The busy slots: which, where, what, since when.
    pub busy: Vec<(i32, String, TaskId, Timestamp)>,
    /// The pools of which slots are taken, and how many.
    pub pools: Vec<(String, i32)>,
    /// The targets that cannot be reached: since when, and what was said last.
    pub lost: Vec<(String, Timestamp, String)>,
}

/// What came of a batch of [`Op`]s.
#[derive(Debug, Default)]
pub struct Answers {
    /// For the core, in order.
    pub inputs: Vec<Input>,
    /// The texts of tasks that were marked.
    pub texts: Vec<(TaskId, Run, Option<String>)>,
    /// What a poll saw besides what the core hears.
    pub seen: Option<Seen>,
    /// Tasks whose rows could not be written because something raised, and the error.
    pub failures: Vec<(TaskId, String)>,
    /// What went wrong, for the log.
    pub troubles: Vec<String>,
    /// It is time for [`vacuum`].
    pub vacuum: bool,
}

impl Lead {
    /// The epoch in which it leads.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The epoch and the nonce of its election, as the names of its sessions have them.
    #[must_use]
    pub fn election_name(&self) -> String {
        format!("{}.{}", self.epoch, self.nonce)
    }

    /// What names this server to its targets.
    #[must_use]
    pub fn server_id(&self) -> &str {
        &self.server_id
    }

    /// Its backend.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// Returns when the session has ended.
    pub async fn ended(&mut self) {
        self.session.ended().await;
    }

    /// Drops the session, which does not answer, whatever is under way in it.
    pub fn abandon(&mut self) {
        self.session.abandon();
    }

    /// Gives up the locks and ends the session.
    ///
    /// # Errors
    /// When the session went before.
    pub async fn step_down(self) -> Result<(), LeadError> {
        let given_up = self.session.batch_execute("select async.release_locks()").await;
        self.session.close().await;
        given_up.map_err(|error| LeadError::of("giving up the lead", &error))
    }
}
