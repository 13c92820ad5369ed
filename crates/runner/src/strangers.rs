//! The first look at a target: sessions there that bear this server's id, but that its registry does not know, belong to
//! a physical copy of this server, or this is the copy. Then nothing is launched there until somebody decides.

use std::time::Duration;

use pgasync_core::Epoch;
use pgasync_store::{Session, Settings, unregistered};
use tokio_postgres::SimpleQueryMessage;

use crate::report;

/// A connection attempt to the server.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// What a first look needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Meeting {
    pub(crate) server: Settings,
    pub(crate) server_id: String,
    pub(crate) epoch: Epoch,
}

impl Meeting {
    /// An error when there are such sessions.
    pub(crate) async fn refuse_strangers(&self, target: &Session) -> Result<(), String> {
        let others = self.others(target).await.map_err(|error| report::connection_error(&error))?;
        if others.is_empty() {
            return Ok(());
        }
        let server =
            self.server.with_connect_timeout(CONNECT_MAX).connect().await.map_err(|error| error.to_string())?;
        let strangers = unregistered(&server, &others).await.map_err(|error| error.to_string())?;
        server.close().await;
        if strangers.is_empty() {
            return Ok(());
        }
        let pids: Vec<String> = strangers.iter().map(ToString::to_string).collect();
        Err(format!(
            "PA210: sessions of this server that it did not open run there (pids {}): is this database a copy?\n\
             HINT: On the copy: select async.adopt(), then start the orchestrator anew",
            pids.join(", ")
        ))
    }

    /// Living sessions of this server's other epochs. One that has looked around, or not even that, was opened by a
    /// leader that was lost before it could write it down: it ran nothing, and will not.
    async fn others(&self, target: &Session) -> Result<Vec<(i32, String)>, tokio_postgres::Error> {
        let sql = format!(
            "select /* pgasync: first look */ a.pid,
               pg_catalog.to_char(a.backend_start at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US+00')
             from pg_catalog.pg_stat_activity a
             where a.application_name like 'pgasync/{id}/%'
               and pg_catalog.split_part(a.application_name, '/', 3) <> '{epoch}'
               and pg_catalog.split_part(a.application_name, '/', 4) ~ '^[0-9]+$'
               and (a.state = 'active' or a.state_change > pg_catalog.now() - interval '30 seconds')
               and not (a.state = 'idle' and (a.query = ''
                 or a.query like '%/* pgasync: first look */%'))",
            id = self.server_id,
            epoch = self.epoch
        );
        let said = target.simple_query(&sql).await?;
        let other = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => Some((row.get(0)?.parse().ok()?, row.get(1)?.to_owned())),
            _ => None,
        };
        Ok(said.iter().filter_map(other).collect())
    }
}
