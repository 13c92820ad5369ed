//! Target sessions, as the leader registers them.

use bytes::BytesMut;
use pgasync_core::TargetName;
use pgasync_pg::ConnectionString;
use pgasync_pg::types::{IsNull, ToSql, Type};

use super::ServerIdentity;
use super::composite::{EncodingError, Fields, unknown_field};

/// The record of a target session in the registry.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The number at the end of the session's name at the target. No other session of the leader
    /// has this number at the same time.
    pub session_slot: i32,
    /// The target.
    pub target: TargetName,
    /// The address for a second connection to the same server.
    pub connection_string: ConnectionString,
    /// The role of the session.
    pub role: String,
    /// The pid of its backend.
    pub pid: i32,
    /// When the backend started, as the target prints it.
    pub backend_start: String,
    /// The server at which the backend runs.
    pub server: ServerIdentity,
}

impl Fields for Registration {
    const TYPE: &'static str = "registration_t";

    fn put(&self, field: &str, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodingError> {
        match field {
            "slot" => self.session_slot.to_sql(ty, out),
            "target" => self.target.as_str().to_sql(ty, out),
            "connection_string" => self.connection_string.to_string().to_sql(ty, out),
            "role" => self.role.to_sql(ty, out),
            "pid" => self.pid.to_sql(ty, out),
            "backend_start" => self.backend_start.to_sql(ty, out),
            "server_started" => self.server.started.to_sql(ty, out),
            "server_address" => self.server.address.to_sql(ty, out),
            "server_port" => self.server.port.to_sql(ty, out),
            "system_identifier" => self.server.system_identifier.to_sql(ty, out),
            "timeline" => self.server.timeline.to_sql(ty, out),
            other => Err(unknown_field::<Self>(other)),
        }
    }
}
