//! The target sessions keep their counts, and ask for no more than there is room for.

use super::*;
use crate::names::{PoolName, Priority, Run};
use crate::orchestrator::settings::{Settings, TargetSettings};
use crate::plan::lane::{Head, Lane, LaneKind};
use crate::task::TaskOptions;
use crate::time::{MonotonicTime, Now, Span, Timestamp};

mod bookkeeping;

struct Fixture {
    sessions: Sessions,
    cx: Context,
    plan: Plan,
    target: TargetName,
}

fn position(task: i64) -> QueuePosition {
    QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(0), task: TaskId(task) }
}

impl Fixture {
    fn new(workers: u32) -> Self {
        let mut cx = Context::new(Settings { workers, ..Settings::default() }, 1);
        cx.advance(Now::from_micros(0));
        let target = TargetName::new("t").unwrap();
        let mut plan = Plan::new();
        let lane = Lane { pool: PoolName::of(None, &target), target: target.clone(), kind: LaneKind::Run };
        let head = Head {
            position: position(9),
            run: Run::NONE,
            attempt: 0,
            options: TaskOptions::default(),
            times_up: None,
            text_bytes: 1,
        };
        plan.refill(&lane, vec![head], false);
        plan.set_pool(&lane.pool, true, 16);
        let mut sessions = Sessions::default();
        sessions.want_target(&target, &mut plan);
        Self { sessions, cx, plan, target }
    }

    /// A session that is ready.
    fn connect(&mut self) -> SessionId {
        self.sessions.connect(&self.target, &mut self.cx);
        let session = SessionId(self.sessions.last_session);
        self.sessions.connected(session, &mut self.cx);
        self.sessions.registered(session, &mut self.cx, &mut self.plan);
        assert!(self.sessions.audit());
        session
    }

    fn may_claim(&self) -> bool {
        self.plan.next(true) != crate::plan::Choice::NoTask
    }
}

#[test]
fn tasks_are_claimed_only_for_a_target_that_was_met() {
    let mut f = Fixture::new(2);
    assert!(!f.may_claim());
    assert_eq!(f.sessions.probe(&f.target, f.cx.monotonic()), Probe::Contact);
    let session = f.connect();
    assert!(f.may_claim());
    f.sessions.close(session, &mut f.cx, &mut f.plan);
    assert!(!f.may_claim(), "its only session is closed");
    assert_eq!(f.sessions.remove(session, &mut f.cx, &mut f.plan), Some((f.target.clone(), None)));
    assert!(f.sessions.audit());
}

#[test]
fn a_target_that_refused_a_session_gets_as_many_tasks_as_it_has_sessions() {
    let mut f = Fixture::new(4);
    f.connect();
    f.sessions.connect(&f.target, &mut f.cx);
    f.sessions.connect_failed(SessionId(2), "refused", &mut f.cx, &mut f.plan);
    assert!(f.may_claim(), "one session is idle");
    f.sessions.count_claim(&f.target, true, &mut f.plan);
    assert!(!f.may_claim(), "the idle session is for the task that was claimed");
    f.sessions.count_claim(&f.target, false, &mut f.plan);
    assert!(f.may_claim());
    assert!(f.sessions.audit());
}

#[test]
fn the_session_that_was_used_last_is_used_first() {
    let mut f = Fixture::new(2);
    let (_, second) = (f.connect(), f.connect());
    f.sessions.enqueue(&f.target, position(1));
    assert_eq!(f.sessions.next_assignment(&f.target), Some((position(1), second)));
    f.sessions.assign(position(1), second, &f.cx, &mut f.plan);
    assert_eq!(f.sessions.state(second), Some(SessionState::Busy { task: TaskId(1) }));
    assert_eq!(f.sessions.next_assignment(&f.target), None);
    assert!(f.sessions.audit());
}

#[test]
fn there_are_as_many_connections_as_workers_and_an_idle_one_makes_room() {
    let mut f = Fixture::new(1);
    let first = f.connect();
    let other = TargetName::new("other").unwrap();
    f.sessions.enqueue(&other, position(1));
    f.sessions.connect_missing(&other, &mut f.cx, &mut f.plan);
    assert_eq!(f.sessions.state(first), Some(SessionState::Closing));
    assert_eq!(f.sessions.len(), 2);
    assert!(f.sessions.audit());
}

#[test]
fn a_failed_target_is_probed_after_its_backoff() {
    let mut f = Fixture::new(1);
    f.sessions.connect(&f.target, &mut f.cx);
    let failed = f.sessions.connect_failed(SessionId(1), "refused", &mut f.cx, &mut f.plan);
    assert_eq!(failed, Some(f.target.clone()));
    assert_eq!(f.sessions.probe(&f.target, f.cx.monotonic()), Probe::No);
    let retry_at = f.cx.timers.first().expect("a timer");
    assert_eq!(f.sessions.probe(&f.target, retry_at), Probe::Connect);
    let patience = retry_at - MonotonicTime::from_micros(0);
    assert_eq!(f.sessions.outage_error(&f.target, patience, f.cx.monotonic()), None, "not for so long");
    assert_eq!(f.sessions.outage_error(&f.target, patience, retry_at).as_deref(), Some("refused"));
    f.connect();
    assert_eq!(f.sessions.outage_error(&f.target, patience, retry_at), None);
    assert!(f.sessions.audit());
}

#[test]
fn a_lost_session_is_remembered_with_its_task_until_it_is_gone() {
    let mut f = Fixture::new(1);
    let session = f.connect();
    f.sessions.enqueue(&f.target, position(1));
    f.sessions.assign(position(1), session, &f.cx, &mut f.plan);
    assert_eq!(f.sessions.lose(session, &f.cx, &mut f.plan), Some(f.target.clone()));
    f.sessions.remember_lost(session, TaskId(1));
    assert!(f.sessions.audit());
    assert_eq!(f.sessions.fences_open(), 1);
    assert_eq!(f.sessions.lost_task(session), Some(TaskId(1)));
    assert_eq!(f.sessions.remove(session, &mut f.cx, &mut f.plan), Some((f.target.clone(), Some(TaskId(1)))));
    assert_eq!((f.sessions.lost_task(session), f.sessions.len()), (None, 0));
}

#[test]
fn orphans_are_resolved_after_the_fence() {
    let mut f = Fixture::new(1);
    assert_eq!(f.sessions.fences_open(), 0);
    f.sessions.fence(&f.target, &mut f.plan);
    assert_eq!(f.sessions.fences_open(), 1);
    f.sessions.add_orphan(f.target.clone(), TaskId(1));
    assert_eq!(f.sessions.take_resolvable(&f.target), vec![]);
    f.sessions.fenced(&f.target, vec![7], true, &mut f.cx, &mut f.plan);
    assert_eq!(f.sessions.take_resolvable(&f.target), vec![TaskId(1)]);
    assert_eq!(f.sessions.fences_open(), 0);
    assert!(f.sessions.is_unregistering());
    f.sessions.unregistered(&[Registered::Older(7)]);
    assert!(!f.sessions.is_unregistering());
}

#[test]
fn the_numbers_of_sessions_go_on_in_another_epoch() {
    let mut f = Fixture::new(2);
    let (first, second) = (f.connect(), f.connect());
    f.sessions = f.sessions.restarted();
    f.sessions.want_target(&f.target, &mut f.plan);
    let third = f.connect();
    assert!(first < second && second < third);
    assert_eq!(f.sessions.len(), 1);
}

#[test]
fn connections_to_a_target_that_was_never_met_take_no_other_session_s_place() {
    let mut f = Fixture::new(1);
    f.sessions.connect(&f.target, &mut f.cx);
    assert!(f.sessions.make_room(&mut f.cx, &mut f.plan), "the first contact may take long");
    let session = SessionId(1);
    f.sessions.connected(session, &mut f.cx);
    f.sessions.registered(session, &mut f.cx, &mut f.plan);
    f.sessions.enqueue(&f.target, position(1));
    f.sessions.assign(position(1), session, &f.cx, &mut f.plan);
    assert!(!f.sessions.make_room(&mut f.cx, &mut f.plan), "a busy session does not make room");
    f.sessions.connect(&f.target, &mut f.cx);
    assert_eq!(f.sessions.len(), 2);
    f.sessions.lose(session, &f.cx, &mut f.plan);
    assert!(!f.sessions.make_room(&mut f.cx, &mut f.plan), "the target was met, so this connection counts");
}

#[test]
fn a_target_that_served_until_now_has_its_outage_from_now_on() {
    let mut f = Fixture::new(2);
    let session = f.connect();
    assert!(!f.sessions.has_no_idle(&f.target));
    f.sessions.connect(&f.target, &mut f.cx);
    f.sessions.connect_failed(SessionId(2), "too many connections", &mut f.cx, &mut f.plan);
    f.cx.advance(Now::from_micros(5_000_000));
    let patience = Span::seconds(1);
    assert_eq!(f.sessions.outage_error(&f.target, patience, f.cx.monotonic()), None, "it has a session");
    f.sessions.close(session, &mut f.cx, &mut f.plan);
    assert!(f.sessions.has_no_idle(&f.target));
    assert_eq!(f.sessions.outage_error(&f.target, patience, f.cx.monotonic()), None, "it was reached until now");
    f.cx.advance(Now::from_micros(6_000_000));
    let error = f.sessions.outage_error(&f.target, patience, f.cx.monotonic());
    assert_eq!(error.as_deref(), Some("too many connections"));
}

#[test]
fn names_in_memory_are_counted_and_counts_are_audited() {
    let mut f = Fixture::new(2);
    assert_eq!(f.sessions.names(), 2, "the target, and that its tasks wait");
    f.sessions.starve(f.target.clone());
    assert_eq!(f.sessions.names(), 3);
    f.sessions.take_unassigned();
    f.sessions.remember_lost(SessionId(9), TaskId(1));
    assert_eq!(f.sessions.names(), 3);
    f.connect();
    assert!(f.sessions.audit());
    for damage in [
        |target: &mut Target| target.ready += 1,
        |target: &mut Target| target.connecting += 1,
        |target: &mut Target| target.idle.clear(),
    ] {
        let mut damaged = Fixture::new(2);
        damaged.connect();
        damage(damaged.sessions.targets.get_mut(&damaged.target).unwrap());
        assert!(!damaged.sessions.audit());
    }
}

#[test]
fn the_audit_of_an_orchestrator_recounts_the_sessions_of_targets() {
    let mut core = crate::Orchestrator::new(Settings::default(), 1);
    core.scheduler.sessions.targets.insert(TargetName::new("t").unwrap(), Target { ready: 1, ..Target::default() });
    assert!(!core.audit());
}

#[test]
fn a_session_that_was_idle_for_long_is_closed_and_a_used_one_is_not() {
    let mut f = Fixture::new(2);
    let (idle, used) = (f.connect(), f.connect());
    let at = f.cx.monotonic() + f.cx.tuning().session_idle_max;
    f.cx.advance(Now { monotonic: at, ..f.cx.now() });
    f.sessions.enqueue(&f.target, position(1));
    let (_, session) = f.sessions.next_assignment(&f.target).unwrap();
    f.sessions.assign(position(1), session, &f.cx, &mut f.plan);
    f.sessions.rest(session, &mut f.cx, &mut f.plan);
    while let Some(timer) = f.cx.timers.pop_due(at) {
        let Timer::Session(session) = timer else { panic!("{timer:?}") };
        f.sessions.on_timer(session, &mut f.cx, &mut f.plan);
    }
    let closing = [idle, used].map(|its| f.sessions.state(its) == Some(SessionState::Closing));
    assert_eq!(closing, [session != idle, session != used]);
    assert_eq!(f.cx.timers.first(), Some(at + f.cx.tuning().session_idle_max), "the used one is watched");
}

#[test]
fn a_session_registers_between_connecting_and_ready() {
    let mut f = Fixture::new(1);
    f.sessions.connect(&f.target, &mut f.cx);
    let session = SessionId(1);
    assert!(!f.sessions.is_registering(session));
    f.sessions.connected(session, &mut f.cx);
    assert!(f.sessions.is_registering(session));
    f.sessions.registered(session, &mut f.cx, &mut f.plan);
    assert!(!f.sessions.is_registering(session));
}

#[test]
fn sessions_that_are_gone_are_named_again_until_that_is_confirmed() {
    let mut f = Fixture::new(1);
    let (gone, unregister) = (Registered::Own(SessionId(1)), |f: &mut Fixture| {
        f.cx.take_commands();
        f.sessions.unregister_again(&mut f.cx);
        f.cx.take_commands()
    });
    assert_eq!(unregister(&mut f), []);
    f.sessions.unregister([gone], true, &mut f.cx);
    assert_eq!(unregister(&mut f), [Command::Unregister { sessions: vec![gone] }]);
    f.sessions.unregistered(&[gone]);
    assert_eq!(unregister(&mut f), []);
}

fn limited(max_sessions: u32) -> Fixture {
    let mut f = Fixture::new(9);
    f.limit(max_sessions);
    f
}

impl Fixture {
    fn limit(&mut self, max_sessions: u32) {
        let settings = TargetSettings { max_concurrency: 9, default_timeout: None, max_sessions: Some(max_sessions) };
        let targets = [(self.target.clone(), settings)].into();
        self.cx.configure(Settings { workers: 9, targets, ..Settings::default() });
        self.sessions.limit(&mut self.cx, &mut self.plan);
        assert!(self.sessions.audit());
    }

    /// Claims a task that runs on this session.
    fn run(&mut self, task: i64, session: SessionId) {
        self.sessions.count_claim(&self.target, true, &mut self.plan);
        self.sessions.enqueue(&self.target, position(task));
        assert_eq!(self.sessions.next_assignment(&self.target), Some((position(task), session)));
        self.sessions.assign(position(task), session, &self.cx, &mut self.plan);
        self.sessions.count_claim(&self.target, false, &mut self.plan);
    }
}

#[test]
fn no_more_is_claimed_or_connected_than_the_limit_of_the_target_allows() {
    let mut f = limited(2);
    let first = f.connect();
    f.run(1, first);
    assert!(f.may_claim(), "one more session may be opened");
    f.sessions.count_claim(&f.target, true, &mut f.plan);
    assert!(!f.may_claim(), "a claimed task will have it");
    for task in 2..5 {
        f.sessions.enqueue(&f.target, position(task));
    }
    f.sessions.connect_missing(&f.target, &mut f.cx, &mut f.plan);
    assert_eq!(f.sessions.len(), 2);
    assert_eq!(f.sessions.surplus(&f.target), [TaskId(4), TaskId(3)]);
    assert!(!f.may_claim());
}

#[test]
fn a_lost_session_counts_until_it_is_gone() {
    let mut f = limited(1);
    let session = f.connect();
    f.run(1, session);
    f.sessions.lose(session, &f.cx, &mut f.plan);
    f.sessions.forget_contact(&f.target, &mut f.plan);
    assert_eq!(f.sessions.probe(&f.target, f.cx.monotonic()), Probe::No);
    f.sessions.take_unassigned();
    f.sessions.remove(session, &mut f.cx, &mut f.plan);
    assert_eq!(f.sessions.probe(&f.target, f.cx.monotonic()), Probe::Contact);
    assert!(f.sessions.take_unassigned().contains(&f.target), "it is probed again");
    assert!(f.sessions.audit());
}

#[test]
fn a_lower_limit_closes_idle_sessions() {
    let mut f = limited(3);
    let (first, second, third) = (f.connect(), f.connect(), f.connect());
    f.run(1, third);
    f.run(2, second);
    f.limit(1);
    assert_eq!(f.sessions.filter(|state| state == SessionState::Closing), [first]);
    f.sessions.rest(second, &mut f.cx, &mut f.plan);
    assert_eq!(f.sessions.filter(|state| state == SessionState::Closing), [first, second], "it is one too many");
    for session in [first, second] {
        f.sessions.remove(session, &mut f.cx, &mut f.plan);
    }
    assert!(!f.may_claim());
    f.sessions.rest(third, &mut f.cx, &mut f.plan);
    assert!(f.may_claim());
    f.limit(2);
    f.run(3, third);
    assert!(f.may_claim());
}
