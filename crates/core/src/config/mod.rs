//! The configuration: its settings, their ranges, and the changes that a document makes.
//!
//! A [`Document`] is the argument of `configure`. All its parts are optional.
//! [`Configuration::apply`] checks the whole document first, and changes nothing if it refuses a
//! part.

mod check;
mod connection_string;
pub(crate) mod control;
pub(crate) mod document;
#[cfg(feature = "serde")]
mod interval;
pub(crate) mod mask;
#[cfg(feature = "serde")]
mod read;
pub(crate) mod refused;
pub(crate) mod retry_policies;
pub(crate) mod schedules;
#[cfg(feature = "serde")]
mod write;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::names::{PoolName, TargetName};
use crate::orchestrator::settings::{Settings, TargetSettings, Tuning};
use crate::time::Span;
use control::Control;
use document::{ControlEntry, Document, PoolEntry, TargetEntry};
use refused::{Problem, Refused, refuse};
use retry_policies::{RetryPolicyConfiguration, check_policies};
use schedules::{ScheduleConfiguration, check_schedules};

/// The whole configuration. It serializes as the [`Document`] that turns a default configuration
/// into it, and deserializes with the checks of that document.
///
/// ```
/// use pgasync_core::{Configuration, ControlEntry, Document, TargetEntry};
/// let mut configuration = Configuration::default();
/// let sales = TargetEntry {
///     target: "sales".to_owned(),
///     connection_string: Some("dbname=sales".to_owned()),
///     ..TargetEntry::default()
/// };
/// configuration.apply(&Document { targets: Some(vec![sales]), ..Document::default() })?;
/// assert_eq!(configuration.targets["sales"].max_concurrency, 8);
///
/// // Nothing changes when anything is refused.
/// let none = ControlEntry { workers: Some(0), ..ControlEntry::default() };
/// let refused = configuration.apply(&Document { control: Some(none), ..Document::default() });
/// assert_eq!(refused.unwrap_err().path, "control.workers");
///
/// // A list is whole: what it leaves out is retired.
/// configuration.apply(&Document { targets: Some(vec![]), ..Document::default() })?;
/// assert!(configuration.targets["sales"].retired);
/// # Ok::<(), pgasync_core::Refused>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// The settings of the whole orchestrator.
    pub control: Control,
    /// The targets by name, retired ones included.
    pub targets: BTreeMap<String, TargetConfiguration>,
    /// The configured pools by name, retired ones included.
    pub pools: BTreeMap<String, PoolConfiguration>,
    /// The retry policies by name.
    pub retry_policies: BTreeMap<String, RetryPolicyConfiguration>,
    /// The schedules of the configuration by name.
    pub schedules: BTreeMap<String, ScheduleConfiguration>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct TargetConfiguration {
    /// The size of its pool; also `max_workers`.
    pub max_concurrency: u32,
    /// The connection string.
    pub connection_string: String,
    /// Tasks are finished by a request, not by the end of their query.
    pub asynchronous_finish: bool,
    /// The timeout of tasks that have none.
    pub default_timeout: Option<Span>,
    /// The most sessions that the leader has there, over all pools; `None` is no limit.
    pub max_sessions: Option<u32>,
    /// YIELDED tasks keep their pool slot.
    pub concurrency_track_yielded: bool,
    /// Each task starts in a clean session.
    pub session_reset: bool,
    /// It has the table for the receipts of tasks.
    pub receipts: bool,
    /// The tags, by which `async.targets` finds it.
    pub tags: Vec<String>,
    /// The retry policy of tasks that name none; `None` is that of `control`.
    pub default_retry: Option<String>,
    /// No task starts there. This is a state of the operation: a document that does not name it leaves
    /// it as it is.
    pub paused: bool,
    /// No new task is claimed; tasks that are claimed finish.
    pub retired: bool,
}

/// The size of a target's pool without a configured size.
pub const TARGET_CONCURRENCY_DEFAULT: u32 = 8;

/// One pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PoolConfiguration {
    /// The size of the pool.
    pub max_workers: u32,
    /// The most tasks that start in `interval`; 0 is no limit.
    pub starts_max: u32,
    /// The time in which at most `starts_max` tasks start.
    pub interval: Option<Span>,
    /// No task of the pool starts, as [`TargetConfiguration::paused`].
    pub paused: bool,
    /// No new task is claimed; tasks that are claimed finish.
    pub retired: bool,
}

impl Default for Configuration {
    fn default() -> Self {
        let mut fresh = Self::empty();
        fresh.put_self_target();
        fresh
    }
}

impl Configuration {
    /// A configuration without targets: not even the server itself is one.
    fn empty() -> Self {
        Self {
            control: Control::default(),
            targets: BTreeMap::new(),
            pools: BTreeMap::new(),
            retry_policies: BTreeMap::new(),
            schedules: BTreeMap::new(),
        }
    }

    /// Applies a document completely, or not at all.
    ///
    /// Targets and pools that a given list leaves out are retired; retry policies and schedules are
    /// removed. A
    /// list or a setting that is not given changes nothing.
    ///
    /// # Errors
    /// [`Refused`] names the first value that is refused.
    pub fn apply(&mut self, document: &Document) -> Result<(), Refused> {
        let mut control = document.control.clone().unwrap_or_default();
        control.check()?;
        let targets = document.targets.as_deref();
        let pools = document.concurrency_pools.as_deref();
        check_targets(targets.unwrap_or_default())?;
        check_pools(pools.unwrap_or_default())?;
        check_policies(document.retry_policies.as_deref().unwrap_or_default())?;
        check_schedules(document.schedules.as_deref().unwrap_or_default())?;

        let mut next = self.clone();
        let self_target = control.self_target.as_ref().unwrap_or(&self.control.self_target).clone();
        for (at, entry) in targets.unwrap_or_default().iter().enumerate() {
            self.check_target_entry(entry, &format!("targets[{at}]"), &self_target, &mut control)?;
        }
        next.apply_control(&control)?;
        if let Some(targets) = targets {
            next.apply_targets(targets);
        }
        if let Some(pools) = pools {
            next.apply_pools(pools)?;
        }
        if let Some(policies) = &document.retry_policies {
            next.apply_retry_policies(policies);
        }
        next.check_default_retries(document)?;
        if let Some(schedules) = &document.schedules {
            next.apply_schedules(schedules)?;
        }
        *self = next;
        Ok(())
    }

    /// The document that turns a default configuration into this one.
    ///
    /// ```
    /// use pgasync_core::{Configuration, Document, PoolEntry};
    /// let mut configuration = Configuration::default();
    /// let pool = PoolEntry { concurrency_pool: "p".to_owned(), max_workers: Some(2), ..PoolEntry::default() };
    /// configuration.apply(&Document { concurrency_pools: Some(vec![pool]), ..Document::default() })?;
    /// let mut other = Configuration::default();
    /// other.apply(&configuration.document())?;
    /// assert_eq!(other, configuration);
    /// # Ok::<(), pgasync_core::Refused>(())
    /// ```
    #[must_use]
    pub fn document(&self) -> Document {
        let target = |(name, target): (&String, &TargetConfiguration)| {
            // The size and the connection string of the server itself are in `control`.
            let is_self = *name == self.control.self_target;
            TargetEntry {
                target: name.clone(),
                max_workers: None,
                max_concurrency: (!is_self).then_some(i64::from(target.max_concurrency)),
                connection_string: (!is_self).then(|| target.connection_string.clone()),
                asynchronous_finish: Some(target.asynchronous_finish),
                default_timeout: target.default_timeout,
                max_sessions: target.max_sessions.map(i64::from),
                concurrency_track_yielded: Some(target.concurrency_track_yielded),
                session_reset: Some(target.session_reset),
                receipts: Some(target.receipts),
                tags: Some(target.tags.clone()),
                default_retry: target.default_retry.clone(),
                paused: target.paused.then_some(true),
                retired: Some(target.retired),
            }
        };
        let pool = |(name, pool): (&String, &PoolConfiguration)| PoolEntry {
            concurrency_pool: name.clone(),
            max_workers: Some(i64::from(pool.max_workers)),
            starts_max: Some(i64::from(pool.starts_max)),
            interval: pool.interval,
            paused: pool.paused.then_some(true),
            retired: Some(pool.retired),
        };
        Document {
            control: Some(self.control.entry()),
            targets: Some(self.targets.iter().map(target).collect()),
            concurrency_pools: Some(self.pools.iter().map(pool).collect()),
            retry_policies: Some(self.retry_policies.iter().map(|(name, policy)| policy.entry(name)).collect()),
            schedules: Some(self.schedules.iter().map(|(name, schedule)| schedule.entry(name)).collect()),
        }
    }

    /// The part that the orchestrator needs.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let targets = self.targets.iter().filter_map(|(name, target)| {
            let TargetConfiguration { max_concurrency, default_timeout, max_sessions, .. } = *target;
            Some((TargetName::new(name).ok()?, TargetSettings { max_concurrency, default_timeout, max_sessions }))
        });
        let pools = self.pools.iter().filter_map(|(name, pool)| Some((PoolName::new(name).ok()?, pool)));
        let spacings = pools.clone().filter_map(|(name, pool)| Some((name, pool.spacing()?)));
        let paused_targets = self.targets.iter().filter(|(_, target)| target.paused);
        let paused_pools = pools.clone().filter(|(_, pool)| pool.paused);
        Settings {
            workers: self.control.workers,
            paused: self.control.paused,
            default_pool_workers: self.control.default_concurrency_pool_workers,
            default_timeout: Some(self.control.default_timeout),
            target_patience: self.control.target_patience,
            idle_sleep: self.control.idle_sleep,
            busy_sleep: self.control.busy_sleep,
            has_routines: false,
            targets: targets.collect(),
            spacings: spacings.collect(),
            paused_targets: paused_targets.filter_map(|(name, _)| TargetName::new(name).ok()).collect(),
            paused_pools: paused_pools.map(|(name, _)| name).collect(),
            pools: pools.map(|(name, pool)| (name, pool.max_workers)).collect(),
            tuning: Tuning::default(),
        }
    }

    /// Refuses an entry that contradicts itself, `control`, or the present configuration. The size
    /// and the connection string in the entry of the server itself are moved to `control`.
    fn check_target_entry(
        &self,
        entry: &TargetEntry,
        path: &str,
        self_target: &str,
        control: &mut ControlEntry,
    ) -> Result<(), Refused> {
        let field = |name: &str| format!("{path}.{name}");
        if let (Some(a), Some(b)) = (entry.max_workers, entry.max_concurrency)
            && a != b
        {
            return Err(refuse(field("max_workers"), Problem::Contradiction));
        }
        if entry.target != self_target {
            // Clients may pull the tasks of a target that finishes asynchronously, so such a target
            // needs no connection string.
            let reachable = entry.connection_string.is_some() || entry.asynchronous_finish == Some(true);
            let known = reachable || self.targets.contains_key(&entry.target);
            return if known { Ok(()) } else { Err(refuse(field("connection_string"), Problem::Missing)) };
        }
        if entry.retired == Some(true) {
            return Err(refuse(field("retired"), Problem::RetiresSelf));
        }
        let size = entry.max_workers.or(entry.max_concurrency);
        let size_path = field(if entry.max_workers.is_some() { "max_workers" } else { "max_concurrency" });
        check::at_least(size, 1, &size_path)?;
        merge(&mut control.self_concurrency, size.as_ref(), "self_concurrency", &size_path)?;
        let connection_string = entry.connection_string.as_ref();
        check::own_connection(connection_string.map(String::as_str), &field("connection_string"))?;
        let setting = "self_connection_string";
        merge(&mut control.self_connection_string, connection_string, setting, &field("connection_string"))
    }

    /// Applies `control`. If the server itself gets another name, it becomes a new target, and the
    /// old target is retired, because tasks refer to it.
    fn apply_control(&mut self, control: &ControlEntry) -> Result<(), Refused> {
        let old = self.control.self_target.clone();
        self.control.apply(control);
        if self.control.self_target != old {
            let name = &self.control.self_target;
            if self.targets.get(name).is_some_and(|target| !target.retired) {
                return Err(refuse("control.self_target", Problem::Taken { name: name.clone() }));
            }
            if let Some(old) = self.targets.get_mut(&old) {
                old.retired = true;
            }
        }
        self.put_self_target();
        Ok(())
    }

    fn apply_targets(&mut self, entries: &[TargetEntry]) {
        for (name, target) in &mut self.targets {
            target.retired = *name != self.control.self_target;
        }
        for entry in entries {
            self.targets.entry(entry.target.clone()).or_insert_with(TargetConfiguration::new).apply(entry);
        }
    }

    fn apply_pools(&mut self, entries: &[PoolEntry]) -> Result<(), Refused> {
        for pool in self.pools.values_mut() {
            pool.retired = true;
        }
        for (at, entry) in entries.iter().enumerate() {
            let old = self.pools.get(&entry.concurrency_pool);
            let max_workers = entry.max_workers.map(size_of).or(old.map(|old| old.max_workers));
            let missing = |name: &str| refuse(format!("concurrency_pools[{at}].{name}"), Problem::Missing);
            let pool = PoolConfiguration {
                max_workers: max_workers.ok_or_else(|| missing("max_workers"))?,
                starts_max: entry.starts_max.map_or(old.map_or(0, |old| old.starts_max), size_of),
                interval: entry.interval.or(old.and_then(|old| old.interval)),
                paused: entry.paused.unwrap_or(old.is_some_and(|old| old.paused)),
                retired: entry.retired.unwrap_or(false),
            };
            if pool.starts_max > 0 && pool.interval.is_none() {
                return Err(missing("interval"));
            }
            self.pools.insert(entry.concurrency_pool.clone(), pool);
        }
        Ok(())
    }

    /// Adds or updates the server itself as a target, with the size and the connection string in
    /// `control`.
    fn put_self_target(&mut self) {
        let Control { self_target, self_concurrency, self_connection_string, .. } = &self.control;
        let place = self.targets.entry(self_target.clone()).or_insert_with(TargetConfiguration::new);
        place.max_concurrency = *self_concurrency;
        place.connection_string.clone_from(self_connection_string);
        place.retired = false;
    }
}

impl PoolConfiguration {
    /// The time between two starts; `None` is no limit.
    fn spacing(&self) -> Option<Span> {
        let starts = i64::from(self.starts_max);
        self.interval.filter(|_| starts > 0).map(|interval| Span::micros(interval.as_micros() / starts))
    }
}

impl TargetConfiguration {
    /// A target with the default values.
    const fn new() -> Self {
        Self {
            max_concurrency: TARGET_CONCURRENCY_DEFAULT,
            connection_string: String::new(),
            asynchronous_finish: false,
            default_timeout: None,
            max_sessions: None,
            concurrency_track_yielded: false,
            session_reset: true,
            receipts: false,
            tags: Vec::new(),
            default_retry: None,
            paused: false,
            retired: false,
        }
    }

    fn apply(&mut self, entry: &TargetEntry) {
        self.max_concurrency = entry.max_workers.or(entry.max_concurrency).map_or(self.max_concurrency, size_of);
        if let Some(connection_string) = &entry.connection_string {
            self.connection_string.clone_from(connection_string);
        }
        self.asynchronous_finish = entry.asynchronous_finish.unwrap_or(self.asynchronous_finish);
        self.default_timeout = entry.default_timeout.or(self.default_timeout);
        self.max_sessions = entry.max_sessions.map(size_of).or(self.max_sessions);
        self.concurrency_track_yielded = entry.concurrency_track_yielded.unwrap_or(self.concurrency_track_yielded);
        self.session_reset = entry.session_reset.unwrap_or(self.session_reset);
        self.receipts = entry.receipts.unwrap_or(self.receipts);
        if let Some(tags) = &entry.tags {
            self.tags.clone_from(tags);
        }
        if entry.default_retry.is_some() {
            self.default_retry.clone_from(&entry.default_retry);
        }
        self.paused = entry.paused.unwrap_or(self.paused);
        self.retired = entry.retired.unwrap_or(false);
    }
}

fn check_targets(entries: &[TargetEntry]) -> Result<(), Refused> {
    let mut names = BTreeSet::new();
    for (at, entry) in entries.iter().enumerate() {
        let path = format!("targets[{at}]");
        entry.check(&path)?;
        once(&mut names, &entry.target, &format!("{path}.target"))?;
    }
    Ok(())
}

fn check_pools(entries: &[PoolEntry]) -> Result<(), Refused> {
    let mut names = BTreeSet::new();
    for (at, entry) in entries.iter().enumerate() {
        let path = format!("concurrency_pools[{at}]");
        entry.check(&path)?;
        once(&mut names, &entry.concurrency_pool, &format!("{path}.concurrency_pool"))?;
    }
    Ok(())
}

fn once<'a>(names: &mut BTreeSet<&'a str>, name: &'a str, path: &str) -> Result<(), Refused> {
    if names.insert(name) { Ok(()) } else { Err(refuse(path, Problem::Duplicate { name: name.to_owned() })) }
}

/// Merges a setting that both `control` and the entry of the server itself may give.
fn merge<T: Clone + PartialEq>(
    place: &mut Option<T>,
    given: Option<&T>,
    setting: &'static str,
    path: &str,
) -> Result<(), Refused> {
    let Some(given) = given else { return Ok(()) };
    if place.as_ref().is_some_and(|present| present != given) {
        return Err(refuse(path, Problem::Differs { setting: Cow::Borrowed(setting) }));
    }
    *place = Some(given.clone());
    Ok(())
}

/// Converts a size that was checked.
fn size_of(number: i64) -> u32 {
    debug_assert!((0..=i64::from(i32::MAX)).contains(&number), "it was checked");
    u32::try_from(number).unwrap_or(u32::MAX)
}
