//! Masking of the secrets in connection strings.

use std::fmt::Write;

use super::connection_string::{MASK, settings, split_user, without_scheme};

const SECRETS: [&str; 5] = ["oauth_client_secret", "password", "scram_client_key", "scram_server_key", "sslpassword"];

/// The other options of libpq, up to version 18.
const SHOWN: [&str; 49] = [
    "application_name",
    "authtype",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_issuer",
    "oauth_scope",
    "options",
    "passfile",
    "port",
    "replication",
    "require_auth",
    "requirepeer",
    "requiressl",
    "service",
    "servicefile",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslkeylogfile",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "tty",
    "user",
];

/// Masks the secrets in a connection string of either form. Returns the unchanged string if it has no
/// secret, else its settings as `key=value` pairs with each secret replaced by `****`.
///
/// A string that cannot be parsed, or in which part of a secret may have been parsed as another
/// setting (an `@` behind the user, an unknown key), becomes `****` as a whole. In doubt, more is
/// masked than is secret. `async.mask_connection_string` is the same function in SQL.
///
/// ```
/// use pgasync_core::mask_connection_string;
/// assert_eq!(mask_connection_string("host=a dbname='b c'"), "host=a dbname='b c'");
/// assert_eq!(mask_connection_string("postgresql://u:my secret@h/db"), "dbname=db host=h password=**** user=u");
/// ```
#[must_use]
pub fn mask_connection_string(text: &str) -> String {
    let Ok(settings) = settings(text) else { return MASK.to_owned() };
    let is_secret = |key: &str| SECRETS.contains(&key);
    let hides_more = settings.keys().any(|key| !is_secret(key) && !SHOWN.contains(&key.as_str()))
        || without_scheme(text).is_some_and(|rest| split_user(rest).1.contains('@'))
        || settings.values().any(|value| has_account(value));
    if hides_more {
        return MASK.to_owned();
    }
    if !settings.keys().any(|key| is_secret(key)) {
        return text.to_owned();
    }
    let mut shown = String::new();
    for (key, value) in &settings {
        let value = if is_secret(key) && !value.is_empty() { MASK.to_owned() } else { quoted(value) };
        let separator = if shown.is_empty() { "" } else { " " };
        // A write to a string does not fail.
        let _ = write!(shown, "{separator}{key}={value}");
    }
    shown
}

/// Whether a value contains a URI with a user of its own.
fn has_account(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| rest.split('/').next().is_some_and(|authority| authority.contains('@')))
}

/// Quotes a value for libpq.
fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:,%+*@-".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::mask_connection_string;

    /// The tests of the SQL function use the same table.
    #[test]
    fn strings_are_masked_as_in_the_table() {
        let cases: Vec<(String, String)> =
            serde_json::from_str(include_str!("../../cases/masked_connection_strings.json")).expect("pairs of texts");
        assert!(cases.len() > 40, "{}", cases.len());
        for (text, masked) in cases {
            assert_eq!(mask_connection_string(&text), masked, "{text}");
        }
    }
}
