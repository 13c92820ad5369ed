//! The rules of pgasync, free of IO. Another runner, a simulator or a capacity planner depends on
//! this crate alone.
//!
//! A *task* waits in a table, runs as a query on its *target*, and ends. A *concurrency pool*
//! limits how many of its tasks run at once, and the *workers* limit the queries of all pools
//! together. This crate makes these decisions over plain values. It does not see a connection, a
//! runtime, a clock or a log: time and randomness are arguments, and the result is a value.
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
//! With the feature `serde`, public values serialize and deserialize. A [`Document`] serializes to
//! the JSON that `configure` takes, and deserializes with the checks of `Document::from_json`. A
//! [`Configuration`] serializes as the document that turns a default configuration into it, and
//! deserializes with the same checks. The parts of a configuration only serialize.
//!
//! # Driving it
//!
//! An [`Orchestrator`] does not wait, and has no callbacks. Its driver has to keep this contract:
//!
//! - Before the driver waits for the next input, it takes all commands: it calls
//!   [`Orchestrator::poll_command`] until there is none. Several inputs that came together may be
//!   handled before.
//! - Commands for the store ([`Command::is_for_store`]) are carried out in their order, through the
//!   one session that holds the lead. Consecutive commands may share a transaction. Other commands
//!   may be carried out in any order, and should be carried out at once.
//! - Each command is answered with the [`Input`] that its documentation names, after it was carried
//!   out and committed. A command whose documentation names no input needs no answer.
//! - [`Command::SleepUntil`] has the time of the next [`Input::Tick`]. A later command of this kind
//!   replaces an earlier one. Other inputs may come at any time.
//! - The monotonic time never goes back. The server's time may step in either direction.
//!
//! The example runs one task from the claim to the end. Its table is a single [`Row`], and its
//! query succeeds:
//!
//! ```
//! use std::collections::VecDeque;
//!
//! use pgasync_core::*;
//!
//! let target = TargetName::new("sales")?;
//! let mut settings = Settings::default();
//! let target_settings = TargetSettings { max_concurrency: 2, default_timeout: None, max_sessions: None };
//! settings.targets.insert(target.clone(), target_settings);
//! let lane = Lane { pool: PoolName::of(None, &target), target, kind: LaneKind::Run };
//! let position = QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(0), task: TaskId(1) };
//! let now = Now::from_micros(1_000_000);
//!
//! let mut table = Row::default(); // The task is READY.
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
//!                 let head = Head { position, run, attempt: 0, options, times_up: table.times_up, text_bytes };
//!                 let waits = table.state() == RowState::Ready;
//!                 Some(Input::Refilled { lane, heads: if waits { vec![head] } else { vec![] }, more: false })
//!             }
//!             Command::Sweep { .. } => {
//!                 Some(Input::Swept { overdue: vec![], promoted: vec![], next: None, failed: vec![] })
//!             }
//!             Command::Poll { sleep, .. } => {
//!                 let writers = (sleep == Sleep::FallAsleep).then_some(OpenWriters { before: 0, open: false });
//!                 Some(Input::Polled { lanes: vec![], arrivals: vec![], due: None, requests: false, latch: 0, writers })
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
//!             // The clock: no other input follows.
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
//! `examples/print_farm.rs` is a complete driver without a database.
//!
//! **Invariants.** A pool slot is taken before the claim is written, and is free after the target
//! has reported the end of the query. A query is launched only after its claim and its mark were
//! committed, on a session that is registered. A result is recorded only after the requests were
//! read that had been committed before the end of the query was seen. The tasks of a lost leader
//! are resolved only after its sessions are gone.

#![forbid(unsafe_code)]
#![warn(clippy::wildcard_enum_match_arm)]

mod config;
mod names;
mod orchestrator;
mod plan;
mod query;
mod schedule;
mod sqlstate;
mod task;
mod time;

pub use config::control::Control;
pub use config::document::{ControlEntry, Document, PoolEntry, RetryPolicyEntry, ScheduleEntry, TargetEntry};
pub use config::mask::mask_connection_string;
pub use config::refused::{Problem, Refused};
pub use config::retry_policies::RetryPolicyConfiguration;
pub use config::schedules::ScheduleConfiguration;
pub use config::{Configuration, PoolConfiguration, TARGET_CONCURRENCY_DEFAULT, TargetConfiguration};
pub use names::{BadName, Epoch, PoolName, Priority, RoleName, Run, SessionId, TargetName, TaskId};
pub use orchestrator::command::{Command, Registered, Sleep};
pub use orchestrator::counters::{Counters, Ending, Histogram, OTHER, SERIES_MAX, TargetLabel};
pub use orchestrator::input::{Input, OpenWriters, RequestId, StoredRequest, TaskSnapshot, WriteAnswer};
pub use orchestrator::settings::{Settings, TargetSettings, Tuning};
pub use orchestrator::{Memory, Orchestrator};
pub use plan::lane::{Head, Lane, LaneKind, QueuePosition};
pub use plan::{Choice, Plan, Refill, WINDOW_HEADS_DEFAULT};
pub use query::statement::{Statement, StatementKind, statements};
pub use query::{COPY_REFUSED, QueryClass, classify, opens_transaction};
pub use schedule::{AtTarget, CatchUp, Firing, LATE_MAX, Overlap, SET_BACK_MIN, ScheduleState};
pub use sqlstate::ends_session;
pub use task::diagram::{Transition, state_diagram, transitions};
#[doc(hidden)]
pub use task::diagram::{example_events, example_tasks};
pub use task::event::{Event, EventName, Outcome, Request, ResultText};
pub use task::intention::Intention;
pub use task::phase::{Completion, Phase, PhaseName, TaskTimes};
pub use task::rejected::Rejected;
pub use task::retry::{Failure, RetryPolicy};
pub use task::row::{LaunchState, MalformedRow, Row, RowState};
pub use task::row_event::{RowEvent, TaskEvent};
pub use task::status::{FinalStatus, FinishStatus};
pub use task::step::TIMED_OUT;
pub use task::{Task, TaskOptions};
pub use time::{MonotonicTime, Now, Span, Timestamp};
