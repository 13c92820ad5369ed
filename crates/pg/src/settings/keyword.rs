//! The options of libpq: the keywords of Postgres 18 and the variables that replace them.

use super::error::SettingsError;

/// The connections for which a variable of the environment counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VariableScope {
    /// The connections to the server: its address, its user, its password.
    Server,
    /// All connections of the process: how they are secured, and which files they use.
    Process,
}

/// An option.
#[derive(Debug)]
pub(super) struct Keyword {
    pub(super) name: &'static str,
    pub(super) variable: Option<&'static str>,
    pub(super) scope: VariableScope,
    /// For an option that is not supported: the values that have no effect, and what to use instead
    /// of any other value.
    pub(super) refused: Option<(&'static [&'static str], &'static str)>,
}

const fn server(name: &'static str, variable: &'static str) -> Keyword {
    Keyword { name, variable: Some(variable), scope: VariableScope::Server, refused: None }
}

const fn process(name: &'static str, variable: &'static str) -> Keyword {
    Keyword { name, variable: Some(variable), scope: VariableScope::Process, refused: None }
}

const fn plain(name: &'static str) -> Keyword {
    Keyword { name, variable: None, scope: VariableScope::Process, refused: None }
}

const fn refused(
    name: &'static str,
    variable: Option<&'static str>,
    harmless: &'static [&'static str],
    instead: &'static str,
) -> Keyword {
    Keyword { name, variable, scope: VariableScope::Process, refused: Some((harmless, instead)) }
}

const NO_GSS: &str = "use a password or a client certificate; Kerberos is not built in";

const NO_OAUTH: &str = "use a password or a client certificate; OAuth is not built in";

/// All options, in the order in which connection strings are written.
pub(super) const KEYWORDS: &[Keyword] = &[
    server("service", "PGSERVICE"),
    process("servicefile", "PGSERVICEFILE"),
    server("host", "PGHOST"),
    server("hostaddr", "PGHOSTADDR"),
    server("port", "PGPORT"),
    server("user", "PGUSER"),
    server("password", "PGPASSWORD"),
    server("dbname", "PGDATABASE"),
    process("passfile", "PGPASSFILE"),
    server("options", "PGOPTIONS"),
    server("application_name", "PGAPPNAME"),
    plain("fallback_application_name"),
    process("sslmode", "PGSSLMODE"),
    process("sslnegotiation", "PGSSLNEGOTIATION"),
    process("sslrootcert", "PGSSLROOTCERT"),
    process("sslcert", "PGSSLCERT"),
    process("sslkey", "PGSSLKEY"),
    process("sslcertmode", "PGSSLCERTMODE"),
    process("sslcrl", "PGSSLCRL"),
    process("sslcrldir", "PGSSLCRLDIR"),
    process("sslsni", "PGSSLSNI"),
    process("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    process("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    process("channel_binding", "PGCHANNELBINDING"),
    process("requirepeer", "PGREQUIREPEER"),
    process("connect_timeout", "PGCONNECT_TIMEOUT"),
    plain("keepalives"),
    plain("keepalives_idle"),
    plain("keepalives_interval"),
    plain("keepalives_count"),
    plain("tcp_user_timeout"),
    server("target_session_attrs", "PGTARGETSESSIONATTRS"),
    server("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    refused("sslcompression", Some("PGSSLCOMPRESSION"), &["0"], "TLS compression is unsafe, and gone from TLS 1.3"),
    refused("sslpassword", None, &[], "keep the key in a file without a passphrase that only its owner can read"),
    refused("sslkeylogfile", None, &[], "leave it out"),
    refused("require_auth", Some("PGREQUIREAUTH"), &[], "use sslmode=verify-full and channel_binding=require"),
    refused("min_protocol_version", Some("PGMINPROTOCOLVERSION"), &["3.0"], "it speaks version 3.0"),
    refused("max_protocol_version", Some("PGMAXPROTOCOLVERSION"), &["3.0", "latest"], "it speaks version 3.0"),
    refused("gssencmode", Some("PGGSSENCMODE"), &["disable", "prefer"], "use sslmode; GSS encryption is not built in"),
    refused("krbsrvname", Some("PGKRBSRVNAME"), &["postgres"], NO_GSS),
    refused("gsslib", Some("PGGSSLIB"), &["gssapi"], NO_GSS),
    refused("gssdelegation", Some("PGGSSDELEGATION"), &["0"], NO_GSS),
    refused("replication", None, &["false", "off", "no", "0"], "a replication connection runs no queries of ours"),
    refused(
        "client_encoding",
        Some("PGCLIENTENCODING"),
        &["UTF8", "UTF-8", "utf8", "utf-8", "UNICODE", "unicode"],
        "texts are sent as UTF-8",
    ),
    refused("scram_client_key", None, &[], "use a password or a client certificate"),
    refused("scram_server_key", None, &[], "use a password or a client certificate"),
    refused("oauth_issuer", None, &[], NO_OAUTH),
    refused("oauth_client_id", None, &[], NO_OAUTH),
    refused("oauth_client_secret", None, &[], NO_OAUTH),
    refused("oauth_scope", None, &[], NO_OAUTH),
];

/// Whether there is such an option.
pub(super) fn is_known(name: &str) -> bool {
    KEYWORDS.iter().any(|keyword| keyword.name == name)
}

/// Whether the value must not be shown.
pub(super) fn is_secret(name: &str) -> bool {
    matches!(name, "password" | "sslpassword" | "oauth_client_secret" | "scram_client_key" | "scram_server_key")
}

/// An option in a message.
pub(super) fn shown(name: &str, value: &str) -> String {
    if is_secret(name) { name.to_owned() } else { format!("{name}={value}") }
}

/// The origin of a value in a message.
pub(super) fn shown_origin(origin: Option<&str>) -> String {
    origin.map(|origin| format!(" (from {origin})")).unwrap_or_default()
}

impl Keyword {
    /// Refuses a value that this crate would have to ignore.
    pub(super) fn check(&self, value: &str, origin: Option<&str>) -> Result<(), SettingsError> {
        match self.refused {
            Some((harmless, instead)) if !value.is_empty() && !harmless.contains(&value) => {
                Err(SettingsError::Unsupported {
                    option: shown(self.name, value),
                    origin: shown_origin(origin),
                    instead,
                })
            }
            _ => Ok(()),
        }
    }
}
