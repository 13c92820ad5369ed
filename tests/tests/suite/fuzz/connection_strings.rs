//! Connection strings: what the parser makes of them, and what is shown.

use pgasync_core::mask_connection_string;
use pgasync_pg::ConnectionSettings;

use super::fuzz;

const DICTIONARY: &[&str] = &[
    "postgresql://",
    "postgres://",
    "host=",
    "hostaddr=",
    "port=",
    "user=",
    "password=",
    "dbname=",
    "options=",
    "sslmode=",
    "sslpassword=",
    "connect_timeout=",
    "target_session_attrs=",
    "load_balance_hosts=random",
    "channel_binding=require",
    "keepalives=0",
    "tcp_user_timeout=5",
    "application_name=",
    "requirepeer=",
    "sslrootcert=system",
    "sslmode=verify-full",
    "sslnegotiation=direct",
    "&password=",
    "?password=",
    "?pass%77ord=",
    "&user=",
    "%40",
    "%3A",
    "%00",
    "%2",
    "@",
    ":",
    "/",
    "?",
    "&",
    "=",
    ",",
    " ",
    "'",
    "\\'",
    "\\\\",
    "\\",
    "[::1]",
    "127.0.0.1",
    "Tr0ub4dor",
    "Tr0ub4dor",
    "'Tr0ub4dor '",
    "Tr0ub4dor&3",
    "%54r0ub4dor",
    "read-write",
    "\t",
    "é",
    "\u{2003}",
];

/// A password of the corpus.
const PASSWORD: &str = "Tr0ub4dor";

/// A shorter password may be a part of something else that is shown.
const PASSWORD_CHARS_MIN: usize = 6;

/// The values of a printed connection string, in which values are quoted where needed.
fn values(printed: &str) -> Vec<(String, String)> {
    let (mut found, mut chars) = (Vec::new(), printed.chars().peekable());
    while chars.peek().is_some() {
        let key: String = chars.by_ref().take_while(|c| *c != '=').collect();
        let mut value = String::new();
        if chars.next_if_eq(&'\'').is_some() {
            while let Some(c) = chars.next().filter(|c| *c != '\'') {
                value.extend(if c == '\\' { chars.next() } else { Some(c) });
            }
            assert!(matches!(chars.next(), None | Some(' ')), "{printed}");
        } else {
            value.extend(chars.by_ref().take_while(|c| *c != ' '));
        }
        found.push((key, value));
    }
    found
}

fn check(input: &[u8]) -> impl std::hash::Hash + use<> {
    let text = String::from_utf8_lossy(input);
    let masked = mask_connection_string(&text);
    assert_eq!(mask_connection_string(&masked), masked, "what is masked has no secret: {text:?}");
    // A service would be read from a file.
    if text.contains("service") || text.contains('%') && text.contains("ice") {
        return (false, vec![]);
    }
    let settings = match ConnectionSettings::resolve_target(&text, |_| None) {
        Ok(settings) => settings,
        Err(error) => {
            // An error may name the value that is refused. Here the piece stands in secrets alone.
            let is_secret = masked != "****" && masked != text && !masked.contains(PASSWORD);
            assert!(!is_secret || !error.to_string().contains(PASSWORD), "{text:?}: {error}");
            return (false, error.to_string().split_whitespace().take(6).map(ToOwned::to_owned).collect());
        }
    };
    let printed = settings.conninfo();
    let again = ConnectionSettings::resolve_target(&printed, |_| None);
    let again = again.unwrap_or_else(|error| panic!("{text:?} was read, and {printed:?} was not: {error}"));
    assert_eq!(again.conninfo(), printed, "settings that are printed and read are the same: {text:?}");

    let values = values(&printed);
    let (secrets, shown): (Vec<_>, Vec<_>) =
        values.iter().partition(|(key, _)| key == "password" || key == "sslpassword");
    for (key, secret) in &secrets {
        let is_elsewhere = shown.iter().any(|(_, value)| value.contains(secret.as_str()));
        if secret.chars().count() >= PASSWORD_CHARS_MIN && !is_elsewhere {
            assert!(!masked.contains(secret.as_str()), "{text:?} is shown as {masked:?}, with its {key}");
            let quoted = secret.replace('\\', "\\\\").replace('\'', "\\'");
            assert!(!masked.contains(&quoted), "{text:?} is shown as {masked:?}, with its {key}");
            for shown in [settings.describe(), format!("{settings:?}")] {
                assert!(!shown.contains(secret.as_str()), "{text:?} is shown as {shown:?}, with its {key}");
            }
        }
    }
    (masked == "****", values.into_iter().map(|(key, _)| key).collect())
}

#[test]
fn no_output_shows_the_password_that_the_parser_finds() {
    fuzz("connection_strings", DICTIONARY, check);
}
