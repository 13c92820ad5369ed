//! The options of the dashboard.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use pgasync_pg::ConnectionSettings;

/// The options of [`Dashboard::open`](crate::Dashboard::open).
#[derive(Clone)]
pub struct WebOptions {
    /// The server, as the role of the dashboard.
    pub server: ConnectionSettings,
    /// The address to listen at.
    pub listen: SocketAddr,
    /// The token of the login. Without one, every visitor is logged in.
    pub token: Option<String>,
    /// Names that requests may give in `Host`, besides those of the loopback device.
    pub hosts: Vec<String>,
    /// Addresses whose `user_header` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// The header with the name of the user, from a trusted proxy.
    pub user_header: String,
    /// The path below which browsers see the dashboard.
    pub base_path: BasePath,
}

impl WebOptions {
    /// The dashboard of a server, without a token.
    #[must_use]
    pub fn new(server: ConnectionSettings, listen: SocketAddr) -> Self {
        Self {
            server,
            listen,
            token: None,
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            user_header: "x-forwarded-user".to_owned(),
            base_path: BasePath::default(),
        }
    }
}

/// Neither the token nor a password is shown.
impl fmt::Debug for WebOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebOptions").field("listen", &self.listen).field("has_token", &self.token.is_some()).finish()
    }
}

/// A path such as `/pgasync`, without a slash at its end; empty for the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BasePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = text.trim_end_matches('/');
        let is_segment = |segment: &str| {
            !segment.is_empty()
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
                && segment.bytes().any(|byte| byte != b'.')
        };
        if path.is_empty() || (path.starts_with('/') && path[1..].split('/').all(is_segment)) {
            return Ok(Self(path.to_owned()));
        }
        Err(format!("\"{text}\" is no base path: write it as /pgasync, of letters, digits, -, _, . and ~"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_is_a_plain_path() {
        for (text, path) in [("", ""), ("/", ""), ("/a", "/a"), ("/a/b/", "/a/b")] {
            assert_eq!(text.parse::<BasePath>().map(|base| base.0), Ok(path.to_owned()), "{text}");
        }
        for text in ["a", "//a", "/a//b", "/..", "/a/../b", "/a b", "/a?b", "/\"", "/a\n"] {
            assert!(text.parse::<BasePath>().is_err(), "{text}");
        }
    }
}
