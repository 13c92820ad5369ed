//! The fixture of the connection tests: a server with TLS, passwords and certificates, and a home
//! folder with the files of a client.

use std::path::PathBuf;

use pgasync_tests::PrivateCluster;
use tempfile::TempDir;

use super::certificates::{Authority, self_signed, write};

/// The password of all roles with a password. It has characters that every form of a connection
/// string must escape.
pub(super) const PASSWORD: &str = "it's a: pass word";

/// The authentication method of each role.
const HBA: &str = "
local all with_password scram-sha-256
local all all trust
hostssl all certified samehost cert
hostssl all tls_only samehost trust
hostnossl all plain_only samehost trust
host all tls_only,plain_only,certified samehost reject
host all with_password samehost scram-sha-256
host all with_md5 samehost md5
host all all samehost trust
";

const ROLES: &str = "
create role trusted login;
create role tls_only login;
create role plain_only login;
create role certified login;
create role with_password login;
create role with_md5 login";

/// The server, and the client's files: `ca.crt`, `other_ca.crt`, `client.crt`, `client.key`, ...
pub(super) struct ConnectionFixture {
    pub(super) cluster: PrivateCluster,
    pub(super) port: u16,
    pub(super) home: TempDir,
}

impl ConnectionFixture {
    /// Starts the server with the certificate of `right.test`, which `ca.crt` has issued.
    pub(super) async fn start() -> Self {
        let cluster = PrivateCluster::start(&[]);
        let home = tempfile::tempdir().expect("there is room");
        let fixture = Self { port: cluster.port(), cluster, home };
        let (authority, other) = (Authority::new("the authority"), Authority::new("another authority"));
        let server = authority.issue("in no use", &["right.test", "*.wild.test"], 7);
        let client = authority.issue("certified", &[], 8);
        let strange = other.issue("certified", &[], 9);
        let alone = self_signed("named.test");
        for (name, text) in [
            ("ca.crt", &authority.certificate),
            ("other_ca.crt", &other.certificate),
            ("alone.crt", &alone.certificate),
            ("client.crt", &client.certificate),
            ("client.key", &client.key),
            ("strange.crt", &strange.certificate),
            ("strange.key", &strange.key),
            ("nobody.crl", &authority.revoke(&[1])),
            ("server.crl", &authority.revoke(&[7])),
        ] {
            write(&fixture.file(name), text, 0o600);
        }
        write(&fixture.file("open.key"), &client.key, 0o644);
        for (name, text) in [
            ("server.crt", &server.certificate),
            ("server.key", &server.key),
            ("alone.crt", &alone.certificate),
            ("alone.key", &alone.key),
            ("ca.crt", &authority.certificate),
        ] {
            fixture.cluster.write_file(name, text).await;
        }
        fixture.cluster.write_file("pg_hba.conf", HBA).await;
        let password = PASSWORD.replace('\'', "''");
        fixture
            .run(&format!(
                "{ROLES};
             alter role with_password password '{password}';
             set password_encryption = 'md5';
             alter role with_md5 password '{password}'"
            ))
            .await;
        fixture
            .set(&[
                ("ssl_cert_file", "server.crt"),
                ("ssl_key_file", "server.key"),
                ("ssl_ca_file", "ca.crt"),
                ("ssl", "on"),
            ])
            .await;
        fixture
    }

    /// The path of a file of the client.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Changes settings of the server, and returns when they are in effect.
    pub(super) async fn set(&self, settings: &[(&str, &str)]) {
        let session = self.cluster.administrator().await;
        for (name, value) in settings {
            let sql = format!("alter system set {name} = '{value}'");
            session.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        }
        session.batch_execute("select pg_reload_conf()").await.expect("a superuser may");
        // New sessions have the settings once the postmaster has read them.
        for (name, value) in settings {
            loop {
                let sql = format!("select current_setting('{name}')");
                let row = self.cluster.administrator().await.query_one(&sql, &[]).await.expect("it is a setting");
                if row.get::<_, String>(0) == *value {
                    break;
                }
            }
        }
    }

    async fn run(&self, sql: &str) {
        self.cluster.administrator().await.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
}
