//! Which `Host` and `Origin` a request may have. A page of another site can make a browser send
//! requests to 127.0.0.1 under the name of that site; such a request gets nothing.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

pub(super) struct HostRule {
    /// Whether only these names and those of the loopback device are accepted.
    is_strict: bool,
    names: Vec<String>,
}

impl HostRule {
    pub(super) fn new(has_no_token: bool, names: &[String]) -> Self {
        let names: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { is_strict: has_no_token || !names.is_empty(), names }
    }

    /// Whether the request names one host, and one that is accepted.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(host) = only(headers, header::HOST) else { return false };
        let Some(name) = name(host) else { return false };
        !self.is_strict || is_loopback(&name) || self.names.contains(&name)
    }

    /// Whether a form was sent by a page of this dashboard. Every browser sends `Origin` with a POST.
    pub(super) fn is_same_origin(&self, headers: &HeaderMap) -> bool {
        let (Some(host), Some(origin)) = (only(headers, header::HOST), only(headers, header::ORIGIN)) else {
            return false;
        };
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        let (host, authority) = (host.to_ascii_lowercase(), authority.to_ascii_lowercase());
        let default_port = if scheme == "https" { ":443" } else { ":80" };
        let plain = |authority: &str| authority.strip_suffix(default_port).unwrap_or(authority).to_owned();
        ["http", "https"].contains(&scheme)
            && (plain(&host) == plain(&authority) || name(&authority).is_some_and(|name| self.names.contains(&name)))
    }
}

/// The value of a header that occurs once.
fn only(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_none() { Some(value) } else { None }
}

/// The name in `name`, `name:port`, `[address]` or `[address]:port`, in lower case.
fn name(authority: &str) -> Option<String> {
    let (name, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (address, port.strip_prefix(':').or(port.is_empty().then_some("")))
        }
        None => match authority.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (authority, Some("")),
        },
    };
    let is_port = port.is_some_and(|port| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()));
    (is_port && !name.is_empty()).then(|| name.to_ascii_lowercase())
}

fn is_loopback(name: &str) -> bool {
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("a header value"))).collect()
    }

    #[test]
    fn without_a_token_only_names_of_this_machine_are_admitted() {
        let rule = HostRule::new(true, &["jobs.example".to_owned()]);
        for host in
            ["localhost", "LOCALHOST:1", "127.0.0.1:8432", "127.1.2.3", "[::1]:8432", "[::1]", "Jobs.Example:80"]
        {
            assert!(rule.admits(&headers(&[(header::HOST, host)])), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            ":8432",
            "[::1",
            "[::1]x",
            "10.0.0.1",
            "localhost:x",
            "localhost@evil.example",
            "evil.example:80:80",
        ] {
            assert!(!rule.admits(&headers(&[(header::HOST, host)])), "{host}");
        }
        let mut twice = headers(&[(header::HOST, "localhost")]);
        twice.append(header::HOST, "localhost".parse().expect("a header value"));
        assert!(!rule.admits(&twice) && !rule.admits(&HeaderMap::new()));
    }

    #[test]
    fn a_form_comes_from_the_same_origin() {
        let rule = HostRule::new(false, &["jobs.example".to_owned()]);
        for (host, origin, same) in [
            ("a.example", "http://a.example", true),
            ("a.example:8432", "http://a.example:8432", true),
            ("a.example", "https://a.example:443", true),
            ("10.0.0.1:8432", "https://jobs.example", true),
            ("a.example", "http://b.example", false),
            ("a.example", "http://a.example:81", false),
            ("a.example", "http://a.example.b.example", false),
            ("a.example", "null", false),
            ("a.example", "file://a.example", false),
            ("a.example", "", false),
        ] {
            let sent = headers(&[(header::HOST, host), (header::ORIGIN, origin)]);
            assert_eq!(rule.is_same_origin(&sent), same, "{host} {origin}");
        }
        assert!(!rule.is_same_origin(&headers(&[(header::HOST, "a.example")])));
    }
}
