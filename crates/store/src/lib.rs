//! What pgasync keeps in Postgres, in typed calls.
//!
//! | to do | take |
//! | --- | --- |
//! | push tasks, ask for their end, read what became of them, configure, look how it goes | a [`Client`]: short calls of many, over a pool of sessions |
//! | lead: claim, mark, record, heed requests | a [`Candidate`], which becomes a [`Lead`]: one dedicated session |
//! | put the schema on a server, or upgrade it | [`install`] |
//!
//! This crate talks to the database that holds the schema `async`, over sessions of `pgasync-pg`. It runs nothing at
//! targets, remembers no task, and decides nothing: that is `pgasync-core`'s.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use pgasync_pg::ConnectionSettings;
//! use pgasync_store::{Part, install};
//!
//! let settings = ConnectionSettings::from_env(Some("host=localhost dbname=jobs"))?; // the rest comes from PG*
//! let session = settings.connect().await?;
//! install(&session, Part::All).await?;
//! # Ok(()) }
//! ```

mod client;
mod install;
mod lead;
mod loss;
mod wire;

pub use client::{
    Batch, CallError, Client, ConfigureError, LatchError, Leader, LogLine, NewTask, Period, PoolStatistics, PushError,
    ReadError, Refusal, RequestError, RequestReceipt, RestartError, RunType, RunningTask, Statistics, TakeError,
    TakenTask, TargetState, TargetStatistics, TaskStatus, WaitingLane,
};
pub use install::{InstallError, Part, install};
pub use lead::{
    Answers, CandidacyError, Candidate, Configuration, Election, Lead, LeadError, OldSession, Op, Published,
    Registration, Resumed, Seen, ServerIdentity, TargetAddress, VacuumError, end_backend, is_at_work, note_lost,
    old_sessions, registered_session, replaced_sessions, unknown_elections, vacuum,
};
