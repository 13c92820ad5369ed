//! The faults of a long run.

use std::fmt;
use std::time::Duration;

use pgasync_tests::Condition;
use pgasync_tests::Fault as MessageFault;

use super::super::failpoint::Point;
use super::super::seed::Seed;
use super::candidates::Mode;
use crate::cuts::kinds;

/// The network between engines and one of their peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Between the Rust engine and the server.
    Server,
    Left,
    Right,
}

impl Side {
    pub(super) const ALL: [Self; 3] = [Self::Server, Self::Left, Self::Right];
}

/// The server, or the server of the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Server,
    Targets,
}

/// The message that is affected, and the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageCut {
    pub(super) kind: &'static str,
    pub(super) occurrence: u32,
    pub(super) fault: MessageFault,
}

/// A fault. Variants with an `Option` are chosen without a value, and drawn from the seed
/// ([`Fault::draw`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process of the leader is killed (SIGKILL), at a point or anywhere. The leader of the SQL
    /// engine is a backend, so its server restarts.
    LeaderKilled,
    LeaderKilledAt(Option<Point>),
    /// The process of the leader is frozen (SIGSTOP), and continues later.
    LeaderFrozen,
    LeaderFrozenAt(Option<Point>),
    /// The leader session is terminated.
    LeaderTerminated,
    /// Another candidate takes the lead by force. In a `swap` it is one of the other engine.
    TakenOver,
    /// Some target sessions are terminated.
    SessionsTerminated,
    /// A backend that runs a task is killed, so the server of the targets restarts.
    BackendKilled,
    /// A server is stopped, and restarted later.
    Stopped(Place),
    /// The postmaster is killed (SIGKILL), and restarted later.
    Crashed(Place),
    /// All processes of a server are frozen, and continue later.
    Paused(Place),
    /// A server has no free connections.
    Full(Place),
    /// The server refuses writes (`default_transaction_read_only`).
    ReadOnly,
    /// A transaction holds back the xmin horizon of the server.
    XminHeld,
    /// A client locks `async.task`.
    TableLocked(Option<&'static str>),
    /// The schema is installed again.
    Reinstalled,
    Network(Side, Condition),
    /// All connections are closed.
    Disconnected(Side),
    /// One message is lost, delayed or swallowed.
    Message(Side, Option<MessageCut>),
}

/// What a fault uses. Faults that use the same thing do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Server,
    Targets,
    Network(Side),
    Client,
    Schema,
}

const SLOW: Condition = Condition::Slow(Duration::from_millis(20));
const LOCK_MODES: [&str; 3] = ["access exclusive", "share row exclusive", "share"];
const OF_SERVER: [&str; 8] =
    ["write_all", "write_all", "write_all", "lead_mark", "lead_mark", "commit", "startup", "poll"];
const OF_TARGETS: [&str; 6] = [TASK, TASK, TASK, "startup", "discard_all", "identity"];
const MESSAGE_FAULTS: [MessageFault; 6] = [
    MessageFault::CutBefore,
    MessageFault::CutAfter,
    MessageFault::CutClient,
    MessageFault::Silence,
    MessageFault::Late(Duration::from_millis(300)),
    MessageFault::Late(Duration::from_secs(5)),
];

/// The kind of the messages that contain the query of a task.
pub(super) const TASK: &str = "task";

impl Fault {
    /// The faults of a mode, with their weights.
    pub(super) fn of_mode(mode: Mode) -> Vec<(Self, u64)> {
        let mut faults = vec![
            (Self::LeaderKilled, 3),
            (Self::LeaderKilledAt(None), 4),
            (Self::LeaderFrozen, 2),
            (Self::LeaderFrozenAt(None), 4),
            (Self::LeaderTerminated, 3),
            (Self::TakenOver, if mode == Mode::Swap { 12 } else { 2 }),
            (Self::SessionsTerminated, 3),
            (Self::BackendKilled, 2),
            (Self::Stopped(Place::Server), 1),
            (Self::Crashed(Place::Server), 2),
            (Self::Paused(Place::Server), 1),
            (Self::Full(Place::Server), 1),
            (Self::ReadOnly, 1),
            (Self::XminHeld, 2),
            (Self::TableLocked(None), 3),
            (Self::Reinstalled, 1),
            (Self::Stopped(Place::Targets), 1),
            (Self::Crashed(Place::Targets), 2),
            (Self::Paused(Place::Targets), 1),
            (Self::Full(Place::Targets), 1),
        ];
        for side in Side::ALL {
            // The SQL engine has no connection to its server.
            if side != Side::Server || mode != Mode::Sql {
                faults.extend([
                    (Self::Network(side, Condition::Silent), 1),
                    (Self::Network(side, SLOW), 1),
                    (Self::Network(side, Condition::Refusing), 1),
                    (Self::Disconnected(side), 1),
                    (Self::Message(side, None), if side == Side::Server { 6 } else { 3 }),
                ]);
            }
        }
        faults
    }

    /// The fault with all details.
    pub(super) fn draw(self, seed: &mut Seed) -> Self {
        match self {
            Self::LeaderKilledAt(None) => Self::LeaderKilledAt(Some(*seed.pick(&Point::ALL))),
            Self::LeaderFrozenAt(None) => Self::LeaderFrozenAt(Some(*seed.pick(&Point::ALL))),
            Self::TableLocked(None) => Self::TableLocked(Some(*seed.pick(&LOCK_MODES))),
            Self::Message(side, None) => {
                let known: Vec<&'static str> = kinds::KNOWN.split_whitespace().collect();
                let kind = match side {
                    Side::Server if seed.chance(50) => *seed.pick(&known),
                    Side::Server => *seed.pick(&OF_SERVER),
                    Side::Left | Side::Right => *seed.pick(&OF_TARGETS),
                };
                let occurrence = 1 + u32::try_from(seed.below(5)).expect("a few");
                Self::Message(side, Some(MessageCut { kind, occurrence, fault: *seed.pick(&MESSAGE_FAULTS) }))
            }
            other => other,
        }
    }

    /// The time for which the fault lasts, in milliseconds: the least and the most.
    pub(super) fn lasts(self) -> (u64, u64) {
        match self {
            Self::LeaderKilled
            | Self::LeaderKilledAt(_)
            | Self::LeaderTerminated
            | Self::TakenOver
            | Self::SessionsTerminated
            | Self::BackendKilled
            | Self::Reinstalled
            | Self::Disconnected(_) => (0, 0),
            Self::LeaderFrozen | Self::LeaderFrozenAt(_) | Self::Paused(_) => (300, 6000),
            Self::Stopped(_) | Self::Crashed(_) => (0, 4000),
            Self::Full(_) | Self::ReadOnly => (1000, 6000),
            Self::XminHeld => (5000, 30_000),
            Self::TableLocked(_) => (50, 5000),
            Self::Network(_, Condition::Refusing | Condition::Silent) => (500, 9000),
            Self::Network(..) => (2000, 10_000),
            Self::Message(..) => (6000, 10_000),
        }
    }

    pub(super) fn resources(self) -> &'static [Resource] {
        match self {
            // The leader may be a backend of the server, which cannot stop while the backend is frozen.
            Self::LeaderKilled
            | Self::LeaderKilledAt(_)
            | Self::LeaderFrozen
            | Self::LeaderFrozenAt(_)
            | Self::LeaderTerminated
            | Self::TakenOver
            | Self::ReadOnly
            | Self::Stopped(Place::Server)
            | Self::Crashed(Place::Server)
            | Self::Paused(Place::Server)
            | Self::Full(Place::Server) => &[Resource::Server],
            Self::SessionsTerminated
            | Self::BackendKilled
            | Self::Stopped(Place::Targets)
            | Self::Crashed(Place::Targets)
            | Self::Paused(Place::Targets)
            | Self::Full(Place::Targets) => &[Resource::Targets],
            Self::XminHeld => &[Resource::Client],
            Self::Reinstalled => &[Resource::Schema, Resource::Server],
            Self::TableLocked(_) => &[Resource::Schema],
            Self::Network(Side::Server, _) | Self::Disconnected(Side::Server) | Self::Message(Side::Server, _) => {
                &[Resource::Network(Side::Server)]
            }
            Self::Network(Side::Left, _) | Self::Disconnected(Side::Left) | Self::Message(Side::Left, _) => {
                &[Resource::Network(Side::Left)]
            }
            Self::Network(Side::Right, _) | Self::Disconnected(Side::Right) | Self::Message(Side::Right, _) => {
                &[Resource::Network(Side::Right)]
            }
        }
    }

    /// Whether a process, a session or a message may be lost, so that outcomes may be unknown.
    pub(super) fn loses(self) -> bool {
        !matches!(
            self,
            Self::XminHeld | Self::TableLocked(_) | Self::Reinstalled | Self::Network(_, Condition::Slow(_))
        )
    }

    /// The name of the kind, for the report.
    pub(super) fn name(self) -> String {
        match self {
            Self::LeaderKilledAt(_) => "LeaderKilledAt".to_owned(),
            Self::LeaderFrozenAt(_) => "LeaderFrozenAt".to_owned(),
            Self::TableLocked(_) => "TableLocked".to_owned(),
            Self::Message(side, _) => format!("Message({side:?})"),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaderKilledAt(Some(point)) => write!(f, "LeaderKilledAt({point:?})"),
            Self::LeaderFrozenAt(Some(point)) => write!(f, "LeaderFrozenAt({point:?})"),
            Self::TableLocked(Some(mode)) => write!(f, "TableLocked({mode})"),
            Self::Message(side, Some(MessageCut { kind, occurrence, fault })) => {
                write!(f, "Message({side:?}: {kind} {occurrence} {fault:?})")
            }
            other => write!(f, "{other:?}"),
        }
    }
}
