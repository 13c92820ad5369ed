//! Returned claims leave no state behind, and no later event counts as their launch.

use pgasync_core::{Command, Input};

use crate::harness::{Harness, settings};

/// A claimed task whose command `holds` has no answer, and which is returned because of a pause.
fn returned(holds: fn(&Command) -> bool) -> Harness {
    let mut harness = Harness::leading(settings(1));
    harness.holds = holds;
    harness.push(1);
    let mut paused = settings(1);
    paused.paused = true;
    harness.deliver(Input::Configured(Box::new(paused)));
    harness.release();
    harness
}

#[test]
fn the_mark_of_a_returned_claim_is_not_that_of_the_next() {
    let mut harness = returned(|command| matches!(command, Command::Mark { .. }));
    harness.deliver(Input::Configured(Box::new(settings(1))));
    let marked: Vec<_> = harness
        .commands
        .iter()
        .filter_map(|command| if let Command::Mark { run, .. } = command { Some(run.0) } else { None })
        .collect();
    assert_eq!(marked, [1, 2]);
}

#[test]
fn a_launch_that_no_target_saw_takes_its_deadline_back_with_it() {
    let mut harness = Harness::leading(settings(1));
    harness.holds = |command| matches!(command, Command::Mark { .. });
    let task = harness.push(1);
    let Some(Command::Mark { task: _, run, session }) = harness.held.pop() else { panic!("it is marked") };
    // The launch is emitted, and the store is lost before the launch is carried out.
    harness.core.handle(Input::Marked { task, run, session }, harness.now);
    harness.core.handle(Input::StoreLost, harness.now);
    let mut paused = settings(1);
    paused.paused = true;
    harness.deliver(Input::Configured(Box::new(paused)));
    harness.deliver(Input::StoreBack);
    harness.release();
    assert!(harness.running.is_empty());
    assert_eq!((harness.row(task).consumed, harness.row(task).times_up), (None, None));
}
