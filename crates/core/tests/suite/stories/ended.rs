//! A driver that asks hears of each end of a task once.

use pgasync_core::{Epoch, FinishStatus, Input, Outcome, Request, Span, TaskId, TaskOptions};

use crate::harness::{Harness, settings};

/// Ends a task by its result, one by its deadline on a lost session, and one by a cancel before its
/// start; another one yields.
fn ends(harness: &mut Harness) -> [TaskId; 3] {
    let done = harness.push(1);
    harness.end(done, Outcome::Ok);
    let late = harness.push_as(2, TaskOptions { manual_timeout: Some(Span::seconds(10)), ..TaskOptions::default() });
    let (session, _) = harness.running.remove(&late).expect("it runs");
    harness.deliver(Input::SessionLost { session });
    harness.wait(Span::seconds(60));
    let waiting = harness.push(3);
    harness.request(waiting, Request::cancel("not any more"));
    // The slot of the late task is free now, which is written to the row of a finished task.
    harness.deliver(Input::SessionGone { session });
    let yields = harness.push(4);
    harness.request(yields, Request::finish(FinishStatus::Yielded));
    harness.end(yields, Outcome::Ok);
    harness.deliver(Input::StoreLost);
    harness.deliver(Input::StoreBack);
    [done, late, waiting]
}

#[test]
fn each_end_is_kept_once_until_it_is_taken() {
    let mut harness = Harness::leading(settings(1));
    harness.core.keep_ended();
    let ended = ends(&mut harness);
    assert_eq!(harness.core.take_ended(), ended);
    assert!(harness.core.take_ended().is_empty());
}

#[test]
fn ends_are_kept_in_a_later_epoch_too() {
    let mut harness = Harness::leading(settings(1));
    harness.core.keep_ended();
    let (fence, inherited, lanes) = (vec![], vec![], vec![]);
    harness.deliver(Input::Elected { epoch: Epoch(2), fence, inherited, lanes });
    let ended = ends(&mut harness);
    assert_eq!(harness.core.take_ended(), ended);
}

#[test]
fn nothing_is_kept_for_a_driver_that_does_not_ask() {
    let mut harness = Harness::leading(settings(1));
    ends(&mut harness);
    assert!(harness.core.take_ended().is_empty());
}
