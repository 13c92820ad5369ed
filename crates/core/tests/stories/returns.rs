//! Claims that are returned leave nothing behind, and nothing is taken for their launch.

use pgasync_core::{Command, Input};

use super::desk::{Desk, settings};

/// A task that is claimed, of which `holds` is not answered, and returned since all is paused.
fn returned(holds: fn(&Command) -> bool) -> Desk {
    let mut desk = Desk::leading(settings(1));
    desk.holds = holds;
    desk.push(1);
    let mut paused = settings(1);
    paused.paused = true;
    desk.tell(Input::Configured(Box::new(paused)));
    desk.release();
    desk
}

#[test]
fn the_mark_of_a_returned_claim_is_not_that_of_the_next() {
    let mut desk = returned(|command| matches!(command, Command::Mark { .. }));
    desk.tell(Input::Configured(Box::new(settings(1))));
    let marked: Vec<_> = desk
        .said
        .iter()
        .filter_map(|command| if let Command::Mark { run, .. } = command { Some(run.0) } else { None })
        .collect();
    assert_eq!(marked, [1, 2]);
}

#[test]
fn a_launch_that_no_target_saw_takes_its_deadline_back_with_it() {
    let mut desk = Desk::leading(settings(1));
    desk.holds = |command| matches!(command, Command::Mark { .. });
    let task = desk.push(1);
    let Some(Command::Mark { task: _, run, session }) = desk.held.pop() else { panic!("it is marked") };
    // The launch is said, and the store is lost before anybody carries it out.
    desk.core.handle(Input::Marked { task, run, session }, desk.now);
    desk.core.handle(Input::StoreLost, desk.now);
    let mut paused = settings(1);
    paused.paused = true;
    desk.tell(Input::Configured(Box::new(paused)));
    desk.tell(Input::StoreBack);
    desk.release();
    assert!(desk.running.is_empty());
    assert_eq!((desk.row(task).consumed, desk.row(task).times_up), (None, None));
}
