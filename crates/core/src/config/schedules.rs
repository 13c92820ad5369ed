//! The configured schedules.

use std::collections::{BTreeMap, BTreeSet};

use super::document::ScheduleEntry;
use super::refused::{Problem, Refused, refuse};
use super::{Configuration, check};
use crate::schedule::{CatchUp, Overlap};
use crate::time::Span;

/// One schedule. The server checks its times, its time zone and its target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ScheduleConfiguration {
    /// The times: a cron expression of five or six fields, or an interval.
    pub when: String,
    /// The target, or `tag:NAME`.
    pub target: String,
    /// The time zone of the fields of `when`. Default: `UTC`.
    pub time_zone: String,
    /// The query; `None` for tasks that clients pull.
    pub query: Option<String>,
    /// What a time does while a task of the schedule has not finished. Default: it passes.
    pub overlap: Overlap,
    /// Which times fire later if no leader could fire them. Default: the last one.
    pub catch_up: CatchUp,
    /// The priority of its tasks; `None` is 0.
    pub priority: Option<i32>,
    /// The pool of its tasks; `None` is that of the target.
    pub concurrency_pool: Option<String>,
    /// The timeout of its tasks; `None` is that of the target.
    pub timeout: Option<Span>,
    /// The data of its tasks, as JSON.
    pub task_data: Option<String>,
    /// Its tasks keep their pool slots while they are yielded; `None` is as the target says.
    pub track_yielded: Option<bool>,
    /// The source of its tasks.
    pub source: Option<String>,
    /// The retry policy of its tasks; `None` is that of the target.
    pub retry: Option<String>,
    /// How long after its push a task expires; `None` is never.
    pub expires_after: Option<Span>,
    /// Its tasks have receipts; `None` is no.
    pub receipt: Option<bool>,
    /// It does not fire.
    pub paused: bool,
}

impl ScheduleConfiguration {
    fn new(when: String, target: String) -> Self {
        Self {
            when,
            target,
            time_zone: "UTC".to_owned(),
            query: None,
            overlap: Overlap::Skip,
            catch_up: CatchUp::Last,
            priority: None,
            concurrency_pool: None,
            timeout: None,
            task_data: None,
            track_yielded: None,
            source: None,
            retry: None,
            expires_after: None,
            receipt: None,
            paused: false,
        }
    }

    fn apply(&mut self, entry: &ScheduleEntry) {
        let given = entry.clone();
        self.when = given.when.unwrap_or_else(|| self.when.clone());
        self.target = given.target.unwrap_or_else(|| self.target.clone());
        self.time_zone = given.time_zone.unwrap_or_else(|| self.time_zone.clone());
        self.query = given.query.or_else(|| self.query.clone());
        self.overlap = given.overlap.unwrap_or(self.overlap);
        self.catch_up = given.catch_up.unwrap_or(self.catch_up);
        self.priority = given.priority.or(self.priority);
        self.concurrency_pool = given.concurrency_pool.or_else(|| self.concurrency_pool.clone());
        self.timeout = given.timeout.or(self.timeout);
        self.task_data = given.task_data.or_else(|| self.task_data.clone());
        self.track_yielded = given.track_yielded.or(self.track_yielded);
        self.source = given.source.or_else(|| self.source.clone());
        self.retry = given.retry.or_else(|| self.retry.clone());
        self.expires_after = given.expires_after.or(self.expires_after);
        self.receipt = given.receipt.or(self.receipt);
        self.paused = given.paused.unwrap_or(self.paused);
    }

    pub(super) fn entry(&self, name: &str) -> ScheduleEntry {
        let own = self.clone();
        ScheduleEntry {
            schedule: name.to_owned(),
            when: Some(own.when),
            target: Some(own.target),
            time_zone: Some(own.time_zone),
            query: own.query,
            overlap: Some(own.overlap),
            catch_up: Some(own.catch_up),
            priority: own.priority,
            concurrency_pool: own.concurrency_pool,
            timeout: own.timeout,
            task_data: own.task_data,
            track_yielded: own.track_yielded,
            source: own.source,
            retry: own.retry,
            expires_after: own.expires_after,
            receipt: own.receipt,
            paused: Some(own.paused),
        }
    }
}

impl Configuration {
    /// Makes the given list the schedules of the configuration.
    pub(super) fn apply_schedules(&mut self, entries: &[ScheduleEntry]) -> Result<(), Refused> {
        let mut schedules = BTreeMap::new();
        for (at, entry) in entries.iter().enumerate() {
            let missing = |name: &str| refuse(format!("schedules[{at}].{name}"), Problem::Missing);
            let mut schedule = match self.schedules.remove(&entry.schedule) {
                Some(schedule) => schedule,
                None => {
                    let when = entry.when.clone().ok_or_else(|| missing("when"))?;
                    ScheduleConfiguration::new(when, entry.target.clone().ok_or_else(|| missing("target"))?)
                }
            };
            schedule.apply(entry);
            let buffers = matches!(schedule.overlap, Overlap::BufferAll | Overlap::AllowAll);
            if schedule.catch_up == CatchUp::All && !buffers {
                let expected = "none or last, unless overlap is buffer_all or allow_all";
                return Err(refuse(format!("schedules[{at}].catch_up"), Problem::impossible(expected)));
            }
            schedules.insert(entry.schedule.clone(), schedule);
        }
        self.schedules = schedules;
        Ok(())
    }
}

impl ScheduleEntry {
    pub(super) fn check(&self, path: &str) -> Result<(), Refused> {
        let at = |name: &str| format!("{path}.{name}");
        check::name(self.concurrency_pool.as_deref(), &at("concurrency_pool"))?;
        check::positive(self.expires_after, &at("expires_after"))?;
        check::name(self.retry.as_deref(), &at("retry"))?;
        check::name(Some(&self.schedule), &at("schedule"))?;
        check::name(self.source.as_deref(), &at("source"))?;
        check::name(self.target.as_deref(), &at("target"))?;
        check::name(self.time_zone.as_deref(), &at("time_zone"))?;
        check::positive(self.timeout, &at("timeout"))
    }
}

pub(super) fn check_schedules(entries: &[ScheduleEntry]) -> Result<(), Refused> {
    let mut names = BTreeSet::new();
    for (at, entry) in entries.iter().enumerate() {
        let path = format!("schedules[{at}]");
        entry.check(&path)?;
        super::once(&mut names, &entry.schedule, &format!("{path}.schedule"))?;
    }
    Ok(())
}
