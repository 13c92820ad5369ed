//! The spans of a task.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SpanData};
use pgasync_core::Timestamp;
use pgasync_store::{TracedAttempt, TracedTask};

/// The longest description of an error, in characters.
const DESCRIPTION_MAX: usize = 500;

/// The span of the task, and one for each attempt. None if its `traceparent` is not valid or not sampled.
pub(crate) fn spans(task: &TracedTask, scope: &InstrumentationScope) -> Vec<SpanData> {
    let Some(parent) = parent(task) else { return Vec::new() };
    let whole = context(&parent);
    let mut spans = vec![SpanData {
        span_kind: SpanKind::Consumer,
        name: format!("task {}", task.target).into(),
        start_time: system_time(task.entered),
        end_time: system_time(task.processed.max(task.entered)),
        attributes: task_attributes(task),
        status: status(task.failed, task.error.as_deref()),
        ..span(&parent, whole.clone(), true, scope)
    }];
    spans.extend(task.attempts.iter().map(|attempt| SpanData {
        span_kind: SpanKind::Client,
        name: format!("run {}", task.target).into(),
        start_time: system_time(attempt.began),
        end_time: system_time(attempt.ended.max(attempt.began)),
        attributes: attempt_attributes(task, attempt),
        status: status(attempt.error.is_some(), attempt.error.as_deref()),
        ..span(&whole, context(&whole), false, scope)
    }));
    spans
}

/// The span of the client that pushed the task.
fn parent(task: &TracedTask) -> Option<SpanContext> {
    let mut carrier = HashMap::from([("traceparent".to_owned(), task.traceparent.clone())]);
    carrier.extend(task.tracestate.clone().map(|state| ("tracestate".to_owned(), state)));
    let context = TraceContextPropagator::new().extract(&carrier);
    let parent = context.span().span_context().clone();
    (parent.is_valid() && parent.is_sampled()).then_some(parent)
}

/// A new span in the trace of its parent.
fn context(parent: &SpanContext) -> SpanContext {
    let id = RandomIdGenerator::default().new_span_id();
    SpanContext::new(parent.trace_id(), id, TraceFlags::SAMPLED, false, parent.trace_state().clone())
}

/// A span without what makes it this one.
fn span(parent: &SpanContext, context: SpanContext, remote: bool, scope: &InstrumentationScope) -> SpanData {
    debug_assert!(parent.span_id() != SpanId::INVALID, "a span of a task has a parent");
    SpanData {
        span_context: context,
        parent_span_id: parent.span_id(),
        parent_span_is_remote: remote,
        span_kind: SpanKind::Internal,
        name: "".into(),
        start_time: SystemTime::UNIX_EPOCH,
        end_time: SystemTime::UNIX_EPOCH,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: Default::default(),
        links: Default::default(),
        status: Status::Unset,
        instrumentation_scope: scope.clone(),
    }
}

fn task_attributes(task: &TracedTask) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("pgasync.task_id", task.task.0),
        KeyValue::new("pgasync.target", task.target.clone()),
        KeyValue::new("pgasync.concurrency_pool", task.pool.clone()),
        KeyValue::new("pgasync.priority", i64::from(task.priority)),
        KeyValue::new("pgasync.status", task.status.clone()),
    ];
    attributes.extend(error_type(task.error.as_deref().filter(|_| task.failed)));
    attributes
}

fn attempt_attributes(task: &TracedTask, attempt: &TracedAttempt) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("db.system.name", "postgresql"),
        KeyValue::new("pgasync.task_id", task.task.0),
        KeyValue::new("pgasync.target", task.target.clone()),
        KeyValue::new("pgasync.run", i64::from(attempt.run)),
        KeyValue::new("pgasync.attempt", i64::from(attempt.attempt)),
        KeyValue::new("pgasync.status", attempt.status.clone()),
    ];
    attributes.extend(error_type(attempt.error.as_deref()));
    attributes
}

/// The SQLSTATE of an error that has one.
fn error_type(error: Option<&str>) -> Option<KeyValue> {
    let error = error?;
    let code = error
        .split_once(": ")
        .map(|(code, _)| code)
        .filter(|code| code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()));
    Some(KeyValue::new("error.type", code.unwrap_or("_OTHER").to_owned()))
}

/// The first line of the error: further lines may have values of rows.
fn status(failed: bool, error: Option<&str>) -> Status {
    if !failed {
        return Status::Unset;
    }
    let line = error.and_then(|error| error.lines().next()).unwrap_or_default();
    Status::error(line.chars().take(DESCRIPTION_MAX).collect::<String>())
}

fn system_time(time: Timestamp) -> SystemTime {
    // Before 1970 only if the clock of the server is wrong, and then all times are.
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(0))
}
