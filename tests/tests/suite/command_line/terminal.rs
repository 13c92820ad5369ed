//! The program in a terminal: a real pseudo-terminal, and a terminal emulator that shows what a person
//! would see.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between the pipes of the test and a pseudo-terminal. A NUL byte begins `COLUMNSxROWS` and a line
/// break, the new size. At the end it says whether the terminal is as it was.
const DRIVER: &str = "
import fcntl, os, pty, select, struct, sys, termios
words = sys.argv[3:]
def resize(columns, rows):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
terminal, child_side = pty.openpty()
resize(int(sys.argv[1]), int(sys.argv[2]))
before = termios.tcgetattr(child_side)
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(child_side, termios.TIOCSCTTY, 0)
    for number in 0, 1, 2:
        os.dup2(child_side, number)
    os.execvp(words[0], words)
print(pid, file=sys.stderr, flush=True)
typed = True
while True:
    ready = select.select([terminal] + ([0] if typed else []), [], [], 0.05)[0]
    if 0 in ready:
        keys = os.read(0, 65536)
        if not keys:
            typed = False
        elif keys[0] == 0:
            resize(*map(int, keys[1:].split(b'x')))
        else:
            os.write(terminal, keys)
    if terminal in ready:
        os.write(1, os.read(terminal, 65536))
        continue
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
        break
# What was written between the last look and the end.
while select.select([terminal], [], [], 0)[0]:
    os.write(1, os.read(terminal, 65536))
restored = termios.tcgetattr(child_side) == before
print('restored' if restored else 'not restored', file=sys.stderr, flush=True)
sys.exit(os.waitstatus_to_exitcode(status))
";

/// How long a screen may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Terminal {
    driver: Child,
    keys: Option<ChildStdin>,
    pid: i32,
    seen: Arc<Mutex<Seen>>,
    /// Reads the output to its end.
    reader: Option<JoinHandle<()>>,
}

struct Seen {
    emulator: vt100::Parser,
    bytes: Vec<u8>,
}

/// What the program left behind.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    /// Line discipline, cursor and screen are as before.
    pub(super) restored: bool,
    /// All that was written.
    pub(super) bytes: Vec<u8>,
}

fn size(cells: u16) -> NonZeroU16 {
    NonZeroU16::new(cells).expect("a terminal has a size")
}

impl Terminal {
    /// Runs the program on a terminal of this size.
    pub(super) fn run(words: &[&str], columns: u16, rows: u16, environment: &[(&str, &str)]) -> Self {
        let mut driver = Command::new("python3")
            .args(["-c", DRIVER, &columns.to_string(), &rows.to_string(), "pgasync"])
            .args(words)
            .env_remove("COLUMNS")
            .env_remove("NO_COLOR")
            .env("TERM", "xterm-256color")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python3 has pseudo-terminals");
        let seen = Arc::new(Mutex::new(Seen {
            emulator: vt100::Parser::new(size(rows), size(columns), 0),
            bytes: Vec::new(),
        }));
        let (mut output, shared) = (driver.stdout.take().expect("it is piped"), Arc::clone(&seen));
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                let mut seen = shared.lock().expect("no test panics with it");
                seen.emulator.process(&buffer[..read]);
                seen.bytes.extend_from_slice(&buffer[..read]);
            }
        });
        let said = driver.stderr.as_mut().expect("it is piped");
        let mut pid = String::new();
        while !pid.ends_with('\n') {
            let mut byte = [0];
            said.read_exact(&mut byte).expect("the driver says the pid");
            pid.push(char::from(byte[0]));
        }
        let pid = pid.trim().parse().expect("a pid");
        let keys = driver.stdin.take();
        Self { driver, keys, pid, seen, reader: Some(reader) }
    }

    /// The process id of the program.
    pub(super) const fn pid(&self) -> i32 {
        self.pid
    }

    pub(super) fn press(&mut self, keys: &str) {
        let pipe = self.keys.as_mut().expect("it runs");
        pipe.write_all(keys.as_bytes()).and_then(|()| pipe.flush()).expect("the driver reads");
        // The driver tells a new size from keys by the beginning of what it reads.
        std::thread::sleep(Duration::from_millis(100));
    }

    pub(super) fn resize(&mut self, columns: u16, rows: u16) {
        self.seen.lock().expect("no test panics with it").emulator.screen_mut().set_size(size(rows), size(columns));
        self.press(&format!("\0{columns}x{rows}\n"));
    }

    /// The lines that a person sees. `contents` would join lines: a frame that was drawn for a wider terminal
    /// wraps, and a line of exactly the new width does not take that back.
    pub(super) fn screen(&self) -> String {
        let seen = self.seen.lock().expect("no test panics with it");
        let (_, columns) = seen.emulator.screen().size();
        let lines: Vec<String> = seen.emulator.screen().rows(0, columns.get()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// Waits until the screen shows the text; returns the screen.
    #[track_caller]
    pub(super) fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    #[track_caller]
    pub(super) fn wait_until(&self, what: &str, shows: impl Fn(&str) -> bool) -> String {
        let begin = Instant::now();
        loop {
            let screen = self.screen();
            if shows(&screen) {
                return screen;
            }
            assert!(begin.elapsed() < PATIENCE, "{what:?} is not on the screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Forgets what was written so far.
    pub(super) fn forget(&self) {
        self.seen.lock().expect("no test panics with it").bytes.clear();
    }

    /// What was written since [`Self::forget`], as text.
    pub(super) fn written(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().expect("no test panics with it").bytes).into_owned()
    }

    /// Waits for the end of the program.
    #[track_caller]
    pub(super) fn end(mut self) -> Ended {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.driver.try_wait().expect("it can be waited for") {
                break status;
            }
            assert!(begin.elapsed() < PATIENCE, "it does not end:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut said = String::new();
        let stderr = self.driver.stderr.as_mut().expect("it is piped");
        stderr.read_to_string(&mut said).expect("UTF-8");
        let reader = self.reader.take().expect("it is joined once");
        reader.join().expect("it does not panic");
        let seen = self.seen.lock().expect("no test panics with it");
        let screen = seen.emulator.screen();
        let restored = said.trim() == "restored" && !screen.alternate_screen() && !screen.hide_cursor();
        Ended { code: status.code(), restored, bytes: seen.bytes.clone() }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.keys = None;
        if self.driver.try_wait().is_ok_and(|ended| ended.is_none()) {
            pgasync_tests::send(pgasync_tests::Signal::Kill, self.pid);
            let _ = self.driver.wait();
        }
    }
}
