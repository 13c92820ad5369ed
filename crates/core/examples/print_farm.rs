//! The core as the scheduler of a print shop, without Postgres.
//!
//! Printers are targets, jobs are tasks, and paper trays are pools. The table is a map, and the
//! clock is a number. `cargo run -p pgasync-core --example print_farm`

#![expect(clippy::print_stdout, reason = "an example speaks to a person")]

use std::collections::{BTreeMap, VecDeque};

use pgasync_core::{
    BadName, Command, Epoch, Head, Input, Lane, LaneKind, Now, OpenWriters, Orchestrator, Outcome, PoolName, Priority,
    QueuePosition, Row, RowState, Run, Settings, Sleep, Span, TargetName, TargetSettings, TaskId, TaskOptions,
    Timestamp, WriteAnswer,
};

/// A job: its position in the queue, its lane (tray and printer), and its row.
type Job = (QueuePosition, Lane, Row);

fn main() -> Result<(), BadName> {
    let mut settings = Settings::default();
    let mut jobs: BTreeMap<TaskId, Job> = BTreeMap::new();
    for (number, printer) in ["laser", "inkjet", "laser", "laser", "inkjet", "laser"].into_iter().enumerate() {
        let target = TargetName::new(printer)?;
        settings
            .targets
            .insert(target.clone(), TargetSettings { max_concurrency: 2, default_timeout: None, max_sessions: None });
        let task = TaskId(i64::try_from(number).unwrap_or(0));
        let position = QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(0), task };
        jobs.insert(
            task,
            (position, Lane { pool: PoolName::of(None, &target), target, kind: LaneKind::Run }, Row::default()),
        );
    }
    // Photos need the special tray. There is one.
    settings.pools.insert(PoolName::new("photo tray")?, 1);
    for id in [TaskId(1), TaskId(4)] {
        if let Some((_, lane, _)) = jobs.get_mut(&id) {
            lane.pool = PoolName::new("photo tray")?;
        }
    }

    let mut shop = Orchestrator::new(settings, 1);
    let lanes = jobs.values().map(|(_, lane, _)| lane.clone()).collect();
    let opening = Input::Elected { epoch: Epoch(1), fence: vec![], inherited: vec![], lanes };
    let mut inbox: VecDeque<(Now, Input)> = VecDeque::from([(Now::from_micros(0), opening)]);
    while let Some((now, input)) = inbox.pop_front() {
        shop.handle(input, now);
        while let Some(command) = shop.poll_command() {
            if let Some((later, answer)) = carry_out(&mut jobs, now, command) {
                let at = inbox.partition_point(|(when, _)| when.monotonic <= later.monotonic);
                inbox.insert(at, (later, answer));
            }
        }
        if jobs.values().all(|(_, _, row)| row.state() == RowState::Finished) {
            break;
        }
    }
    Ok(())
}

/// Carries out a command. Returns its answer and the time of the answer.
fn carry_out(jobs: &mut BTreeMap<TaskId, Job>, now: Now, command: Command) -> Option<(Now, Input)> {
    let answer = match command {
        Command::RunStartup => Input::StartupDone,
        Command::ReadRequests { serial } => Input::Requests { serial, asked: vec![], last: true },
        Command::Refill { lane, after, heads_max } => {
            let waits = jobs.values().filter(|(_, its, row)| *its == lane && row.state() == RowState::Ready);
            let options = TaskOptions::default();
            let mut heads: Vec<Head> = waits
                .map(|(position, _, row)| Head {
                    position: *position,
                    run: Run(row.run),
                    attempt: row.attempt,
                    options: options.clone(),
                    times_up: row.times_up,
                    text_bytes: 0,
                })
                .filter(|head| after.is_none_or(|after| head.position > after))
                .collect();
            let more = heads.len() > heads_max;
            heads.truncate(heads_max);
            Input::Refilled { lane, heads, more }
        }
        Command::Poll { sleep, .. } => {
            let writers = (sleep == Sleep::FallAsleep).then_some(OpenWriters { before: 0, open: false });
            Input::Polled { lanes: vec![], arrivals: vec![], due: None, requests: false, latch: 0, writers }
        }
        Command::Write(event) => {
            let row = &mut jobs.get_mut(&event.task)?.2;
            *row = event.apply(row, TaskOptions::default())?;
            if let Some(status) = row.finish_status {
                println!("{:?}: job {} is {status}", now.monotonic, event.task);
            }
            Input::Written { task: event.task, run: event.run, answer: WriteAnswer::AsPredicted }
        }
        Command::Connect { session, .. } => Input::Connected { session },
        Command::Register { session } => Input::Registered { session },
        Command::Mark { task, run, session } => Input::Marked { task, run, session },
        Command::Launch { task, run, session } => {
            println!("{:?}: job {task} goes to the {}", now.monotonic, jobs.get(&task)?.1.target);
            let done = Input::QueryEnded { session, task, run, outcome: Outcome::Ok };
            return Some((now + Span::seconds(task.0 + 2), done));
        }
        _ => return None,
    };
    Some((now, answer))
}
