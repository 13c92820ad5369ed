//! Commands that the store refuses as a whole are sent again, as far as they are still wanted.

use pgasync_core::{Command, FinishStatus, Input, Outcome, Request, Span, TaskId};

use crate::harness::{Harness, claims, records, settings};

/// Whether the command is of this kind.
type Kind = fn(&Command) -> bool;

/// The store refuses what it holds, and some time passes.
fn refuse(harness: &mut Harness) -> usize {
    let refused = std::mem::take(&mut harness.held);
    let count = refused.len();
    for command in refused {
        harness.deliver(Input::Refused { command: Box::new(command), reason: "not now".to_owned() });
    }
    harness.wait(Span::seconds(1));
    count
}

fn end_running(harness: &mut Harness) {
    if harness.running.contains_key(&TaskId(1)) {
        harness.end(TaskId(1), Outcome::Ok);
    }
}

#[test]
fn a_task_ends_whatever_the_store_refused_meanwhile() {
    let kinds: [(&str, Kind); 9] = [
        ("poll", |command| matches!(command, Command::Poll { .. })),
        ("refill", |command| matches!(command, Command::Refill { .. })),
        ("sweep", |command| matches!(command, Command::Sweep { .. })),
        ("requests", |command| matches!(command, Command::ReadRequests { .. })),
        ("register", |command| matches!(command, Command::Register { .. })),
        ("mark", |command| matches!(command, Command::Mark { .. })),
        ("rotation", |command| matches!(command, Command::RotateMarks { .. })),
        ("claim", claims),
        ("record", records),
    ];
    for (name, refuses) in kinds {
        let mut settings = settings(1);
        settings.tuning.marks_max = 0;
        let mut harness = Harness::leading(settings);
        harness.holds = refuses;
        harness.push(1);
        harness.deliver(Input::Notified);
        harness.deliver(Input::Asking);
        let mut refused = 0;
        for _ in 0..3 {
            harness.wait(Span::seconds(61));
            refused += refuse(&mut harness);
            end_running(&mut harness);
        }
        assert!(refused >= 2, "{name}: it is sent again after it was refused, and {refused} were");
        harness.release();
        harness.wait(Span::seconds(60));
        end_running(&mut harness);
        assert_eq!(harness.row(TaskId(1)).finish_status, Some(FinishStatus::Finished), "{name}");
    }
}

#[test]
fn a_leader_that_may_not_resign_tries_again() {
    let resigns = |command: &Command| matches!(command, Command::Resign);
    let mut harness = Harness::leading(settings(1));
    harness.holds = |command| matches!(command, Command::Resign);
    harness.deliver(Input::Shutdown { drain_until: harness.now.monotonic });
    harness.wait(Span::seconds(10));
    assert_eq!(harness.count(resigns), 1);
    assert_eq!(refuse(&mut harness), 1);
    assert_eq!(harness.count(resigns), 2);
    // What the store refuses to a leader that was is of no interest.
    let poll = Command::ReadRequests { serial: 9 };
    harness.deliver(Input::Refused { command: Box::new(poll.clone()), reason: "not now".to_owned() });
    harness.wait(Span::seconds(10));
    assert_eq!(harness.count(|command| *command == poll), 0);
}

#[test]
fn a_session_that_was_lost_is_not_registered_again() {
    let mut harness = Harness::leading(settings(1));
    harness.holds = |command| matches!(command, Command::Register { .. });
    harness.push(1);
    let Some(Command::Register { session }) = harness.held.pop() else { panic!("it is registered") };
    let command = Box::new(Command::Register { session });
    harness.deliver(Input::Refused { command, reason: "not now".to_owned() });
    harness.deliver(Input::SessionLost { session });
    harness.wait(Span::seconds(1));
    let registered = |command: &Command| matches!(command, Command::Register { session: its } if *its == session);
    assert_eq!(harness.count(registered), 1);
    assert!(!harness.held.is_empty(), "another session is");
}

#[test]
fn the_mark_of_a_task_that_was_canceled_is_not_sent_again() {
    let marks = |command: &Command| matches!(command, Command::Mark { .. });
    let mut harness = Harness::leading(settings(1));
    harness.holds = |command| matches!(command, Command::Mark { .. });
    let task = harness.push(1);
    let mark = Box::new(harness.held.pop().expect("its launch is marked"));
    harness.deliver(Input::Refused { command: mark, reason: "not now".to_owned() });
    harness.request(task, Request::cancel("not any more"));
    harness.wait(Span::seconds(10));
    assert_eq!((harness.count(marks), harness.row(task).finish_status), (1, Some(FinishStatus::Canceled)));
}

#[test]
fn callers_of_the_latch_are_served_although_the_store_refused_it_first() {
    let mut harness = Harness::leading(settings(1));
    harness.store.last_latch = 7;
    harness.holds = |command| matches!(command, Command::ServeLatch { .. });
    harness.deliver(Input::Notified);
    harness.wait(Span::seconds(1));
    for _ in 0..2 {
        assert_eq!(refuse(&mut harness), 1);
    }
    assert_eq!(harness.held, [Command::ServeLatch { number: 7 }]);
}
