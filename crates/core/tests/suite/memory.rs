//! Limits bound the use of memory. It does not grow with the number of waiting or finished tasks.

use pgasync_core::{
    Input, Lane, LaneKind, Outcome, PoolName, Settings, Span, TargetName, TargetSettings, TaskId, TaskOptions,
};

use crate::harness::{Harness, lane, target};

const TASKS: i64 = 5_000;

/// The number of all entries that the orchestrator holds.
fn held(harness: &Harness) -> usize {
    let memory = harness.core.memory();
    memory.names + memory.sessions + memory.tasks + memory.timers
}

#[test]
fn quick_tasks_leave_nothing_behind() {
    let mut settings = Settings::default();
    let configured =
        TargetSettings { max_concurrency: 4, default_timeout: Some(Span::seconds(3_600)), max_sessions: None };
    settings.targets.insert(target(), configured);
    let mut harness = Harness::leading(settings);
    // Each command has a time of its own, so no two timers are the same.
    harness.command_takes = Span::micros(10);
    for task in 1..=TASKS {
        harness.insert(task, lane(), TaskOptions::default());
    }
    harness.deliver(Input::Waiting(vec![lane()]));
    let mut most = 0;
    while let Some((task, _)) = harness.running.first_key_value() {
        let task = *task;
        harness.end(task, Outcome::Ok);
        let memory = harness.core.memory();
        most = most.max(memory.timers + memory.tasks);
        harness.commands.clear();
    }
    assert!(harness.store.tasks.values().all(|task| task.row.processed.is_some()), "all of them ran");
    assert!(most < 400, "{most} things were held in memory at once");
    let timers = harness.core.memory().timers;
    assert!(timers < 20, "{timers} timers are left");
}

/// Runs a wave of tasks, on a target and in a pool of its own. Deletes the tasks that still wait
/// at the end.
fn run_wave(harness: &mut Harness, wave: i64) {
    let target = TargetName::new(format!("target {wave}")).expect("a name");
    let pool = PoolName::new(format!("pool {wave}")).expect("a name");
    if wave % 3 == 0 {
        harness.refusing.insert(target.clone());
    }
    let runs = Lane { pool, target, kind: LaneKind::Run };
    let pulls = Lane { kind: LaneKind::Pull, ..runs.clone() };
    for task in wave * 100 + 1..wave * 100 + 10 {
        harness.insert(task, runs.clone(), TaskOptions::default());
    }
    for task in wave * 100 + 50..wave * 100 + 54 {
        harness.insert(task, pulls.clone(), TaskOptions { client_pulled: true, ..TaskOptions::default() });
    }
    harness.deliver(Input::Waiting(vec![runs.clone(), pulls.clone()]));
    wait_and_end_queries(harness, Span::seconds(250));
    let offered = (wave * 100 + 50..wave * 100 + 54).map(TaskId);
    let deleted: Vec<TaskId> = harness.core.resting().chain(offered).collect();
    harness.store.tasks.clear();
    for lane in [runs, pulls] {
        harness.deliver(Input::Refilled { lane, heads: vec![], more: false });
    }
    for task in deleted {
        harness.deliver(Input::Changed { task, row: None });
    }
    wait_and_end_queries(harness, Span::seconds(150));
    harness.commands.clear();
}

/// Advances the time. Every query ends at once.
fn wait_and_end_queries(harness: &mut Harness, span: Span) {
    let end = harness.now.monotonic + span;
    loop {
        while let Some((task, _)) = harness.running.first_key_value() {
            let task = *task;
            harness.end(task, Outcome::Ok);
        }
        if !harness.wait_for_alarm(end) {
            return;
        }
    }
}

#[test]
fn names_that_are_not_used_any_more_are_forgotten() {
    let mut harness = Harness::leading(Settings::default());
    harness.command_takes = Span::micros(10);
    let mut settled = 0;
    for wave in 0..50 {
        run_wave(&mut harness, wave);
        if wave == 4 {
            settled = held(&harness);
        }
        let held = held(&harness);
        let bounded = wave < 4 || held <= settled + 6;
        assert!(bounded, "wave {wave}: {held} names and things are in memory, {settled} before");
    }
}
