//! Events for the SQL writer: the core's [`RowEvent`] as a value of the type `async.event_t`.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use pgasync_core::{FinishStatus, RowEvent, TaskEvent, Timestamp};
use pgasync_pg::types::{IsNull, Kind, ToSql, Type, to_sql_checked};

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

    fn put(&self, field: &str, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
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
            other => Err(format!("async.event_t has an unknown field {other}").into()),
        }
    }
}

/// A zero byte cannot be stored in a text.
fn storable(text: Option<&str>) -> Option<String> {
    text.map(|text| text.replace('\0', "?"))
}

impl ToSql for WireEvent {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Kind::Composite(fields) = ty.kind() else { return Err("async.event_t is not a composite type".into()) };
        out.put_i32(i32::try_from(fields.len())?);
        for field in fields {
            out.put_u32(field.type_().oid());
            let length_at = out.len();
            out.put_i32(-1);
            if let IsNull::No = self.put(field.name(), field.type_(), out)? {
                let length = i32::try_from(out.len() - length_at - 4)?;
                out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        ty.name() == "event_t"
    }

    to_sql_checked!();
}
