//! The faults of a proxy, and the messages that it has seen.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::sleep;

use super::frames::Sent;

/// What happens to a message and to its connection. Answers to earlier messages of the connection
/// arrive first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The message is not delivered, and both sides are closed.
    CutBefore,
    /// The message is delivered, its answer is withheld, and both sides are closed.
    CutAfter,
    /// The message and those directly after it are delivered, and the client's side is closed. The
    /// server's side stays open.
    CutClient,
    /// The message is not delivered. From then on no message passes, and both sides stay open.
    Silence,
    /// The answer is delayed by this time.
    Late(Duration),
    /// The message is not delivered before [`super::Proxy::release`].
    Hold,
}

/// A fault, and the message that it affects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The kind of message, as the proxy's function names it.
    pub kind: String,
    /// The number of the message among those of its kind, from 1 on. The count begins at the start,
    /// or at the cut before this one.
    pub occurrence: u32,
    /// The fault.
    pub fault: Fault,
}

/// The condition of the network between the two sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Messages pass.
    #[default]
    Open,
    /// New connections are closed at once. Open connections continue.
    Refusing,
    /// No message passes, both sides stay open, and new connections get no answer. The messages are
    /// delivered when this ends.
    Silent,
    /// Each message is delayed by this time.
    Slow(Duration),
}

/// Names the kind of a message.
pub type Name = fn(&Sent) -> String;

#[derive(Debug)]
pub(super) struct Script {
    name: Name,
    state: Mutex<State>,
    pub(super) released: watch::Sender<bool>,
    pub(super) fired: watch::Sender<usize>,
    pub(super) end_delay: watch::Sender<Duration>,
    pub(super) condition: watch::Sender<Condition>,
    /// Counts the times at which all connections were closed.
    pub(super) generation: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    cuts: VecDeque<Cut>,
    seen: BTreeMap<String, u32>,
    fired: Vec<SystemTime>,
}

impl Script {
    pub(super) fn new(name: Name) -> Self {
        Self {
            name,
            state: Mutex::default(),
            released: watch::Sender::new(false),
            fired: watch::Sender::new(0),
            end_delay: watch::Sender::default(),
            condition: watch::Sender::default(),
            generation: watch::Sender::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as the condition of the network delays a message.
    pub(super) async fn pass_on(&self) {
        let mut condition = self.condition.subscribe();
        // The wait fails when the proxy is dropped, and then all connections end.
        let _ = condition.wait_for(|condition| *condition != Condition::Silent).await;
        let delay = match *self.condition.borrow() {
            Condition::Slow(delay) => delay,
            Condition::Open | Condition::Refusing | Condition::Silent => return,
        };
        sleep(delay).await;
    }

    pub(super) fn plan(&self, cuts: Vec<Cut>) {
        self.state().cuts = cuts.into();
    }

    /// Counts a message that is about to pass. Returns its fault, if there is one.
    pub(super) fn on(&self, sent: &Sent) -> Option<Fault> {
        let kind = (self.name)(sent);
        let mut state = self.state();
        let state = &mut *state;
        *state.seen.entry(kind.clone()).or_default() += 1;
        let cut = state.cuts.front_mut().filter(|cut| cut.kind == kind)?;
        cut.occurrence = cut.occurrence.saturating_sub(1);
        if cut.occurrence > 0 {
            return None;
        }
        let fault = cut.fault;
        state.cuts.pop_front();
        state.fired.push(SystemTime::now());
        self.fired.send_replace(state.fired.len());
        Some(fault)
    }

    pub(super) fn seen(&self) -> BTreeMap<String, u32> {
        self.state().seen.clone()
    }

    pub(super) fn fired(&self) -> Vec<SystemTime> {
        self.state().fired.clone()
    }
}
