//! The one server that a session is connected to. A connection string may name several, and a
//! second connection, which ends the first, has to reach the same server.

use std::net::IpAddr;

use super::{ConnectionSettings, Host, Location, SessionAttrs, SettingsError, conninfo};

/// The server that a session is connected to, among those that the connection string may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    host: Host,
    /// Whether the connection string may lead to another server.
    of_many: bool,
}

impl Reached {
    pub(crate) fn new(host: &Host, ip: Option<IpAddr>, of_many: bool) -> Self {
        let mut host = host.clone();
        if let (Location::Name { address, .. }, Some(ip)) = (&mut host.place, ip) {
            *address = Some(ip);
        }
        Self { host, of_many }
    }
}

impl ConnectionSettings {
    /// The same settings for the server that was reached alone, without `target_session_attrs`.
    #[must_use]
    pub fn at(&self, reached: &Reached) -> Self {
        if !reached.of_many {
            return self.clone();
        }
        Self { hosts: vec![reached.host.clone()], attrs: SessionAttrs::Any, ..self.clone() }
    }

    /// Whether there are several hosts, one of which may replace another.
    #[must_use]
    pub const fn names_several_hosts(&self) -> bool {
        self.hosts.len() > 1
    }

    /// Reads the connection string of a target; `role` is the default user.
    ///
    /// # Errors
    /// As [`ConnectionSettings::from_env`].
    pub fn target_as(&self, conninfo: &str, role: &str) -> Result<Self, SettingsError> {
        let names_user = conninfo::parse(conninfo)?.iter().any(|(name, _)| name == "user");
        let settings = self.target(conninfo)?;
        Ok(if names_user { settings } else { Self { user: role.to_owned(), ..settings } })
    }
}

/// The connection string reduced to the server that was reached.
#[must_use]
pub fn conninfo_at(conninfo: &str, settings: &ConnectionSettings, reached: &Reached) -> String {
    if !reached.of_many {
        return conninfo.to_owned();
    }
    if super::uri::strip_scheme(conninfo).is_some() {
        return settings.at(reached).conninfo();
    }
    // The last pair with a name takes effect.
    let (name, address) = reached.host.place.entries();
    let pairs = [
        ("host", name),
        ("hostaddr", address),
        ("port", reached.host.port.to_string()),
        ("target_session_attrs", "any".to_owned()),
    ];
    let pairs = pairs.map(|(name, value)| format!(" {name}={}", conninfo::quote(&value)));
    format!("{conninfo}{}", pairs.concat())
}

#[cfg(test)]
mod tests {
    use super::{ConnectionSettings, Reached, conninfo_at};

    #[test]
    fn the_connection_string_of_several_hosts_is_reduced_to_the_one_reached() {
        for string in [
            "host=a,b port=1,2 dbname=d user=u target_session_attrs=read-write",
            "postgresql://u@a:1,b:2/d?target_session_attrs=read-write",
        ] {
            let settings = ConnectionSettings::resolve_target(string, |_| None).expect("it is fine");
            assert!(settings.names_several_hosts());
            let reached = Reached::new(&settings.hosts[1], "10.0.0.2".parse().ok(), true);
            let again = ConnectionSettings::resolve_target(&conninfo_at(string, &settings, &reached), |_| None);
            let again = again.expect("it is fine");
            assert_eq!(again.hosts, settings.at(&reached).hosts);
            assert_eq!((again.describe(), again.names_several_hosts()), ("d on b:2 as u".to_owned(), false));
            let alone = Reached::new(&settings.hosts[1], None, false);
            assert_eq!(conninfo_at(string, &settings, &alone), string);
        }
    }

    #[test]
    fn the_role_is_the_default_user() {
        let server = ConnectionSettings::resolve("host=s user=owner", |_| None).expect("it is fine");
        let user = |string| server.target_as(string, "batch").map(|settings| settings.user).ok();
        assert_eq!(user("host=a dbname=d").as_deref(), Some("batch"));
        assert_eq!(user("host=a dbname=d user=other").as_deref(), Some("other"));
        assert_eq!(user("postgresql://other@a/d").as_deref(), Some("other"));
    }
}
