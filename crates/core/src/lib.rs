//! What pgasync knows, free of IO.

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
