//! Lost answers of the store: no task is lost, and no task runs twice.

use pgasync_core::{Command, Event, FinishStatus, Input, Outcome, RowState, Run, Span, TaskEvent};

use crate::harness::{Harness, claims, records, settings};

fn gives_back(command: &Command) -> bool {
    matches!(command, Command::Write(TaskEvent { event: Event::GiveBack { .. }, .. }))
}

/// The held commands are executed or not. No answer arrives.
fn lose_answers(harness: &mut Harness, carried_out: bool) {
    for command in std::mem::take(&mut harness.held) {
        if carried_out {
            harness.answer(command);
        }
    }
    harness.holds = |_| false;
    harness.deliver(Input::StoreLost);
    assert_eq!(harness.count(|command| matches!(command, Command::ProveLead { .. })), 1);
    harness.deliver(Input::StoreBack);
}

#[test]
fn a_claim_whose_answer_is_lost_runs_once() {
    for carried_out in [true, false] {
        let mut harness = Harness::leading(settings(1));
        harness.holds = claims;
        let task = harness.push(1);
        lose_answers(&mut harness, carried_out);
        let run = Run(harness.row(task).run);
        assert_eq!(harness.running.get(&task).map(|(_, run)| *run), Some(run), "carried out: {carried_out}");
        assert_eq!(run, Run(1));
        harness.end(task, Outcome::Ok);
        assert_eq!(harness.row(task).finish_status, Some(FinishStatus::Finished));
    }
}

#[test]
fn an_end_whose_answer_is_lost_is_recorded_once() {
    for carried_out in [true, false] {
        let mut harness = Harness::leading(settings(1));
        let task = harness.push(1);
        harness.holds = records;
        harness.end(task, Outcome::Ok);
        assert_eq!(harness.held.len(), 1);
        lose_answers(&mut harness, carried_out);
        assert_eq!(harness.row(task).finish_status, Some(FinishStatus::Finished));
        assert_eq!(harness.count(records), if carried_out { 1 } else { 2 });
        assert_eq!(harness.core.memory().tasks, 0);
    }
}

#[test]
fn what_ends_while_the_store_is_lost_is_recorded_after() {
    let mut harness = Harness::leading(settings(1));
    let task = harness.push(1);
    harness.deliver(Input::StoreLost);
    harness.end(task, Outcome::Ok);
    harness.wait(Span::seconds(5));
    assert_eq!(harness.count(records), 0, "its row is not written before the lead is proved");
    harness.deliver(Input::StoreBack);
    assert_eq!(harness.row(task).finish_status, Some(FinishStatus::Finished));
}

/// The last session is refused while the store is lost: the claim that waits for it is returned.
#[test]
fn a_claim_that_is_hopeless_while_the_store_is_lost_is_returned_after() {
    let mut harness = Harness::leading(settings(2));
    let first = harness.push(1);
    harness.holds = |command| matches!(command, Command::Connect { .. });
    let second = harness.push(2);
    let Some(Command::Connect { session, .. }) = harness.held.pop() else { panic!("it wants a session") };
    harness.holds = |_| false;
    harness.deliver(Input::StoreLost);
    harness.sessions_max = 1;
    harness.deliver(Input::ConnectFailed { session, error: "too many connections".to_owned() });
    assert_eq!(harness.count(gives_back), 0, "nothing is written before the lead is proved");
    harness.deliver(Input::StoreBack);
    assert_eq!(harness.count(gives_back), 1);
    assert_eq!(harness.row(second).state(), RowState::Ready);
    harness.end(first, Outcome::Ok);
    assert!(harness.running.contains_key(&second));
}

#[test]
fn rows_that_the_store_refuses_to_read_are_read_later() {
    let mut harness = Harness::leading(settings(1));
    harness.holds = claims;
    let task = harness.push(1);
    harness.held.clear();
    harness.deliver(Input::StoreLost);
    harness.holds = |command| matches!(command, Command::Resync { .. });
    harness.deliver(Input::StoreBack);
    let refused = harness.held.pop().expect("the rows are read");
    harness.holds = |_| false;
    harness.deliver(Input::Refused { command: Box::new(refused), reason: "not now".to_owned() });
    harness.wait(Span::seconds(1));
    assert!(harness.running.contains_key(&task));
}

#[test]
fn commands_for_the_store_that_the_driver_did_not_take_are_dropped_with_it() {
    let mut harness = Harness::leading(settings(1));
    let reads = |harness: &Harness| harness.count(|command| matches!(command, Command::ReadRequests { .. }));
    let before = reads(&harness);
    harness.deliver_group([Input::Asking, Input::StoreLost]);
    assert_eq!(reads(&harness), before);
    harness.deliver(Input::StoreBack);
    assert_eq!(reads(&harness), before + 1);
}

#[test]
fn a_lead_that_is_lost_again_at_once_is_proved_ever_more_rarely() {
    let mut harness = Harness::leading(settings(1));
    let mut waits = Vec::new();
    for _ in 0..6 {
        let seen = harness.commands.len();
        harness.deliver(Input::StoreLost);
        let after = |command: &Command| if let Command::ProveLead { after } = command { Some(*after) } else { None };
        waits.extend(harness.commands[seen..].iter().find_map(after));
        harness.deliver(Input::StoreBack);
    }
    assert_eq!((waits.len(), waits[0]), (6, Span::ZERO));
    assert!(waits[5] > waits[2] && waits[5] <= Span::seconds(2), "{waits:?}");
    harness.wait(Span::seconds(20));
    let seen = harness.commands.len();
    harness.deliver(Input::StoreLost);
    assert!(harness.commands[seen..].contains(&Command::ProveLead { after: Span::ZERO }));
}
