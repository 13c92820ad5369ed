//! The access to the dashboard: hosts, sessions, forms. Every request passes [`gate::check`].

pub(crate) mod gate;
pub(crate) mod headers;
mod host;
pub(crate) mod keys;
mod proxy;

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

use self::host::HostRule;
use self::keys::Keys;
use crate::options::WebOptions;

/// The rules of access, fixed at the start.
pub(crate) struct Access {
    pub(crate) keys: Keys,
    hosts: HostRule,
    trusted_proxies: Vec<IpAddr>,
    user_header: String,
    cookie: String,
    cookie_path: String,
}

/// The sender of a request.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    /// The cookie of the session, which the forms are bound to.
    pub(crate) session: String,
    /// The name that a trusted proxy gave.
    pub(crate) user: Option<String>,
    /// The value that the forms carry.
    pub(crate) form_key: String,
    /// Whether there is a session to leave.
    pub(crate) can_leave: bool,
}

impl Access {
    pub(crate) fn new(options: &WebOptions, port: u16) -> Self {
        Self {
            keys: Keys::new(options.token.as_deref()),
            hosts: HostRule::new(options.token.is_none(), &options.hosts),
            trusted_proxies: options.trusted_proxies.clone(),
            user_header: options.user_header.clone(),
            // Cookies do not know ports, so two dashboards of a host need two names.
            cookie: format!("pgasync_{port}"),
            cookie_path: format!("{}/", options.base_path.as_str()),
        }
    }

    /// The session of a request, if it has a valid one.
    fn session(&self, headers: &HeaderMap) -> Option<String> {
        let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(name, _)| *name == self.cookie)
            .map(|(_, value)| value.to_owned())
            .find(|value| self.keys.is_session(value))
    }

    /// The header that gives a browser a session.
    pub(crate) fn set_cookie(&self, session: &str, is_secure: bool) -> String {
        let secure = if is_secure { "; Secure" } else { "" };
        let max_age = keys::SESSION_SECONDS;
        format!(
            "{}={session}; Path={}; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}",
            self.cookie, self.cookie_path
        )
    }

    /// The header that takes it back.
    pub(crate) fn clear_cookie(&self) -> String {
        format!("{}=; Path={}; Max-Age=0; HttpOnly; SameSite=Strict", self.cookie, self.cookie_path)
    }
}
