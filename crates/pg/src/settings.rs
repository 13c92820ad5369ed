//! How to reach a server: a connection string, completed from the environment as libpq does.

mod account;
mod adjust;
mod conninfo;
mod error;
mod hosts;
mod keyword;
mod options;
mod reached;
mod secret;
mod service;
mod tls;
mod uri;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use self::error::{InvalidConninfo, SettingsError};
pub(crate) use self::hosts::{Host, Location};
use self::keyword::VariableScope;
use self::options::Options;
pub use self::reached::{Reached, conninfo_at};
pub(crate) use self::secret::Password;
pub(crate) use self::tls::{NamedFile, Roots, TlsSettings};
pub(crate) use self::values::{SessionAttrs, SslMode, Tcp};
use crate::filter::RowLimit;

/// How to reach a server.
///
/// Invariant: every option is honoured. An option that cannot be honoured is an error.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// The hosts to try, at least one.
    pub(crate) hosts: Vec<Host>,
    pub(crate) user: String,
    pub(crate) password: Option<Password>,
    pub(crate) passfile: Option<PathBuf>,
    /// The folder of the files that references to passwords name.
    pub(crate) secrets_dir: Option<Arc<Path>>,
    database: Option<String>,
    pub(crate) options: Option<String>,
    application_name: Option<String>,
    pub(crate) tls: TlsSettings,
    pub(crate) channel_binding: ChannelBinding,
    pub(crate) requirepeer: Option<String>,
    /// The limit for each address. Zero means no limit.
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) tcp: Tcp,
    /// Whether the connection string or its service names each of these settings of `tcp`: idle,
    /// interval, count, user timeout.
    tcp_given: [bool; 4],
    pub(crate) attrs: SessionAttrs,
    pub(crate) shuffle: bool,
    /// The rows that sessions pass on from their begin on.
    pub(crate) rows: RowLimit,
}

/// `channel_binding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

/// The default `application_name`.
const APPLICATION_NAME: &str = "pgasync";

/// Variables of libpq that become settings of the session.
const SETTING_VARIABLES: [(&str, &str); 3] = [("PGDATESTYLE", "datestyle"), ("PGTZ", "timezone"), ("PGGEQO", "geqo")];

impl ConnectionSettings {
    /// Reads `conninfo` and completes it from the PG* variables of the process. Like `psql`, takes
    /// pairs, a URI, or the name of a database.
    ///
    /// # Errors
    /// When the connection string cannot be read, or has an option that cannot be honoured.
    pub fn from_env(conninfo: Option<&str>) -> Result<Self, SettingsError> {
        let text = conninfo.unwrap_or_default();
        if text.is_empty() || conninfo::is_conninfo(text) {
            return Self::resolve(text, process_variable);
        }
        Self::resolve(&format!("dbname={}", conninfo::quote(text)), process_variable)
    }

    /// Reads `conninfo` as [`ConnectionSettings::from_env`] does, with the environment as an
    /// argument.
    ///
    /// # Errors
    /// As [`ConnectionSettings::from_env`].
    pub fn resolve(conninfo: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut settings = Self::read(&Options::collect(conninfo, VariableScope::Server, &variable)?)?;
        for (name, setting) in SETTING_VARIABLES {
            if let Some(value) = variable(name).filter(|value| !value.eq_ignore_ascii_case("default")) {
                let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
                settings.options = Some(join(settings.options.as_deref(), &format!("-c {setting}={value}")));
            }
        }
        Ok(settings)
    }

    /// Reads the connection string of a target. From the environment come only the options that
    /// hold for the whole process (how connections are secured, which files are used), never an
    /// address, a user or a password.
    ///
    /// # Errors
    /// As [`ConnectionSettings::from_env`].
    pub fn of_target(conninfo: &str) -> Result<Self, SettingsError> {
        Self::resolve_target(conninfo, process_variable)
    }

    /// As [`ConnectionSettings::of_target`], with the environment as an argument.
    ///
    /// # Errors
    /// As [`ConnectionSettings::from_env`].
    pub fn resolve_target(conninfo: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        Self::read_target(&Options::collect(conninfo, VariableScope::Process, &variable)?)
    }

    /// In the connection string of a target, the password may be a reference.
    fn read_target(options: &Options) -> Result<Self, SettingsError> {
        let password = options.get("password").map(Password::of_target).transpose();
        let password = password.map_err(|expected| options.invalid("password", expected))?;
        Ok(Self { password, ..Self::read(options)? })
    }

    fn read(options: &Options) -> Result<Self, SettingsError> {
        let hosts = hosts::combine(options.get("host"), options.get("hostaddr"), options.get("port"))
            .map_err(|(name, expected)| options.invalid(name, expected))?;
        let user = options.get("user").map(ToOwned::to_owned).or_else(account::name).ok_or_else(|| {
            options.invalid("user", "the account that this runs under has no name: give one".to_owned())
        })?;
        let text = |name| options.get(name).map(ToOwned::to_owned);
        let seconds =
            |name| options.read(name, |text| values::length(text, Duration::from_secs(1)), "give a number of seconds");
        let positive = |length: Option<Duration>| length.filter(|length| !length.is_zero());
        let millis = |text: &str| values::length(text, Duration::from_millis(1));
        let keepalives = options.read("keepalives", values::integer, "use 0 or 1")?;
        let count = |text: &str| u32::try_from(values::integer(text)?.max(0)).ok();
        let tcp = Tcp {
            no_keepalives: keepalives == Some(0),
            idle: positive(seconds("keepalives_idle")?),
            interval: positive(seconds("keepalives_interval")?),
            count: options.read("keepalives_count", count, "give a number")?.filter(|&count| count > 0),
            user_timeout: positive(options.read("tcp_user_timeout", millis, "give a number of milliseconds")?),
        };
        let attrs = "use any, read-write, read-only, primary, standby or prefer-standby";
        Ok(Self {
            hosts,
            user,
            password: text("password").map(Password::Text),
            passfile: text("passfile").map(PathBuf::from).or_else(|| options.home.as_ref().map(|h| h.join(".pgpass"))),
            secrets_dir: None,
            database: text("dbname"),
            options: text("options"),
            application_name: text("application_name").or_else(|| text("fallback_application_name")),
            tls: TlsSettings::read(options)?,
            channel_binding: options
                .read("channel_binding", ChannelBinding::read, "use disable, prefer or require")?
                .unwrap_or(ChannelBinding::Prefer),
            requirepeer: text("requirepeer"),
            connect_timeout: seconds("connect_timeout")?,
            tcp,
            tcp_given: ["keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"]
                .map(|name| options.given(name).is_some()),
            attrs: options.read("target_session_attrs", SessionAttrs::read, attrs)?.unwrap_or(SessionAttrs::Any),
            shuffle: options.read("load_balance_hosts", read_balance, "use disable or random")?.unwrap_or(false),
            rows: RowLimit::All,
        })
    }

    /// The server in a message, without the password: `database on host:port as user`.
    #[must_use]
    pub fn describe(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        format!("{} on {} as {}", self.database(), hosts.join(","), self.user)
    }

    /// The connection string of these settings, password included, for programs and for dblink.
    #[must_use]
    pub fn conninfo(&self) -> String {
        let list = |entries: Vec<String>| Some(entries.join(",")).filter(|text| text.chars().any(|c| c != ','));
        let (names, addresses) = self.hosts.iter().map(|host| host.place.entries()).unzip();
        let seconds = |time: Duration| time.as_secs().to_string();
        let tcp = [
            ("keepalives", self.tcp.no_keepalives.then(|| "0".to_owned())),
            ("keepalives_idle", self.tcp.idle.map(seconds)),
            ("keepalives_interval", self.tcp.interval.map(seconds)),
            ("keepalives_count", self.tcp.count.map(|count| count.to_string())),
            ("tcp_user_timeout", self.tcp.user_timeout.map(|time| time.as_millis().to_string())),
        ];
        [
            ("host", list(names)),
            ("hostaddr", list(addresses)),
            ("port", list(self.hosts.iter().map(|host| host.port.to_string()).collect())),
            ("user", Some(self.user.clone())),
            ("password", self.password.as_ref().map(Password::written)),
            ("dbname", Some(self.database().to_owned())),
            ("options", self.options.clone()),
            ("requirepeer", self.requirepeer.clone()),
            ("connect_timeout", self.connect_timeout.map(seconds)),
            ("target_session_attrs", Some(self.attrs.name().to_owned()).filter(|_| self.attrs != SessionAttrs::Any)),
            ("load_balance_hosts", self.shuffle.then(|| "random".to_owned())),
            ("channel_binding", self.channel_binding.name().map(ToOwned::to_owned)),
        ]
        .into_iter()
        .chain(tcp)
        .filter_map(|(name, value)| value.map(|value| (name, value)))
        .chain(self.tls.pairs())
        .map(|(name, value)| format!("{name}={}", conninfo::quote(&value)))
        .collect::<Vec<_>>()
        .join(" ")
    }

    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        self.database.as_deref().unwrap_or(&self.user)
    }

    pub(crate) fn application_name(&self) -> &str {
        self.application_name.as_deref().unwrap_or(APPLICATION_NAME)
    }
}

impl ChannelBinding {
    fn read(text: &str) -> Option<Self> {
        match text {
            "disable" => Some(Self::Disable),
            "prefer" => Some(Self::Prefer),
            "require" => Some(Self::Require),
            _ => None,
        }
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Self::Disable => Some("disable"),
            Self::Prefer => None,
            Self::Require => Some("require"),
        }
    }
}

/// Treats an empty variable as one that is not set.
fn process_variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn read_balance(text: &str) -> Option<bool> {
    match text {
        "disable" => Some(false),
        "random" => Some(true),
        _ => None,
    }
}

fn join(first: Option<&str>, second: &str) -> String {
    [first.unwrap_or_default(), second].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
