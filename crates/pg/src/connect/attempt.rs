//! One attempt to open a session at one address.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use tokio_postgres::config::{ChannelBinding as DriverBinding, SslMode as DriverMode, SslNegotiation};
use tokio_postgres::{CancelToken, Client, Config, Connection};

use super::passfile::{self, PassfileKey};
use super::socket::{self, Socket};
use super::tls::{Handshake, TlsStream, connector};
use crate::filter::{Filter, FilterControl};
use crate::settings::{ChannelBinding, ConnectionSettings, Host, Location, SslMode};

/// A connection that is open.
pub(super) struct OpenedConnection {
    pub(super) client: Client,
    pub(super) connection: Connection<Filter<Socket>, TlsStream>,
    /// The count of bytes written.
    pub(super) written: Arc<AtomicU64>,
    pub(super) control: Arc<FilterControl>,
    pub(super) encryption: Encryption,
}

/// The address of a host.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Why an attempt failed, and what that means for other addresses.
#[derive(Debug)]
pub(super) struct AttemptFailure {
    pub(super) reason: String,
    pub(super) kind: FailureKind,
}

/// The kind of a failure. It decides whether another address or host is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// No answer, or the connection broke. Another address may work.
    Unreachable,
    /// The server is starting or stopping, or does not have the wanted attributes. Another host may
    /// work.
    Unsuitable,
    /// The TLS handshake failed.
    Handshake,
    /// The server refused.
    Refused,
    /// The client cannot proceed: a file, a certificate or a password is missing or wrong.
    Client,
}

impl AttemptFailure {
    pub(super) fn unreachable(error: &io::Error) -> Self {
        // A firewall causes EPERM too, and then another host may work. So the error of a wrong peer
        // is recognized by its type.
        let kind = if socket::is_wrong_peer(error) { FailureKind::Client } else { FailureKind::Unreachable };
        Self { reason: error.to_string(), kind }
    }
}

/// Whether TLS is used in this attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    Never,
    IfOffered,
    Always,
}

/// Opens a session, trying with and without TLS as `sslmode` allows.
pub(super) async fn open(
    settings: &ConnectionSettings,
    host: &Host,
    address: &Address,
) -> Result<OpenedConnection, AttemptFailure> {
    if let Address::Unix(_) = address {
        return try_once(settings, host, address, Encryption::Never).await;
    }
    match settings.tls.mode {
        SslMode::Disable => try_once(settings, host, address, Encryption::Never).await,
        SslMode::Allow => match try_once(settings, host, address, Encryption::Never).await {
            Err(AttemptFailure { kind: FailureKind::Refused, .. }) => {
                try_once(settings, host, address, Encryption::Always).await
            }
            other => other,
        },
        SslMode::Prefer => match try_once(settings, host, address, Encryption::IfOffered).await {
            Err(AttemptFailure { kind: FailureKind::Refused | FailureKind::Handshake, .. }) => {
                try_once(settings, host, address, Encryption::Never).await
            }
            other => other,
        },
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
            try_once(settings, host, address, Encryption::Always).await
        }
    }
}

async fn try_once(
    settings: &ConnectionSettings,
    host: &Host,
    address: &Address,
    encryption: Encryption,
) -> Result<OpenedConnection, AttemptFailure> {
    let (config, note) = driver_config(settings, host, encryption)
        .map_err(|reason| AttemptFailure { reason, kind: FailureKind::Client })?;
    let (wire, handshake) = open_socket(settings, host, address, encryption).await?;
    let written = wire.written();
    let handshake_result = Arc::clone(&handshake.result);
    let control = Arc::new(FilterControl::new(settings.rows));
    let wire = Filter::new(wire, Arc::clone(&control), encryption != Encryption::Never && !settings.tls.direct);
    let made = config.connect_raw(wire, handshake).await;
    made.map(|(client, connection)| OpenedConnection { client, connection, written, control, encryption }).map_err(
        |error| {
            let mut failure = explain(&error, handshake_result.get());
            if let (FailureKind::Refused | FailureKind::Client, Some(note)) = (failure.kind, note) {
                failure.reason = format!("{} ({note})", failure.reason);
            }
            failure
        },
    )
}

/// Sends a cancel request to the address, and with the encryption, with which the session was
/// opened.
pub(super) async fn cancel(
    settings: &ConnectionSettings,
    host: &Host,
    address: &Address,
    encryption: Encryption,
    token: &CancelToken,
) -> Result<(), AttemptFailure> {
    let (wire, handshake) = open_socket(settings, host, address, encryption).await?;
    let handshake_result = Arc::clone(&handshake.result);
    let wire = Filter::new(wire, Arc::new(FilterControl::new(settings.rows)), encryption != Encryption::Never);
    token.cancel_query_raw(wire, handshake).await.map_err(|error| explain(&error, handshake_result.get()))
}

/// Opens the socket, and prepares the TLS handshake.
async fn open_socket(
    settings: &ConnectionSettings,
    host: &Host,
    address: &Address,
    encryption: Encryption,
) -> Result<(Socket, Handshake), AttemptFailure> {
    let connector = match (encryption, address) {
        (Encryption::IfOffered | Encryption::Always, Address::Tcp(address)) => {
            let name = server_name(settings, host, address.ip())?;
            let made =
                connector(&settings.tls).map_err(|reason| AttemptFailure { reason, kind: FailureKind::Client })?;
            Some((made, name))
        }
        _ => None,
    };
    let wire = match address {
        Address::Tcp(address) => socket::open_tcp(*address, &settings.tcp).await,
        Address::Unix(folder) => socket::open_unix(folder, host.port, settings.requirepeer.as_deref()).await,
    };
    let wire = wire.map_err(|error| AttemptFailure::unreachable(&error))?;
    Ok((wire, Handshake { connector, result: Arc::new(OnceLock::new()) }))
}

/// The settings of the driver, and the reason if the password file was not read. The error says why
/// the password could not be read.
fn driver_config(
    settings: &ConnectionSettings,
    host: &Host,
    encryption: Encryption,
) -> Result<(Config, Option<String>), String> {
    let mut config = Config::new();
    config.user(&settings.user).dbname(settings.database()).application_name(settings.application_name());
    if let Some(options) = &settings.options {
        config.options(options);
    }
    config.ssl_mode(match encryption {
        Encryption::Never => DriverMode::Disable,
        Encryption::IfOffered => DriverMode::Prefer,
        Encryption::Always => DriverMode::Require,
    });
    config.channel_binding(match settings.channel_binding {
        ChannelBinding::Disable => DriverBinding::Disable,
        ChannelBinding::Prefer => DriverBinding::Prefer,
        ChannelBinding::Require => DriverBinding::Require,
    });
    if settings.tls.direct {
        config.ssl_negotiation(SslNegotiation::Direct);
    }
    let mut note = None;
    if let Some(password) = &settings.password {
        config.password(password.resolve(settings.secrets_dir.as_deref())?);
    } else if let Some(file) = &settings.passfile {
        let name = host.place.in_passfile();
        let wanted = PassfileKey { host: &name, port: host.port, database: settings.database(), user: &settings.user };
        match passfile::look_up(file, &wanted) {
            Ok(found) => drop(found.filter(|found| !found.is_empty()).map(|found| config.password(found))),
            Err(why) => note = Some(why),
        }
    }
    Ok((config, note))
}

/// The host name to verify. Where `sslmode` does not verify it, the address replaces a name that no
/// certificate can have.
fn server_name(settings: &ConnectionSettings, host: &Host, address: IpAddr) -> Result<String, AttemptFailure> {
    let full = settings.tls.mode == SslMode::VerifyFull;
    let fail = |reason: String| AttemptFailure { reason, kind: FailureKind::Client };
    match &host.place {
        Location::Name { name, .. } if ServerName::try_from(name.as_str()).is_ok() => Ok(name.clone()),
        Location::Name { name, .. } if full => Err(fail(format!("no certificate can be made out to \"{name}\""))),
        Location::Address(_) if full => {
            Err(fail("sslmode=verify-full needs a host name: give host beside hostaddr".to_owned()))
        }
        _ => Ok(address.to_string()),
    }
}

fn explain(error: &tokio_postgres::Error, handshake: Option<&Result<(), String>>) -> AttemptFailure {
    if let Some(Err(reason)) = handshake {
        return AttemptFailure { reason: format!("TLS failed: {reason}"), kind: FailureKind::Handshake };
    }
    if let Some(refusal) = error.as_db_error() {
        let kind = if refusal.code().code() == "57P03" { FailureKind::Unsuitable } else { FailureKind::Refused };
        return AttemptFailure { reason: format!("{refusal} ({})", refusal.code().code()), kind };
    }
    let cause = std::error::Error::source(error);
    let reason = cause.map_or_else(|| error.to_string(), ToString::to_string);
    match reason.as_str() {
        "password missing" => {
            let reason = "the server asks for a password, and there is none in the connection string, PGPASSWORD or \
                the password file";
            AttemptFailure { reason: reason.to_owned(), kind: FailureKind::Client }
        }
        _ if error.is_closed() || cause.is_some_and(|cause| cause.is::<io::Error>()) => {
            AttemptFailure { reason, kind: FailureKind::Unreachable }
        }
        _ => AttemptFailure { reason, kind: FailureKind::Client },
    }
}
