//! A cluster for one test, which may stop and kill the cluster.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;
use std::{env, fs};

use crate::cluster::Cluster;
use crate::signal::{Signal, freeze, send, send_to_all};

/// The cluster of one test. Dropping this value removes the cluster. Derefs to [`Cluster`].
///
/// `./dev cluster` starts it, like every other cluster.
#[derive(Debug)]
pub struct PrivateCluster {
    cluster: Cluster,
    major: String,
    folder: PathBuf,
}

impl PrivateCluster {
    /// Starts a cluster of the major version of this run, with settings such as
    /// `max_connections=50`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(settings: &[&str]) -> Self {
        let major = env::var("PGASYNC_PG").unwrap_or_else(|_| "15".into());
        // The unprivileged user of the server must reach the folder, and the path of the socket
        // must be short.
        let parent = env::var("PGASYNC_CLUSTERS").unwrap_or_else(|_| "/tmp".into());
        let folder = PathBuf::from(format!("{parent}/pgasync-test.{}.{:08x}", std::process::id(), random()));
        let cluster = start(&major, &folder, settings);
        Self { cluster, major, folder }
    }

    /// Shuts the cluster down (mode fast), which ends all sessions.
    ///
    /// # Panics
    /// When it does not stop.
    pub fn stop(&self) {
        dev(&["cluster", "stop", &self.folder.display().to_string()]);
    }

    /// Kills the postmaster, as a failure of the machine would. Its backends end within moments.
    ///
    /// # Panics
    /// When it was not running.
    pub fn kill(&self) {
        assert!(send(Signal::Kill, self.postmaster_pid()), "the postmaster was gone already");
    }

    /// Starts the cluster again on the same port, after [`PrivateCluster::stop`] or
    /// [`PrivateCluster::kill`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&self) {
        let again = start(&self.major, &self.folder, &[]);
        assert_eq!(again, self.cluster, "a restarted cluster is where it was");
    }

    /// Sends a signal to a backend of the cluster. Returns whether the backend exists. The function
    /// does not signal a process that has the pid of a former backend.
    ///
    /// # Panics
    /// When the program `ps` is missing.
    #[must_use]
    pub fn signal_backend(&self, signal: Signal, pid: i32) -> bool {
        self.is_backend(pid) && send(signal, pid)
    }

    /// Freezes a backend of this cluster. Returns whether it is frozen.
    ///
    /// # Panics
    /// When the programs `kill` and `ps` are missing.
    #[must_use]
    pub fn freeze_backend(&self, pid: i32) -> bool {
        self.is_backend(pid) && freeze(pid)
    }

    /// Freezes the postmaster and all its processes. Returns the frozen processes.
    ///
    /// # Panics
    /// When it does not run, or the programs `kill` and `ps` are missing.
    #[must_use]
    pub fn freeze_all(&self) -> Vec<i32> {
        let postmaster = self.postmaster_pid();
        let is_frozen = freeze(postmaster);
        assert!(is_frozen, "the postmaster does not freeze");
        // A frozen postmaster starts no process.
        let children = Command::new("ps")
            .args(["-o", "pid=", "--ppid", &postmaster.to_string()])
            .output()
            .expect("ps is a program");
        let children = String::from_utf8_lossy(&children.stdout).into_owned();
        let mut frozen: Vec<i32> = children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        send_to_all(Signal::Stop, &frozen);
        frozen.push(postmaster);
        frozen
    }

    /// Kills the processes that have outlived their postmaster, as a service manager does, and waits
    /// until they are gone. A backend may wait for a silent target and not notice the end of the
    /// postmaster.
    ///
    /// # Panics
    /// When the program `kill` is missing.
    pub fn kill_survivors(&self) {
        let data = self.data_folder();
        let survivors = || -> Vec<i32> {
            let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
            let ours = processes.filter(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == data));
            ours.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
        };
        loop {
            let survivors = survivors();
            if survivors.is_empty() {
                return;
            }
            send_to_all(Signal::Kill, &survivors);
            sleep(Duration::from_millis(20));
        }
    }

    fn is_backend(&self, pid: i32) -> bool {
        let parent =
            Command::new("ps").args(["-o", "ppid=", "-p", &pid.to_string()]).output().expect("ps is a program");
        String::from_utf8_lossy(&parent.stdout).trim() == self.postmaster_pid().to_string()
    }

    /// The data directory.
    #[must_use]
    pub fn data_folder(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The folder of its Unix socket.
    #[must_use]
    pub fn socket_folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file that only the user of the server can read, and returns its path. Lines must
    /// not contain backslashes.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn write_file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.data_folder().join(name);
        let sql = format!(
            "copy (select unnest(string_to_array($text${}$text$, e'\\n'))) to program 'umask 077; cat >{}'",
            text.trim_end(),
            path.display()
        );
        self.administrator().await.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        path
    }

    /// Makes the cluster a hot standby without a primary.
    ///
    /// # Panics
    /// When it does not start as one.
    pub async fn become_standby(&self) {
        // Postgres 11 reads the setting from another file.
        match self.major.as_str() {
            "11" => self.write_file("recovery.conf", "standby_mode = on").await,
            _ => self.write_file("standby.signal", "").await,
        };
        self.stop();
        self.restart();
    }

    /// The process id of its postmaster.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn postmaster_pid(&self) -> i32 {
        let file = self.folder.join("data/postmaster.pid");
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        text.lines().next().and_then(|line| line.trim().parse().ok()).expect("the first line is the pid")
    }
}

impl Deref for PrivateCluster {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Drop for PrivateCluster {
    fn drop(&mut self) {
        let removed = script().args(["cluster", "remove"]).arg(&self.folder).status();
        if !removed.is_ok_and(|status| status.success()) {
            eprintln!("left behind: {}", self.folder.display());
        }
    }
}

fn start(major: &str, folder: &Path, settings: &[&str]) -> Cluster {
    let folder = folder.display().to_string();
    let printed = dev(&[&["cluster", "start", major, &folder], settings].concat());
    let variables: BTreeMap<_, _> = printed.lines().filter_map(|line| line.split_once('=')).collect();
    let port = variables["PGPORT"].parse().expect("a port is a number");
    Cluster { host: variables["PGHOST"].to_owned(), port, passing: true }
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev"))
}

fn dev(arguments: &[&str]) -> String {
    let done = script().args(arguments).output().expect("./dev is a program");
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "./dev {}: {stderr}", arguments.join(" "));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// A random number, from the keys of a hash map.
fn random() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    let [a, b, c, d, ..] = RandomState::new().hash_one(0).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
