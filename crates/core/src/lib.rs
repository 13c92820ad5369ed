//! The rules of pgasync, free of IO. Another runner, a simulator or a capacity planner depends on
//! this crate alone.
//!
//! A *task* waits in a table until it is its turn, runs as a query on its *target*, and ends. A
//! *concurrency pool* limits how many run at once, *workers* limit all of them together. This crate
//! decides all of that over plain values. It never sees a connection, a runtime, a clock or a log:
//! time and randomness are arguments, and the result is a value.
//!
//! | to know | look at |
//! | --- | --- |
//! | what may happen to a task | [`Task::step`]: [`Phase`] × [`Event`] → the next task, or [`Rejected`] |
//! | what is in the table | [`Row`], with [`Task::row`] and [`Row::task`] between the two; [`state_diagram`] |
//! | which task runs next | [`Plan`]: [`Head`]s in [`Lane`]s by [`QueuePosition`], over bounded windows |
//! | what to do now | [`Orchestrator`]: an [`Input`] goes in, [`Command`]s come out |
//! | how a query has to be sent | [`classify`] |
//! | what may be configured | [`Configuration`], [`Document`], and [`Settings`] for the orchestrator |
//!
//! With the feature `serde`, public values serialize and deserialize. A [`Document`] is written as
//! what `configure` takes and read by `Document::from_json`, with all checks; a [`Configuration`]
//! is written as the document that makes it, and is read through the same checks; its parts are
//! written only.
//!
//! # Driving it
//!
//! An [`Orchestrator`] does not wait, and has no callbacks. Its driver keeps this contract:
//!
//! - After each [`Orchestrator::handle`] it takes all commands: [`Orchestrator::poll_command`]
//!   until there is none.
//! - Commands for the store ([`Command::is_for_store`]) are carried out in their order, through the
//!   one session that holds the lead; consecutive ones may share a transaction. The others may be
//!   carried out at any time, at once best.
//! - Each is answered with the [`Input`] that its documentation names, once it is done: after the
//!   commit, not before. What needs no answer gets none.
//! - [`Command::SleepUntil`] is the time of the next [`Input::Tick`]; a later one replaces it.
//!   Anything else that happens may come at any time.
//! - The monotonic time never goes back; the server's time may step either way.
//!
//! A whole round with one task, in which the table is a single [`Row`] and the query succeeds:
//!
//! ```
//! use std::collections::VecDeque;
//!
//! use pgasync_core::*;
//!
//! let target = TargetName::new("sales")?;
//! let mut settings = Settings::default();
//! settings.targets.insert(target.clone(), TargetSettings { max_concurrency: 2, default_timeout: None });
//! let lane = Lane { pool: PoolName::of(None, &target), target, kind: LaneKind::Run };
//! let position = QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(0), task: TaskId(1) };
//! let now = Now::from_micros(1_000_000);
//!
//! let mut table = Row::default(); // It waits.
//! let mut round = vec![];
//! let mut orchestrator = Orchestrator::new(settings, 42);
//! let mut inputs = VecDeque::from([Input::Elected {
//!     epoch: Epoch(1),
//!     fence: vec![],
//!     inherited: vec![],
//!     lanes: vec![lane.clone()],
//! }]);
//! while let Some(input) = inputs.pop_front() {
//!     orchestrator.handle(input, now);
//!     while let Some(command) = orchestrator.poll_command() {
//!         let answer = match command {
//!             // The store, in this order.
//!             Command::RunStartup => Some(Input::StartupDone),
//!             Command::Refill { lane, .. } => {
//!                 let (run, options, text_bytes) = (Run(table.run), TaskOptions::default(), 8);
//!                 let head = Head { position, run, options, times_up: table.times_up, text_bytes };
//!                 let waits = table.state() == RowState::Ready;
//!                 Some(Input::Refilled { lane, heads: if waits { vec![head] } else { vec![] }, more: false })
//!             }
//!             Command::Sweep { .. } => {
//!                 Some(Input::Swept { overdue: vec![], promoted: vec![], next: None, failed: vec![] })
//!             }
//!             Command::Poll { sleep, .. } => {
//!                 let asleep = (sleep == Sleep::FallAsleep).then_some(true);
//!                 Some(Input::Polled { lanes: vec![], requests: false, latch: 0, asleep })
//!             }
//!             Command::Write(event) => {
//!                 round.push(if table.state() == RowState::Ready { "claim" } else { "end" });
//!                 let before = table.clone();
//!                 let written = event.apply(&table, TaskOptions::default());
//!                 let answer = if written.is_some() { WriteAnswer::AsPredicted } else { WriteAnswer::Row(before) };
//!                 table = written.unwrap_or(table);
//!                 Some(Input::Written { task: event.task, run: event.run, answer })
//!             }
//!             Command::Register { session } => Some(Input::Registered { session }),
//!             Command::Mark { task, run, session } => {
//!                 round.push("mark");
//!                 Some(Input::Marked { task, run, session })
//!             }
//!             Command::ReadRequests { serial } => {
//!                 round.push("read requests");
//!                 Some(Input::Requests { serial, asked: vec![], last: true })
//!             }
//!             // The target.
//!             Command::Connect { session, .. } => Some(Input::Connected { session }),
//!             Command::Launch { task, run, session } => {
//!                 round.push("launch");
//!                 inputs.push_back(Input::Sent { task, run });
//!                 Some(Input::QueryEnded { session, task, run, outcome: Outcome::Ok })
//!             }
//!             // The clock: here nothing else happens any more.
//!             Command::SleepUntil(_) => None,
//!             other => unreachable!("{other:?} has no place here"),
//!         };
//!         inputs.extend(answer);
//!     }
//! }
//! let begins = round.iter().position(|step| *step == "claim").unwrap_or(0);
//! assert_eq!(round[begins..], ["claim", "mark", "launch", "read requests", "end"]);
//! assert_eq!(table.finish_status, Some(FinishStatus::Finished));
//! # Ok::<(), BadName>(())
//! ```
//!
//! `examples/print_farm.rs` drives all of it in under 100 lines, without a database.
//!
//! **Invariants.** A slot is taken before a claim is written, and free once the target has reported
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
mod sqlstate;
mod task;
mod time;

pub use config::control::Control;
pub use config::document::{ControlEntry, Document, PoolEntry, TargetEntry};
pub use config::mask::mask_connection_string;
pub use config::refused::{Problem, Refused};
pub use config::{Configuration, PoolConfiguration, TARGET_CONCURRENCY_DEFAULT, TargetConfiguration};
pub use names::{BadName, Epoch, PoolName, Priority, Run, SessionId, TargetName, TaskId};
pub use orchestrator::command::{Command, Registered, Sleep};
pub use orchestrator::input::{Input, RequestId, StoredRequest, TaskSnapshot, WriteAnswer};
pub use orchestrator::settings::{Settings, TargetSettings, Tuning};
pub use orchestrator::{Memory, Orchestrator};
pub use plan::lane::{Head, Lane, LaneKind, QueuePosition};
pub use plan::{Choice, Plan, WINDOW_HEADS_DEFAULT};
pub use query::statement::{Statement, StatementKind, statements};
pub use query::{COPY_REFUSED, Class, classify, opens_transaction};
pub use sqlstate::ends_session;
pub use task::diagram::{Transition, state_diagram, transitions};
#[doc(hidden)]
pub use task::diagram::{specimens, stimuli};
pub use task::event::{Event, EventName, Outcome, Request};
pub use task::intention::Intention;
pub use task::phase::{Completion, Phase, PhaseName, TaskTimes};
pub use task::rejected::Rejected;
pub use task::row::{LaunchState, MalformedRow, Row, RowState};
pub use task::row_event::{RowEvent, TaskEvent};
pub use task::status::{FinalStatus, FinishStatus};
pub use task::step::TIMED_OUT;
pub use task::{Task, TaskOptions};
pub use time::{MonotonicTime, Now, Span, Timestamp};
