//! The configuration, as a leader reads it.

use std::collections::BTreeMap;

use pgasync_core::{PoolName, Settings, Span, TargetName, TargetSettings, Tuning};
use pgasync_pg::{ConnectionString, Error, Row, Session};

use super::rows::span;

/// The shortest time between two runs of the LOOP routines, even if `busy_sleep` is shorter.
const ROUTINES_INTERVAL_MIN: Span = Span::millis(10);

/// The part of the configuration that a leader needs.
#[derive(Clone, Debug)]
pub struct LeaderConfiguration {
    /// The settings of the core.
    pub settings: Settings,
    /// The addresses of the targets.
    pub targets: BTreeMap<TargetName, TargetAddress>,
}

/// The address of a target, and how its sessions are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetAddress {
    /// `None` for a target without sessions, whose tasks only clients take.
    pub connection_string: Option<ConnectionString>,
    /// The target is the server itself.
    pub is_self: bool,
    /// Its sessions are reset after each task.
    pub session_reset: bool,
}

impl LeaderConfiguration {
    pub(super) async fn read(session: &Session) -> Result<Self, Error> {
        let control = session
            .query_one(
                "select workers, paused, default_concurrency_pool_workers, default_timeout, target_patience,
                   idle_sleep, busy_sleep, coalesce(loop_routines <> '{}', false) as has_routines
                 from async.control",
                &[],
            )
            .await?;
        let targets = session
            .query(
                "select t.target, t.max_concurrency, t.default_timeout, t.max_sessions, t.session_reset, t.paused, t.target = c.self_target as is_self,
                   case when t.target = c.self_target then async.self_conninfo() else t.connection_string end as address
                 from async.target t cross join async.control c",
                &[],
            )
            .await?;
        let pools = session
            .query(
                "select concurrency_pool, max_workers, interval / nullif(starts_max, 0) as spacing, paused
                 from async.concurrency_pool",
                &[],
            )
            .await?;
        let pools = pools.iter().filter_map(|row| Some((PoolName::new(row.get::<_, &str>(0)).ok()?, row)));
        let spacings = pools.clone().filter_map(|(name, row)| Some((name, span(row, "spacing")?)));
        let paused_pools = pools.clone().filter(|(_, row)| row.get("paused"));
        let paused_targets = targets.iter().filter(|row| row.get("paused"));
        let settings = Settings {
            workers: count(control.get("workers")),
            paused: control.get("paused"),
            default_pool_workers: count(control.get("default_concurrency_pool_workers")),
            default_timeout: span(&control, "default_timeout"),
            target_patience: span(&control, "target_patience").unwrap_or(Span::ZERO),
            idle_sleep: seconds(control.get("idle_sleep")),
            busy_sleep: seconds(control.get("busy_sleep")).max(ROUTINES_INTERVAL_MIN),
            has_routines: control.get("has_routines"),
            targets: targets.iter().filter_map(target_settings).collect(),
            spacings: spacings.collect(),
            paused_targets: paused_targets
                .filter_map(|row| TargetName::new(row.get::<_, &str>("target")).ok())
                .collect(),
            paused_pools: paused_pools.map(|(name, _)| name).collect(),
            pools: pools.map(|(name, row)| (name, count(row.get("max_workers")))).collect(),
            tuning: Tuning::default(),
        };
        Ok(Self { settings, targets: targets.iter().filter_map(target_address).collect() })
    }
}

fn target_settings(row: &Row) -> Option<(TargetName, TargetSettings)> {
    let settings = TargetSettings {
        max_concurrency: count(row.get("max_concurrency")),
        default_timeout: span(row, "default_timeout"),
        max_sessions: row.get::<_, Option<i32>>("max_sessions").map(count),
    };
    Some((TargetName::new(row.get::<_, &str>("target")).ok()?, settings))
}

fn target_address(row: &Row) -> Option<(TargetName, TargetAddress)> {
    let address = TargetAddress {
        connection_string: row.get::<_, Option<String>>("address").map(ConnectionString::from),
        is_self: row.get("is_self"),
        session_reset: row.get("session_reset"),
    };
    Some((TargetName::new(row.get::<_, &str>("target")).ok()?, address))
}

/// Converts a limit. The constraints of the tables exclude negative numbers.
fn count(number: i32) -> u32 {
    debug_assert!(number >= 0, "a negative limit");
    u32::try_from(number).unwrap_or(0)
}

/// Limits a setting in seconds to between a millisecond and a day.
fn seconds(seconds: f64) -> Span {
    #[allow(clippy::cast_possible_truncation, reason = "a day in microseconds fits")]
    let micros = (seconds.clamp(0.001, 86_400.0) * 1e6) as i64;
    Span::micros(micros)
}
