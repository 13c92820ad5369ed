//! Connection errors: they name the cause and the host, and never a password.

use std::path::Path;
use std::process::Command;

use pgasync_pg::ConnectionSettings;

use super::certificates::write;
use super::fixture::{ConnectionFixture, PASSWORD};

async fn refused(text: &str, home: &Path) -> String {
    let variable = |name: &str| (name == "HOME").then(|| home.display().to_string());
    let settings = match ConnectionSettings::resolve(text, variable) {
        Ok(settings) => settings,
        Err(error) => return error.to_string(),
    };
    let error = settings.connect().await.expect_err(text);
    format!("{error} {error:?} {settings:?}")
}

#[tokio::test]
async fn an_error_names_its_cause() {
    let fixture = ConnectionFixture::start().await;
    let home = fixture.home.path();
    write(&home.join(".pgpass"), "*:*:*:*:s3cret\n", 0o640);
    let file = |name: &str| home.join(name).display().to_string();
    let tls = format!(
        "host=right.test hostaddr=127.0.0.1 port={} user=trusted dbname=postgres password=s3cret",
        fixture.port
    );
    let plain = format!("host=127.0.0.1 port={} dbname=postgres", fixture.port);
    for (text, named) in [
        (format!("{tls} sslmode=verify-ca sslrootcert={}", file("other_ca.crt")), vec!["TLS failed", "UnknownIssuer"]),
        (format!("{tls} sslmode=verify-full sslrootcert={}", file("none")), vec!["/none", "root certificate"]),
        (format!("{tls} sslmode=require sslrootcert={}", file("none")), vec!["/none", "root certificate"]),
        (format!("{tls} sslmode=verify-full"), vec![".postgresql/root.crt", "sslrootcert"]),
        (format!("{tls} sslmode=require sslcert={}", file("none")), vec!["/none", "client certificate"]),
        (
            format!("{tls} sslmode=require sslcert={} sslkey={}", file("client.crt"), file("open.key")),
            vec!["open.key", "chmod 0600"],
        ),
        (
            format!("{} sslmode=verify-full sslrootcert={}", tls.replace("right", "wrong"), file("ca.crt")),
            vec!["wrong.test"],
        ),
        (format!("{plain} user=with_password"), vec!["asks for a password", ".pgpass was not read", "chmod 0600"]),
        (format!("{plain} user=with_password password=s3cret"), vec!["28P01", "with_password"]),
        (format!("{plain} user=tls_only sslmode=disable password=s3cret"), vec!["28000", "pg_hba.conf"]),
        (format!("host=127.0.0.1 port={} user=trusted dbname=none password=s3cret", fixture.port), vec!["3D000"]),
        ("host=127.0.0.1 port=1 user=u password=s3cret".to_owned(), vec!["u on 127.0.0.1:1 as u", "refused"]),
        ("host=/no/such user=u password=s3cret".to_owned(), vec!["/no/such:5432", "No such file"]),
        ("host=h user=u password=my s3cret".to_owned(), vec!["single quotes", "character 27"]),
    ] {
        let message = refused(&text, home).await;
        assert!(!message.contains("s3cret"), "{message}");
        for part in named {
            assert!(message.contains(part), "{text}\n{message}\ndoes not contain {part:?}");
        }
    }
    fixture.set(&[("ssl", "off")]).await;
    let message = refused(&format!("{tls} sslmode=require"), home).await;
    assert!(message.contains("server does not support TLS"), "{message}");
}

/// `system` uses the roots of the machine, which do not include the authority of a test unless
/// configured.
#[tokio::test]
async fn the_operating_system_may_be_the_judge_of_certificates() {
    let fixture = ConnectionFixture::start().await;
    let text = format!(
        "host=right.test hostaddr=127.0.0.1 port={} user=trusted dbname=postgres sslrootcert=system",
        fixture.port
    );
    let init = |roots: &str| {
        let done = Command::new("pgasync")
            .args(["init", "--server", &text, "client"])
            .env("SSL_CERT_FILE", fixture.file(roots))
            .env_remove("SSL_CERT_DIR")
            .output()
            .expect("./dev puts pgasync on PATH");
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    // The server refuses the extension to the role, so the connection was opened.
    assert!(init("ca.crt").contains("(42501)"), "{}", init("ca.crt"));
    assert!(init("other_ca.crt").contains("UnknownIssuer"), "{}", init("other_ca.crt"));
}

#[test]
fn the_binary_shows_no_password() {
    for text in [
        format!("host=127.0.0.1 port=1 user=u password='{}'", PASSWORD.replace('\'', "\\'")),
        "postgres://u:pass word@127.0.0.1:1/d?nonsense=1".to_owned(),
        "postgres://u:pass/pass word@127.0.0.1:1/d".to_owned(),
        "host=h password=a pass word".to_owned(),
    ] {
        for command in ["init", "run"] {
            let done = Command::new("pgasync").args([command, "--server", &text]).output();
            let done = done.expect("./dev puts pgasync on PATH");
            let stderr = String::from_utf8_lossy(&done.stderr);
            assert!(
                !done.status.success() && stderr.contains("pgasync: ") && !stderr.contains("pass word"),
                "{stderr}"
            );
        }
    }
}
