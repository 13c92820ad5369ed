//! Running the program, with and without a server.

use std::io::Write;
use std::process::{Command, Stdio};

use pgasync_tests::{Database, Target};
use serde_json::{Value, json};

/// What a process left.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ran {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Asserts on the exit code and on a part of standard error.
    #[track_caller]
    pub(super) fn refused(&self, code: i32, part: &str) {
        assert!(self.code == Some(code) && self.stderr.contains(part), "code {code} and {part:?} expected: {self:#?}");
        assert_eq!(self.stdout, "", "a refusal prints no result");
    }

    #[track_caller]
    pub(super) fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }
}

/// Runs the program with these words, and nothing on standard input.
pub(super) fn pgasync(words: &[&str]) -> Ran {
    with_input(words, &[], "")
}

/// Runs a command on a database.
pub(super) fn on(conninfo: &str, words: &[&str]) -> Ran {
    with_input(words, &["--server", conninfo], "")
}

pub(super) fn with_input(words: &[&str], more: &[&str], input: &str) -> Ran {
    let (command, rest) = words.split_first().expect("a command");
    let mut process = Command::new("pgasync")
        .arg(command)
        .args(rest)
        .args(more)
        .env_remove("COLUMNS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("./dev puts pgasync on PATH");
    // A command that reads nothing has closed the pipe.
    let _ = process.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let ran = process.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: ran.status.code(), stdout: text(&ran.stdout), stderr: text(&ran.stderr) }
}

/// A database with the targets `there` (tag `prod`) and `down`, which refuses connections.
pub(super) async fn server() -> (Database, Target) {
    let database = Database::create().await;
    let target = Target::create_on(database.cluster()).await;
    database
        .configure(&json!({
            "control": { "workers": 4, "idle_sleep": 0.2 },
            "targets": [
                { "target": "there", "connection_string": target.conninfo(), "max_workers": 4, "tags": ["prod"] },
                { "target": "down", "connection_string": "host=127.0.0.1 port=1" },
            ],
        }))
        .await;
    (database, target)
}

/// A role with these grants, and a connection string of it.
pub(super) async fn role(database: &Database, grants: &str) -> (String, String) {
    let role = format!("r_{}", database.name().replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
    let role = role[..role.len().min(50)].to_owned();
    database.run(&format!("create role {role} login; {}", grants.replace("ROLE", &role))).await;
    let conninfo = database.conninfo().replace("user=postgres", &format!("user={role}"));
    (role, conninfo)
}

/// Runs the program in a pseudo-terminal of this width, with `input` typed into it. Its two outputs are
/// one there.
pub(super) fn in_terminal(words: &[&str], columns: u16, input: &str) -> Ran {
    const DRIVER: &str = "
import fcntl, os, pty, struct, sys, termios
columns, typed, words = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(words[0], words)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 40, columns, 0, 0))
os.write(terminal, typed)
try:
    while True:
        read = os.read(terminal, 65536)
        if not read:
            break
        os.write(1, read)
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";
    let ran = Command::new("python3")
        .args(["-c", DRIVER, &columns.to_string(), input, "pgasync"])
        .args(words)
        .env_remove("COLUMNS")
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .expect("python3 has pseudo-terminals");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: ran.status.code(), stdout: text(&ran.stdout), stderr: text(&ran.stderr) }
}
