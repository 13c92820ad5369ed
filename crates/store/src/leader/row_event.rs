//! Events for the SQL writer: the core's [`RowEvent`] as a value of the type `async.event_t`.

use bytes::BytesMut;
use pgasync_core::{FinishStatus, ResultText, RoleName, RowEvent, TaskEvent, Timestamp};
use pgasync_pg::types::{IsNull, ToSql, Type};

use super::composite::{EncodingError, Fields, unknown_field};
use crate::wire::{WireInterval, WireTimestamp};

/// One event for `async.write_events`.
#[derive(Debug)]
pub(super) struct WireEvent {
    task: i64,
    run: i32,
    event: RowEvent,
    at: Timestamp,
    requests: Vec<i64>,
}

impl WireEvent {
    pub(super) fn new(written: &TaskEvent, event: RowEvent) -> Self {
        let requests = written.settles.iter().map(|request| request.0).collect();
        Self { task: written.task.0, run: written.run.0, event, at: written.at, requests }
    }
}

impl Fields for WireEvent {
    const TYPE: &'static str = "event_t";

    fn put(&self, field: &str, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodingError> {
        let event = &self.event;
        match field {
            "task_id" => self.task.to_sql(ty, out),
            "run" => self.run.to_sql(ty, out),
            "event" => event.name.to_sql(ty, out),
            "at" => WireTimestamp(self.at).to_sql(ty, out),
            // The binary format of an enum is its label.
            "status" => event.status.map(FinishStatus::as_str).to_sql(&Type::TEXT, out),
            "message" => storable(event.message.as_deref()).to_sql(ty, out),
            "known" => storable(event.known.as_deref()).to_sql(ty, out),
            "duration" => event.duration.map(WireInterval).to_sql(ty, out),
            "timeout" => event.timeout.map(WireInterval).to_sql(ty, out),
            "requests" => self.requests.to_sql(ty, out),
            "result" => event.result.as_ref().map(ResultText::as_str).to_sql(ty, out),
            "requested_by" => event.requested_by.as_ref().map(RoleName::as_str).to_sql(ty, out),
            other => Err(unknown_field::<Self>(other)),
        }
    }
}

/// A zero byte cannot be stored in a text.
fn storable(text: Option<&str>) -> Option<String> {
    text.map(|text| text.replace('\0', "?"))
}
