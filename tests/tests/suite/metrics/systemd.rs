//! The protocol of `sd_notify(3)`: ready, alive, stopping.

use std::time::{Duration, Instant};

use pgasync_tests::{Database, Engine, PATIENCE, RustEngine, Signal, Target, send};
use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

/// What stands for systemd: a socket, and the messages that have arrived at it.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
    heard: Vec<String>,
}

impl Manager {
    fn listen() -> Self {
        let folder = TempDir::new().expect("a folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        Self { socket, folder, heard: Vec::new() }
    }

    fn start(&self, engine: &mut RustEngine, arguments: &[&str]) {
        let path = self.folder.path().join("notify").display().to_string();
        engine.set_variable("NOTIFY_SOCKET", &path);
        engine.set_variable("WATCHDOG_USEC", "1500000");
        engine.start_with(arguments);
    }

    /// Reads messages for this time.
    async fn hear(&mut self, span: Duration) {
        let begin = Instant::now();
        let mut buffer = [0; 4096];
        while let Some(left) = span.checked_sub(begin.elapsed()) {
            if let Ok(read) = timeout(left, self.socket.recv(&mut buffer)).await {
                let text = String::from_utf8_lossy(&buffer[..read.expect("it is readable")]).into_owned();
                self.heard.extend(text.lines().map(str::to_owned));
            }
        }
    }

    async fn wait_for(&mut self, line: &str) {
        let begin = Instant::now();
        while !self.heard.iter().any(|heard| heard == line) {
            assert!(begin.elapsed() < PATIENCE, "no {line}: {:?}", self.heard);
            self.hear(Duration::from_millis(50)).await;
        }
    }

    fn count(&self, line: &str) -> usize {
        self.heard.iter().filter(|heard| *heard == line).count()
    }
}

#[tokio::test]
async fn the_process_says_that_it_is_ready_that_it_lives_and_that_it_stops() {
    let database = Database::create().await;
    let target = Target::create_on(database.cluster()).await;
    database.configure_targets(&[("there", &target, 2)]).await;
    let mut engine = RustEngine::attach(&database);
    let mut manager = Manager::listen();
    manager.start(&mut engine, &[]);
    manager.wait_for("READY=1").await;
    manager.wait_for("STATUS=leading").await;
    manager.hear(Duration::from_secs(2)).await;
    assert!(manager.count("WATCHDOG=1") >= 3, "{:?}", manager.heard);
    assert_eq!((manager.count("READY=1"), manager.count("STOPPING=1")), (1, 0), "{:?}", manager.heard);
    // A process that does not run does not say that it lives.
    engine.freeze();
    manager.hear(Duration::from_millis(200)).await;
    manager.heard.clear();
    manager.hear(Duration::from_secs(1)).await;
    assert_eq!(manager.count("WATCHDOG=1"), 0, "{:?}", manager.heard);
    engine.thaw();
    manager.wait_for("WATCHDOG=1").await;
    send(Signal::Terminate, engine.pid());
    manager.wait_for("STOPPING=1").await;
    assert_eq!(engine.exit_code().await, 0);
}

#[tokio::test]
async fn a_standby_is_ready_when_it_stands_by() {
    let database = Database::create().await;
    let mut leader = RustEngine::attach(&database);
    leader.start().await;
    leader.wait_until_leading().await;
    let mut standby = RustEngine::attach(&database);
    let mut manager = Manager::listen();
    manager.start(&mut standby, &["--standby"]);
    manager.wait_for("READY=1").await;
    manager.wait_for("STATUS=standing by").await;
    leader.stop().await;
    manager.wait_for("STATUS=leading").await;
    assert_eq!(manager.count("READY=1"), 1, "{:?}", manager.heard);
    manager.hear(Duration::from_secs(1)).await;
    assert!(manager.count("WATCHDOG=1") >= 1, "{:?}", manager.heard);
}
