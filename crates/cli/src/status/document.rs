//! The status as JSON. Names are those of the views. Lengths of time are in seconds, points in time
//! in RFC 3339.

use pgasync_core::{Span, Timestamp};
use pgasync_store::{Period, Statistics};
use serde_json::{Value, json};

use super::Status;

pub(super) fn json(status: &Status) -> Value {
    let Statistics {
        leader,
        workers,
        workers_busy,
        last_seconds,
        last_minute,
        last_hour,
        pools,
        targets,
        waiting,
        running,
        failures,
        waiting_tasks,
    } = &status.statistics;
    json!({
        "format": 1,
        "ok": status.is_healthy(),
        "server": status.server,
        "leader": {
            "leads": leader.leads, "engine": leader.engine, "epoch": leader.epoch.map(|epoch| epoch.0),
            "pid": leader.pid, "host": leader.host, "application": leader.application, "since": time(leader.since),
            "quiet": seconds(leader.quiet), "enabled": leader.enabled, "paused": leader.paused,
            "standbys": leader.standbys, "takeover_grace": seconds(leader.takeover_grace),
        },
        "workers": { "busy": workers_busy, "max": workers },
        "waiting_tasks": waiting_tasks,
        "last_seconds": period(last_seconds),
        "last_minute": period(last_minute),
        "last_hour": period(last_hour),
        "failures": failures.iter().map(|failure| json!({
            "target": failure.target, "finish_status": failure.finish_status, "sqlstate": failure.sqlstate,
            "message": failure.message, "tasks": failure.tasks, "last_failed": time(failure.last_failed),
            "last_task_id": failure.last_task.0,
        })).collect::<Vec<_>>(),
        "pools": pools.iter().map(|pool| json!({
            "concurrency_pool": pool.pool, "running": pool.running, "max_workers": pool.max_workers,
            "waiting": pool.waiting, "more": pool.more, "waiting_for": seconds(pool.waiting_for),
            "retired": pool.retired, "paused": pool.paused,
        })).collect::<Vec<_>>(),
        "targets": targets.iter().map(|target| json!({
            "target": target.target, "state": target.state.as_str(), "since": time(target.since),
            "error": target.error, "retry_at": time(target.retry_at), "patience_ends": time(target.patience_ends),
            "running": target.running, "paused": target.paused,
        })).collect::<Vec<_>>(),
        "waiting": waiting.iter().map(|lane| json!({
            "concurrency_pool": lane.pool, "target": lane.target, "kind": lane.kind, "waiting": lane.waiting,
            "more": lane.more, "waiting_for": seconds(lane.waiting_for),
            "first_task_id": lane.first.map(|task| task.0), "reason": lane.reason,
        })).collect::<Vec<_>>(),
        "running": running.iter().map(|task| json!({
            "task_id": task.task.0, "target": task.target, "concurrency_pool": task.pool,
            "running_for": seconds(Some(task.running_for)), "slot": task.slot,
        })).collect::<Vec<_>>(),
        "warnings": status.warnings.iter().map(|line| json!({
            "server_log": line.number, "happened": time(Some(line.happened)), "level": line.level,
            "message": line.message,
        })).collect::<Vec<_>>(),
    })
}

fn period(period: &Period) -> Value {
    json!({
        "entered": period.entered, "ended": period.ended, "finished": period.finished, "failed": period.failed,
        "canceled": period.canceled, "timed_out": period.timed_out, "ended_per_second": period.ended_per_second,
    })
}

fn seconds(span: Option<Span>) -> Option<f64> {
    span.map(|span| span.as_micros() as f64 / 1e6)
}

/// A time beyond the range of jiff, such as `infinity`, becomes `None`.
pub(super) fn time(time: Option<Timestamp>) -> Option<String> {
    let time = jiff::Timestamp::from_microsecond(time?.as_micros()).ok()?;
    Some(format!("{time:.0}"))
}
