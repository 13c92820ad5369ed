//! systemd: the process says when it is ready, that it lives, and that it stops.
//!
//! Without `NOTIFY_SOCKET` nothing is sent. The socket may belong to anything that understands the
//! protocol of sd_notify(3).

use std::time::Duration;

use pgasync_runner::{Monitor, RunState};
use sd_notify::NotifyState;
use tokio::time::sleep;

/// Between two looks at the orchestrator, if systemd does not want to hear more often.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// A loop that has not run for this time hangs. It runs once a second.
const QUIET_MAX: Duration = Duration::from_secs(10);

/// Reports the state of the orchestrator, until the process ends.
pub(crate) fn report(monitor: Monitor) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let watchdog = sd_notify::watchdog_enabled();
    let pause = watchdog.map_or(LOOK_INTERVAL, |limit| LOOK_INTERVAL.min(limit / 3));
    tokio::spawn(async move {
        let (mut shown, mut ready) = (RunState::Connecting, false);
        loop {
            let state = monitor.state();
            if state != shown {
                let mut said = vec![NotifyState::Status(describe(state))];
                if !ready && matches!(state, RunState::StandingBy | RunState::Leading) {
                    ready = true;
                    said.push(NotifyState::Ready);
                } else if state == RunState::Stopping {
                    said.push(NotifyState::Stopping);
                }
                send(&said);
                shown = state;
            }
            if watchdog.is_some() && monitor.quiet() < QUIET_MAX {
                send(&[NotifyState::Watchdog]);
            }
            sleep(pause).await;
        }
    });
}

/// Reports the end of the process.
pub(crate) fn report_stopping() {
    send(&[NotifyState::Stopping]);
}

const fn describe(state: RunState) -> &'static str {
    match state {
        RunState::Connecting => "connecting to the server",
        RunState::StandingBy => "standing by",
        RunState::Leading => "leading",
        RunState::Stopping => "stopping: running queries may end",
    }
}

fn send(said: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(said) {
        tracing::warn!(%error, "systemd cannot be notified");
    }
}
