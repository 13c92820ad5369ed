//! Targets that take some sessions and refuse others.

use pgasync_core::{
    Command, FinishStatus, Input, Lane, Outcome, PoolName, Request, RowState, Settings, Span, TaskId, TaskOptions,
};

use crate::harness::{Harness, lane, settings};

#[test]
fn a_target_that_takes_fewer_sessions_than_its_pool_serves_all() {
    let mut harness = Harness::leading(settings(4));
    harness.sessions_max = 1;
    for task in 1..=5 {
        harness.push(task);
    }
    for _ in 0..5 {
        let (task, _) = harness.running.first_key_value().expect("a task runs");
        let task = *task;
        assert_eq!(harness.running.len(), 1);
        // Longer than the patience with a target that is down.
        harness.wait(Span::seconds(60));
        harness.end(task, Outcome::Ok);
    }
    let done = |row: &pgasync_core::Row| row.finish_status == Some(FinishStatus::Finished);
    let wrong: Vec<_> = harness.store.tasks.values().filter(|task| !done(&task.row)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(harness.count(|command| matches!(command, Command::Launch { .. })), 5);
}

#[test]
fn tasks_without_a_session_hold_no_slot() {
    let mut harness = Harness::leading(settings(4));
    harness.sessions_max = 2;
    for task in 1..=6 {
        harness.push(task);
    }
    harness.wait(Span::seconds(1));
    assert_eq!(harness.slots_taken(), 2);
    let claimed = harness.store.tasks.values().filter(|task| task.row.state() == RowState::Running).count();
    assert_eq!(claimed, 2);
}

#[test]
fn a_place_that_comes_free_at_the_target_is_used_soon() {
    let mut harness = Harness::leading(settings(4));
    harness.sessions_max = 1;
    for task in 1..=3 {
        harness.push(task);
    }
    harness.wait(Span::seconds(100));
    assert_eq!(harness.running.len(), 1);
    harness.sessions_max = 2;
    harness.wait(Span::seconds(31));
    assert_eq!(harness.running.len(), 2, "it is asked again now and then");
    let asked = harness.count(|command| matches!(command, Command::Connect { .. }));
    assert!(asked < 30, "it is asked {asked} times");
    // The error ends the session, whose place is free at once.
    let (task, _) = harness.running.first_key_value().expect("a task runs");
    let task = *task;
    harness.end(task, Outcome::Error("no".to_owned()));
    harness.wait(Span::seconds(1));
    assert_eq!(harness.running.len(), 2);
}

/// A target that refused a session is asked again only if a task could run at once.
#[test]
fn a_target_is_not_asked_for_a_session_that_no_free_slot_needs() {
    let mut settings = settings(2);
    let full = Lane { pool: PoolName::new("full").expect("a name"), ..lane() };
    settings.pools.insert(full.pool.clone(), 1);
    let mut harness = Harness::leading(settings);
    harness.sessions_max = 1;
    for task in 1..=2 {
        harness.insert(task, full.clone(), TaskOptions::default());
        harness.deliver(Input::Waiting(vec![full.clone()]));
    }
    assert!(harness.running.contains_key(&TaskId(1)), "the pool is full");
    let refused = harness.push(3);
    let asked = |harness: &Harness| harness.count(|command| matches!(command, Command::Connect { .. }));
    let before = asked(&harness);
    harness.wait(Span::seconds(100));
    assert!(asked(&harness) > before, "the target refused a session that task 3 needs");
    harness.request(refused, Request::finish(FinishStatus::Canceled));
    let before = asked(&harness);
    harness.wait(Span::seconds(1000));
    assert_eq!(asked(&harness), before, "task 2 waits for its pool, and for no session");
    assert_eq!(harness.row(TaskId(2)).state(), RowState::Ready);
}

#[test]
fn a_leader_that_is_deposed_closes_each_of_its_sessions_once() {
    let mut harness = Harness::leading(settings(3));
    let closed = |harness: &Harness| {
        let session =
            |command: &Command| if let Command::Disconnect { session } = command { Some(*session) } else { None };
        let mut sessions: Vec<_> = harness.commands.iter().filter_map(session).collect();
        sessions.sort_unstable();
        sessions
    };
    for task in 1..=3 {
        harness.push(task);
    }
    let all: Vec<_> = harness.sessions.iter().copied().collect();
    harness.holds = |command| matches!(command, Command::Disconnect { .. });
    harness.end(TaskId(1), Outcome::Ok);
    harness.end(TaskId(2), Outcome::Error("its session is closed".to_owned()));
    assert_eq!((all.len(), closed(&harness).len()), (3, 1));
    harness.deliver(Input::Deposed);
    assert_eq!(closed(&harness), all);
}

/// Tasks that clients pull wait on: they need no session.
#[test]
fn tasks_fail_when_they_have_waited_for_a_target_that_refuses_every_session() {
    let mut harness = Harness::leading(settings(2));
    harness.refusing.insert(lane().target);
    let status = |harness: &Harness, task| harness.row(TaskId(task)).finish_status;
    harness.push(1);
    harness.push_as(2, TaskOptions { client_pulled: true, ..TaskOptions::default() });
    harness.wait(Span::seconds(4));
    assert_eq!(status(&harness, 1), None, "its patience is five seconds");
    harness.deliver(Input::Configured(Box::new(Settings { paused: true, ..settings(2) })));
    harness.wait(Span::seconds(30));
    assert_eq!(status(&harness, 1), None, "it is paused");
    harness.deliver(Input::Configured(Box::new(settings(2))));
    harness.wait(Span::seconds(30));
    assert_eq!((status(&harness, 1), status(&harness, 2)), (Some(FinishStatus::Failed), None));
    assert_eq!(harness.row(TaskId(1)).processing_error.as_deref(), Some("too many connections"));
    harness.push(3);
    harness.wait(Span::seconds(4));
    assert_eq!(status(&harness, 3), None, "it has not waited as long as the target is away");
    harness.wait(Span::seconds(30));
    assert_eq!(status(&harness, 3), Some(FinishStatus::Failed));
    harness.refusing.clear();
    harness.push(4);
    harness.wait(Span::seconds(30));
    assert!(harness.running.contains_key(&TaskId(4)));
}

#[test]
fn a_lost_target_is_looked_at_now_and_then_without_a_task() {
    let mut harness = Harness::leading(settings(2));
    harness.refusing.insert(lane().target);
    harness.push(1);
    harness.wait(Span::seconds(60));
    assert_eq!(harness.row(TaskId(1)).finish_status, Some(FinishStatus::Failed));
    let attempts = |harness: &Harness| harness.count(|command| matches!(command, Command::Connect { .. }));
    let before = attempts(&harness);
    harness.wait(Span::seconds(300));
    let looks = attempts(&harness) - before;
    assert!((15..=21).contains(&looks), "{looks} looks in five minutes");
    // The next task does not wait for the next look.
    harness.push(2);
    harness.wait(Span::seconds(1));
    assert!(attempts(&harness) > before + looks);
    harness.wait(Span::seconds(60));
    harness.refusing.clear();
    harness.wait(Span::seconds(16));
    assert_eq!(harness.sessions.len(), 1, "it is back");
    harness.push(3);
    harness.wait(Span::millis(100));
    assert!(harness.running.contains_key(&TaskId(3)));
}
