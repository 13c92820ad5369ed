//! Requests that cannot take effect at once do so as soon as possible.

use pgasync_core::{
    Command, Event, FinishStatus, Input, Outcome, Request, Row, RowState, Span, TaskEvent, TaskOptions,
};

use crate::harness::{Harness, claims, settings};

fn writes(command: &Command, like: fn(&Event) -> bool) -> bool {
    matches!(command, Command::Write(TaskEvent { event, .. }) if like(event))
}

/// Cancels the task while the store writes what `holds` names.
fn canceled_while(holds: fn(&Command) -> bool, options: TaskOptions) {
    let mut harness = Harness::leading(settings(1));
    harness.holds = holds;
    let task = harness.push_as(1, options);
    assert_eq!(harness.held.len(), 1);
    harness.request(task, Request::cancel("not any more"));
    harness.release();
    let canceling = harness.count(|command| matches!(command, Command::Cancel { .. })) > 0;
    let canceled = harness.row(task).finish_status == Some(FinishStatus::Canceled);
    assert!(canceling || canceled, "the cancel has no effect");
}

#[test]
fn a_cancel_during_a_claim_takes_effect() {
    canceled_while(claims, TaskOptions::default());
}

#[test]
fn a_cancel_during_an_offer_takes_effect() {
    let options = TaskOptions { client_pulled: true, ..TaskOptions::default() };
    canceled_while(|command| writes(command, |event| matches!(event, Event::Offer { .. })), options);
}

#[test]
fn a_cancel_while_an_offer_is_taken_back_takes_effect() {
    for taken in [false, true] {
        let mut harness = Harness::leading(settings(1));
        let pulled = harness.push_as(2, TaskOptions { client_pulled: true, ..TaskOptions::default() });
        harness.holds = |command| writes(command, |event| *event == Event::Withdraw);
        harness.push(1);
        harness.wait(Span::seconds(2));
        assert_eq!(harness.held.len(), 1);
        harness.request(pulled, Request::cancel("not any more"));
        if taken {
            let row = Row { consumed: Some(harness.now.server), run: 1, ..harness.row(pulled).clone() };
            harness.store.tasks.get_mut(&pulled).expect("it is there").row = row.clone();
            harness.deliver(Input::Taken { task: pulled, row });
        }
        harness.release();
        assert_eq!(harness.row(pulled).finish_status, Some(FinishStatus::Canceled), "taken: {taken}");
    }
}

#[test]
fn a_cancel_while_a_claim_is_returned_takes_effect() {
    let mut harness = Harness::leading(settings(1));
    harness.sessions_max = 0;
    // The target was reached before, and refuses the session for the next task.
    harness.holds = |command| matches!(command, Command::Connect { .. });
    let task = harness.push(1);
    harness.sessions_max = 1;
    harness.release();
    assert!(harness.running.contains_key(&task));
    harness.holds = claims;
    harness.end(task, pgasync_core::Outcome::Ok);
    let next = harness.push(2);
    let mut paused = settings(1);
    paused.paused = true;
    let claim = harness.held.pop().expect("it is claimed");
    harness.holds = |command| writes(command, |event| matches!(event, Event::GiveBack { .. }));
    harness.deliver(Input::Configured(Box::new(paused)));
    harness.execute(claim);
    assert_eq!(harness.held.len(), 1, "the claim is returned");
    harness.request(next, Request::cancel("not any more"));
    harness.release();
    assert_eq!(harness.row(next).finish_status, Some(FinishStatus::Canceled));
}

#[test]
fn the_release_of_a_slot_is_repeated_when_the_store_was_lost_meanwhile() {
    let mut harness = Harness::leading(settings(1));
    let task = harness.push_as(1, TaskOptions { manual_timeout: Some(Span::seconds(10)), ..TaskOptions::default() });
    let (session, _) = harness.running.remove(&task).expect("it runs");
    harness.deliver(Input::SessionLost { session });
    harness.wait(Span::seconds(60));
    assert_eq!(harness.row(task).tracked, Some(true));
    let releases = |command: &Command| writes(command, |event| *event == Event::Release);
    harness.holds = |command| writes(command, |event| *event == Event::Release);
    harness.deliver(Input::SessionGone { session });
    assert_eq!(harness.held.len(), 1);
    harness.held.clear();
    harness.holds = |_| false;
    harness.deliver(Input::StoreLost);
    harness.deliver(Input::StoreBack);
    assert_eq!(harness.row(task).tracked, Some(false));
    // The dismissal is confirmed, so it is not sent a third time.
    harness.deliver(Input::StoreLost);
    harness.deliver(Input::StoreBack);
    assert_eq!(harness.count(releases), 2);
}

fn cancels(harness: &Harness) -> usize {
    harness.count(|command| matches!(command, Command::Cancel { .. }))
}

#[test]
fn a_running_query_is_cancelled_at_once_or_after_the_time_in_which_it_may_end() {
    let yields = Request::finish(FinishStatus::Yielded);
    for (request, grace, status) in [
        (Request::cancel("not any more"), Span::ZERO, FinishStatus::Canceled),
        (Request::finish(FinishStatus::Finished), Span::seconds(5), FinishStatus::Finished),
        (yields, Span::seconds(5), FinishStatus::Yielded),
    ] {
        let mut harness = Harness::leading(settings(1));
        let task = harness.push(1);
        harness.request(task, request.clone());
        if grace > Span::ZERO {
            harness.wait(grace + Span::micros(-1));
            assert_eq!(cancels(&harness), 0, "{request:?}");
            harness.wait(Span::micros(1));
        }
        assert_eq!((cancels(&harness), harness.row(task).finish_status), (1, None), "{request:?}");
        harness.end(task, Outcome::Error("canceled".to_owned()));
        assert_eq!(harness.row(task).finish_status, Some(status));
        assert!(harness.store.requests.is_empty(), "the record settles the request");
    }
}

#[test]
fn a_query_that_still_runs_at_the_end_of_a_drain_is_stopped_and_its_task_waits_again() {
    let mut harness = Harness::leading(settings(1));
    let task = harness.push(1);
    harness.deliver(Input::Shutdown { drain_until: harness.now.monotonic + Span::seconds(2) });
    harness.wait(Span::millis(1_999));
    assert_eq!(cancels(&harness), 0, "it may end by itself");
    harness.wait(Span::millis(1));
    assert_eq!(cancels(&harness), 1);
    harness.end(task, Outcome::Error("canceled".to_owned()));
    assert_eq!((harness.row(task).state(), harness.row(task).consumed), (RowState::Ready, None));
    assert_eq!(harness.count(|command| matches!(command, Command::Resign)), 1);
}
