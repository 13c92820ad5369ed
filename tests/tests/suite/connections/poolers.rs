//! `pgasync doctor` behind a real PgBouncer, which keeps the names of sessions and so hides well.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pgasync_tests::{Database, Target};
use serde_json::{Value, json};

struct Bouncer {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Bouncer {
    /// A pooler before the server of a database.
    fn start(database: &Database, mode: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pgbouncer.ini");
        let server = database.cluster().port();
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = {mode}\nignore_startup_parameters = extra_float_digits\n"
        );
        // With auth_type any, the user of each database is that of the string.
        let text = text.replace("* = host", "* = user=postgres host");
        std::fs::write(&file, text).expect("it is written");
        let process =
            command(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pgbouncer is installed");
        let begin = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(10), "pgbouncer does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, port, _folder: folder }
    }

    fn conninfo(&self, database: &str) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname={database}", self.port)
    }
}

/// PgBouncer refuses to run as root.
fn command(file: &Path) -> Command {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|said| said.stdout == b"0\n");
    // Debian's folder of the program is not on the path of every user.
    let program = "/usr/sbin/pgbouncer";
    let mut command = Command::new(if is_root { "setpriv" } else { program });
    if is_root {
        let folder = file.parent().expect("a file has a folder");
        assert!(Command::new("chmod").args(["-R", "a+rX"]).arg(folder).status().is_ok_and(|done| done.success()));
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", program]);
    }
    command.arg(file);
    command
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn findings(conninfo: &str) -> Vec<(String, String, String)> {
    let ran = Command::new("pgasync").args(["doctor", "-o", "json", "--server", conninfo]).output();
    let ran = ran.expect("./dev puts pgasync on PATH");
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let all = document["findings"].as_array().expect("an array").iter();
    all.map(|f| (text(f, "severity"), text(f, "about"), text(f, "finding"))).collect()
}

#[track_caller]
fn has(all: &[(String, String, String)], severity: &str, about: &str, part: &str) {
    let found = all.iter().any(|(s, a, text)| s == severity && a == about && text.contains(part));
    assert!(found, "{severity} {about} {part}: {all:#?}");
}

#[tokio::test]
async fn the_doctor_finds_a_pooler_before_a_target_and_before_the_server() {
    let database = Database::create().await;
    let target = Target::create_on(database.cluster()).await;
    let (transactions, sessions) = (Bouncer::start(&database, "transaction"), Bouncer::start(&database, "session"));
    database
        .configure(&json!({
            "targets": [
                { "target": "direct", "connection_string": target.conninfo() },
                { "target": "sessions", "connection_string": sessions.conninfo(target.name()) },
                { "target": "transactions", "connection_string": transactions.conninfo(target.name()) },
            ],
        }))
        .await;
    let all = findings(&database.conninfo());
    has(&all, "ok", "target direct", "it is reached");
    has(&all, "warning", "target sessions", "a pooler in session mode");
    has(&all, "error", "target transactions", "a pooler in transaction mode");
    has(&all, "ok", "connections", "there is room");
    let through = findings(&transactions.conninfo(database.name()));
    has(&through, "error", "connections", "a pooler in transaction mode is between this host and the server");
}
