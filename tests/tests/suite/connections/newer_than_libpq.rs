//! Options that an older installed libpq may not know.

use std::env;

use pgasync_pg::ConnectionSettings;

use super::fixture::ConnectionFixture;
use pgasync_tests::PrivateCluster;

async fn line(text: &str, sql: &str) -> Result<String, String> {
    let settings = ConnectionSettings::resolve(text, |_| None).expect("it parses");
    let session = settings.connect().await.map_err(|error| error.to_string())?;
    Ok(session.query_one(sql, &[]).await.expect("it can be asked").get(0))
}

/// Servers before Postgres 17 read the handshake as a startup packet, and close the connection.
#[tokio::test]
async fn tls_may_begin_at_once() {
    let fixture = ConnectionFixture::start().await;
    let text = format!(
        "host=right.test hostaddr=127.0.0.1 port={} user=tls_only dbname=postgres sslmode=verify-full sslrootcert={} \
         sslnegotiation=direct",
        fixture.port,
        fixture.file("ca.crt").display()
    );
    let version = line(&text, "select s.version from pg_stat_ssl s where s.pid = pg_backend_pid()").await;
    let major: u32 = env::var("PGASYNC_PG").ok().and_then(|major| major.parse().ok()).unwrap_or(15);
    assert_eq!(version.is_ok(), major >= 17, "{version:?}");
}

#[tokio::test]
async fn a_socket_may_be_abstract() {
    let name = format!("@pgasync-test-{}", std::process::id());
    let cluster = PrivateCluster::start(&[&format!("unix_socket_directories={name}")]);
    let text = format!("host={name} port={} user=postgres dbname=postgres", cluster.port());
    let address = line(&text, "select coalesce(host(inet_client_addr()), 'local')").await;
    assert_eq!(address.as_deref(), Ok("local"));
}
