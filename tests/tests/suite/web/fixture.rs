//! A server, a role, and `pgasync web` as that role.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use pgasync_tests::{Database, Signal, Target, send};
use serde_json::json;

use super::http::Visitor;

const START_PATIENCE: Duration = Duration::from_secs(60);

/// A running `pgasync web`. Dropping this value ends it.
#[derive(Debug)]
pub(crate) struct Dashboard {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Dashboard {
    /// Starts it on a free port, with these arguments and variables.
    ///
    /// # Panics
    /// When it does not start.
    pub(crate) fn start(conninfo: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let process = Command::new("pgasync")
            .args(["web", "--web-server", conninfo, "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env_remove("PGASYNC_WEB_TOKEN")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("./dev puts pgasync on PATH");
        // It ends with this value, also if it says no address.
        let mut dashboard = Self { process, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let stderr = dashboard.process.stderr.take().expect("it is piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if std::env::var_os("PGASYNC_SHOW").is_some() {
                    eprintln!("{line}");
                }
                let _ = sender.send(line);
            }
        });
        let begin = Instant::now();
        loop {
            let line = lines.recv_timeout(START_PATIENCE).unwrap_or_else(|error| panic!("it does not start: {error}"));
            if let Some((_, place)) = line.split_once("the dashboard is at http://") {
                let address = place.split('/').next().and_then(|address| address.parse().ok());
                dashboard.address = address.unwrap_or_else(|| panic!("no address in {line}"));
                return dashboard;
            }
            assert!(begin.elapsed() < START_PATIENCE, "it does not start: {line}");
        }
    }

    pub(super) fn visitor(&self) -> Visitor {
        Visitor::new(self.address)
    }

    /// Ends it in order, and returns its exit code.
    pub(super) fn stop(mut self) -> Option<i32> {
        send(Signal::Terminate, i32::try_from(self.process.id()).expect("process ids are small"));
        self.process.wait().expect("it ends").code()
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A database with the targets `there` (tag `prod`) and `down`, which refuses connections, and a pool.
pub(crate) async fn server() -> (Database, Target) {
    let database = Database::create().await;
    let target = Target::create_on(database.cluster()).await;
    database
        .configure(&json!({
            "control": { "workers": 4, "idle_sleep": 0.2 },
            "targets": [
                { "target": "there", "connection_string": target.conninfo(), "max_workers": 4, "tags": ["prod"] },
                { "target": "down", "connection_string": "host=127.0.0.1 port=1 password=hidden" },
            ],
            "concurrency_pools": [{ "concurrency_pool": "narrow", "max_workers": 2 }],
        }))
        .await;
    (database, target)
}

/// A connection string of a new role with these grants, in which `ROLE` is its name. The role ends with its
/// database.
pub(crate) async fn role(database: &Database, suffix: &str, grants: &str) -> String {
    let role = format!("w{suffix}_{}", database.name().replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
    let role = role[..role.len().min(50)].to_owned();
    database.run(&format!("create role {role} login; {}", grants.replace("ROLE", &role))).await;
    database.conninfo().replace("user=postgres", &format!("user={role}"))
}

pub(crate) const ADMIN: &str = "select async.grant_admin('ROLE')";

/// The dashboard of an administrator, without a token.
pub(crate) async fn dashboard(database: &Database) -> Dashboard {
    Dashboard::start(&role(database, "", ADMIN).await, &[], &[])
}
