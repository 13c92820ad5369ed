//! The Rust engine: a process of `pgasync run`.

use std::env;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pgasync_pg::{ConnectionSettings, Notice, Session};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::database::Database;
use crate::engine::{Engine, Outcome};
use crate::signal::{Signal, send};
use crate::wait::PATIENCE;

/// The drain timeout when a test stops the engine.
const DRAIN_SECONDS: &str = "3";

/// Exit codes of an engine that did not become the leader, or no longer leads; see `pgasync run
/// --help`.
const ENDED_IN_ORDER: [i32; 3] = [0, 3, 4];

/// A process of `pgasync run`. Dropping this value kills it.
#[derive(Debug)]
pub struct RustEngine {
    settings: ConnectionSettings,
    /// Its connection string for the server.
    server: String,
    /// Variables in its environment.
    variables: Vec<(String, String)>,
    log: Arc<Mutex<Vec<String>>>,
    /// The number of lines that earlier processes wrote.
    earlier_lines: usize,
    process: Option<Child>,
    /// The tokio task that reads the log. It ends with the log.
    reading: Option<JoinHandle<()>>,
}

impl RustEngine {
    /// An engine with another connection string, for example with several hosts.
    #[must_use]
    pub fn attach_at(database: &Database, server: String) -> Self {
        Self {
            settings: database.settings(),
            server,
            variables: Vec::new(),
            log: Arc::default(),
            earlier_lines: 0,
            process: None,
            reading: None,
        }
    }

    /// Sets a variable in the environment of processes that are started from now on.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Starts the engine with these arguments.
    ///
    /// # Panics
    /// When the engine runs already, or its program is not built.
    pub fn start_with(&mut self, arguments: &[&str]) {
        assert!(self.process.is_none(), "the engine runs already");
        self.earlier_lines = self.lines().len();
        let mut process = Command::new(program())
            .args(["run", "--server", &self.server])
            .args(arguments)
            .args(Self::usual(arguments))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("pgasync does not start ({error}): build it with cargo build -p pgasync"));
        let log = Arc::clone(&self.log);
        let stderr = process.stderr.take().expect("it is piped");
        self.reading = Some(tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if env::var_os("PGASYNC_SHOW").is_some() {
                    eprintln!("{line}");
                }
                log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        }));
        self.process = Some(process);
    }

    /// The default arguments that `given` does not replace.
    fn usual(given: &[&str]) -> Vec<&'static str> {
        let usual = [("--log", "debug"), ("--drain-timeout", DRAIN_SECONDS)];
        usual.into_iter().filter(|(name, _)| !given.contains(name)).flat_map(|(name, value)| [name, value]).collect()
    }

    /// The process id.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn pid(&self) -> i32 {
        let id = self.process.as_ref().and_then(Child::id).expect("the engine runs");
        i32::try_from(id).expect("process ids are small")
    }

    /// The lines of the log so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line that contains `part`.
    ///
    /// # Panics
    /// When no such line appears within [`PATIENCE`].
    pub async fn wait_for_line(&self, part: &str) {
        let begin = Instant::now();
        while !self.lines().iter().any(|line| line.contains(part)) {
            assert!(begin.elapsed() < PATIENCE, "no line contains {part:?}: {:#?}", self.lines());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for the end of the process, and returns its exit code.
    ///
    /// # Panics
    /// When it does not end, or is killed.
    pub async fn exit_code(&mut self) -> i32 {
        self.wait_for_exit().await.code().expect("the process was not killed")
    }

    /// Whether the process has ended, or was never started.
    ///
    /// # Panics
    /// When its process cannot be waited for.
    pub fn has_ended(&mut self) -> bool {
        let Some(process) = &mut self.process else { return true };
        process.try_wait().expect("it can be waited for").is_some()
    }

    async fn wait_for_exit(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("the engine was started");
        let status = timeout(PATIENCE, process.wait())
            .await
            .unwrap_or_else(|_| panic!("pgasync run did not end within {PATIENCE:?}: {:#?}", self.lines()))
            .expect("it can be waited for");
        if let Some(reading) = self.reading.take() {
            reading.await.expect("the log is read to its end");
        }
        status
    }

    /// The lines of the log from the first panic on, or the last line.
    fn final_lines(&self) -> Vec<String> {
        let lines = self.lines();
        let panic = lines.iter().position(|line| line.contains("panicked at"));
        // The next step of an error stands in indented lines below it.
        let error = lines.iter().rposition(|line| !line.starts_with("  "));
        lines[panic.or(error).unwrap_or(0)..].to_vec()
    }

    /// The backend of the leader session, according to its log.
    #[must_use]
    pub fn backend(&self) -> Option<i32> {
        let lines = self.lines();
        let line = lines
            .iter()
            .skip(self.earlier_lines)
            .rev()
            .find(|line| line.contains("leading epoch=") || line.contains("lead proved"))?;
        let (_, rest) = line.split_once("pid=")?;
        rest.split_whitespace().next()?.parse().ok()
    }

    async fn administrator(&self) -> Session {
        self.settings.connect().await.unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Engine for RustEngine {
    const NAME: &'static str = "rust";

    const OUTLIVES_ITS_SESSION: bool = true;

    fn attach(database: &Database) -> Self {
        Self::attach_at(database, database.settings().conninfo())
    }

    async fn start(&mut self) {
        self.start_with(&[]);
    }

    async fn start_forced(&mut self) {
        self.start_with(&["--force"]);
    }

    async fn stop(&mut self) -> Outcome {
        send(Signal::Terminate, self.pid());
        self.wait_until_ended().await
    }

    fn freeze(&self) {
        assert!(send(Signal::Stop, self.pid()), "a frozen engine is there");
    }

    fn thaw(&self) {
        assert!(send(Signal::Continue, self.pid()), "a frozen engine is there");
    }

    async fn crash(&mut self) {
        send(Signal::Kill, self.pid());
        self.wait_until_ended().await;
    }

    /// Terminates the leader session and kills the process. A process that only loses its session
    /// would reconnect and prove its lead.
    async fn terminate(&mut self) {
        send(Signal::Stop, self.pid());
        if let Some(backend) = self.backend() {
            let sql = "select pg_terminate_backend($1)";
            self.administrator().await.query(sql, &[&backend]).await.expect("a superuser may signal");
        }
        self.crash().await;
    }

    async fn is_leading(&self) -> bool {
        // The server may be down while the engine has not reported a backend, so it is not asked.
        let Some(backend) = self.backend() else { return false };
        let sql = "select coalesce((select pid from async.control) = $1, false)";
        let published = self.administrator().await.query_one(sql, &[&backend]).await.expect("control is readable");
        published.get(0)
    }

    async fn wait_until_leading(&mut self) {
        let begin = Instant::now();
        while !self.is_leading().await {
            let process = self.process.as_mut().expect("the engine was started");
            let ended = process.try_wait().expect("it can be waited for");
            if ended.is_some() || begin.elapsed() > PATIENCE {
                panic!("does not lead: {ended:?}, log {:#?}", self.lines());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn wait_until_ended(&mut self) -> Outcome {
        let status = self.wait_for_exit().await;
        match status.code() {
            Some(code) if ENDED_IN_ORDER.contains(&code) => Outcome::Returned,
            _ => Outcome::Failed(format!("{status}: {:#?}", self.final_lines())),
        }
    }

    fn notices(&self) -> Vec<Notice> {
        let notice = |text: String| Notice::Message { severity: "NOTICE".to_owned(), text };
        self.lines().into_iter().map(notice).collect()
    }
}

/// The program that was built beside this one, unless `PGASYNC_BIN` names another.
pub(crate) fn program() -> PathBuf {
    if let Some(named) = env::var_os("PGASYNC_BIN") {
        return named.into();
    }
    let this = env::current_exe().expect("a running program has a name");
    let folder = this.ancestors().nth(2).expect("tests lie in deps, below the binaries");
    folder.join("pgasync")
}
