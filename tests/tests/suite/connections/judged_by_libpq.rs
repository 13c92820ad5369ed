//! Tables of connection strings, each given to libpq and to us.

use super::bed::{Bed, PASSWORD};
use super::certificates::write;
use super::judge::{self, Case};

const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Every mode against every kind of certificate, with the right roots, others and none; and without TLS.
#[tokio::test]
async fn every_sslmode_means_what_it_means_to_libpq() {
    let bed = Bed::start().await;
    let home = bed.home.path();
    let table = |hosts: &[&str], roots: &[&str]| -> Vec<Case> {
        let mut cases = Vec::new();
        for mode in MODES {
            for host in hosts {
                for root in roots {
                    let root = if root.is_empty() {
                        String::new()
                    } else {
                        format!("sslrootcert={}", bed.file(root).display())
                    };
                    let port = bed.port;
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
    // Without roots the verifying modes fail; with others whatever must not be without TLS fails, and what may, is.
    assert_eq!(judge::count(&table(&hosts, &["", "ca.crt", "other_ca.crt"]), home).await, (50, 22));

    bed.set(&[("ssl_cert_file", "alone.crt"), ("ssl_key_file", "alone.key")]).await;
    assert_eq!(judge::count(&table(&["named.test", "wrong.test"], &["", "alone.crt", "ca.crt"]), home).await, (25, 11));

    bed.set(&[("ssl", "off")]).await;
    assert_eq!(judge::count(&table(&["right.test"], &["", "ca.crt"]), home).await, (6, 6));
}

#[tokio::test]
async fn everything_else_means_what_it_means_to_libpq() {
    let bed = Bed::start().await;
    let home = bed.home.path();
    write(
        &home.join(".pgpass"),
        &format!("#\n*:{}:postgres:with_password:{}\n", bed.port, PASSWORD.replace(':', "\\:")),
        0o600,
    );
    write(&home.join("open_pass"), &format!("*:*:*:*:{}\n", PASSWORD.replace(':', "\\:")), 0o644);
    write(&home.join("wrong_pass"), "*:*:*:*:wrong\n", 0o600);
    write(
        &home.join("services"),
        &format!("[here]\nhost=127.0.0.1\nport={}\nuser=trusted\n[broken]\nhots=a\n", bed.port),
        0o644,
    );
    let me = me();
    let session = bed.cluster.administrator().await;
    if me != "postgres" {
        session.batch_execute(&format!("create role \"{me}\" login")).await.expect("a role");
        session.batch_execute(&format!("create database \"{me}\"")).await.expect("a database");
    }

    let cases: Vec<Case> = TABLE.iter().map(|(text, variables, _)| case(&bed, text, variables)).collect();
    let results = judge::each(&cases, home).await;
    let wrong: Vec<_> = results
        .iter()
        .zip(TABLE)
        .filter(|((_, result), (.., connects))| result.is_ok() != *connects)
        .map(|((case, result), _)| format!("{case}: {result:?}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A string, an environment, and whether there is a session. P is the port, S the socket's folder, H the home.
type Row = (&'static str, &'static [(&'static str, &'static str)], bool);

const TABLE: &[Row] = &[
    // The two forms.
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres", &[], true),
    ("host = 127.0.0.1\tport= {P} user='trusted'dbname=postgres", &[], true),
    (r"host=127.0.0.1 port={P} user=trusted dbname='post\gres' application_name='it\'s \\ me'", &[], true),
    (r"host=127.0.0.1 port={P} user=trusted dbname=postgres application_name=a\ b\'c", &[], true),
    ("host=127.0.0.1 port={P} user=trusted dbname=template1 dbname=postgres", &[], true),
    ("postgresql://trusted@127.0.0.1:{P}/postgres", &[], true),
    ("postgres://%74rusted@127.0.0.1:{P}/post%67res?application_name=a%20b", &[], true),
    ("postgres://trusted@[::1]:{P}/postgres", &[], true),
    ("postgres://trusted@%2E%2F/postgres?host={S}&port={P}", &[], true),
    ("postgres:///postgres?host={S}&port={P}&user=trusted", &[], true),
    ("postgres://trusted@localhost:{P}/postgres?ssl=true", &[], true),
    ("postgres://trusted@127.0.0.1:{P}", &[("PGDATABASE", "template1")], true),
    ("postgres://with_password:it%27s%20a%3A%20pass%20word@127.0.0.1:{P}/template1", &[], true),
    ("postgres://trusted@127.0.0.1:1,127.0.0.1:{P}/postgres", &[], true),
    ("postgres://trusted@127.0.0.1:{P}/postgres?nonsense=1", &[], false),
    ("postgres://trusted@127.0.0.1:{P}/postgres?sslmode=a=b", &[], false),
    ("postgres://trusted@127.0.0.1:{P}/postgres?sslmode", &[], false),
    ("postgres://trusted@127.0.0.1:{P}/post%gres", &[], false),
    ("postgres://trusted@127.0.0.1:{P}/post%00gres", &[], false),
    ("postgres://trusted@[::1:{P}/postgres", &[], false),
    ("postgres://trusted@[]:{P}/postgres", &[], false),
    ("postgres://trusted@[::1]x:{P}/postgres", &[], false),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres nonsense=1", &[], false),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres nonsense", &[], false),
    ("host=127.0.0.1 port={P} user=trusted dbname='postgres", &[], false),
    ("host=127.0.0.1 port={P} dbname=postgres user=trusted password=a b", &[], false),
    // Where: hosts, addresses, ports, sockets.
    ("hostaddr=127.0.0.1 port={P} user=trusted dbname=postgres", &[], true),
    ("host=no.such.name hostaddr=127.0.0.1 port={P} user=trusted dbname=postgres", &[], true),
    ("host=no.such.name.invalid port={P} user=trusted dbname=postgres", &[], false),
    ("host=no.such.name.invalid,127.0.0.1 port={P} user=trusted dbname=postgres", &[], true),
    ("hostaddr=elsewhere port={P} user=trusted dbname=postgres", &[], false),
    ("host=127.0.0.1,{S} port=1,{P} user=trusted dbname=postgres", &[], true),
    ("host=a,b hostaddr=127.0.0.1,127.0.0.1 port=1,{P} user=trusted dbname=postgres", &[], true),
    ("host={S},a hostaddr=,127.0.0.1 port=1,{P} user=trusted dbname=postgres", &[], true),
    ("host=127.0.0.1,127.0.0.1 port=1,2,{P} user=trusted dbname=postgres", &[], false),
    ("host=127.0.0.1,127.0.0.1 hostaddr=127.0.0.1 port={P} user=trusted dbname=postgres", &[], false),
    ("host=127.0.0.1 port={P}x user=trusted dbname=postgres", &[], false),
    ("host=127.0.0.1 port=' {P} ' user=trusted dbname=postgres", &[], true),
    ("host=127.0.0.1 port=0 user=trusted dbname=postgres", &[], false),
    ("host=127.0.0.1 port=70000 user=trusted dbname=postgres", &[], false),
    ("host={S} port={P} user=trusted dbname=postgres sslmode=require", &[], true),
    ("host={S} port={P} user=trusted dbname=postgres sslmode=verify-full", &[], true),
    ("host={S} port={P} user=trusted dbname=postgres requirepeer=postgres", &[], true),
    ("host={S} port={P} user=trusted dbname=postgres requirepeer=nobody", &[], false),
    ("host=/no/such/folder port={P} user=trusted dbname=postgres", &[], false),
    // Who, and what is left out.
    ("host=127.0.0.1 port={P} user='' dbname=''", &[("PGUSER", "trusted"), ("PGDATABASE", "postgres")], true),
    ("host=127.0.0.1 port={P}", &[], true),
    ("host=127.0.0.1 port={P} user=nobody dbname=postgres", &[], false),
    ("host=127.0.0.1 port={P} user=trusted", &[], false),
    ("port={P} host=127.0.0.1 dbname=postgres", &[("PGUSER", "trusted")], true),
    ("", &[("PGHOST", "127.0.0.1"), ("PGPORT", "{P}"), ("PGUSER", "trusted"), ("PGDATABASE", "postgres")], true),
    ("", &[("PGHOST", "{S},x"), ("PGPORT", "{P}"), ("PGUSER", "trusted"), ("PGDATABASE", "postgres")], true),
    ("user=trusted dbname=postgres port={P}", &[("PGHOSTADDR", "127.0.0.1"), ("PGAPPNAME", "me")], true),
    ("user=trusted dbname=postgres host=127.0.0.1", &[("PGPORT", "x")], false),
    // Passwords.
    ("host=127.0.0.1 port={P} user=with_password dbname=template1", &[], false),
    ("host=127.0.0.1 port={P} user=with_password dbname=template1 password=wrong", &[], false),
    (r"host=127.0.0.1 port={P} user=with_password dbname=template1 password='it\'s a: pass word'", &[], true),
    ("host=127.0.0.1 port={P} user=with_password dbname=template1", &[("PGPASSWORD", "it's a: pass word")], true),
    (
        "host=127.0.0.1 port={P} user=with_password dbname=template1 password=wrong",
        &[("PGPASSWORD", "it's a: pass word")],
        false,
    ),
    (r"host=127.0.0.1 port={P} user=with_md5 dbname=template1 password='it\'s a: pass word'", &[], true),
    ("host=127.0.0.1 port={P} user=with_md5 dbname=template1 password=wrong", &[], false),
    (r"host={S} port={P} user=with_password dbname=template1 password='it\'s a: pass word'", &[], true),
    ("host=127.0.0.1 port={P} user=with_password dbname=postgres", &[], true),
    ("host={S} port={P} user=with_password dbname=postgres", &[], true),
    ("host=127.0.0.1 port={P} user=with_password dbname=postgres password=''", &[], true),
    ("host=127.0.0.1 port={P} user=with_password dbname=postgres password=wrong", &[], false),
    ("host=127.0.0.1 port={P} user=with_password dbname=postgres", &[("PGPASSFILE", "{H}/open_pass")], false),
    ("host=127.0.0.1 port={P} user=with_password dbname=postgres passfile={H}/wrong_pass", &[], false),
    ("host=127.0.0.1 port={P} user=with_password dbname=postgres passfile={H}/none", &[], false),
    ("host=127.0.0.1 port={P} user=with_password dbname=postgres passfile={H}", &[], false),
    (
        "host=127.0.0.1 port={P} user=with_password dbname=postgres passfile={H}/.pgpass",
        &[("PGPASSFILE", "{H}/none")],
        true,
    ),
    // TLS where the server wants it, or does not.
    ("host=127.0.0.1 port={P} user=tls_only dbname=postgres sslmode=disable", &[], false),
    ("host=127.0.0.1 port={P} user=tls_only dbname=postgres sslmode=allow", &[], true),
    ("host=127.0.0.1 port={P} user=tls_only dbname=postgres", &[], true),
    ("host=127.0.0.1 port={P} user=plain_only dbname=postgres sslmode=allow", &[], true),
    ("host=127.0.0.1 port={P} user=plain_only dbname=postgres sslmode=prefer", &[], true),
    ("host=127.0.0.1 port={P} user=plain_only dbname=postgres sslmode=require", &[], false),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres", &[("PGSSLMODE", "disable")], true),
    ("host=127.0.0.1 port={P} user=plain_only dbname=postgres", &[("PGSSLMODE", "require")], false),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres", &[("PGREQUIRESSL", "1")], true),
    ("host=127.0.0.1 port={P} user=plain_only dbname=postgres", &[("PGREQUIRESSL", "1")], false),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres sslmode=''", &[], false),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres sslmode=sometimes", &[], false),
    (
        "host=right.test hostaddr=127.0.0.1 port={P} user=trusted dbname=postgres",
        &[("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", "{H}/ca.crt")],
        true,
    ),
    ("hostaddr=127.0.0.1 port={P} user=trusted dbname=postgres sslmode=verify-full sslrootcert={H}/ca.crt", &[], false),
    ("hostaddr=127.0.0.1 port={P} user=trusted dbname=postgres sslmode=verify-ca sslrootcert={H}/ca.crt", &[], true),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres sslmode=verify-ca sslrootcert={H}/none", &[], false),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres sslmode=require sslrootcert={H}/client.key", &[], false),
    (
        "host=127.0.0.1 port={P} user=trusted dbname=postgres sslmode=verify-ca sslrootcert={H}/ca.crt sslcrl={H}/nobody.crl",
        &[],
        true,
    ),
    (
        "host=127.0.0.1 port={P} user=trusted dbname=postgres sslmode=verify-ca sslrootcert={H}/ca.crt sslcrl={H}/server.crl",
        &[],
        false,
    ),
    (
        "host=127.0.0.1 port={P} user=trusted dbname=postgres sslmode=require ssl_max_protocol_version=TLSv1.2",
        &[],
        true,
    ),
    (
        "host=127.0.0.1 port={P} user=trusted dbname=postgres sslmode=require ssl_min_protocol_version=tlsv1.3",
        &[],
        true,
    ),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres sslmode=require ssl_min_protocol_version=TLSv2", &[], false),
    (
        "host=127.0.0.1 port={P} user=trusted dbname=postgres sslmode=require ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
        &[],
        false,
    ),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres sslmode=require sslsni=0", &[], true),
    // Client certificates.
    ("host=127.0.0.1 port={P} user=certified dbname=postgres", &[], false),
    ("host=127.0.0.1 port={P} user=certified dbname=postgres sslcert={H}/client.crt sslkey={H}/client.key", &[], true),
    (
        "host=127.0.0.1 port={P} user=certified dbname=postgres sslmode=disable sslcert={H}/client.crt sslkey={H}/client.key",
        &[],
        false,
    ),
    (
        "host=127.0.0.1 port={P} user=certified dbname=postgres sslmode=require",
        &[("PGSSLCERT", "{H}/client.crt"), ("PGSSLKEY", "{H}/client.key")],
        true,
    ),
    (
        "host=127.0.0.1 port={P} user=certified dbname=postgres sslmode=require sslcert={H}/strange.crt sslkey={H}/strange.key",
        &[],
        false,
    ),
    (
        "host=127.0.0.1 port={P} user=certified dbname=postgres sslmode=require sslcert={H}/client.crt sslkey={H}/strange.key",
        &[],
        false,
    ),
    (
        "host=127.0.0.1 port={P} user=certified dbname=postgres sslmode=require sslcert={H}/client.crt sslkey={H}/open.key",
        &[],
        false,
    ),
    (
        "host=127.0.0.1 port={P} user=certified dbname=postgres sslmode=require sslcert={H}/client.crt sslkey={H}/none",
        &[],
        false,
    ),
    (
        "host=127.0.0.1 port={P} user=trusted dbname=postgres sslmode=require sslcert={H}/client.crt sslkey={H}/client.key",
        &[],
        true,
    ),
    // Channel binding.
    (r"host=127.0.0.1 port={P} user=with_password dbname=postgres channel_binding=require", &[], true),
    (r"host=127.0.0.1 port={P} user=with_password dbname=postgres channel_binding=disable", &[], true),
    (r"host=127.0.0.1 port={P} user=with_password dbname=postgres channel_binding=require sslmode=disable", &[], false),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres channel_binding=require", &[], false),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres", &[("PGCHANNELBINDING", "require")], false),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres channel_binding=sometimes", &[], false),
    // What kind of server, in a list of one that is a primary.
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres target_session_attrs=any", &[], true),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres target_session_attrs=read-write", &[], true),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres target_session_attrs=read-only", &[], false),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres target_session_attrs=primary", &[], true),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres target_session_attrs=standby", &[], false),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres target_session_attrs=prefer-standby", &[], true),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres", &[("PGTARGETSESSIONATTRS", "standby")], false),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres target_session_attrs=master", &[], false),
    (
        "host=127.0.0.1 port={P} user=trusted dbname=postgres target_session_attrs=read-only options='-c default_transaction_read_only=on'",
        &[],
        true,
    ),
    // The session.
    (r"host=127.0.0.1 port={P} user=trusted dbname=postgres options='-c geqo=off -c search_path=a,\\ b'", &[], true),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres", &[("PGOPTIONS", "--geqo=off")], true),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres options='-c nonsense=1'", &[], false),
    (
        "host=127.0.0.1 port={P} user=trusted dbname=postgres",
        &[("PGTZ", "Europe/Rome"), ("PGDATESTYLE", "SQL, DMY"), ("PGGEQO", "off")],
        true,
    ),
    (
        "host=127.0.0.1 port={P} user=trusted dbname=postgres application_name=me fallback_application_name=you",
        &[("PGAPPNAME", "them")],
        true,
    ),
    // How to use the connection.
    (
        "host=127.0.0.1 port={P} user=trusted dbname=postgres keepalives=1 keepalives_idle=9 keepalives_interval=8 keepalives_count=7 tcp_user_timeout=60000 connect_timeout=20",
        &[],
        true,
    ),
    (
        "host=127.0.0.1 port={P} user=trusted dbname=postgres keepalives=0 connect_timeout=0",
        &[("PGCONNECT_TIMEOUT", "x")],
        true,
    ),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres keepalives=yes", &[], false),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres keepalives_idle=9s", &[], false),
    ("host=127.0.0.1 port={P} user=trusted dbname=postgres", &[("PGCONNECT_TIMEOUT", "soon")], false),
    // Services.
    ("service=here dbname=postgres", &[("PGSERVICEFILE", "{H}/services")], true),
    ("dbname=postgres user=nobody", &[("PGSERVICE", "here"), ("PGSERVICEFILE", "{H}/services")], false),
    ("dbname=postgres", &[("PGSERVICE", "here"), ("PGSERVICEFILE", "{H}/services"), ("PGUSER", "nobody")], true),
    ("service=gone dbname=postgres", &[("PGSERVICEFILE", "{H}/services")], false),
    ("service=broken dbname=postgres", &[("PGSERVICEFILE", "{H}/services")], false),
    ("service=here dbname=postgres", &[("PGSERVICEFILE", "{H}/none")], false),
];

fn case(bed: &Bed, text: &str, variables: &[(&str, &str)]) -> Case {
    let fill = |text: &str| {
        text.replace("{P}", &bed.port.to_string())
            .replace("{S}", &bed.cluster.socket_folder().display().to_string())
            .replace("{H}", &bed.home.path().display().to_string())
    };
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, fill(value))).collect();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Case::new(&fill(text), &variables)
}

fn me() -> String {
    let done = std::process::Command::new("id").arg("-un").output().expect("id is a program");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}
