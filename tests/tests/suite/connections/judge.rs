//! Compares libpq and the Rust engine on a connection string: both refuse it, or both open an equal
//! session.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use futures_util::stream::{self, StreamExt};
use pgasync_pg::ConnectionSettings;
use tokio::process::Command;

/// The properties of a session, as the server reports them.
const PROPERTIES: &str = "select concat_ws(' ', 'port', current_setting('port'), 'as', session_user, 'in', current_database(),
        case when s.ssl then s.version end, to_jsonb(s) ->> 'client_dn',
        'from', host(inet_client_addr()), 'called', nullif(nullif(current_setting('application_name'), 'psql'), 'pgasync'),
        current_setting('geqo'), current_setting('TimeZone'), current_setting('DateStyle'), current_setting('search_path'))
    from pg_stat_ssl s where s.pid = pg_backend_pid()";

/// A connection string, and the variables of its environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Case {
    pub(super) conninfo: String,
    pub(super) variables: BTreeMap<String, String>,
}

impl Case {
    pub(super) fn new(conninfo: &str, variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { conninfo: conninfo.to_owned(), variables }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.variables {
            write!(f, "{name}={value} ")?;
        }
        write!(f, "{:?}", self.conninfo)
    }
}

/// Connects with libpq and with this crate, and compares. Returns the properties of the crate's
/// session, or its error.
pub(super) async fn both(case: &Case, home: &Path) -> Result<String, String> {
    let (libpq, ours) = (libpq(case, home).await, ours(case, home).await);
    match (&libpq, &ours) {
        (Ok(libpq), Ok(ours)) => assert_eq!(ours, libpq, "{case}"),
        (Err(_), Err(_)) => {}
        (Ok(libpq), Err(ours)) => panic!("{case}\nlibpq connects: {libpq}\nwe do not: {ours}"),
        (Err(libpq), Ok(ours)) => panic!("{case}\nlibpq refuses: {libpq}\nwe connect: {ours}"),
    }
    ours
}

/// Compares many connection strings, several at a time.
pub(super) async fn each<'a>(cases: &'a [Case], home: &Path) -> Vec<(&'a Case, Result<String, String>)> {
    let judged = stream::iter(cases).map(async |case| (case, both(case, home).await));
    judged.buffered(4).collect().await
}

/// The number of connection strings that connected, and the number that were refused.
pub(super) async fn count(cases: &[Case], home: &Path) -> (usize, usize) {
    let results = each(cases, home).await;
    let connected = results.iter().filter(|(_, result)| result.is_ok()).count();
    (connected, results.len() - connected)
}

async fn libpq(case: &Case, home: &Path) -> Result<String, String> {
    let done = Command::new("psql")
        .args(["-X", "-A", "-t", "-w", "-d", &case.conninfo, "-c", PROPERTIES])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("PGCLIENTENCODING", "UTF8")
        .envs(&case.variables)
        .output()
        .await
        .expect("psql is a program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
}

async fn ours(case: &Case, home: &Path) -> Result<String, String> {
    let variable = |name: &str| match name {
        "HOME" => Some(home.display().to_string()),
        _ => case.variables.get(name).cloned(),
    };
    let settings = ConnectionSettings::resolve(&case.conninfo, variable).map_err(|error| error.to_string())?;
    let session = settings.connect().await.map_err(|error| error.to_string())?;
    let row = session.query_one(PROPERTIES, &[]).await.unwrap_or_else(|error| panic!("{case}: {error:?}"));
    session.close().await;
    Ok(row.get(0))
}
