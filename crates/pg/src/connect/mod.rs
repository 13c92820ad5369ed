//! Opening sessions: hosts are tried in turn, each at all of its addresses, until one is suitable.

mod attempt;
mod attrs;
mod cancel;
mod passfile;
mod socket;
mod tls;
mod verify;

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::Duration;

use self::attempt::{Address, AttemptFailure, FailureKind, OpenedConnection};
use crate::session::{Notice, Session};
use crate::settings::{ConnectionSettings, Host, Location, Reached, SessionAttrs};

pub use self::cancel::Canceler;

/// Why no session was opened.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot connect to {server}: {reason}")]
pub struct ConnectError {
    server: String,
    reason: String,
}

impl ConnectionSettings {
    /// Opens a session; notices are dropped.
    ///
    /// # Errors
    /// When no server can be reached, or one refuses.
    pub async fn connect(&self) -> Result<Session, ConnectError> {
        self.connect_with(|_| ()).await
    }

    /// Opens a session; `on_notice` receives its notices in order.
    ///
    /// # Errors
    /// When no server can be reached, or one refuses.
    pub async fn connect_with(&self, on_notice: impl FnMut(Notice) + Send + 'static) -> Result<Session, ConnectError> {
        let wanted = match self.attrs {
            SessionAttrs::PreferStandby => &[SessionAttrs::Standby, SessionAttrs::Any][..],
            _ => std::slice::from_ref(&self.attrs),
        };
        let mut reasons = Vec::new();
        for attrs in wanted {
            match self.try_hosts(*attrs, &mut reasons).await {
                Ok(Some((reached, canceler, OpenedConnection { client, connection, written, control, .. }))) => {
                    return Ok(Session::new(reached, canceler, written, control, client, connection, on_notice));
                }
                Ok(None) => {}
                Err(()) => break,
            }
        }
        Err(ConnectError { server: self.describe(), reason: reasons.join("; ") })
    }

    /// Returns `None` when no host is suitable, and an error when trying other hosts is pointless.
    async fn try_hosts(
        &self,
        attrs: SessionAttrs,
        reasons: &mut Vec<String>,
    ) -> Result<Option<(Reached, Canceler, OpenedConnection)>, ()> {
        let many = self.hosts.len() > 1;
        for host in shuffled(self.hosts.iter().collect(), self.shuffle) {
            let addresses = self.within_time(look_up(host)).await;
            let mut note = |failure: &AttemptFailure| {
                let reason = &failure.reason;
                let reason_at_host = if many { format!("{host}: {reason}") } else { reason.clone() };
                // The second round of `prefer-standby` may fail for the same reason as the first.
                if !reasons.contains(&reason_at_host) {
                    reasons.push(reason_at_host);
                }
            };
            let addresses = match addresses {
                Ok(addresses) => shuffled(addresses, self.shuffle),
                Err(failure) => {
                    note(&failure);
                    continue;
                }
            };
            let of_many = many || addresses.len() > 1;
            for address in addresses {
                let opening = async {
                    let mut opened = attempt::open(self, host, &address).await?;
                    attrs::check(&mut opened, attrs).await?;
                    Ok(opened)
                };
                let failure = match self.within_time(opening).await {
                    Ok(opened) => {
                        let ip = match address {
                            Address::Tcp(address) => Some(address.ip()),
                            Address::Unix(_) => None,
                        };
                        let canceler = Canceler {
                            settings: self.clone(),
                            host: host.clone(),
                            address,
                            encryption: opened.encryption,
                            token: opened.client.cancel_token(),
                        };
                        return Ok(Some((Reached::new(host, ip, of_many), canceler, opened)));
                    }
                    Err(failure) => failure,
                };
                note(&failure);
                match failure.kind {
                    FailureKind::Unreachable => {}
                    FailureKind::Unsuitable => break,
                    FailureKind::Handshake | FailureKind::Refused | FailureKind::Client => return Err(()),
                }
            }
        }
        Ok(None)
    }

    async fn within_time<T>(&self, work: impl Future<Output = Result<T, AttemptFailure>>) -> Result<T, AttemptFailure> {
        match self.connect_timeout.filter(|time| *time > Duration::ZERO) {
            None => work.await,
            Some(time) => tokio::time::timeout(time, work).await.unwrap_or_else(|_| {
                let reason = format!("the connection was not made within {} seconds", time.as_secs_f64());
                Err(AttemptFailure { reason, kind: FailureKind::Unreachable })
            }),
        }
    }
}

async fn look_up(host: &Host) -> Result<Vec<Address>, AttemptFailure> {
    let tcp = |address| Address::Tcp(SocketAddr::new(address, host.port));
    match &host.place {
        Location::Socket(folder) => Ok(vec![Address::Unix(folder.clone())]),
        Location::Address(address) | Location::Name { address: Some(address), .. } => Ok(vec![tcp(*address)]),
        Location::Name { name, address: None } => {
            let found = tokio::net::lookup_host((name.as_str(), host.port)).await;
            let found: Vec<_> = found.map_err(|error| AttemptFailure::unreachable(&error))?.map(Address::Tcp).collect();
            if found.is_empty() {
                return Err(AttemptFailure {
                    reason: "the name has no address".to_owned(),
                    kind: FailureKind::Unreachable,
                });
            }
            Ok(found)
        }
    }
}

/// The list in random order if `shuffle`. The seed of a hash map is random enough for balancing
/// load.
fn shuffled<T>(list: Vec<T>, shuffle: bool) -> Vec<T> {
    if !shuffle {
        return list;
    }
    let seed = RandomState::new();
    let mut keyed: Vec<_> = list.into_iter().enumerate().map(|(at, entry)| (seed.hash_one(at), entry)).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, entry)| entry).collect()
}
