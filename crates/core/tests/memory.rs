//! What is held in memory is bounded by limits: not by what waits, and not by what has run.

use pgasync_core::{
    Command, Epoch, Found, Head, Input, Kind, Lane, Orchestrator, Outcome, PoolName, Priority, Run, Settings, Span,
    TargetName, TargetSettings, TaskId, Terms, Timestamp, Turn,
};

const TASKS: i64 = 5_000;

fn head(task: i64) -> Head {
    Head {
        turn: Turn { priority: Priority(0), entered: Timestamp::from_micros(0), task: TaskId(task) },
        run: Run::NONE,
        terms: Terms::default(),
        times_up: None,
        text_bytes: 8,
    }
}

#[test]
fn quick_tasks_leave_nothing_behind() {
    let target = TargetName::new("there").expect("a name");
    let lane = Lane { pool: PoolName::of(None, &target), target: target.clone(), kind: Kind::Run };
    let mut settings = Settings::default();
    settings.targets.insert(target, TargetSettings { max_concurrency: 4, default_timeout: Some(Span::seconds(3_600)) });
    let mut core = Orchestrator::new(settings, 1);
    let mut now = Timestamp::from_micros(0);
    let lanes = vec![lane.clone()];
    core.handle(Input::Elected { epoch: Epoch(1), at_once: true, fence: vec![], inherited: vec![], lanes }, now);
    let (mut next, mut ended, mut most) = (1, 0, 0);
    while let Some(command) = core.poll_command() {
        now = now + Span::micros(10);
        let input = match command {
            Command::RunStartup => Input::StartupDone,
            Command::Refill { lane, heads_max } => {
                let heads: Vec<Head> = (next..=TASKS).take(heads_max).map(head).collect();
                let more = heads.last().is_some_and(|last| last.turn.task.0 < TASKS);
                Input::Refilled { lane, heads, more }
            }
            Command::Claim { task, row } => {
                next = next.max(task.0 + 1);
                Input::Claimed { task, run: Run(row.run), claimed: true }
            }
            Command::Connect { session, .. } => Input::Connected { session },
            Command::Register { session } => Input::Registered { session },
            Command::Mark { task, run, session } => Input::Marked { task, run, session },
            Command::Launch { task, run, session } => {
                core.handle(Input::Sent { task, run }, now);
                Input::QueryEnded { session, task, run, outcome: Outcome::Ok }
            }
            Command::ReadRequests { serial } => Input::Requests { serial, asked: vec![], last: true },
            Command::Sweep { .. } => Input::Swept { overdue: vec![], promoted: vec![], next: None },
            Command::Record { task, run, row, .. } => {
                ended += 1;
                Input::Recorded { task, run, found: Found::Row(row) }
            }
            Command::SleepUntil(_) => continue,
            other => panic!("{other:?} has no place here"),
        };
        core.handle(input, now);
        most = most.max(core.timers() + core.tasks_in_memory());
    }
    assert_eq!(ended, TASKS, "all of them ran");
    assert!(most < 400, "{most} things were held in memory at once");
    assert!(core.timers() < 20, "{} timers are left", core.timers());
}
