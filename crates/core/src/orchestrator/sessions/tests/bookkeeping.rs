//! What is remembered of targets, their probes and the registry, and what is forgotten.

use super::*;

#[test]
fn targets_that_lack_room_are_looked_at_again_when_there_is_some() {
    let mut f = Fixture::new(2);
    let other = TargetName::new("other").unwrap();
    f.sessions.take_unassigned();
    f.sessions.starve(other.clone());
    assert_eq!(f.sessions.take_unassigned(), BTreeSet::new());
    f.connect();
    assert_eq!(f.sessions.take_unassigned(), BTreeSet::from([f.target.clone(), other]));
    assert_eq!(f.sessions.take_unassigned(), BTreeSet::new());
}

#[test]
fn a_session_that_is_closed_leaves_no_timer() {
    let mut f = Fixture::new(1);
    let session = f.connect();
    assert_eq!(f.cx.timers.len(), 1);
    f.sessions.close(session, &mut f.cx, &mut f.plan);
    assert_eq!(f.cx.timers.len(), 0);
}

#[test]
fn only_registrations_under_way_are_sent_again() {
    let mut f = Fixture::new(3);
    f.connect();
    for _ in 0..2 {
        f.sessions.connect(&f.target, &mut f.cx);
    }
    let session = SessionId(2);
    f.sessions.connected(session, &mut f.cx);
    f.cx.take_commands();
    f.sessions.register_again(&mut f.cx);
    assert_eq!(f.cx.take_commands(), [Command::Register { session }]);
}

#[test]
fn a_target_is_forgotten_without_a_session_and_without_a_lane() {
    let mut f = Fixture::new(1);
    let session = f.connect();
    f.sessions.close(session, &mut f.cx, &mut f.plan);
    let lane = Lane { pool: PoolName::of(None, &f.target), target: f.target.clone(), kind: LaneKind::Run };
    let known = |f: &mut Fixture| {
        f.sessions.forget_unused(&mut f.plan, f.cx.settings());
        f.sessions.targets() == [f.target.clone()]
    };
    assert!(known(&mut f), "its session is being closed, and a task waits");
    f.plan.remove(&lane, TaskId(9));
    assert!(known(&mut f), "its session is being closed");
    f.sessions.remove(session, &mut f.cx, &mut f.plan);
    f.plan.stale(&lane);
    assert!(known(&mut f), "a task may wait");
    f.plan.refills(9);
    f.plan.refill(&lane, vec![], false);
    assert!(!known(&mut f));
}

#[test]
fn a_target_is_probed_by_one_connection_after_its_fence() {
    let mut f = Fixture::new(2);
    f.sessions.fence(&f.target, &mut f.plan);
    assert_eq!(f.sessions.probe(&f.target, f.cx.monotonic()), Probe::No, "it is fenced first");
    f.sessions.fenced(&f.target, vec![], true, &mut f.cx, &mut f.plan);
    assert_eq!(f.sessions.probe(&f.target, f.cx.monotonic()), Probe::Contact);
    f.sessions.connect(&f.target, &mut f.cx);
    assert_eq!(f.sessions.probe(&f.target, f.cx.monotonic()), Probe::No, "it is being probed");
}

#[test]
fn a_target_that_refused_a_session_is_asked_again_later_or_soon_after_one_ended() {
    let mut f = Fixture::new(2);
    let session = f.connect();
    f.sessions.connect(&f.target, &mut f.cx);
    f.sessions.connect_failed(SessionId(2), "too many connections", &mut f.cx, &mut f.plan);
    f.sessions.probe_later(&f.target, &mut f.cx);
    let probe = |f: &Fixture, after: Span| f.sessions.probe(&f.target, f.cx.monotonic() + after);
    let (first, last) = (f.cx.tuning().backoff_first, f.cx.tuning().backoff_last);
    let just_before = |span: Span| span + Span::micros(-1);
    assert_eq!((probe(&f, just_before(last)), probe(&f, last)), (Probe::No, Probe::ConnectIfLacking));
    f.sessions.close(session, &mut f.cx, &mut f.plan);
    f.sessions.remove(session, &mut f.cx, &mut f.plan);
    assert_eq!((probe(&f, just_before(first)), probe(&f, first)), (Probe::No, Probe::Connect));
}

#[test]
fn contact_with_a_target_is_lost_with_its_own_last_session() {
    let mut f = Fixture::new(3);
    let (first, second) = (f.connect(), f.connect());
    f.sessions.connect(&TargetName::new("other").unwrap(), &mut f.cx);
    f.sessions.close(first, &mut f.cx, &mut f.plan);
    assert!(f.may_claim(), "the other session is there");
    f.sessions.close(second, &mut f.cx, &mut f.plan);
    assert!(!f.may_claim());
}

#[test]
fn sessions_leave_the_registry_at_once_or_when_the_store_is_back() {
    let mut f = Fixture::new(1);
    let gone = Registered::Own(SessionId(1));
    f.sessions.unregister([], true, &mut f.cx);
    f.sessions.unregister([gone], false, &mut f.cx);
    assert_eq!(f.cx.take_commands(), []);
    f.sessions.unregister_again(&mut f.cx);
    f.sessions.unregister([gone], true, &mut f.cx);
    let unregister = Command::Unregister { sessions: vec![gone] };
    assert_eq!(f.cx.take_commands(), [unregister.clone(), unregister]);
}

/// A session too many is one that no task needs, or the one that came to rest.
#[test]
fn of_too_many_sessions_one_to_spare_is_closed() {
    let mut f = Fixture::new(2);
    let other = TargetName::new("other").unwrap();
    let (first, second) = (f.connect(), f.connect());
    f.sessions.connect(&other, &mut f.cx);
    let third = SessionId(3);
    f.sessions.connected(third, &mut f.cx);
    f.sessions.registered(third, &mut f.cx, &mut f.plan);
    assert_eq!(f.sessions.state(third), Some(SessionState::Closing), "no task waits for its target");
    assert!(!f.sessions.needs_move(&f.target, &f.cx), "its sessions are idle");
    assert!(f.sessions.needs_move(&other, &f.cx));
    for _ in 0..2 {
        f.sessions.count_claim(&f.target, true, &mut f.plan);
    }
    assert!(f.sessions.needs_move(&f.target, &f.cx), "claimed tasks wait for its sessions");
    assert_eq!(f.sessions.spare_targets().count(), 0);
    let session = [first, second].map(|session| f.sessions.state(session));
    assert!(session.iter().all(|state| matches!(state, Some(SessionState::Idle { .. }))), "{session:?}");
    assert!(f.sessions.audit());
}

#[test]
fn a_session_may_be_moved_a_while_after_the_last_move() {
    let mut f = Fixture::new(2);
    let may_move = |f: &Fixture| f.sessions.may_move_to(&f.target, &f.plan, &f.cx);
    assert!(may_move(&f));
    f.sessions.note_move(&f.cx);
    let every = f.cx.tuning().session_move_every.as_micros();
    for (at, may) in [(every - 1, false), (every, true)] {
        f.cx.advance(Now::from_micros(at));
        assert_eq!(may_move(&f), may);
    }
}

/// One target that tasks wait for: its share are as many sessions as there are workers.
#[test]
fn a_target_with_its_share_of_the_sessions_waits_longer_for_a_move() {
    let mut f = Fixture::new(8);
    for _ in 0..7 {
        f.connect();
    }
    f.sessions.note_move(&f.cx);
    let moved = f.cx.monotonic();
    let every = f.cx.tuning().session_balance_every;
    for (after, may) in [(Span::micros(every.as_micros() - 1), false), (every, true)] {
        f.cx.advance(Now { monotonic: moved + after, ..f.cx.now() });
        assert_eq!(f.sessions.may_move_to(&f.target, &f.plan, &f.cx), may, "{after}");
    }
    f.cx.advance(Now { monotonic: moved + f.cx.tuning().session_move_every, ..f.cx.now() });
    f.cx.configure(Settings { workers: 9, ..Settings::default() });
    assert!(f.sessions.may_move_to(&f.target, &f.plan, &f.cx), "it lacks more than an eighth");
}

#[test]
fn the_outage_of_a_configured_target_is_not_forgotten() {
    let mut f = Fixture::new(1);
    f.sessions.connect(&f.target, &mut f.cx);
    f.sessions.connect_failed(SessionId(1), "refused", &mut f.cx, &mut f.plan);
    let lane = Lane { pool: PoolName::of(None, &f.target), target: f.target.clone(), kind: LaneKind::Run };
    f.plan.remove(&lane, TaskId(9));
    f.plan.refills(9);
    f.plan.refill(&lane, vec![], false);
    let mut settings = Settings::default();
    let target = TargetSettings { max_concurrency: 1, default_timeout: None, max_sessions: None };
    settings.targets.insert(f.target.clone(), target);
    f.sessions.forget_unused(&mut f.plan, &settings);
    assert_eq!(f.sessions.targets(), [f.target.clone()]);
    f.sessions.forget_unused(&mut f.plan, &Settings::default());
    assert_eq!(f.sessions.targets(), []);
}
