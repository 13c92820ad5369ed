//! The tables and functions of pgasync in Postgres, as typed calls.
//!
//! | to | use |
//! | --- | --- |
//! | push tasks, request their end, read their outcomes, configure, read statistics | a [`Client`]: short calls over a pool of sessions |
//! | lead: claim, mark, record, apply requests | a [`Candidate`], which becomes a [`LeaderSession`]: one dedicated session |
//! | install or upgrade the schema | [`install`] |
//!
//! This crate talks to the database with the schema `async`, over sessions of `pgasync-pg`. It runs
//! nothing at targets, remembers no task, and decides nothing: the rules are in `pgasync-core`.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use pgasync_pg::ConnectionSettings;
//! use pgasync_store::{SchemaPart, install};
//!
//! let settings = ConnectionSettings::from_env(Some("host=localhost dbname=jobs"))?; // the rest comes from PG*
//! let session = settings.connect().await?;
//! install(&session, SchemaPart::All).await?;
//! # Ok(()) }
//! ```

mod client;
mod install;
mod leader;
mod loss;
mod traced;
mod wire;

pub use client::{
    Batch, COUNT_MAX, CallError, Change, Client, ConfigureError, EndedAttempt, Failure, FoundTask, Installation,
    KeyUntil, LatchError, LeaderStatistics, LogLine, Minute, NewSchedule, NewTask, OnConflict, OpenRequest, Period,
    PhaseCounts, PoolOverview, PoolStatistics, Push, PushError, Pushed, ReadError, Refusal, RequestError,
    RequestReceipt, RestartError, Rights, RunType, RunningQuery, RunningTask, ScheduleError, ScheduleOverview, Skipped,
    Statistics, StatisticsScope, TakeError, TakenTask, TargetOverview, TargetState, TargetStatistics, TaskDetails,
    TaskFilter, TaskResult, TaskStatus, UniqueKey, WaitError, WaitingLane, WorkOutcome, Worker, WorkerError,
    push_json_in, push_many_in,
};
pub use install::{InstallError, SchemaPart, install};
pub use leader::{
    CandidacyError, Candidate, Election, LaneBacklog, LaunchText, LeaderConfiguration, LeaderError, LeaderSession,
    OldReceipts, OldSession, OpenReceipt, Operation, OperationResults, PollResult, PublishedMetric, PublishedOutage,
    PublishedPool, PublishedSession, PublishedState, QueueReader, Registration, ResumeOutcome, ReviewError,
    RowsWritten, ServerIdentity, TargetAddress, UpkeepDue, UpkeepError, UpkeepSession, end_backend, is_active,
    note_lost, old_sessions, open_receipts, pin_search_path, registered_session, replaced_sessions, unknown_elections,
    void_settings,
};
pub use traced::{TracedAttempt, TracedTask, TracedTaskReader};
