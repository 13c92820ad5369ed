//! Detecting a physical copy of this server.
//!
//! A copy has the same server id, and its sessions at a target look like those of this server.
//! Their names end in the epoch and the nonce of an election that this server did not hold. While
//! such sessions exist, no leader launches or ends anything at the target.

use std::collections::BTreeMap;

use pgasync_pg::{ConnectionSettings, Session};
use pgasync_store::unknown_elections;

use crate::error_text;
use crate::fence::connect_to_server;

/// The number of sessions of other elections that one check examines.
const SESSIONS_MAX: usize = 1_000;

/// Finds sessions that a copy of this server has opened at a target.
#[derive(Clone, Debug)]
pub(crate) struct ServerCopies {
    pub(crate) server: ConnectionSettings,
    pub(crate) server_id: String,
    /// `epoch.nonce` of this leader.
    pub(crate) election: String,
}

impl ServerCopies {
    /// Returns an error when the target has sessions of an election that the server does not know.
    pub(crate) async fn refuse_unknown_sessions(&self, target: &Session) -> Result<(), String> {
        let others = self.sessions_of_others(target).await.map_err(|error| error_text::connection_error(&error))?;
        if others.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = others.keys().cloned().collect();
        let server = connect_to_server(&self.server).await?;
        let unknown = unknown_elections(&server, &names).await.map_err(|error| error.to_string())?;
        server.close().await;
        let pids: Vec<&str> = unknown.iter().filter_map(|name| others.get(name)).flatten().map(|pid| &**pid).collect();
        if pids.is_empty() {
            return Ok(());
        }
        Err(format!(
            "PA210: sessions of this server that it did not open run there (pids {}): is this database a copy?\n\
             HINT: On the copy: select async.adopt(), then start the orchestrator anew",
            pids.join(", ")
        ))
    }

    /// The pids of sessions of other elections, by `epoch.nonce`.
    async fn sessions_of_others(&self, target: &Session) -> Result<BTreeMap<String, Vec<String>>, pgasync_pg::Error> {
        let sql = format!(
            "select a.pid, pg_catalog.split_part(a.application_name, '/', 3)
             from pg_catalog.pg_stat_activity a
             where a.application_name operator(pg_catalog.~~) 'pgasync/{id}/%'
               and pg_catalog.split_part(a.application_name, '/', 3) operator(pg_catalog.<>) '{election}'
               and pg_catalog.split_part(a.application_name, '/', 4) operator(pg_catalog.~) '^[0-9]+$'
               and a.usename operator(pg_catalog.=) session_user
             limit {SESSIONS_MAX}",
            id = self.server_id,
            election = self.election
        );
        let mut others: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in target.simple_query(&sql).await? {
            if let (Ok(Some(pid)), Ok(Some(name))) = (row.try_get(0), row.try_get(1)) {
                others.entry(name.to_owned()).or_default().push(pid.to_owned());
            }
        }
        Ok(others)
    }
}
