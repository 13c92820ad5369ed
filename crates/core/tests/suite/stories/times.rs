//! Tasks that are pushed with times of their own.

use pgasync_core::{FinishStatus, Input, Span, TaskOptions};

use crate::fake_store::FakeStore;
use crate::harness::{Harness, lane, settings};

/// A leader that has polled, so that its next polls report what arrives.
fn polling() -> Harness {
    let mut harness = Harness::leading(settings(1));
    harness.store = FakeStore::reporting_arrivals();
    harness.deliver(Input::Notified);
    harness.wait(Span::seconds(1));
    harness
}

#[test]
fn a_task_that_arrives_with_a_time_runs_at_that_time() {
    let mut harness = polling();
    let run_at = Some(harness.now.server + Span::seconds(10));
    let task = harness.insert(1, lane(), TaskOptions { run_at, ..TaskOptions::default() });
    harness.deliver(Input::Notified);
    harness.wait(Span::millis(9_900));
    assert_eq!(harness.row(task).consumed, None);
    harness.wait(Span::millis(200));
    assert_eq!(harness.row(task).consumed, run_at, "no regular sweep is due before");
}

#[test]
fn a_task_that_arrives_expires_on_time() {
    let mut harness = polling();
    harness.insert(1, lane(), TaskOptions::default());
    let expires_at = Some(harness.now.server + Span::seconds(10));
    let task = harness.insert(2, lane(), TaskOptions { expires_at, ..TaskOptions::default() });
    harness.deliver(Input::Notified);
    harness.wait(Span::millis(9_900));
    assert_eq!(harness.row(task).finish_status, None);
    harness.wait(Span::millis(200));
    assert_eq!(harness.row(task).finish_status, Some(FinishStatus::TimedOut));
}

#[test]
fn patience_with_a_target_begins_when_a_task_may_run() {
    let patience = settings(1).target_patience;
    for seconds in 1..30 {
        let mut harness = polling();
        harness.refusing.insert(lane().target);
        harness.insert(1, lane(), TaskOptions::default());
        let run_at = harness.now.server + Span::seconds(seconds);
        let task = harness.insert(2, lane(), TaskOptions { run_at: Some(run_at), ..TaskOptions::default() });
        harness.deliver(Input::Notified);
        harness.wait(Span::seconds(100));
        let ended = harness.row(task).processed.expect("the patience is over");
        assert_eq!(harness.row(task).finish_status, Some(FinishStatus::Failed));
        assert!(ended >= run_at + patience, "it failed {:?} after the time from which it could run", ended - run_at);
    }
}
