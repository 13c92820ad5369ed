//! The configuration: what may be set, to what, and what a document would change.
//!
//! A [`Document`] is what `configure` takes: everything in it is optional. Applying it to a
//! [`Configuration`] checks all of it first; nothing changes when anything is refused.
//!
//! ```
//! use pgasync_core::{Configuration, Document, TargetEntry};
//! let mut configuration = Configuration::default();
//! let sales = TargetEntry {
//!     target: "sales".to_owned(),
//!     connection_string: Some("dbname=sales".to_owned()),
//!     ..TargetEntry::default()
//! };
//! configuration.apply(&Document { targets: Some(vec![sales]), ..Document::default() })?;
//! assert_eq!(configuration.targets["sales"].max_concurrency, 8);
//! let gone = Document { targets: Some(vec![]), ..Document::default() };
//! configuration.apply(&gone)?;
//! assert!(configuration.targets["sales"].retired);
//! # Ok::<(), pgasync_core::Refused>(())
//! ```

pub(crate) mod document;
pub(crate) mod interval;
#[cfg(feature = "serde")]
mod read;

use std::collections::BTreeMap;

use crate::names::{PoolName, TargetName};
use crate::orchestrator::settings::{Settings, TargetSettings, Tuning};
use crate::time::Span;
use document::{ControlEntry, Document, PoolEntry, TargetEntry};

/// Why a document was refused, and where in it the reason stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct Refused {
    /// Where, as `targets[2].max_workers`.
    pub path: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a part of a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// There is no such setting.
    #[error("there is no such setting; check its spelling")]
    UnknownKey,
    /// It is of another kind than it should be.
    #[error("this should be {expected}")]
    WrongType {
        /// What it should be.
        expected: &'static str,
    },
    /// It has to be there.
    #[error("this is required")]
    Missing,
    /// The same name was given before.
    #[error("\"{name}\" is given twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// It is too small, too large, or of a kind that cannot be meant.
    #[error("this should be {expected}")]
    Impossible {
        /// What it should be.
        expected: &'static str,
    },
    /// Two names of one setting are given, and they differ.
    #[error("max_workers and max_concurrency are the same setting; give one of them")]
    Contradiction,
}

/// The whole configuration as it stands.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Configuration {
    /// What concerns all of it.
    pub control: Control,
    /// The targets by name, retired ones included.
    pub targets: BTreeMap<String, TargetConfiguration>,
    /// The pools that were given a size, by name, retired ones included.
    pub pools: BTreeMap<String, PoolConfiguration>,
}

/// The settings of `control` that somebody sets; its other columns report and are never set.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[expect(missing_docs, reason = "each is the column of the same name")]
pub struct Control {
    pub enabled: bool,
    pub workers: u32,
    pub idle_sleep: Span,
    pub busy_sleep: Span,
    pub heavy_maintenance_sleep: Span,
    pub light_maintenance_sleep: Span,
    pub task_keep_duration: Span,
    pub default_timeout: Span,
    pub advisory_mutex_id: i32,
    pub self_target: String,
    pub self_connection_string: String,
    pub self_concurrency: u32,
    pub paused: bool,
    pub default_concurrency_pool_workers: u32,
    pub debug_log: bool,
    pub target_patience: Span,
    pub takeover_grace: Span,
}

impl Default for Control {
    fn default() -> Self {
        const DAY: Span = Span::seconds(86_400);
        Self {
            enabled: true,
            workers: 20,
            idle_sleep: Span::seconds(1),
            busy_sleep: Span::millis(10),
            heavy_maintenance_sleep: DAY,
            light_maintenance_sleep: Span::seconds(300),
            task_keep_duration: DAY.times(30),
            default_timeout: Span::seconds(3_600),
            advisory_mutex_id: 0,
            self_target: "async.self".to_owned(),
            self_connection_string: "host=localhost".to_owned(),
            self_concurrency: 4,
            paused: false,
            default_concurrency_pool_workers: 4,
            debug_log: false,
            target_patience: Span::seconds(60),
            takeover_grace: Span::seconds(10),
        }
    }
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TargetConfiguration {
    /// The size of its pool; also `max_workers`.
    pub max_concurrency: u32,
    /// How to reach it.
    pub connection_string: String,
    /// The query's end is not the task's.
    pub asynchronous_finish: bool,
    /// How long a task may take that does not say so itself.
    pub default_timeout: Option<Span>,
    /// Yielded tasks keep their slot.
    pub concurrency_track_yielded: bool,
    /// Each task finds a clean session.
    pub session_reset: bool,
    /// It takes nothing new, and finishes what it has.
    pub retired: bool,
}

/// The size of a target's pool when it does not say.
pub const TARGET_CONCURRENCY_DEFAULT: u32 = 8;

/// One pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PoolConfiguration {
    /// How many tasks at once.
    pub max_workers: u32,
    /// It takes nothing new, and finishes what it has.
    pub retired: bool,
}

impl Default for Configuration {
    fn default() -> Self {
        let mut fresh = Self { control: Control::default(), targets: BTreeMap::new(), pools: BTreeMap::new() };
        fresh.place_self(None);
        fresh
    }
}

impl Configuration {
    /// Takes in a document, all of it or nothing.
    ///
    /// Targets and pools that a given list leaves out are retired; a list that is not given, and
    /// a setting that is left out, changes nothing.
    ///
    /// # Errors
    /// [`Refused`] names the first thing that cannot be meant.
    pub fn apply(&mut self, document: &Document) -> Result<(), Refused> {
        let mut next = self.clone();
        if let Some(control) = &document.control {
            next.control.apply(control)?;
        }
        let old_self = (next.control.self_target != self.control.self_target).then(|| self.control.self_target.clone());
        if let Some(targets) = &document.targets {
            next.apply_targets(targets)?;
        }
        if let Some(pools) = &document.concurrency_pools {
            next.apply_pools(pools)?;
        }
        next.place_self(old_self);
        *self = next;
        Ok(())
    }

    /// What the orchestrator needs of it.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let targets = self.targets.iter().filter_map(|(name, target)| {
            let TargetConfiguration { max_concurrency, default_timeout, .. } = *target;
            Some((TargetName::new(name).ok()?, TargetSettings { max_concurrency, default_timeout }))
        });
        let pools = self.pools.iter().filter_map(|(name, pool)| Some((PoolName::new(name).ok()?, pool.max_workers)));
        Settings {
            workers: self.control.workers,
            paused: self.control.paused,
            default_pool_workers: self.control.default_concurrency_pool_workers,
            default_timeout: Some(self.control.default_timeout),
            target_patience: self.control.target_patience,
            takeover_grace: self.control.takeover_grace,
            targets: targets.collect(),
            pools: pools.collect(),
            tuning: Tuning::default(),
        }
    }

    fn apply_targets(&mut self, entries: &[TargetEntry]) -> Result<(), Refused> {
        let mut given: BTreeMap<String, TargetConfiguration> = BTreeMap::new();
        for (at, entry) in entries.iter().enumerate() {
            let path = format!("targets[{at}]");
            TargetName::new(&entry.target).map_err(|_| blank(&path, "target"))?;
            let target = self.target(entry, &path)?;
            if given.insert(entry.target.clone(), target).is_some() {
                let name = entry.target.clone();
                return Err(refuse(&format!("{path}.target"), Problem::Duplicate { name }));
            }
        }
        let self_target = self.control.self_target.clone();
        for (name, target) in &mut self.targets {
            target.retired = *name != self_target;
        }
        self.targets.extend(given);
        Ok(())
    }

    fn target(&self, entry: &TargetEntry, path: &str) -> Result<TargetConfiguration, Refused> {
        let old = self.targets.get(&entry.target);
        let field = |name: &str| format!("{path}.{name}");
        let size = match (entry.max_workers, entry.max_concurrency) {
            (Some(a), Some(b)) if a != b => return Err(refuse(&field("max_workers"), Problem::Contradiction)),
            (a, b) => a.or(b),
        };
        let size_name = if entry.max_workers.is_some() { "max_workers" } else { "max_concurrency" };
        let connection_string =
            entry.connection_string.clone().or_else(|| old.map(|old| old.connection_string.clone()));
        // A target that finishes asynchronously may be one whose tasks clients pull, and needs none.
        let needless = entry.asynchronous_finish.and_then(|pulled| pulled.then(String::new));
        let connection_string =
            connection_string.or(needless).ok_or_else(|| refuse(&field("connection_string"), Problem::Missing))?;
        let default_timeout = match entry.default_timeout {
            Some(timeout) => Some(positive(timeout, &field("default_timeout"))?),
            None => old.and_then(|old| old.default_timeout),
        };
        Ok(TargetConfiguration {
            max_concurrency: match size {
                Some(size) => at_least(size, 0, &field(size_name))?,
                None => old.map_or(TARGET_CONCURRENCY_DEFAULT, |old| old.max_concurrency),
            },
            connection_string,
            asynchronous_finish: entry
                .asynchronous_finish
                .unwrap_or_else(|| old.is_some_and(|o| o.asynchronous_finish)),
            default_timeout,
            concurrency_track_yielded: entry
                .concurrency_track_yielded
                .unwrap_or_else(|| old.is_some_and(|old| old.concurrency_track_yielded)),
            session_reset: entry.session_reset.unwrap_or_else(|| old.is_none_or(|old| old.session_reset)),
            retired: entry.retired.unwrap_or(false),
        })
    }

    fn apply_pools(&mut self, entries: &[PoolEntry]) -> Result<(), Refused> {
        let mut given: BTreeMap<String, PoolConfiguration> = BTreeMap::new();
        for (at, entry) in entries.iter().enumerate() {
            let path = format!("concurrency_pools[{at}]");
            PoolName::new(&entry.concurrency_pool).map_err(|_| blank(&path, "concurrency_pool"))?;
            let old = self.pools.get(&entry.concurrency_pool).map(|old| i64::from(old.max_workers));
            let size = format!("{path}.max_workers");
            let workers = entry.max_workers.or(old).ok_or_else(|| refuse(&size, Problem::Missing))?;
            let max_workers = at_least(workers, 0, &size)?;
            let pool = PoolConfiguration { max_workers, retired: entry.retired.unwrap_or(false) };
            if given.insert(entry.concurrency_pool.clone(), pool).is_some() {
                let name = entry.concurrency_pool.clone();
                return Err(refuse(&format!("{path}.concurrency_pool"), Problem::Duplicate { name }));
            }
        }
        for pool in self.pools.values_mut() {
            pool.retired = true;
        }
        self.pools.extend(given);
        Ok(())
    }

    /// The server itself is always a target, of the size that `self_concurrency` says.
    fn place_self(&mut self, renamed_from: Option<String>) {
        if let Some(old) = renamed_from.and_then(|name| self.targets.get_mut(&name)) {
            old.retired = true;
        }
        let control = &self.control;
        let target = TargetConfiguration {
            max_concurrency: control.self_concurrency,
            connection_string: control.self_connection_string.clone(),
            asynchronous_finish: false,
            default_timeout: None,
            concurrency_track_yielded: false,
            session_reset: true,
            retired: false,
        };
        let place = self.targets.entry(control.self_target.clone()).or_insert_with(|| target.clone());
        place.max_concurrency = target.max_concurrency;
        place.connection_string = target.connection_string;
        place.retired = false;
    }
}

impl Control {
    fn apply(&mut self, entry: &ControlEntry) -> Result<(), Refused> {
        let field = |name: &str| format!("control.{name}");
        fn set<T: Clone>(place: &mut T, given: Option<&T>) {
            if let Some(given) = given {
                place.clone_from(given);
            }
        }
        set(&mut self.enabled, entry.enabled.as_ref());
        set(&mut self.paused, entry.paused.as_ref());
        set(&mut self.debug_log, entry.debug_log.as_ref());
        set(&mut self.advisory_mutex_id, entry.advisory_mutex_id.as_ref());
        for (name, least, place, given) in [
            ("workers", 1, &mut self.workers, entry.workers),
            ("self_concurrency", 1, &mut self.self_concurrency, entry.self_concurrency),
            (
                "default_concurrency_pool_workers",
                0,
                &mut self.default_concurrency_pool_workers,
                entry.default_concurrency_pool_workers,
            ),
        ] {
            if let Some(given) = given {
                *place = at_least(given, least, &field(name))?;
            }
        }
        for (name, place, given) in [
            ("idle_sleep", &mut self.idle_sleep, entry.idle_sleep),
            ("busy_sleep", &mut self.busy_sleep, entry.busy_sleep),
            ("heavy_maintenance_sleep", &mut self.heavy_maintenance_sleep, entry.heavy_maintenance_sleep),
            ("light_maintenance_sleep", &mut self.light_maintenance_sleep, entry.light_maintenance_sleep),
            ("task_keep_duration", &mut self.task_keep_duration, entry.task_keep_duration),
            ("default_timeout", &mut self.default_timeout, entry.default_timeout),
            ("target_patience", &mut self.target_patience, entry.target_patience),
            ("takeover_grace", &mut self.takeover_grace, entry.takeover_grace),
        ] {
            if let Some(given) = given {
                *place = match name {
                    "default_timeout" => positive(given, &field(name))?,
                    "idle_sleep" | "busy_sleep" => within_a_day(given, &field(name))?,
                    _ => not_negative(given, &field(name))?,
                };
            }
        }
        if let Some(name) = &entry.self_target {
            TargetName::new(name).map_err(|_| blank("control", "self_target"))?;
            self.self_target.clone_from(name);
        }
        set(&mut self.self_connection_string, entry.self_connection_string.as_ref());
        Ok(())
    }
}

fn refuse(path: &str, problem: Problem) -> Refused {
    Refused { path: path.to_owned(), problem }
}

fn blank(path: &str, field: &str) -> Refused {
    refuse(&format!("{path}.{field}"), Problem::Impossible { expected: "a name that is not blank" })
}

fn at_least(number: i64, least: u32, path: &str) -> Result<u32, Refused> {
    let expected =
        if least == 0 { "a whole number from 0 to 2147483647" } else { "a whole number from 1 to 2147483647" };
    let fits = u32::try_from(number).ok().filter(|n| *n >= least && i32::try_from(*n).is_ok());
    fits.ok_or_else(|| refuse(path, Problem::Impossible { expected }))
}

fn positive(span: Span, path: &str) -> Result<Span, Refused> {
    let expected = "a length of time above zero";
    if span > Span::ZERO { Ok(span) } else { Err(refuse(path, Problem::Impossible { expected })) }
}

fn within_a_day(span: Span, path: &str) -> Result<Span, Refused> {
    let expected = "a number of seconds from 0 to 86400";
    let fits = span >= Span::ZERO && span <= Span::seconds(86_400);
    if fits { Ok(span) } else { Err(refuse(path, Problem::Impossible { expected })) }
}

fn not_negative(span: Span, path: &str) -> Result<Span, Refused> {
    let expected = "a length of time that is not negative";
    if span >= Span::ZERO { Ok(span) } else { Err(refuse(path, Problem::Impossible { expected })) }
}
