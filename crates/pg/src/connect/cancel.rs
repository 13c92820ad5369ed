//! Cancel requests of the protocol.

use std::fmt;

use tokio_postgres::CancelToken;

use super::ConnectError;
use super::attempt::{self, Address, Encryption};
use crate::settings::{ConnectionSettings, Host};

/// Asks a server to cancel the statement that a session runs. The request uses a connection of its
/// own, which takes no connection slot, to the same host and address and with the same encryption
/// as the session.
///
/// Source: Postgres manual, "Canceling Requests in Progress".
#[derive(Clone)]
pub struct Canceler {
    pub(super) settings: ConnectionSettings,
    pub(super) host: Host,
    pub(super) address: Address,
    pub(super) encryption: Encryption,
    pub(super) token: CancelToken,
}

impl Canceler {
    /// Sends the request. The server does not answer whether a statement was cancelled.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn cancel(&self) -> Result<(), ConnectError> {
        let sent = attempt::cancel(&self.settings, &self.host, &self.address, self.encryption, &self.token);
        let sent = self.settings.within_time(sent).await;
        sent.map_err(|failure| ConnectError { server: self.settings.describe(), reason: failure.reason })
    }
}

/// Leaves out the key of the session, which is a secret.
impl fmt::Debug for Canceler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceler").field("host", &self.host).field("address", &self.address).finish_non_exhaustive()
    }
}
