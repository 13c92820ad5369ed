//! What pgasync knows, free of IO: someone writing another runner, a simulator or a capacity
//! planner depends on this crate alone.
//!
//! A *task* waits in a table until it is its turn, runs as a query on its *target*, and ends. A
//! *concurrency pool* limits how many run at once, *workers* limit all of them together. This crate
//! decides all of that over plain values. It never sees a connection, a runtime, a clock or a log:
//! time and randomness are arguments, and what should be done comes out as a value.
//!
//! | to know | look at |
//! | --- | --- |
//! | what may happen to a task | [`Task::step`]: [`Phase`] × [`Event`] → the next task, or [`Rejected`] |
//! | what the table says | [`Row`], with [`Task::row`] and [`Row::task`] between the two; [`state_diagram`] |
//! | who runs next | [`Plan`]: [`Head`]s in [`Lane`]s by [`Turn`], over bounded windows |
//! | what to do now | [`Orchestrator`]: an [`Input`] goes in, [`Command`]s come out |
//! | how a query has to be sent | [`classify`] |
//! | what may be configured | [`Configuration`], [`Document`], and [`Settings`] for the orchestrator |
//!
//! With the feature `serde`, public values serialize, and `Document::from_json` reads what
//! `configure` takes.
//!
//! ```
//! use pgasync_core::*;
//!
//! let target = TargetName::new("sales")?;
//! let lane = Lane { pool: PoolName::of(None, &target), target, kind: Kind::Run };
//! let now = Timestamp::from_micros(0);
//! let mut orchestrator = Orchestrator::new(Settings::default(), 1);
//! let elected = Input::Elected {
//!     epoch: Epoch(1),
//!     at_once: true,
//!     fence: vec![],
//!     inherited: vec![],
//!     lanes: vec![lane.clone()],
//! };
//! orchestrator.handle(elected, now);
//! orchestrator.handle(Input::StartupDone, now);
//!
//! // It wants to see who waits.
//! let mut commands = std::iter::from_fn(|| orchestrator.poll_command());
//! assert!(commands.any(|command| matches!(command, Command::Refill { lane: of, .. } if of == lane)));
//! # Ok::<(), BadName>(())
//! ```
//!
//! `examples/print_farm.rs` drives all of it in under 100 lines, without a database.
//!
//! **Invariants.** A slot is taken before a claim is written, and free once the target has said
//! that the query is over. A query is launched only after its claim and its mark are durable, on a
//! session that is registered. A result counts only after the requests that were made before it was
//! seen. What a lost leader ran is resolved only when its sessions are gone.

#![forbid(unsafe_code)]
#![warn(clippy::wildcard_enum_match_arm)]

mod config;
mod names;
mod orchestrator;
mod plan;
mod query;
#[cfg(test)]
mod simulation;
mod task;
mod time;

pub use config::document::{ControlEntry, Document, PoolEntry, TargetEntry};
pub use config::interval::parse_interval;
pub use config::{
    Configuration, Control, PoolConfiguration, Problem, Refused, TARGET_CONCURRENCY_DEFAULT, TargetConfiguration,
};
pub use names::{BadName, Epoch, PoolName, Priority, Run, SessionId, TargetName, TaskId};
pub use orchestrator::Orchestrator;
pub use orchestrator::command::Command;
pub use orchestrator::input::{Asked, Found, Input, RequestId, Sighting};
pub use orchestrator::settings::{Settings, TargetSettings, Tuning};
pub use plan::lane::{Head, Kind, Lane, Turn};
pub use plan::{Choice, Plan, WINDOW_HEADS_DEFAULT};
pub use query::statement::{Statement, StatementKind, statements};
pub use query::{COPY_REFUSED, Class, classify};
pub use task::diagram::{Transition, state_diagram, transitions};
pub use task::event::{Event, EventName, Outcome, Request};
pub use task::intention::Intention;
pub use task::phase::{End, Past, Phase, PhaseName};
pub use task::rejected::Rejected;
pub use task::row::{Held, Malformed, Row, RowState};
pub use task::status::{FinalStatus, FinishStatus};
pub use task::step::TIMED_OUT;
pub use task::{Task, Terms};
pub use time::{Span, Timestamp};
