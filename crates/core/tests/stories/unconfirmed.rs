//! Answers of the store that are lost: no task is, and none runs twice.

use pgasync_core::{Command, Event, FinishStatus, Input, Outcome, RowState, Run, Span, TaskEvent};

use super::desk::{Desk, claims, records, settings};

fn gives_back(command: &Command) -> bool {
    matches!(command, Command::Write(TaskEvent { event: Event::GiveBack { .. }, .. }))
}

/// The held commands are carried out, or not, and no answer arrives.
fn lose_answers(desk: &mut Desk, carried_out: bool) {
    for command in std::mem::take(&mut desk.held) {
        if carried_out {
            desk.answer(command);
        }
    }
    desk.holds = |_| false;
    desk.tell(Input::StoreLost);
    assert_eq!(desk.count(|command| matches!(command, Command::ProveLead { .. })), 1);
    desk.tell(Input::StoreBack);
}

#[test]
fn a_claim_whose_answer_is_lost_runs_once() {
    for carried_out in [true, false] {
        let mut desk = Desk::leading(settings(1));
        desk.holds = claims;
        let task = desk.push(1);
        lose_answers(&mut desk, carried_out);
        let run = Run(desk.row(task).run);
        assert_eq!(desk.running.get(&task).map(|(_, run)| *run), Some(run), "carried out: {carried_out}");
        assert_eq!(run, Run(1));
        desk.end(task, Outcome::Ok);
        assert_eq!(desk.row(task).finish_status, Some(FinishStatus::Finished));
    }
}

#[test]
fn an_end_whose_answer_is_lost_is_recorded_once() {
    for carried_out in [true, false] {
        let mut desk = Desk::leading(settings(1));
        let task = desk.push(1);
        desk.holds = records;
        desk.end(task, Outcome::Ok);
        assert_eq!(desk.held.len(), 1);
        lose_answers(&mut desk, carried_out);
        assert_eq!(desk.row(task).finish_status, Some(FinishStatus::Finished));
        assert_eq!(desk.count(records), if carried_out { 1 } else { 2 });
        assert_eq!(desk.core.tasks_in_memory(), 0);
    }
}

#[test]
fn what_ends_while_the_store_is_lost_is_recorded_after() {
    let mut desk = Desk::leading(settings(1));
    let task = desk.push(1);
    desk.tell(Input::StoreLost);
    desk.end(task, Outcome::Ok);
    desk.wait(Span::seconds(5));
    assert_eq!(desk.count(records), 0, "its row is not written before the lead is proved");
    desk.tell(Input::StoreBack);
    assert_eq!(desk.row(task).finish_status, Some(FinishStatus::Finished));
}

/// The last session is refused while the store is lost: the claim that waits for it is returned.
#[test]
fn a_claim_that_is_hopeless_while_the_store_is_lost_is_returned_after() {
    let mut desk = Desk::leading(settings(2));
    let first = desk.push(1);
    desk.holds = |command| matches!(command, Command::Connect { .. });
    let second = desk.push(2);
    let Some(Command::Connect { session, .. }) = desk.held.pop() else { panic!("it wants a session") };
    desk.holds = |_| false;
    desk.tell(Input::StoreLost);
    desk.sessions_max = 1;
    desk.tell(Input::ConnectFailed { session, error: "too many connections".to_owned() });
    assert_eq!(desk.count(gives_back), 0, "nothing is written before the lead is proved");
    desk.tell(Input::StoreBack);
    assert_eq!(desk.count(gives_back), 1);
    assert_eq!(desk.row(second).state(), RowState::Ready);
    desk.end(first, Outcome::Ok);
    assert!(desk.running.contains_key(&second));
}

#[test]
fn rows_that_the_store_refuses_to_read_are_read_later() {
    let mut desk = Desk::leading(settings(1));
    desk.holds = claims;
    let task = desk.push(1);
    desk.held.clear();
    desk.tell(Input::StoreLost);
    desk.holds = |command| matches!(command, Command::Resync { .. });
    desk.tell(Input::StoreBack);
    let refused = desk.held.pop().expect("the rows are read");
    desk.holds = |_| false;
    desk.tell(Input::Refused { command: Box::new(refused), reason: "not now".to_owned() });
    desk.wait(Span::seconds(1));
    assert!(desk.running.contains_key(&task));
}

#[test]
fn a_lead_that_is_lost_again_at_once_is_proved_ever_more_rarely() {
    let mut desk = Desk::leading(settings(1));
    let mut waits = Vec::new();
    for _ in 0..6 {
        let said = desk.said.len();
        desk.tell(Input::StoreLost);
        let after = |command: &Command| if let Command::ProveLead { after } = command { Some(*after) } else { None };
        waits.extend(desk.said[said..].iter().find_map(after));
        desk.tell(Input::StoreBack);
    }
    assert_eq!((waits.len(), waits[0]), (6, Span::ZERO));
    assert!(waits[5] > waits[2] && waits[5] <= Span::seconds(2), "{waits:?}");
    desk.wait(Span::seconds(20));
    let said = desk.said.len();
    desk.tell(Input::StoreLost);
    assert!(desk.said[said..].contains(&Command::ProveLead { after: Span::ZERO }));
}
