//! Tables of connection strings, on which libpq and the Rust engine must agree.

use super::certificates::write;
use super::fixture::{ConnectionFixture, PASSWORD};
use super::judge::{self, Case};
use super::table::TABLE;

const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Every mode with every kind of certificate, with the right, with wrong and without root
/// certificates, and without TLS.
#[tokio::test]
async fn every_sslmode_means_what_it_means_to_libpq() {
    let fixture = ConnectionFixture::start().await;
    let home = fixture.home.path();
    let table = |hosts: &[&str], roots: &[&str]| -> Vec<Case> {
        let mut cases = Vec::new();
        for mode in MODES {
            for host in hosts {
                for root in roots {
                    let root = if root.is_empty() {
                        String::new()
                    } else {
                        format!("sslrootcert={}", fixture.file(root).display())
                    };
                    let port = fixture.port;
                    let text = format!(
                        "host={host} hostaddr=127.0.0.1 port={port} user=trusted dbname=postgres sslmode={mode} {root}"
                    );
                    cases.push(Case::new(&text, &[]));
                }
            }
        }
        cases
    };

    let hosts = ["right.test", "wrong.test", "db.wild.test", "127.0.0.1"];
    // Without root certificates the verifying modes fail. With wrong ones, the modes that require
    // TLS fail, and the others connect without TLS.
    assert_eq!(judge::count(&table(&hosts, &["", "ca.crt", "other_ca.crt"]), home).await, (50, 22));

    fixture.set(&[("ssl_cert_file", "alone.crt"), ("ssl_key_file", "alone.key")]).await;
    assert_eq!(judge::count(&table(&["named.test", "wrong.test"], &["", "alone.crt", "ca.crt"]), home).await, (25, 11));

    fixture.set(&[("ssl", "off")]).await;
    assert_eq!(judge::count(&table(&["right.test"], &["", "ca.crt"]), home).await, (6, 6));
}

#[tokio::test]
async fn everything_else_means_what_it_means_to_libpq() {
    let fixture = ConnectionFixture::start().await;
    let home = fixture.home.path();
    write(
        &home.join(".pgpass"),
        &format!("#\n*:{}:postgres:with_password:{}\n", fixture.port, PASSWORD.replace(':', "\\:")),
        0o600,
    );
    write(&home.join("open_pass"), &format!("*:*:*:*:{}\n", PASSWORD.replace(':', "\\:")), 0o644);
    write(&home.join("wrong_pass"), "*:*:*:*:wrong\n", 0o600);
    write(
        &home.join("services"),
        &format!("[here]\nhost=127.0.0.1\nport={}\nuser=trusted\n[broken]\nhots=a\n", fixture.port),
        0o644,
    );
    let me = me();
    let session = fixture.cluster.administrator().await;
    if me != "postgres" {
        session.batch_execute(&format!("create role \"{me}\" login")).await.expect("a role");
        session.batch_execute(&format!("create database \"{me}\"")).await.expect("a database");
    }

    let cases: Vec<Case> = TABLE.iter().map(|(text, variables, _)| case(&fixture, text, variables)).collect();
    let results = judge::each(&cases, home).await;
    let wrong: Vec<_> = results
        .iter()
        .zip(TABLE)
        .filter(|((_, result), (.., connects))| result.is_ok() != *connects)
        .map(|((case, result), _)| format!("{case}: {result:?}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn case(fixture: &ConnectionFixture, text: &str, variables: &[(&str, &str)]) -> Case {
    let fill = |text: &str| {
        text.replace("{P}", &fixture.port.to_string())
            .replace("{S}", &fixture.cluster.socket_folder().display().to_string())
            .replace("{H}", &fixture.home.path().display().to_string())
    };
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, fill(value))).collect();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Case::new(&fill(text), &variables)
}

fn me() -> String {
    let done = std::process::Command::new("id").arg("-un").output().expect("id is a program");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}
