//! Occupancy, timers and texts follow every change of a task.

use super::*;
use crate::names::{Priority, SessionId};
use crate::orchestrator::input::TaskSnapshot;
use crate::orchestrator::settings::Settings;
use crate::plan::lane::{Lane, LaneKind, QueuePosition};
use crate::task::event::{Event, Outcome};
use crate::task::phase::{Completion, Phase, TaskTimes};
use crate::task::status::FinalStatus;
use crate::task::{Task, TaskOptions};
use crate::time::{MonotonicTime, Now, Span, Timestamp};

const TASK: TaskId = TaskId(1);

fn context(workers: u32) -> Context {
    let mut cx = Context::new(Settings { workers, ..Settings::default() }, 1);
    cx.advance(Now::from_micros(0));
    cx
}

/// A task that waits, without anything being written about it.
fn pushed(task: i64, options: TaskOptions, cx: &Context) -> Tracked {
    let target = TargetName::new("t").unwrap();
    let lane = Lane { pool: PoolName::of(None, &target), target, kind: LaneKind::Run };
    let position = QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(0), task: TaskId(task) };
    Tracked::new(position, lane, Task::pushed(options), cx.tuning(), cx.now())
}

/// A task about which a claim is being written.
fn claiming(task: i64, session: TaskSession, cx: &Context) -> Tracked {
    let options = TaskOptions { track_yielded: true, ..TaskOptions::default() };
    let pushed = pushed(task, options, cx);
    let write = Write::of(pushed.task(), Event::Claim { default_timeout: None }, cx.now()).unwrap();
    pushed.with_write(write, session)
}

/// The task after this event.
fn after(tasks: &TrackedTasks, event: &Event) -> Task {
    tasks.get(TASK).unwrap().task().step(event, Timestamp::from_micros(0)).unwrap()
}

/// Writes this event about the task, and takes the answer that it is written.
fn record(tasks: &mut TrackedTasks, event: Event, cx: &mut Context) -> (Change, Change) {
    let next = after(tasks, &event);
    let write = Write::of(tasks.get(TASK).unwrap().task(), event, cx.now()).unwrap();
    let begun = tasks.update(TASK, |tracked| tracked.begin_write(write), cx).unwrap();
    let now = cx.now();
    (begun, tasks.update(TASK, |tracked| tracked.rest(next, now), cx).unwrap())
}

/// Tracks a task and takes it to a query that runs.
fn run(tasks: &mut TrackedTasks, cx: &mut Context) {
    let change = tasks.insert(claiming(1, TaskSession::Wanted, cx), cx);
    assert_eq!((change.slots_changed, change.wants_session), (true, Some(true)));
    let (claimed, now) = (after(tasks, &Event::Claim { default_timeout: None }), cx.now());
    let change = tasks.update(TASK, |tracked| tracked.end_claim(claimed, now), cx).unwrap();
    assert_eq!((change.slots_changed, change.wants_session, change.write_ended), (false, None, true));
    let session = SessionId(1);
    let assigned = TaskSession::Assigned { session };
    let change = tasks.update(TASK, |tracked| tracked.set_session(assigned), cx).unwrap();
    assert_eq!((change.slots_changed, change.wants_session), (false, Some(false)));
    let (launched, cancel) = (after(tasks, &Event::Launch), CancelState::NotRequested);
    let launch = |tracked: &mut Tracked| {
        tracked.set_task(launched, now);
        tracked.set_session(TaskSession::Running { session, cancel });
    };
    assert!(!tasks.update(TASK, launch, cx).unwrap().slots_changed);
}

#[test]
fn the_occupancy_follows_a_task_from_its_claim_to_its_yield() {
    let (mut cx, mut tasks) = (context(1), TrackedTasks::default());
    run(&mut tasks, &mut cx);
    let pool = PoolName::new("t").unwrap();
    assert_eq!((tasks.occupancy().of(&pool).slots, tasks.occupancy().workers()), (1, 1));
    let ended = TaskSession::Ended { outcome: Outcome::Ok };
    let change = tasks.update(TASK, |tracked| tracked.set_session(ended), &mut cx).unwrap();
    assert!(change.first_worker_freed && !change.slots_changed, "it may keep its slot yielded");
    let request = crate::Request::finish(crate::FinishStatus::Yielded);
    let yields = after(&tasks, &Event::Request(request));
    let now = cx.now();
    tasks.known_mut(TASK).unwrap().set_task(yields, now);
    let end = Event::QueryEnded { run: tasks.get(TASK).unwrap().task().run, outcome: Outcome::Ok };
    let (begun, written) = record(&mut tasks, end, &mut cx);
    assert!(!begun.slots_changed && written.starts_resting && written.write_ended);
    let (_, change) = tasks.remove(TASK, &mut cx).unwrap();
    assert!(change.slots_changed && tasks.audit());
    assert_eq!(tasks.occupancy().pools().count(), 0);
}

#[test]
fn a_query_on_a_lost_session_keeps_its_slot_whatever_is_written() {
    let (mut cx, mut tasks) = (context(1), TrackedTasks::default());
    run(&mut tasks, &mut cx);
    let (pool, since) = (PoolName::new("t").unwrap(), cx.monotonic());
    let lost = TaskSession::Lost { since, host: LostHost::Unknown };
    let change = tasks.update(TASK, |tracked| tracked.set_session(lost), &mut cx).unwrap();
    assert!(change.starts_resting && !change.first_worker_freed);
    let change = tasks.update(TASK, |tracked| tracked.set_host(LostHost::Unreachable), &mut cx).unwrap();
    assert!(change.first_worker_freed && !change.slots_changed, "a dead host takes no worker");
    let end = Event::QueryEnded { run: tasks.get(TASK).unwrap().task().run, outcome: Outcome::Ok };
    let (begun, written) = record(&mut tasks, end, &mut cx);
    assert!(!begun.slots_changed && !written.slots_changed);
    assert_eq!(*tasks.get(TASK).unwrap().session(), TaskSession::Abandoned { host: LostHost::Unreachable });
    assert_eq!(tasks.occupancy().of(&pool).slots, 1);
    assert!(tasks.audit());
}

#[test]
fn timers_come_and_go_with_the_session() {
    let (mut cx, mut tasks) = (context(1), TrackedTasks::default());
    let since = cx.monotonic();
    let change = tasks.insert(claiming(1, TaskSession::Later { since, lack: Lack::Slot }, &cx), &mut cx);
    assert_eq!((change.slots_changed, change.ahead), (false, (Ahead::No, Ahead::Claiming(Lack::Slot))));
    assert_eq!(cx.timers.len(), 0, "while the claim is written nothing is due");
    let (claimed, now) = (after(&tasks, &Event::Claim { default_timeout: None }), cx.now());
    let change = tasks.update(TASK, |tracked| tracked.end_claim(claimed, now), &mut cx).unwrap();
    assert_eq!(change.ahead, (Ahead::Claiming(Lack::Slot), Ahead::Unmarked(Lack::Slot)));
    assert_eq!(cx.timers.first(), Some(since + cx.tuning().ahead_age_max));
    assert_eq!(tasks.last_ahead(Some(&PoolName::new("t").unwrap()), 9), vec![TASK]);
    let change = tasks.update(TASK, |tracked| tracked.set_session(TaskSession::Wanted), &mut cx).unwrap();
    assert_eq!((change.ahead, cx.timers.len()), ((Ahead::Unmarked(Lack::Slot), Ahead::No), 0), "it has no deadline");
}

#[test]
fn texts_are_counted_once_and_one_always_fits() {
    let (mut cx, mut tasks) = (context(1), TrackedTasks::default());
    let huge = cx.tuning().text_bytes_max + 1;
    for task in [1, 2] {
        let mut one = claiming(task, TaskSession::Wanted, &cx);
        one.text_bytes = huge;
        let _ = tasks.insert(one, &mut cx);
    }
    assert!(tasks.fits_text(huge, &cx));
    tasks.mark(TASK, None, &mut cx);
    tasks.mark(TASK, None, &mut cx);
    assert!(!tasks.fits_text(1, &cx));
    let freed = |tasks: &mut TrackedTasks, cx: &mut Context| {
        tasks.update(TASK, Tracked::free_text, cx).is_some_and(|change| change.text_freed)
    };
    assert!(freed(&mut tasks, &mut cx) && !freed(&mut tasks, &mut cx));
    tasks.mark(TaskId(2), None, &mut cx);
    let (_, change) = tasks.remove(TaskId(2), &mut cx).unwrap();
    assert!(change.text_freed && tasks.fits_text(huge, &cx) && tasks.audit());
}

#[test]
fn a_query_is_stopped_in_three_steps() {
    let (mut cx, mut tasks) = (context(1), TrackedTasks::default());
    run(&mut tasks, &mut cx);
    cx.take_commands();
    let pause = Event::Request(crate::Request::finish(crate::FinishStatus::Paused));
    let session = SessionId(1);
    assert_eq!(tasks.stop_with(TASK, &pause, &mut cx), None);
    assert_eq!(cx.poll_command(), Some(Command::Cancel { session, task: TASK }));
    assert_eq!(tasks.stop_with(TASK, &pause, &mut cx), None);
    assert_eq!(cx.poll_command(), None, "it is cancelled once");
    let grace = cx.tuning().cancel_grace;
    cx.advance(Now { monotonic: MonotonicTime::from_micros(0) + grace, ..cx.now() });
    assert_eq!(tasks.get(TASK).unwrap().due(cx.monotonic(), cx.tuning()), Some(Due::Escalate));
    assert_eq!(tasks.escalate(TASK, &mut cx), None);
    assert_eq!(cx.poll_command(), Some(Command::Terminate { session, task: TASK }));
    assert_eq!(tasks.escalate(TASK, &mut cx), Some(Dropped(session)));
}

#[test]
fn what_is_due_follows_from_the_session() {
    let (mut cx, mut tasks) = (context(1), TrackedTasks::default());
    run(&mut tasks, &mut cx);
    let due = |tasks: &TrackedTasks, cx: &Context, after: Span| {
        tasks.get(TASK).unwrap().due(cx.monotonic() + after, cx.tuning())
    };
    let deadline = Timestamp::from_micros(0) + Span::seconds(60);
    let mut with_deadline = tasks.get(TASK).unwrap().task().clone();
    let Phase::Launched { times_up, .. } = &mut with_deadline.phase else { panic!("its query runs") };
    *times_up = Some(deadline);
    let now = cx.now();
    let _ = tasks.update(TASK, |tracked| tracked.set_task(with_deadline, now), &mut cx);
    assert_eq!(due(&tasks, &cx, Span::seconds(59)), None);
    assert_eq!(due(&tasks, &cx, Span::seconds(60)), Some(Due::TimeOut));
    // A lost session has some time after the loss, also when the deadline has passed before.
    let since = cx.monotonic() + Span::seconds(58);
    let lost = TaskSession::Lost { since, host: LostHost::Unknown };
    let _ = tasks.update(TASK, |tracked| tracked.set_session(lost), &mut cx);
    let grace = cx.tuning().lost_grace;
    assert_eq!(due(&tasks, &cx, Span::seconds(60)), None);
    assert_eq!(due(&tasks, &cx, Span::seconds(58) + grace), Some(Due::Abandon));
    assert_eq!(cx.timers.first(), Some(since + grace), "the timer is where something is due");
    let ended = TaskSession::Ended { outcome: Outcome::Ok };
    let _ = tasks.update(TASK, |tracked| tracked.set_session(ended), &mut cx);
    assert_eq!((due(&tasks, &cx, Span::seconds(99)), cx.timers.len()), (None, 0));
}

#[test]
fn a_write_that_failed_is_sent_again_later_each_time() {
    let (mut cx, mut tasks) = (context(1), TrackedTasks::default());
    let _ = tasks.insert(claiming(1, TaskSession::Wanted, &cx), &mut cx);
    tasks.send_write(TASK, true, &mut cx);
    assert!(matches!(cx.poll_command(), Some(Command::Write(_))));
    let mut waits = Vec::new();
    for _ in 0..3 {
        tasks.write_later(TASK, &mut cx);
        let at = cx.timers.first().expect("a time");
        waits.push(at - cx.monotonic());
        cx.advance(Now { monotonic: at, ..cx.now() });
        assert_eq!(tasks.get(TASK).unwrap().due(at, cx.tuning()), Some(Due::Write));
        tasks.send_write(TASK, true, &mut cx);
    }
    assert!(waits.is_sorted() && waits[0] < waits[2], "{waits:?}");
}

#[test]
fn without_the_store_a_write_is_in_doubt_and_its_row_is_read() {
    let (mut cx, mut tasks) = (context(1), TrackedTasks::default());
    let _ = tasks.insert(claiming(1, TaskSession::Wanted, &cx), &mut cx);
    tasks.send_write(TASK, true, &mut cx);
    assert_eq!(tasks.unconfirmed(), vec![]);
    tasks.doubt_writes();
    assert_eq!(tasks.unconfirmed(), vec![TASK]);
    cx.take_commands();
    tasks.send_write(TASK, false, &mut cx);
    assert_eq!((cx.poll_command(), tasks.unconfirmed()), (None, vec![TASK]));
}

#[test]
fn the_marks_of_launched_tasks_are_carried_over() {
    let (mut cx, mut tasks) = (context(1), TrackedTasks::default());
    run(&mut tasks, &mut cx);
    tasks.marks.lost();
    let rotated = |tasks: &mut TrackedTasks, cx: &mut Context| {
        cx.take_commands();
        tasks.rotate_marks_if_due(cx);
        cx.poll_command()
    };
    assert_eq!(rotated(&mut tasks, &mut cx), Some(Command::RotateMarks { launched: vec![] }), "no mark was sent");
    tasks.marks.rotated();
    tasks.mark(TASK, None, &mut cx);
    tasks.marks.lost();
    let run = tasks.get(TASK).unwrap().task().run;
    assert_eq!(rotated(&mut tasks, &mut cx), Some(Command::RotateMarks { launched: vec![(TASK, run)] }));
}

#[test]
fn a_mark_is_awaited_on_the_session_of_the_task_and_for_its_run() {
    let (mut cx, mut tasks) = (context(1), TrackedTasks::default());
    let _ = tasks.insert(claiming(1, TaskSession::Wanted, &cx), &mut cx);
    let (claimed, now) = (after(&tasks, &Event::Claim { default_timeout: None }), cx.now());
    let _ = tasks.update(TASK, |tracked| tracked.end_claim(claimed, now), &mut cx);
    let (session, other) = (SessionId(1), SessionId(2));
    let _ = tasks.update(TASK, |tracked| tracked.set_session(TaskSession::Assigned { session }), &mut cx);
    let tracked = tasks.get(TASK).unwrap();
    let run = tracked.task().run;
    assert!(tracked.awaits_mark(run, Some(session)));
    assert!(!tracked.awaits_mark(run, Some(other)) && !tracked.awaits_mark(run, None));
    assert!(!tracked.awaits_mark(Run(run.0 + 1), Some(session)));
    let _ = tasks.update(TASK, |tracked| tracked.set_marked(Marked::Requested), &mut cx);
    let tracked = tasks.get(TASK).unwrap();
    assert!(tracked.awaits_mark(run, None) && !tracked.awaits_mark(Run(run.0 + 1), None));
}

#[test]
fn a_mark_for_any_session_counts_only_while_it_is_requested() {
    let cx = context(1);
    let session = SessionId(1);
    for (marked, before, launched, after) in [
        (Marked::Requested, TaskSession::Wanted, None, Marked::Durably),
        (Marked::Requested, TaskSession::Assigned { session }, Some(session), Marked::Requested),
        // The text that came with the mark is lost.
        (Marked::No, TaskSession::Wanted, None, Marked::No),
        (Marked::No, TaskSession::Assigned { session }, None, Marked::No),
    ] {
        let mut tracked = claiming(1, TaskSession::Wanted, &cx);
        let claimed = tracked.pending_write().unwrap().next.as_ref().clone();
        tracked.end_claim(claimed, cx.now());
        tracked.set_session(before.clone());
        tracked.set_marked(marked);
        assert_eq!((tracked.on_marked(None), tracked.marked()), (launched, after), "{before:?}");
    }
}

#[test]
fn the_audit_of_an_orchestrator_recounts_what_tasks_take() {
    let mut core = crate::Orchestrator::new(Settings::default(), 1);
    assert!(core.audit());
    core.scheduler.tracked.occupancy.replace(&PoolName::new("t").unwrap(), Load::NOTHING, Load::SLOT);
    assert!(!core.audit());
}

#[test]
fn the_last_tasks_ahead_are_those_of_the_pool() {
    let (mut cx, mut tasks) = (context(1), TrackedTasks::default());
    let since = cx.monotonic();
    for (task, lack) in [(1, Lack::Slot), (2, Lack::Slot), (3, Lack::Slot), (4, Lack::Worker)] {
        let _ = tasks.insert(claiming(task, TaskSession::Later { since, lack }, &cx), &mut cx);
        let claimed = tasks.get(TaskId(task)).unwrap().task();
        let claimed = claimed.step(&Event::Claim { default_timeout: None }, Timestamp::from_micros(0)).unwrap();
        let now = cx.now();
        let _ = tasks.update(TaskId(task), |tracked| tracked.end_claim(claimed, now), &mut cx);
    }
    let pool = PoolName::new("t").unwrap();
    assert_eq!(tasks.len(), 4);
    assert_eq!(tasks.last_ahead(Some(&pool), 2), vec![TaskId(3), TaskId(2)]);
    assert_eq!(tasks.last_ahead(None, 2), vec![TaskId(4)], "for workers");
    assert_eq!(tasks.last_ahead(Some(&PoolName::new("other").unwrap()), 2), vec![]);
    let _ = tasks.update(TaskId(3), |tracked| tracked.set_session(TaskSession::Wanted), &mut cx);
    assert_eq!(tasks.last_ahead(Some(&pool), 2), vec![TaskId(2), TaskId(1)], "the third is not ahead any more");
}

#[test]
fn a_text_is_missing_until_it_comes_with_the_mark() {
    let cx = context(1);
    let mut one = claiming(1, TaskSession::Wanted, &cx);
    one.text_bytes = 8;
    assert_eq!(one.text_missing(), 8);
    one.take_text();
    assert_eq!(one.text_missing(), 0);
    one.free_text();
    assert_eq!(one.text_missing(), 8);
}

#[test]
fn an_ended_query_keeps_the_slot_only_of_a_task_that_may_yield_with_it() {
    for (track_yielded, load) in [(true, Load::SLOT), (false, Load::NOTHING)] {
        let cx = context(1);
        let waiting = pushed(1, TaskOptions { track_yielded, ..TaskOptions::default() }, &cx);
        let claim = Event::Claim { default_timeout: None };
        let claimed = waiting.task().step(&claim, Timestamp::from_micros(0)).unwrap();
        let launched = claimed.step(&Event::Launch, Timestamp::from_micros(0)).unwrap();
        let write = Write::of(waiting.task(), claim, cx.now()).unwrap();
        let mut tracked = waiting.with_write(write, TaskSession::Wanted);
        tracked.end_claim(claimed, cx.now());
        tracked.set_session(TaskSession::Assigned { session: SessionId(1) });
        tracked.set_task(launched, cx.now());
        tracked.set_session(TaskSession::Ended { outcome: Outcome::Ok });
        assert_eq!(tracked.load(), load, "{track_yielded}");
    }
}

#[test]
fn an_offered_task_does_not_rest_and_a_pulled_one_does() {
    let cx = context(1);
    let options = TaskOptions { client_pulled: true, ..TaskOptions::default() };
    let waiting = pushed(1, options, &cx);
    let write = Write::of(waiting.task(), Event::Offer { default_timeout: None }, cx.now()).unwrap();
    let offered = waiting.task().step(&Event::Offer { default_timeout: None }, Timestamp::from_micros(0)).unwrap();
    let pulled = offered.step(&Event::Take { default_timeout: None }, Timestamp::from_micros(0)).unwrap();
    let mut tracked = waiting.with_write(write, TaskSession::NotNeeded);
    assert!(!tracked.is_resting(), "the offer is being written");
    tracked.rest(offered, cx.now());
    assert!(tracked.is_offered() && !tracked.is_resting());
    tracked.rest(pulled, cx.now());
    assert!(!tracked.is_offered() && tracked.is_resting());
}

#[test]
fn texts_fit_until_their_sum_reaches_the_limit() {
    let (mut cx, mut tasks) = (context(1), TrackedTasks::default());
    let mut one = claiming(1, TaskSession::Wanted, &cx);
    one.text_bytes = 10;
    let _ = tasks.insert(one, &mut cx);
    tasks.mark(TASK, None, &mut cx);
    let rest = cx.tuning().text_bytes_max - 10;
    assert!(tasks.fits_text(rest, &cx) && !tasks.fits_text(rest + 1, &cx));
}

#[test]
fn a_new_leader_tracks_what_the_one_before_left_with_a_slot() {
    let (cx, at, times_up, host) = (context(1), Timestamp::from_micros(0), None, LostHost::Unknown);
    let finished = |tracked| {
        let end = Completion { status: FinalStatus::Failed, processed: at, error: None, ended_by: None, tracked };
        Phase::Finished { end, past: TaskTimes::NONE }
    };
    let yielded = |tracked| Phase::Yielded { consumed: Some(at), yielded: at, times_up, tracked };
    let lost = TaskSession::Lost { since: cx.monotonic(), host };
    for (phase, session) in [
        (Phase::Ready { eligible_when: None, times_up }, None),
        (Phase::Offered { times_up }, Some(TaskSession::NotNeeded)),
        (Phase::Claimed { consumed: at, times_up }, Some(TaskSession::Wanted)),
        (Phase::Launched { consumed: at, times_up, intention: None }, Some(lost)),
        (Phase::Pulled { consumed: at, times_up }, Some(TaskSession::NotNeeded)),
        (yielded(true), Some(TaskSession::NotNeeded)),
        (yielded(false), None),
        (finished(Some(true)), Some(TaskSession::Abandoned { host })),
        (finished(Some(false)), None),
        (finished(None), None),
    ] {
        let one = pushed(1, TaskOptions::default(), &cx);
        let task = Task { phase: phase.clone(), ..one.task().clone() };
        let snapshot = TaskSnapshot { position: one.position, lane: one.lane, task };
        let inherited = Tracked::inherited(snapshot, cx.tuning(), cx.now());
        let may_run = session.as_ref().is_some_and(|session| session.lost_host().is_some());
        assert_eq!(inherited.as_ref().map(Tracked::session), session.as_ref(), "{phase:?}");
        assert_eq!(inherited.is_some_and(|tracked| tracked.mark_sent), may_run, "{phase:?}");
    }
}
