//! The lists of `host`, `hostaddr` and `port`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

const DEFAULT_PORT: u16 = 5432;

/// One host to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) place: Location,
    pub(crate) port: u16,
}

/// The name or address of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// A name, or an address in its place. `address` replaces the name lookup.
    Name { name: String, address: Option<IpAddr> },
    /// An address without a name that a certificate could have.
    Address(IpAddr),
    /// The directory of a Unix socket; `@` at the beginning means the abstract namespace.
    Socket(PathBuf),
}

/// Combines the lists. The number of hosts is the number of addresses or, without addresses, of
/// names. One port applies to all hosts, or each host has its own.
pub(super) fn combine(
    host: Option<&str>,
    hostaddr: Option<&str>,
    port: Option<&str>,
) -> Result<Vec<Host>, (&'static str, String)> {
    let list = |text: Option<&str>| -> Vec<String> {
        text.filter(|text| !text.is_empty())
            .into_iter()
            .flat_map(|text| text.split(','))
            .map(ToOwned::to_owned)
            .collect()
    };
    let (names, addresses, ports) = (list(host), list(hostaddr), list(port));
    let count = [addresses.len(), names.len()].into_iter().find(|&count| count > 0).unwrap_or(1);
    if !names.is_empty() && names.len() != count {
        return Err(("hostaddr", format!("it has {count} entries, and host has {}", names.len())));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(("port", format!("it has {} entries for {count} hosts", ports.len())));
    }
    (0..count)
        .map(|at| {
            let name = names.get(at).map(String::as_str).unwrap_or_default();
            let address = addresses.get(at).map(String::as_str).unwrap_or_default();
            let port = ports.get(at).or(ports.first()).map(String::as_str).unwrap_or_default();
            Ok(Host { place: Location::new(name, address)?, port: read_port(port)? })
        })
        .collect()
}

impl Location {
    fn new(name: &str, address: &str) -> Result<Self, (&'static str, String)> {
        let address = match address {
            "" => None,
            _ => Some(address.parse().map_err(|_| ("hostaddr", "each entry is an IP address, or empty".to_owned()))?),
        };
        Ok(match (name, address) {
            ("", Some(address)) => Self::Address(address),
            ("", None) => Self::Socket(default_socket_folder().to_owned()),
            (name, None) if name.starts_with(['/', '@']) => Self::Socket(name.into()),
            (name, address) => Self::Name { name: name.to_owned(), address },
        })
    }

    /// The entries of the lists `host` and `hostaddr`.
    pub(super) fn entries(&self) -> (String, String) {
        match self {
            Self::Name { name, address } => {
                (name.clone(), address.map(|address| address.to_string()).unwrap_or_default())
            }
            Self::Address(address) => (String::new(), address.to_string()),
            Self::Socket(folder) => (folder.display().to_string(), String::new()),
        }
    }

    /// The host as a password file has it.
    pub(crate) fn in_passfile(&self) -> String {
        match self {
            Self::Name { name, .. } => name.clone(),
            Self::Address(address) => address.to_string(),
            Self::Socket(folder) if folder == default_socket_folder() => "localhost".to_owned(),
            Self::Socket(folder) => folder.display().to_string(),
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Location::Name { name, .. } => write!(f, "{name}:{}", self.port),
            Location::Address(address) => write!(f, "{address}:{}", self.port),
            Location::Socket(folder) => write!(f, "{}:{}", folder.display(), self.port),
        }
    }
}

fn read_port(text: &str) -> Result<u16, (&'static str, String)> {
    if text.is_empty() {
        return Ok(DEFAULT_PORT);
    }
    let port = super::values::integer(text).and_then(|port| u16::try_from(port).ok()).filter(|&port| port > 0);
    port.ok_or_else(|| ("port", "each entry is a number from 1 to 65535, or empty".to_owned()))
}

/// The default directory of Unix sockets: `/var/run/postgresql` in the libpq of Debian, `/tmp` in
/// the libpq of the Postgres project.
fn default_socket_folder() -> &'static Path {
    let debian = Path::new("/var/run/postgresql");
    if debian.is_dir() { debian } else { Path::new("/tmp") }
}

#[cfg(test)]
mod tests {
    use super::{Location, combine};

    fn shown(host: &str, hostaddr: &str, port: &str) -> Result<String, &'static str> {
        let hosts = combine(Some(host), Some(hostaddr), Some(port)).map_err(|(key, _)| key)?;
        Ok(hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn lists_are_combined_as_libpq_combines_them() {
        for (host, hostaddr, port, expected) in [
            ("a", "", "", "a:5432"),
            ("a,b", "", "1,2", "a:1 b:2"),
            ("a,b", "", "7", "a:7 b:7"),
            ("a,b", "", ",7", "a:5432 b:7"),
            ("", "1.2.3.4,::1", "", "1.2.3.4:5432 ::1:5432"),
            ("a,b", ",1.2.3.4", "", "a:5432 b:5432"),
            ("/x,@y,z", "", " 7 ", "/x:7 @y:7 z:7"),
        ] {
            assert_eq!(shown(host, hostaddr, port).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn lists_that_do_not_fit_are_refused_by_name() {
        for (host, hostaddr, port, key) in [
            ("a,b", "1.2.3.4", "", "hostaddr"),
            ("a", "elsewhere", "", "hostaddr"),
            ("a,b,c", "", "1,2", "port"),
            ("a", "", "0", "port"),
            ("a", "", "65536", "port"),
            ("a", "", "1x", "port"),
        ] {
            assert_eq!(shown(host, hostaddr, port), Err(key));
        }
    }

    #[test]
    fn the_default_is_the_local_socket() {
        let hosts = combine(None, None, None).expect("it is fine");
        assert!(matches!(&hosts[..], [host] if matches!(host.place, Location::Socket(_)) && host.port == 5432));
    }
}
