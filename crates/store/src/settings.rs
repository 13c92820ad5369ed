//! Where a server is: a connection string, completed from the environment as libpq does it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::conninfo::{self, Taken};
use crate::tls::TlsMode;

/// How to reach a server.
///
/// Invariant: what it was built from is honoured in full; an option that could not be is an error, never ignored.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) config: Config,
    pub(crate) tls: TlsMode,
}

/// Why a connection string, or the environment around it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The connection string does not parse.
    #[error(
        "the connection string cannot be read ({0}): write it as \"host=... dbname=...\" or postgres://user@host/db"
    )]
    Malformed(String),
    /// A PG* variable has a value that does not parse.
    #[error("{name}={value} cannot be read: {expected}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// An option that would be ignored, and so is refused.
    #[error("{option} is not supported: {instead}")]
    Unsupported {
        /// The option and its value.
        option: String,
        /// What to do.
        instead: &'static str,
    },
    /// The certificates that `sslmode=verify-full` asks for are not there, or are not certificates.
    #[error("the root certificates in {path} cannot be used ({problem}): set sslrootcert to a PEM file of them")]
    RootCertificates {
        /// The file looked at.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

const TLS_OPTIONS: [&str; 3] = ["sslmode", "sslrootcert", "sslcert"];

/// What libpq knows under these names and the driver does not.
const LIBPQ_OPTIONS: [&str; 2] = ["keepalives_count", "fallback_application_name"];

impl Settings {
    /// Reads `conninfo` (libpq's pairs or a URI) and completes it from the PG* variables of the process.
    ///
    /// # Errors
    /// When it cannot be read, or asks for what could not be honoured.
    pub fn from_env(conninfo: Option<&str>) -> Result<Self, SettingsError> {
        Self::resolve(conninfo.unwrap_or_default(), |name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// As [`Settings::from_env`], with the environment as an argument.
    ///
    /// # Errors
    /// As there.
    pub fn resolve(conninfo: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        if let Some(service) = variable("PGSERVICE") {
            return Err(SettingsError::Unsupported {
                option: format!("PGSERVICE={service}"),
                instead: "unset it, and name host and database",
            });
        }
        let Taken { options, rest } = conninfo::take(conninfo, &TLS_OPTIONS);
        let Taken { options: others, rest } = conninfo::take(&rest, &LIBPQ_OPTIONS);
        let mut config: Config = rest.parse().map_err(|error| SettingsError::Malformed(describe(&error)))?;
        if let Some(count) = others.get("keepalives_count") {
            let count = count.trim().parse().map_err(|_| SettingsError::Unsupported {
                option: format!("keepalives_count={count}"),
                instead: "give a number",
            })?;
            config.keepalives_retries(count);
        }
        if let (None, Some(name)) = (config.get_application_name(), others.get("fallback_application_name")) {
            config.application_name(name);
        }
        complete(&mut config, &variable)?;
        let tls = TlsMode::from_options(&with_variables(options, &variable), variable("HOME").as_deref())?;
        config.ssl_mode(tls.driver_mode());
        Ok(Self { config, tls })
    }

    /// The same server and user, another database.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        let mut other = self.clone();
        other.config.dbname(name);
        other
    }

    /// The name shown in `pg_stat_activity`.
    #[must_use]
    pub fn with_application_name(&self, name: &str) -> Self {
        let mut other = self.clone();
        other.config.application_name(name);
        other
    }

    /// For a session that lives long: the other side's death is noticed.
    #[must_use]
    pub fn for_long(&self) -> Self {
        let mut other = self.clone();
        other.config.keepalives(true);
        other.config.keepalives_idle(Duration::from_secs(10));
        other.config.keepalives_interval(Duration::from_secs(5));
        other.config.keepalives_retries(3);
        other.config.tcp_user_timeout(Duration::from_secs(30));
        other
    }

    /// Gives up connecting to a host after this time, unless the connection string says otherwise.
    #[must_use]
    pub fn with_connect_timeout(&self, time: Duration) -> Self {
        let mut other = self.clone();
        if other.config.get_connect_timeout().is_none() {
            other.config.connect_timeout(time);
        }
        other
    }

    /// How long connecting may take, all hosts together.
    pub(crate) fn connect_time(&self) -> Option<Duration> {
        let hosts = self.config.get_hosts().len().max(self.config.get_hostaddrs().len()).max(1);
        let time = self.config.get_connect_timeout().filter(|time| !time.is_zero())?;
        Some(*time * u32::try_from(hosts).unwrap_or(u32::MAX))
    }

    /// Sends one more option at the start of a session, `-c name=value`.
    #[must_use]
    pub fn with_option(&self, option: &str) -> Self {
        let mut other = self.clone();
        let options = other.config.get_options().map_or_else(|| option.to_owned(), |old| format!("{old} {option}"));
        other.config.options(options);
        other
    }

    /// As somebody else, where the other settings name a user.
    #[must_use]
    pub fn as_user_of(&self, other: &Self) -> Self {
        let mut ours = self.clone();
        if let Some(user) = other.config.get_user() {
            ours.config.user(user);
        }
        if let Some(password) = other.config.get_password() {
            ours.config.password(password);
        }
        ours
    }

    /// The server in words, without a password: `database on host:port as user`.
    #[must_use]
    pub fn describe(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => self.config.get_hostaddrs().first().map_or_else(|| "nowhere".into(), ToString::to_string),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let user = self.config.get_user().unwrap_or("nobody");
        format!("{} on {host}:{port} as {user}", self.database())
    }

    /// The same as a connection string, for programs and for dblink, password included.
    #[must_use]
    pub fn conninfo(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let list = |parts: Vec<String>| (!parts.is_empty()).then(|| parts.join(","));
        [
            ("host", list(hosts.collect())),
            ("hostaddr", list(self.config.get_hostaddrs().iter().map(ToString::to_string).collect())),
            ("port", list(self.config.get_ports().iter().map(ToString::to_string).collect())),
            ("user", self.config.get_user().map(ToOwned::to_owned)),
            ("password", self.config.get_password().map(|text| String::from_utf8_lossy(text).into_owned())),
            ("dbname", Some(self.database().to_owned())),
            ("sslmode", Some(self.tls.name().to_owned())),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name}={}", conninfo::quote(&value))))
        .collect::<Vec<_>>()
        .join(" ")
    }

    /// The database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        self.config.get_dbname().or(self.config.get_user()).unwrap_or("postgres")
    }
}

/// Fills what the connection string left out.
fn complete(config: &mut Config, variable: &impl Fn(&str) -> Option<String>) -> Result<(), SettingsError> {
    complete_address(config, variable)?;
    if config.get_user().is_none()
        && let Some(user) = ["PGUSER", "USER", "LOGNAME"].into_iter().find_map(variable)
    {
        config.user(user);
    }
    if let (None, Some(name)) = (config.get_dbname(), variable("PGDATABASE")) {
        config.dbname(name);
    }
    if let (None, Some(password)) = (config.get_password(), variable("PGPASSWORD")) {
        config.password(password);
    }
    if let (None, Some(options)) = (config.get_options(), variable("PGOPTIONS")) {
        config.options(options);
    }
    if config.get_application_name().is_none() {
        config.application_name(variable("PGAPPNAME").as_deref().unwrap_or("pgasync"));
    }
    if let (None, Some(text)) = (config.get_connect_timeout(), variable("PGCONNECT_TIMEOUT")) {
        let seconds: u64 = parse("PGCONNECT_TIMEOUT", text, "a number of seconds")?;
        config.connect_timeout(Duration::from_secs(seconds));
    }
    Ok(())
}

fn complete_address(config: &mut Config, variable: &impl Fn(&str) -> Option<String>) -> Result<(), SettingsError> {
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        if let Some(address) = variable("PGHOSTADDR") {
            config.hostaddr(parse("PGHOSTADDR", address, "an IP address")?);
        }
        match variable("PGHOST") {
            Some(hosts) => {
                for host in hosts.split(',') {
                    config.host(host);
                }
            }
            None if config.get_hostaddrs().is_empty() => {
                config.host(default_socket_folder());
            }
            None => {}
        }
    }
    if let (true, Some(ports)) = (config.get_ports().is_empty(), variable("PGPORT")) {
        for port in ports.split(',') {
            config.port(parse("PGPORT", port.to_owned(), "a port number, or a list of them")?);
        }
    }
    Ok(())
}

/// Debian's libpq looks in the first, the project's own in the second.
fn default_socket_folder() -> &'static str {
    let debian = "/var/run/postgresql";
    if Path::new(debian).is_dir() { debian } else { "/tmp" }
}

fn with_variables(
    mut options: BTreeMap<String, String>,
    variable: &impl Fn(&str) -> Option<String>,
) -> BTreeMap<String, String> {
    for name in TLS_OPTIONS {
        if let (false, Some(value)) = (options.contains_key(name), variable(&format!("PG{}", name.to_uppercase()))) {
            options.insert(name.to_owned(), value);
        }
    }
    options
}

fn parse<T: std::str::FromStr>(name: &'static str, value: String, expected: &'static str) -> Result<T, SettingsError> {
    value.trim().parse().map_err(|_| SettingsError::Variable { name, value, expected })
}

fn describe(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::{Settings, SettingsError};

    fn resolve(conninfo: &str, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::resolve(conninfo, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_connection_string_wins_over_the_environment() {
        let variables = [("PGHOST", "elsewhere"), ("PGPORT", "6000"), ("PGUSER", "u"), ("PGDATABASE", "d")];
        let given = resolve("host=here dbname=mine", &variables).expect("it parses");
        assert_eq!(given.describe(), "mine on here:6000 as u");
        let uri = resolve("postgres://me@here:7000/other", &variables).expect("it parses");
        assert_eq!(uri.describe(), "other on here:7000 as me");
        let bare = resolve("", &variables).expect("it parses");
        assert_eq!(bare.describe(), "d on elsewhere:6000 as u");
    }

    #[test]
    fn what_the_sql_engine_writes_down_is_read() {
        let written = "host=h dbname=d application_name=pgasync/1/2/3 connect_timeout=3 keepalives=1 keepalives_idle=30 \
            keepalives_interval=10 keepalives_count=3 options='-c client_connection_check_interval=5s'";
        assert_eq!(resolve(written, &[("USER", "u")]).expect("it parses").describe(), "d on h:5432 as u");
    }

    #[test]
    fn the_connection_string_survives_a_round_trip() {
        let given = resolve(r"host=/tmp port=6000 user=u password='a \'b\' \\' dbname='my db' sslmode=disable", &[]);
        let text = given.expect("it parses").conninfo();
        assert_eq!(text, r"host=/tmp port=6000 user=u password='a \'b\' \\' dbname='my db' sslmode=disable");
        assert_eq!(resolve(&text, &[]).expect("it parses").conninfo(), text);
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        for (conninfo, variables, named) in [
            ("sslmode=verify-ca", &[][..], "sslmode=verify-ca"),
            ("postgres://h/d?sslmode=allow", &[], "sslmode=allow"),
            ("host=h", &[("PGSSLMODE", "sometimes")], "sslmode=sometimes"),
            ("host=h", &[("PGSERVICE", "main")], "PGSERVICE=main"),
            ("host=h sslcert=/a/b", &[], "sslcert=/a/b"),
            ("host=h", &[("PGPORT", "five")], "PGPORT=five"),
            ("host=h sslmode=verify-full sslrootcert=/no/such", &[], "/no/such"),
            ("hots=h", &[], "hots"),
        ] {
            let refused = resolve(conninfo, variables).expect_err(conninfo).to_string();
            assert!(refused.contains(named), "{refused}");
        }
    }
}
