//! Inputs that come together: the driver takes the commands after the last of them.

use pgasync_core::{Command, FinishStatus, Input, Outcome, SessionId, Span, TaskId};

use crate::harness::{Harness, settings};

/// A leader that has marked the launch of a task on a session, and has not received the answer.
fn marking() -> (Harness, TaskId, SessionId, Input) {
    let mut harness = Harness::leading(settings(1));
    harness.holds = |command| matches!(command, Command::Mark { .. });
    let task = harness.push(1);
    let Some(mark) = harness.held.pop() else { panic!("the launch is marked") };
    let Command::Mark { session: Some(session), .. } = mark else { panic!("marked on a session: {mark:?}") };
    harness.holds = |_| false;
    let marked = harness.answer(mark).pop().expect("a mark is answered");
    (harness, task, session, marked)
}

/// Every selection of these inputs in every order.
fn arrangements(inputs: &[Input]) -> Vec<Vec<Input>> {
    let mut all = vec![Vec::new()];
    for (index, first) in inputs.iter().enumerate() {
        let others = [&inputs[..index], &inputs[index + 1..]].concat();
        all.extend(arrangements(&others).into_iter().map(|rest| [vec![first.clone()], rest].concat()));
    }
    all
}

/// Whatever comes together with the answer to the mark, in any order, the task ends once. Its
/// outcome is unknown only if the launch was taken by the driver.
#[test]
fn what_comes_together_with_a_mark_neither_loses_nor_repeats_the_task() {
    let (_, _, session, marked) = marking();
    let inputs = [
        marked,
        Input::SessionLost { session },
        Input::SessionGone { session },
        Input::SessionUnreachable { session },
        Input::StoreLost,
        Input::Tick,
    ];
    for group in arrangements(&inputs) {
        let (mut harness, task, _, marked) = marking();
        harness.deliver_group(group.iter().cloned());
        if group.contains(&Input::StoreLost) {
            harness.deliver(Input::StoreBack);
        } else if !group.contains(&marked) {
            harness.deliver(marked);
        }
        // The connection of a lost session is closed, and the session ends with it.
        harness.sessions.retain(|its| *its != session || harness.running.values().any(|(its, _)| *its == session));
        for command in harness.commands.clone() {
            if let Command::FenceSession { session, .. } = command {
                harness.running.retain(|_, (its, _)| *its != session);
                harness.deliver(Input::SessionGone { session });
            }
        }
        harness.wait(Span::seconds(60));
        if harness.running.contains_key(&task) {
            harness.end(task, Outcome::Ok);
        }
        let launches = harness.count(|command| matches!(command, Command::Launch { .. }));
        let status = harness.row(task).finish_status;
        assert_eq!((launches, status), (1, Some(FinishStatus::Finished)), "{group:?}");
    }
}
