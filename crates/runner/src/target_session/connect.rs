//! Connecting to a target, and identifying the session.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use pgasync_pg::{Canceler, ConnectionSettings, Notice, Reached, Session};
use pgasync_store::ServerIdentity;

use super::SessionTask;
use crate::error_text;
use crate::session_identity::SessionIdentity;

/// The option that makes Postgres end queries whose client is gone. Postgres accepts it from
/// version 14 on. It is part of the connection request, because a reset would undo a SET.
const CHECK_CLIENT: &str = "-c client_connection_check_interval=5s";

const CHECK_CLIENT_SINCE: i32 = 140_000;

/// The notices of a query that are kept for the log, and the limit on the text of one.
const NOTICES_KEPT: usize = 5;
const NOTICE_BYTES_MAX: usize = 8_192;

/// Whether the target accepts [`CHECK_CLIENT`], as far as earlier sessions have shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientCheck {
    #[default]
    Unknown,
    Accepted,
    /// The target is too old, or a proxy in front of it refuses the option.
    Refused,
}

/// A session that is open.
#[derive(Clone, Debug)]
pub(crate) struct OpenedSession {
    pub(crate) pid: i32,
    pub(crate) backend_start: String,
    pub(crate) role: String,
    pub(crate) server: ServerIdentity,
    pub(crate) reached: Reached,
    pub(crate) canceler: Canceler,
    pub(crate) client_check: ClientCheck,
    /// The schema of the extension `dblink` there, quoted.
    pub(crate) dblink_schema: Option<String>,
}

impl SessionTask {
    pub(super) async fn connect_and_check(
        &self,
        settings: &ConnectionSettings,
        check: ClientCheck,
    ) -> Result<(Session, OpenedSession), String> {
        let (session, opened) = self.connect(settings, check).await?;
        if let Some(copies) = &self.copies {
            in_time(self.answer_max, copies.refuse_unknown_sessions(&session)).await?;
        }
        Ok((session, opened))
    }

    async fn connect(
        &self,
        settings: &ConnectionSettings,
        check: ClientCheck,
    ) -> Result<(Session, OpenedSession), String> {
        let checked = settings.with_option(CHECK_CLIENT);
        if check == ClientCheck::Accepted
            && let Ok((session, opened, _)) = self.open(&checked, ClientCheck::Accepted).await
        {
            return Ok((session, opened));
        }
        // An older target refuses a connection with an unknown option. So the first session with a
        // target connects without the option, and reports the version.
        let (session, opened, version) = self.open(settings, ClientCheck::Refused).await?;
        if check != ClientCheck::Refused && version >= CHECK_CLIENT_SINCE {
            // The target knows the option. If a proxy refuses it, the session without the option is
            // used.
            if let Ok((checked, opened, _)) = self.open(&checked, ClientCheck::Accepted).await {
                session.close().await;
                return Ok((checked, opened));
            }
        }
        Ok((session, opened))
    }

    async fn open(
        &self,
        settings: &ConnectionSettings,
        client_check: ClientCheck,
    ) -> Result<(Session, OpenedSession, i32), String> {
        let notices = Arc::clone(&self.notices);
        let on_notice = move |notice: Notice| {
            let mut kept = notices.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == NOTICES_KEPT {
                kept.pop_front();
            }
            kept.push_back(error_text::cut(format!("{notice:?}"), NOTICE_BYTES_MAX));
        };
        let session = settings.connect_with(on_notice).await.map_err(|error| error.to_string())?;
        let SessionIdentity { pid, version, backend_start, role, server, dblink_schema } =
            in_time(self.answer_max, SessionIdentity::of(&session)).await?;
        let (reached, canceler) = (session.reached().clone(), session.canceler().clone());
        let opened = OpenedSession { pid, backend_start, role, server, reached, canceler, client_check, dblink_schema };
        Ok((session, opened, version))
    }
}

/// Limits the time for an answer of the target before it runs a query. The limit on connecting is
/// part of the settings.
async fn in_time<T>(limit: Duration, call: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let no_answer =
        || Err(format!("it accepted the connection and has not answered for {} seconds", limit.as_secs_f64()));
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| no_answer())
}
