//! Requests that come at the wrong moment are heeded as soon as it is over.

use pgasync_core::{Command, Event, FinishStatus, Input, Request, Row, Span, TaskEvent, TaskOptions};

use super::desk::{Desk, claims, settings};

fn writes(command: &Command, like: fn(&Event) -> bool) -> bool {
    matches!(command, Command::Write(TaskEvent { event, .. }) if like(event))
}

/// Cancels the task while the store writes what `holds` names.
fn canceled_while(holds: fn(&Command) -> bool, options: TaskOptions) {
    let mut desk = Desk::leading(settings(1));
    desk.holds = holds;
    let task = desk.push_as(1, options);
    assert_eq!(desk.held.len(), 1);
    desk.ask(task, Request::cancel("not any more"));
    desk.release();
    let pressed = desk.count(|command| matches!(command, Command::Cancel { .. })) > 0;
    let canceled = desk.row(task).finish_status == Some(FinishStatus::Canceled);
    assert!(pressed || canceled, "it is not heeded");
}

#[test]
fn a_cancel_during_a_claim_is_heeded() {
    canceled_while(claims, TaskOptions::default());
}

#[test]
fn a_cancel_during_an_offer_is_heeded() {
    let options = TaskOptions { client_pulled: true, ..TaskOptions::default() };
    canceled_while(|command| writes(command, |event| matches!(event, Event::Offer { .. })), options);
}

#[test]
fn a_cancel_while_an_offer_is_taken_back_is_heeded() {
    for taken in [false, true] {
        let mut desk = Desk::leading(settings(1));
        let pulled = desk.push_as(2, TaskOptions { client_pulled: true, ..TaskOptions::default() });
        desk.holds = |command| writes(command, |event| *event == Event::Withdraw);
        desk.push(1);
        desk.wait(Span::seconds(2));
        assert_eq!(desk.held.len(), 1);
        desk.ask(pulled, Request::cancel("not any more"));
        if taken {
            let row = Row { consumed: Some(desk.now.server), run: 1, ..desk.row(pulled).clone() };
            desk.rows.get_mut(&pulled).expect("it is there").3 = row.clone();
            desk.tell(Input::Taken { task: pulled, row });
        }
        desk.release();
        assert_eq!(desk.row(pulled).finish_status, Some(FinishStatus::Canceled), "taken: {taken}");
    }
}

#[test]
fn a_cancel_while_a_claim_is_returned_is_heeded() {
    let mut desk = Desk::leading(settings(1));
    desk.sessions_max = 0;
    // The target is met, and refuses the session that the next task wants.
    desk.holds = |command| matches!(command, Command::Connect { .. });
    let task = desk.push(1);
    desk.sessions_max = 1;
    desk.release();
    assert!(desk.running.contains_key(&task));
    desk.holds = claims;
    desk.end(task, pgasync_core::Outcome::Ok);
    let next = desk.push(2);
    let mut paused = settings(1);
    paused.paused = true;
    let claim = desk.held.pop().expect("it is claimed");
    desk.holds = |command| writes(command, |event| matches!(event, Event::GiveBack { .. }));
    desk.tell(Input::Configured(Box::new(paused)));
    let claimed = desk.answer(claim).expect("it is answered");
    desk.tell(claimed);
    assert_eq!(desk.held.len(), 1, "the claim is returned");
    desk.ask(next, Request::cancel("not any more"));
    desk.release();
    assert_eq!(desk.row(next).finish_status, Some(FinishStatus::Canceled));
}

#[test]
fn a_slot_s_release_is_said_again_when_the_store_was_lost_meanwhile() {
    let mut desk = Desk::leading(settings(1));
    let task = desk.push_as(1, TaskOptions { manual_timeout: Some(Span::seconds(10)), ..TaskOptions::default() });
    let (session, _) = desk.running.remove(&task).expect("it runs");
    desk.tell(Input::SessionLost { session });
    desk.wait(Span::seconds(60));
    assert_eq!(desk.row(task).tracked, Some(true));
    let releases = |command: &Command| writes(command, |event| *event == Event::Release);
    desk.holds = |command| writes(command, |event| *event == Event::Release);
    desk.tell(Input::SessionGone { session });
    assert_eq!(desk.held.len(), 1);
    desk.held.clear();
    desk.holds = |_| false;
    desk.tell(Input::StoreLost);
    desk.tell(Input::StoreBack);
    assert_eq!(desk.row(task).tracked, Some(false));
    // Known to be done, it is not said a third time.
    desk.tell(Input::StoreLost);
    desk.tell(Input::StoreBack);
    assert_eq!(desk.count(releases), 2);
}
