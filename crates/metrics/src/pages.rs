//! The pages: metrics, health and readiness.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pgasync_runner::{Monitor, RunState};
use prometheus::TextEncoder;

use crate::families::families;

/// A loop that has not run for this time hangs. It runs once a second.
const QUIET_MAX: Duration = Duration::from_secs(10);

const PLAIN: &str = "text/plain; charset=utf-8";

#[derive(Clone, Debug)]
struct Observed {
    monitor: Monitor,
    version: &'static str,
}

pub(crate) fn pages(monitor: Monitor, version: &'static str) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(missing)
        .with_state(Observed { monitor, version })
}

async fn metrics(State(observed): State<Observed>) -> Response {
    let figures = observed.monitor.figures();
    match TextEncoder::new().encode_to_string(&families(figures.as_deref(), observed.version)) {
        Ok(text) => page(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text),
        Err(error) => page(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, format!("{error}\n")),
    }
}

async fn healthz(State(observed): State<Observed>) -> Response {
    let (status, text) = health(observed.monitor.quiet());
    page(status, PLAIN, text)
}

/// Whether a loop that ran so long ago is well.
fn health(quiet: Duration) -> (StatusCode, String) {
    let seconds = quiet.as_secs_f64();
    if quiet > QUIET_MAX {
        let text = format!("the loop of the orchestrator has not run for {seconds:.0} seconds\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text);
    }
    (StatusCode::OK, format!("the loop of the orchestrator ran {seconds:.1} seconds ago\n"))
}

async fn readyz(State(observed): State<Observed>) -> Response {
    let (status, text) = readiness(observed.monitor.state());
    page(status, PLAIN, text.to_owned())
}

const fn readiness(state: RunState) -> (StatusCode, &'static str) {
    match state {
        RunState::Leading => (StatusCode::OK, "leading\n"),
        RunState::StandingBy => (StatusCode::OK, "standing by\n"),
        RunState::Connecting => (StatusCode::SERVICE_UNAVAILABLE, "connecting: it has no session with its server\n"),
        RunState::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping: it starts no more tasks\n"),
    }
}

async fn missing() -> Response {
    page(StatusCode::NOT_FOUND, PLAIN, "there are /metrics, /healthz and /readyz\n".to_owned())
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response {
    let headers =
        [(CONTENT_TYPE, HeaderValue::from_static(kind)), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_has_not_run_for_ten_seconds_is_not_well() {
        assert_eq!(health(Duration::from_secs(10)).0, StatusCode::OK);
        let (status, text) = health(Duration::from_secs(12));
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "the loop of the orchestrator has not run for 12 seconds\n");
    }

    #[test]
    fn an_orchestrator_is_ready_when_it_leads_or_stands_by() {
        let ready = |state| readiness(state).0 == StatusCode::OK;
        assert!(ready(RunState::Leading) && ready(RunState::StandingBy));
        assert!(!ready(RunState::Connecting) && !ready(RunState::Stopping));
    }
}
