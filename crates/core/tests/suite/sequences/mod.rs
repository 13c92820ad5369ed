//! Random sequences of operations, compared with a reference that keeps the whole history.
//!
//! The store answers at once. The sequence decides when queries end.

mod invariants;
mod system;

use pgasync_core::{FinishStatus, Input, Outcome, Request, Span, Tuning};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use system::{Query, System};

#[derive(Debug, Clone)]
enum Operation {
    Push {
        priority: i32,
        target: usize,
        shared: bool,
    },
    /// A query ends: the one that has run longest, or another one.
    End {
        which: usize,
        ok: bool,
    },
    Cancel {
        which: usize,
    },
    Finish {
        which: usize,
    },
    PauseTask {
        which: usize,
    },
    Defer {
        which: usize,
        seconds: i64,
    },
    LoseSession {
        which: usize,
    },
    EndLostSession {
        which: usize,
    },
    Resize {
        target: usize,
        slots: u32,
    },
    Workers(u32),
    Pause(bool),
    Wait {
        seconds: i64,
    },
    /// The store is lost for this time. It may have executed earlier commands.
    LoseStore {
        seconds: i64,
        executed: usize,
    },
    /// From now on the store executes nothing and answers nothing, until it is lost.
    StallStore,
    /// The server's clock is set.
    SetClock {
        seconds: i64,
    },
}

/// The reference has the limits. The running queries are counted at the target.
#[derive(Debug, Clone)]
struct Limits {
    workers: u32,
    slots: [u32; 2],
    paused: bool,
}

struct Reference;

impl ReferenceStateMachine for Reference {
    type State = Limits;
    type Transition = Operation;

    fn init_state() -> BoxedStrategy<Limits> {
        (1..5_u32, 1..3_u32, 1..3_u32)
            .prop_map(|(workers, a, b)| Limits { workers, slots: [a, b], paused: false })
            .boxed()
    }

    fn transitions(_: &Limits) -> BoxedStrategy<Operation> {
        let which = 0..8_usize;
        prop_oneof![
            6 => (-2..3, 0..2_usize, any::<bool>())
                .prop_map(|(priority, target, shared)| Operation::Push { priority, target, shared }),
            5 => (which.clone(), any::<bool>()).prop_map(|(which, ok)| Operation::End { which, ok }),
            2 => which.clone().prop_map(|which| Operation::Cancel { which }),
            1 => which.clone().prop_map(|which| Operation::Finish { which }),
            1 => which.clone().prop_map(|which| Operation::PauseTask { which }),
            2 => (which.clone(), 0..90_i64).prop_map(|(which, seconds)| Operation::Defer { which, seconds }),
            1 => which.clone().prop_map(|which| Operation::LoseSession { which }),
            2 => which.prop_map(|which| Operation::EndLostSession { which }),
            1 => (0..2_usize, 1..4_u32).prop_map(|(target, slots)| Operation::Resize { target, slots }),
            1 => (1..6_u32).prop_map(Operation::Workers),
            1 => any::<bool>().prop_map(Operation::Pause),
            2 => (1..40_i64).prop_map(|seconds| Operation::Wait { seconds }),
            2 => (0..40_i64, 0..6_usize).prop_map(|(seconds, executed)| Operation::LoseStore { seconds, executed }),
            1 => Just(Operation::StallStore),
            1 => (-9_000..9_000_i64).prop_map(|seconds| Operation::SetClock { seconds }),
        ]
        .boxed()
    }

    fn apply(mut limits: Limits, operation: &Operation) -> Limits {
        match *operation {
            Operation::Resize { target, slots } => limits.slots[target] = slots,
            Operation::Workers(workers) => limits.workers = workers,
            Operation::Pause(paused) => limits.paused = paused,
            _ => {}
        }
        limits
    }
}

struct Sequences;

impl StateMachineTest for Sequences {
    type SystemUnderTest = System;
    type Reference = Reference;

    fn init_test(limits: &Limits) -> System {
        System::leading(limits)
    }

    fn apply(mut system: System, limits: &Limits, operation: Operation) -> System {
        match operation {
            Operation::Push { priority, target, shared } => system.push(priority, target, shared),
            Operation::End { which, ok } => {
                if let Some((task, Query { session, run, .. })) = system.some_query(which, false) {
                    system.running.remove(&task);
                    let outcome = if ok { Outcome::Ok } else { Outcome::Error("no".to_owned()) };
                    system.deliver(Input::QueryEnded { session, task, run, outcome: outcome.clone() });
                    // A repeated delivery counts once.
                    system.deliver(Input::QueryEnded { session, task, run, outcome });
                }
            }
            Operation::Cancel { which } => system.request(which, Request::cancel("stop")),
            Operation::Finish { which } => system.request(which, Request::finish(FinishStatus::Finished)),
            Operation::PauseTask { which } => system.request(which, Request::finish(FinishStatus::Paused)),
            Operation::Defer { which, seconds } => system.request(which, Request::defer(Span::seconds(seconds))),
            Operation::LoseSession { which } => {
                if let Some((task, Query { session, .. })) = system.some_query(which, false) {
                    system.running.get_mut(&task).unwrap().lost = true;
                    system.deliver(Input::SessionLost { session });
                }
            }
            Operation::EndLostSession { which } => {
                if let Some((task, Query { session, .. })) = system.some_query(which, true) {
                    system.running.remove(&task);
                    system.deliver(Input::SessionGone { session });
                }
            }
            Operation::Resize { .. } | Operation::Workers(_) | Operation::Pause(_) => system.configure(limits),
            Operation::LoseStore { seconds, executed } => {
                system.lose_store(Span::seconds(seconds), executed);
                system.configure(limits);
            }
            Operation::StallStore => (system.stalled, system.unseen) = (true, true),
            Operation::SetClock { seconds } => {
                system.now.server = system.now.server + Span::seconds(seconds);
                // The time of the sweep follows the old clock.
                system.wait(Tuning::default().sweep_every);
            }
            Operation::Wait { seconds } => {
                system.wait(Span::seconds(seconds));
                system.unseen = system.stalled;
            }
        }
        system
    }

    fn check_invariants(system: &System, limits: &Limits) {
        system.check_invariants(limits);
    }
}

prop_state_machine! {
    // The time for shrinking is limited, so that a failure is reported soon.
    #![proptest_config(ProptestConfig {
        cases: 300, failure_persistence: None, max_shrink_time: 60_000, ..ProptestConfig::default()
    })]

    #[test]
    fn any_sequence_keeps_the_promises(sequential 1..80 => Sequences);
}
