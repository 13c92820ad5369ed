//! A request that was committed before a deadline counts, whenever the leader comes to the deadline.

use pgasync_core::{Command, Epoch, FinishStatus, Input, Outcome, Request, Row, Span, TaskId, TaskOptions};

use crate::harness::{Harness, lane, settings};

const TIMEOUT: Span = Span::seconds(10);

const OPTIONS: TaskOptions = TaskOptions {
    client_pulled: false,
    asynchronous_finish: false,
    track_yielded: false,
    manual_timeout: Some(TIMEOUT),
    run_at: None,
    expires_at: None,
    retry: None,
    receipt: false,
};

/// A task that is brought to the state in which its deadline finds it.
type Prepare = fn(&mut Harness) -> TaskId;

fn pulled(harness: &mut Harness) -> TaskId {
    let task = harness.push_as(1, TaskOptions { client_pulled: true, ..OPTIONS });
    let (now, row) = (harness.now.server, harness.row(task).clone());
    let row = Row { consumed: Some(now), times_up: Some(now + TIMEOUT), run: 1, ..row };
    harness.store.tasks.get_mut(&task).expect("it is there").row = row.clone();
    harness.deliver(Input::Taken { task, row });
    task
}

fn yielded(harness: &mut Harness, track_yielded: bool) -> TaskId {
    let task = harness.push_as(1, TaskOptions { asynchronous_finish: true, track_yielded, ..OPTIONS });
    harness.end(task, Outcome::Ok);
    assert!(harness.row(task).yielded.is_some());
    task
}

fn yielded_without_a_slot(harness: &mut Harness) -> TaskId {
    yielded(harness, false)
}

fn yielded_with_its_slot(harness: &mut Harness) -> TaskId {
    yielded(harness, true)
}

fn claimed(harness: &mut Harness) -> TaskId {
    harness.holds = |command| matches!(command, Command::Mark { .. });
    let task = harness.push_as(1, OPTIONS);
    assert_eq!(harness.held.len(), 1, "its launch is not marked");
    task
}

fn deferred(harness: &mut Harness) -> TaskId {
    let task = yielded(harness, false);
    harness.request(task, Request::defer(Span::seconds(100)));
    assert!(harness.row(task).eligible_when.is_some());
    task
}

fn lost(harness: &mut Harness) -> TaskId {
    let task = harness.push_as(1, OPTIONS);
    let (session, _) = harness.running.remove(&task).expect("it runs");
    harness.refusing.insert(lane().target);
    harness.deliver(Input::SessionLost { session });
    task
}

const WITHOUT_A_QUERY: [Prepare; 5] = [pulled, yielded_without_a_slot, yielded_with_its_slot, claimed, deferred];

/// Commits a request of which the leader is not told, and lets the deadline pass in one step.
fn past_the_deadline(prepare: Prepare) -> (Harness, TaskId) {
    let mut harness = Harness::leading(settings(1));
    let task = prepare(&mut harness);
    let request = Request::finish(FinishStatus::Canceled);
    harness.store.request(task, request, harness.now.monotonic);
    harness.now = harness.now + Span::seconds(60);
    (harness, task)
}

#[test]
fn a_request_from_before_the_deadline_counts() {
    for (case, prepare) in WITHOUT_A_QUERY.into_iter().enumerate() {
        let (mut harness, task) = past_the_deadline(prepare);
        harness.deliver(Input::Tick);
        assert_eq!(harness.row(task).finish_status, Some(FinishStatus::Canceled), "case {case}");
    }
}

#[test]
fn a_request_from_before_the_deadline_counts_with_a_new_leader() {
    for (case, prepare) in WITHOUT_A_QUERY.into_iter().enumerate() {
        let (mut harness, task) = past_the_deadline(prepare);
        harness.held.clear();
        let (inherited, lanes) = (harness.store.inherited(), harness.store.lanes());
        harness.holds = |_| false;
        harness.deliver(Input::Elected { epoch: Epoch(2), fence: vec![], inherited, lanes });
        assert_eq!(harness.row(task).finish_status, Some(FinishStatus::Canceled), "case {case}");
    }
}

#[test]
fn without_a_request_the_deadline_counts() {
    let prepared = WITHOUT_A_QUERY.into_iter().chain([lost as Prepare]);
    for (case, prepare) in prepared.enumerate() {
        let (mut harness, task) = past_the_deadline(prepare);
        harness.store.requests.clear();
        harness.deliver(Input::Tick);
        harness.deliver(Input::Tick);
        assert_eq!(harness.row(task).finish_status, Some(FinishStatus::TimedOut), "case {case}");
    }
}
