//! What is held in memory is bounded by limits: not by what waits, and not by what has run.

use pgasync_core::{
    Command, Epoch, Event, Head, Input, Lane, LaneKind, Now, Orchestrator, Outcome, PoolName, Priority, QueuePosition,
    Run, Settings, Sleep, Span, TargetName, TargetSettings, TaskId, TaskOptions, Timestamp, WriteAnswer,
};

const TASKS: i64 = 5_000;

fn head(task: i64) -> Head {
    Head {
        position: QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(0), task: TaskId(task) },
        run: Run::NONE,
        options: TaskOptions::default(),
        times_up: None,
        text_bytes: 8,
    }
}

/// Nothing is new.
fn polled(sleep: Sleep) -> Input {
    let asleep = (sleep == Sleep::FallAsleep).then_some(true);
    Input::Polled { lanes: vec![], requests: false, latch: 0, asleep }
}

#[test]
fn quick_tasks_leave_nothing_behind() {
    let target = TargetName::new("there").expect("a name");
    let lane = Lane { pool: PoolName::of(None, &target), target: target.clone(), kind: LaneKind::Run };
    let mut settings = Settings::default();
    settings.targets.insert(target, TargetSettings { max_concurrency: 4, default_timeout: Some(Span::seconds(3_600)) });
    let mut core = Orchestrator::new(settings, 1);
    let mut now = Now::from_micros(0);
    let lanes = vec![lane.clone()];
    core.handle(Input::Elected { epoch: Epoch(1), fence: vec![], inherited: vec![], lanes }, now);
    let (mut next, mut ended, mut most) = (1, 0, 0);
    while let Some(command) = core.poll_command() {
        now = now + Span::micros(10);
        let input = match command {
            Command::RunStartup => Input::StartupDone,
            Command::Refill { lane, heads_max } => {
                let heads: Vec<Head> = (next..=TASKS).take(heads_max).map(head).collect();
                let more = heads.last().is_some_and(|last| last.position.task.0 < TASKS);
                Input::Refilled { lane, heads, more }
            }
            Command::Write(event) => {
                match event.event {
                    Event::Claim { .. } => next = next.max(event.task.0 + 1),
                    _ => ended += 1,
                }
                Input::Written { task: event.task, run: event.run, answer: WriteAnswer::AsPredicted }
            }
            Command::Poll { sleep, .. } => polled(sleep),
            Command::RotateMarks { .. } => Input::MarksRotated,
            Command::Connect { session, .. } => Input::Connected { session },
            Command::Register { session } => Input::Registered { session },
            Command::Mark { task, run, session } => Input::Marked { task, run, session },
            Command::Launch { task, run, session } => {
                core.handle(Input::Sent { task, run }, now);
                Input::QueryEnded { session, task, run, outcome: Outcome::Ok }
            }
            Command::ReadRequests { serial } => Input::Requests { serial, asked: vec![], last: true },
            Command::Sweep { .. } => Input::Swept { overdue: vec![], promoted: vec![], next: None, failed: vec![] },
            Command::SleepUntil(_) if next > TASKS && ended == TASKS => break,
            Command::SleepUntil(_) | Command::Maintain => continue,
            other => panic!("{other:?} has no place here"),
        };
        core.handle(input, now);
        most = most.max(core.timers() + core.tasks_in_memory());
    }
    assert_eq!(ended, TASKS, "all of them ran");
    assert!(most < 400, "{most} things were held in memory at once");
    assert!(core.timers() < 20, "{} timers are left", core.timers());
}

/// Each wave has names of its own, which are not used again.
#[allow(clippy::too_many_lines, reason = "one arm a command")]
#[test]
fn names_that_are_not_used_any_more_are_forgotten() {
    let mut core = Orchestrator::new(Settings::default(), 1);
    let mut now = Now::from_micros(0);
    let (fence, inherited, lanes) = (vec![], vec![], vec![]);
    core.handle(Input::Elected { epoch: Epoch(1), fence, inherited, lanes }, now);
    let mut settled = 0;
    for wave in 0..50_i64 {
        let name = |what: &str| format!("{what} {wave}");
        let target = TargetName::new(name("target")).expect("a name");
        let shared = PoolName::new(name("pool")).expect("a name");
        let runs = Lane { pool: shared.clone(), target: target.clone(), kind: LaneKind::Run };
        let pulls = Lane { pool: shared, kind: LaneKind::Pull, ..runs.clone() };
        // One target in three refuses all sessions.
        let refuses = wave % 3 == 0;
        let waiting = [(wave * 100 + 1..wave * 100 + 10, runs), (wave * 100 + 50..wave * 100 + 54, pulls)];
        let mut gone = std::collections::BTreeSet::new();
        core.handle(Input::Waiting(waiting.iter().map(|(_, lane)| lane.clone()).collect()), now);
        let end = now + Span::seconds(400);
        let mut alarm = end.monotonic;
        loop {
            while let Some(command) = core.poll_command() {
                now = now + Span::micros(10);
                let input = match command {
                    Command::RunStartup => Input::StartupDone,
                    Command::Refill { lane, heads_max } => {
                        let open = now.monotonic + Span::seconds(100) < end.monotonic;
                        let here = waiting.iter().filter(|(_, its)| *its == lane && open);
                        let all = here.flat_map(|(tasks, _)| tasks.clone()).filter(|task| !gone.contains(task));
                        let options =
                            TaskOptions { client_pulled: lane.kind == LaneKind::Pull, ..TaskOptions::default() };
                        let heads: Vec<Head> = all.map(|task| Head { options, ..head(task) }).take(heads_max).collect();
                        Input::Refilled { lane, heads, more: false }
                    }
                    Command::Write(event) => {
                        match event.event {
                            Event::GiveBack { .. } => gone.remove(&event.task.0),
                            Event::Offer { .. } | Event::Withdraw => false,
                            _ => gone.insert(event.task.0),
                        };
                        Input::Written { task: event.task, run: event.run, answer: WriteAnswer::AsPredicted }
                    }
                    Command::Poll { sleep, .. } => polled(sleep),
                    Command::Maintain => Input::Maintained { more: false },
                    Command::Unregister { sessions } => Input::Unregistered { sessions },
                    Command::Reread { .. } => continue,
                    Command::Connect { session, .. } if refuses => {
                        Input::ConnectFailed { session, error: "no".to_owned() }
                    }
                    Command::Connect { session, .. } => Input::Connected { session },
                    Command::Register { session } => Input::Registered { session },
                    Command::Disconnect { session } => Input::SessionGone { session },
                    Command::Mark { task, run, session } => Input::Marked { task, run, session },
                    Command::Launch { task, run, session } => {
                        core.handle(Input::Sent { task, run }, now);
                        Input::QueryEnded { session, task, run, outcome: Outcome::Ok }
                    }
                    Command::ReadRequests { serial } => Input::Requests { serial, asked: vec![], last: true },
                    Command::Sweep { .. } => {
                        Input::Swept { overdue: vec![], promoted: vec![], next: None, failed: vec![] }
                    }
                    Command::SleepUntil(when) => {
                        alarm = when;
                        continue;
                    }
                    other => panic!("{other:?} has no place here"),
                };
                core.handle(input, now);
            }
            if now.monotonic >= end.monotonic {
                break;
            }
            now = now + (alarm.min(end.monotonic) - now.monotonic).max(Span::micros(1));
            if now.monotonic + Span::seconds(150) > end.monotonic {
                // What still waits is deleted.
                for (_, lane) in &waiting {
                    core.handle(Input::Refilled { lane: lane.clone(), heads: vec![], more: false }, now);
                }
                for task in core.resting().chain(waiting[1].0.clone().map(TaskId)).collect::<Vec<_>>() {
                    core.handle(Input::Changed { task, row: None }, now);
                }
            }
            core.handle(Input::Tick, now);
        }
        let left = core.names_in_memory() + core.sessions() + core.tasks_in_memory() + core.timers();
        if wave == 4 {
            settled = left;
        }
        assert!(
            wave < 4 || left <= settled + 6,
            "wave {wave}: {left} names and things are in memory, {settled} before"
        );
    }
}
