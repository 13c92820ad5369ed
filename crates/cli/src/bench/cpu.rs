//! CPU time, from `/proc`.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

/// Whether a backend of the server is a process of this machine.
pub(super) fn is_backend_here(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("postgres"))
}

/// The seconds that all processors of this machine have worked so far.
pub(super) fn machine_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let mut fields = stat.lines().next()?.split_whitespace().skip(1).map(str::parse::<f64>);
    let mut next = || fields.next()?.ok();
    let [user, nice, system] = [next()?, next()?, next()?];
    let [_idle, _waiting] = [next()?, next()?];
    let [interrupts, soft_interrupts] = [next()?, next()?];
    Some((user + nice + system + interrupts + soft_interrupts) / ticks_per_second())
}

/// The seconds of user and system time of a process: fields 14 and 15, counted after the name in
/// brackets.
pub(super) fn process_seconds(pid: i64) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    Some((times.next()?.ok()? + times.next()?.ok()?) / ticks_per_second())
}

/// The most memory that a process has had, in MiB.
pub(super) fn peak_mebibytes(pid: i64) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kibibytes| kibibytes / 1024.0)
}

fn ticks_per_second() -> f64 {
    static TICKS: OnceLock<f64> = OnceLock::new();
    *TICKS.get_or_init(|| {
        let printed = Command::new("getconf").arg("CLK_TCK").output().map(|ran| ran.stdout).unwrap_or_default();
        String::from_utf8_lossy(&printed).trim().parse().unwrap_or(100.0)
    })
}
