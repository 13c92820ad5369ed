//! Schedules: tasks that the leader pushes at given times.

use pgasync_core::{CatchUp, Overlap, PoolName, Span, Timestamp};
use pgasync_pg::Row;
use pgasync_pg::types::Type;

use super::error::{CallError, Refusal, error_methods};
use super::{Client, NewTask};
use crate::wire::{WireInterval, WireTimestamp};

const SCHEDULE: &str = "select async.schedule($1, $2, $3, $4, time_zone => $5, overlap => $6, catch_up => $7,
    priority => $8, concurrency_pool => $9, timeout => $10, task_data => $11, track_yielded => $12, source => $13,
    retry => $14, expires_after => $15, receipt => $16)";

/// A schedule, for [`Client::schedule`]: a task that the leader pushes at given times.
///
/// ```
/// use pgasync_core::{Overlap, TargetName};
/// use pgasync_store::{NewSchedule, NewTask};
///
/// let load = NewTask::query("call load_sales()", TargetName::new("warehouse")?);
/// let schedule = NewSchedule::new("load", "30 2 * * *", load)
///     .time_zone("Europe/Berlin")
///     .overlap(Overlap::BufferOne);
/// # drop(schedule);
/// # Ok::<(), pgasync_core::BadName>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a schedule has no effect until it is sent"]
pub struct NewSchedule {
    name: String,
    when: String,
    task: NewTask,
    tag: Option<String>,
    time_zone: String,
    overlap: Overlap,
    catch_up: CatchUp,
    source: Option<String>,
    retry: Option<String>,
    expires_after: Option<Span>,
    receipt: Option<bool>,
}

/// Why a schedule was not made or changed. A refusal names the schedule, and the option with its value.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// Its times cannot be read or never come, an option has an impossible value, or its task could not
    /// be pushed.
    #[error("{0}")]
    Impossible(Refusal),
    /// The name belongs to another role or to the configuration, or the role may not change it.
    #[error("{0}")]
    NotPermitted(Refusal),
    /// There is no such schedule.
    #[error("{0}")]
    Unknown(Refusal),
    /// The role has too many schedules.
    #[error("{0}")]
    TooMany(Refusal),
    /// Any other error.
    #[error(transparent)]
    Failed(CallError),
}

error_methods!(ScheduleError { Impossible, NotPermitted, Unknown, TooMany }, again_is_harmless: true);

impl NewSchedule {
    /// A schedule of this name. `when` is a cron expression of five or six fields, or an interval such
    /// as `every 30 seconds`.
    pub fn new(name: impl Into<String>, when: impl Into<String>, task: NewTask) -> Self {
        Self {
            name: name.into(),
            when: when.into(),
            task,
            tag: None,
            time_zone: "UTC".to_owned(),
            overlap: Overlap::Skip,
            catch_up: CatchUp::Last,
            source: None,
            retry: None,
            expires_after: None,
            receipt: None,
        }
    }

    /// The targets: those that have this tag when the schedule fires, instead of the one of the task.
    pub fn tag(mut self, tag: &str) -> Self {
        self.tag = Some(format!("tag:{tag}"));
        self
    }

    /// The time zone of the fields of `when`. Default: UTC.
    pub fn time_zone(mut self, name: impl Into<String>) -> Self {
        self.time_zone = name.into();
        self
    }

    /// What a time does while a task of the schedule has not finished. Default: [`Overlap::Skip`].
    pub const fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// Which times fire later if no leader could fire them. Default: [`CatchUp::Last`].
    pub const fn catch_up(mut self, catch_up: CatchUp) -> Self {
        self.catch_up = catch_up;
        self
    }

    /// A name for the origin of the tasks, which the table keeps.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The retry policy of the tasks; `none` is none. Default: that of the target, else that of
    /// `control`.
    pub fn retry(mut self, policy: impl Into<String>) -> Self {
        self.retry = Some(policy.into());
        self
    }

    /// How long after its push a task expires.
    pub const fn expires_after(mut self, span: Span) -> Self {
        self.expires_after = Some(span);
        self
    }

    /// Lets the queries write receipts: see [`Push::receipt`](super::Push::receipt).
    pub const fn receipt(mut self) -> Self {
        self.receipt = Some(true);
        self
    }
}

impl Client {
    /// Makes a schedule, or replaces the role's own one of this name, and returns its next time. The
    /// session must be one with the server: a client database does not forward the call.
    ///
    /// # Errors
    /// When the schedule is refused, or the server cannot be reached.
    pub async fn schedule(&self, schedule: &NewSchedule) -> Result<Option<Timestamp>, ScheduleError> {
        let task = &schedule.task;
        let target = schedule.tag.as_deref().unwrap_or(task.target.as_str());
        let rows = self
            .query(
                "making a schedule",
                SCHEDULE,
                &[
                    (&schedule.name, Type::TEXT),
                    (&schedule.when, Type::TEXT),
                    (&task.query, Type::TEXT),
                    (&target, Type::TEXT),
                    (&schedule.time_zone, Type::TEXT),
                    (&schedule.overlap.as_str(), Type::TEXT),
                    (&schedule.catch_up.as_str(), Type::TEXT),
                    (&task.priority.0, Type::INT4),
                    (&task.pool.as_ref().map(PoolName::as_str), Type::TEXT),
                    (&task.timeout.map(WireInterval), Type::INTERVAL),
                    (&task.data, Type::JSONB),
                    (&task.track_yielded, Type::BOOL),
                    (&schedule.source, Type::TEXT),
                    (&schedule.retry, Type::TEXT),
                    (&schedule.expires_after.map(WireInterval), Type::INTERVAL),
                    (&schedule.receipt, Type::BOOL),
                ],
            )
            .await?;
        Ok(next_time(&rows))
    }

    /// Removes a schedule. Its tasks go on.
    ///
    /// # Errors
    /// When there is no such schedule, the role may not remove it, or the server cannot be reached.
    pub async fn unschedule(&self, name: &str) -> Result<(), ScheduleError> {
        self.query("removing a schedule", "select from async.unschedule($1)", &[(&name, Type::TEXT)]).await?;
        Ok(())
    }

    /// Pauses a schedule. Its tasks go on, and its times pass.
    ///
    /// # Errors
    /// As [`Client::unschedule`].
    pub async fn pause_schedule(&self, name: &str) -> Result<(), ScheduleError> {
        self.query("pausing a schedule", "select from async.pause_schedule($1)", &[(&name, Type::TEXT)]).await?;
        Ok(())
    }

    /// Ends the pause of a schedule, and returns its next time.
    ///
    /// # Errors
    /// As [`Client::unschedule`].
    pub async fn resume_schedule(&self, name: &str) -> Result<Option<Timestamp>, ScheduleError> {
        let rows =
            self.query("resuming a schedule", "select async.resume_schedule($1)", &[(&name, Type::TEXT)]).await?;
        Ok(next_time(&rows))
    }
}

fn next_time(rows: &[Row]) -> Option<Timestamp> {
    rows.first().and_then(|row| row.get::<_, Option<WireTimestamp>>(0)).map(|time| time.0)
}

impl From<CallError> for ScheduleError {
    fn from(error: CallError) -> Self {
        type Kind = (&'static [&'static str], fn(Refusal) -> ScheduleError);
        const KINDS: [Kind; 4] = [
            (
                &[
                    "PA0A0", "PA0A1", "PA011", "PA012", "PA013", "PA014", "PA015", "PA016", "PA017", "PA018", "PA01B",
                    "PA01I", "PA01M",
                ],
                ScheduleError::Impossible,
            ),
            (&["PA0A2", "PA0A4", "PA082"], ScheduleError::NotPermitted),
            (&["PA0A3"], ScheduleError::Unknown),
            (&["PA0A5"], ScheduleError::TooMany),
        ];
        let mut error = error;
        for (codes, kind) in KINDS {
            match error.refused_with(codes) {
                Ok(refusal) => return kind(refusal),
                Err(other) => error = other,
            }
        }
        Self::Failed(error)
    }
}
