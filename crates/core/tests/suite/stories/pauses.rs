//! A paused target or pool starts no task; what runs goes on, and nothing fails because of the pause.

use pgasync_core::{
    Command, Epoch, Event, FinishStatus, Input, Lane, LaneKind, Outcome, PoolName, Request, RowState, Settings, Span,
    TargetName, TaskEvent, TaskId, TaskOptions,
};

use crate::harness::{Harness, lane, settings, target};

fn pulled() -> TaskOptions {
    TaskOptions { client_pulled: true, ..TaskOptions::default() }
}

/// These settings with the target paused.
fn paused_target(slots: u32) -> Settings {
    Settings { paused_targets: [target()].into(), ..settings(slots) }
}

/// These settings with the pool of the target paused.
fn paused_pool(slots: u32) -> Settings {
    Settings { paused_pools: [lane().pool].into(), ..settings(slots) }
}

fn configure(harness: &mut Harness, settings: Settings) {
    harness.deliver(Input::Configured(Box::new(settings)));
}

fn launches(harness: &Harness) -> usize {
    harness.count(|command| matches!(command, Command::Launch { .. }))
}

fn events(harness: &Harness, like: impl Fn(&Event) -> bool) -> usize {
    harness.count(|command| matches!(command, Command::Write(TaskEvent { event, .. }) if like(event)))
}

#[test]
fn nothing_starts_while_paused_what_runs_goes_on_and_the_rest_starts_after_it() {
    for paused in [paused_target(2), paused_pool(2)] {
        let mut harness = Harness::leading(settings(2));
        let running = harness.push(1);
        configure(&mut harness, paused);
        let waiting = harness.push(2);
        harness.wait(Span::seconds(600));
        assert_eq!(launches(&harness), 1);
        harness.end(running, Outcome::Ok);
        assert_eq!(harness.row(running).finish_status, Some(FinishStatus::Finished));
        harness.wait(Span::seconds(600));
        assert_eq!((launches(&harness), harness.row(waiting).state()), (1, RowState::Ready));
        configure(&mut harness, settings(2));
        assert!(harness.running.contains_key(&waiting));
    }
}

#[test]
fn another_target_and_another_pool_go_on() {
    let mut harness = Harness::leading(settings(2));
    let met = harness.push(1);
    harness.end(met, Outcome::Ok);
    configure(&mut harness, paused_pool(2));
    let other = Lane { pool: PoolName::new("other").unwrap(), ..lane() };
    let task = harness.insert(2, other.clone(), TaskOptions::default());
    harness.deliver(Input::Waiting(vec![other]));
    assert!(harness.running.contains_key(&task), "it counts against another pool");
    configure(&mut harness, paused_target(2));
    let elsewhere = TargetName::new("elsewhere").unwrap();
    let other = Lane { pool: PoolName::of(None, &elsewhere), target: elsewhere, kind: LaneKind::Run };
    let task = harness.insert(3, other.clone(), TaskOptions::default());
    harness.deliver(Input::Waiting(vec![other]));
    assert!(harness.running.contains_key(&task), "it has another target");
}

#[test]
fn an_offer_is_withdrawn_and_none_is_made_until_it_is_resumed() {
    for paused in [paused_target(2), paused_pool(2)] {
        let mut harness = Harness::leading(settings(2));
        let offered = harness.push_as(1, pulled());
        assert_eq!(harness.row(offered).tracked, Some(true));
        configure(&mut harness, paused);
        assert_eq!((harness.row(offered).tracked, harness.slots_taken()), (None, 0));
        let other = harness.push_as(2, pulled());
        harness.wait(Span::seconds(600));
        assert_eq!((harness.row(offered).tracked, harness.row(other).tracked), (None, None));
        configure(&mut harness, settings(2));
        assert_eq!((harness.row(offered).tracked, harness.row(other).tracked), (Some(true), Some(true)));
    }
}

/// The offer is being written when the pause comes.
#[test]
fn an_offer_that_is_written_late_is_withdrawn() {
    let mut harness = Harness::leading(settings(2));
    harness.holds = |command| matches!(command, Command::Write(TaskEvent { event: Event::Offer { .. }, .. }));
    let offered = harness.push_as(1, pulled());
    configure(&mut harness, paused_target(2));
    harness.release();
    assert_eq!((harness.row(offered).tracked, harness.slots_taken()), (None, 0));
}

#[test]
fn a_claim_that_waits_for_its_session_is_returned() {
    for paused in [paused_target(2), paused_pool(2)] {
        let mut harness = Harness::leading(settings(2));
        let first = harness.push(1);
        harness.holds = |command| matches!(command, Command::Connect { .. });
        let task = harness.push(2);
        assert_eq!(harness.row(task).state(), RowState::Running, "it is claimed");
        configure(&mut harness, paused);
        assert_eq!((harness.row(task).state(), harness.slots_taken()), (RowState::Ready, 1));
        harness.release();
        harness.wait(Span::seconds(60));
        assert_eq!(launches(&harness), 1);
        harness.end(first, Outcome::Ok);
        configure(&mut harness, settings(2));
        assert!(harness.running.contains_key(&task));
    }
}

/// The claim and the mark are under way when the pause comes.
#[test]
fn a_task_on_its_way_to_its_launch_is_returned() {
    fn claim(command: &Command) -> bool {
        matches!(command, Command::Write(TaskEvent { event: Event::Claim { .. }, .. }))
    }
    fn mark(command: &Command) -> bool {
        matches!(command, Command::Mark { .. })
    }
    for holds in [claim, mark] {
        let mut harness = Harness::leading(settings(2));
        let first = harness.push(1);
        harness.end(first, Outcome::Ok);
        harness.holds = holds;
        let task = harness.push(2);
        configure(&mut harness, paused_target(2));
        harness.release();
        assert_eq!((launches(&harness), harness.row(task).state()), (1, RowState::Ready));
        configure(&mut harness, settings(2));
        assert!(harness.running.contains_key(&task));
    }
}

#[test]
fn claims_ahead_are_returned() {
    for paused in [paused_target(1), paused_pool(1)] {
        let ahead = |mut settings: Settings| {
            settings.tuning.ahead_per_slot_max = 2;
            settings.tuning.ahead_age_max = Span::seconds(1_000);
            settings
        };
        let mut harness = Harness::leading(ahead(settings(1)));
        let short = harness.push(1);
        harness.end(short, Outcome::Ok);
        let running = harness.push(2);
        let waiting = harness.push(3);
        assert_eq!(harness.row(waiting).state(), RowState::Running, "it is claimed ahead");
        configure(&mut harness, ahead(paused));
        assert_eq!(harness.row(waiting).state(), RowState::Ready);
        harness.end(running, Outcome::Ok);
        harness.wait(Span::seconds(60));
        assert_eq!((launches(&harness), harness.row(waiting).state()), (2, RowState::Ready));
        configure(&mut harness, ahead(settings(1)));
        assert!(harness.running.contains_key(&waiting));
    }
}

#[test]
fn deadlines_and_requests_work_while_paused() {
    let mut harness = Harness::leading(paused_target(2));
    let expires = TaskOptions { expires_at: Some(harness.now.server + Span::seconds(5)), ..TaskOptions::default() };
    let expiring = harness.push_as(1, expires);
    let canceled = harness.push(2);
    harness.request(canceled, Request::cancel("not any more"));
    assert_eq!(harness.row(canceled).finish_status, Some(FinishStatus::Canceled));
    harness.wait(Span::seconds(90));
    assert_eq!(harness.row(expiring).finish_status, Some(FinishStatus::TimedOut));
    assert_eq!(launches(&harness), 0);
}

/// The patience for a target that cannot be reached begins when it is resumed.
#[test]
fn no_task_fails_because_a_paused_target_cannot_be_reached() {
    let mut harness = Harness::leading(settings(2));
    harness.refusing.insert(target());
    let task = harness.push(1);
    harness.wait(Span::seconds(2));
    configure(&mut harness, paused_target(2));
    harness.wait(Span::seconds(3_600));
    assert_eq!((events(&harness, |event| matches!(event, Event::GiveUp { .. })), launches(&harness)), (0, 0));
    configure(&mut harness, settings(2));
    harness.wait(Span::seconds(3));
    assert_eq!(harness.row(task).state(), RowState::Ready, "target_patience is 5 seconds");
    harness.wait(Span::seconds(60));
    assert_eq!(harness.row(task).finish_status, Some(FinishStatus::Failed));
}

#[test]
fn a_target_that_came_back_meanwhile_is_used_at_once_when_it_is_resumed() {
    let mut harness = Harness::leading(settings(2));
    harness.refusing.insert(target());
    let task = harness.push(1);
    harness.wait(Span::seconds(2));
    configure(&mut harness, paused_target(2));
    harness.wait(Span::seconds(600));
    harness.refusing.clear();
    configure(&mut harness, settings(2));
    harness.wait(Span::seconds(2));
    assert!(harness.running.contains_key(&task));
}

#[test]
fn a_new_leader_starts_nothing_of_what_is_paused() {
    for paused in [paused_target(2), paused_pool(2)] {
        let mut harness = Harness::leading(paused);
        let task = harness.push(1);
        let pulls = harness.push_as(2, pulled());
        let lanes = vec![lane(), Lane { kind: LaneKind::Pull, ..lane() }];
        harness.deliver(Input::Elected { epoch: Epoch(2), fence: vec![], inherited: vec![], lanes });
        harness.wait(Span::seconds(600));
        assert_eq!((launches(&harness), harness.row(pulls).tracked), (0, None));
        configure(&mut harness, settings(2));
        harness.wait(Span::seconds(2));
        assert!(harness.running.contains_key(&task));
        assert_eq!(harness.row(TaskId(2)).tracked, Some(true));
    }
}
