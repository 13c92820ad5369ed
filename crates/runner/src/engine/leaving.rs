//! Losing the leader's session, and leaving in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgasync_core::{Input, Span};
use pgasync_store::{Lead, Op};

use super::Engine;
use crate::clock::instant;
use crate::ends::Ending;
use crate::events::Event;
use crate::scribe::Scribe;

/// Sessions get so long to close before goodbye is said.
const CLOSING_MAX: Duration = Duration::from_secs(2);

/// After the drain timeout what still runs is cancelled, terminated, dropped: so long at most.
const STOPPING_MAX: Duration = Duration::from_secs(20);

/// A lead that is lost this soon after it was proved was lost by what it does: it is proved less and less eagerly.
const LOSSES_APART: Duration = Duration::from_secs(10);

const LOSS_FIRST: Duration = Duration::from_millis(50);

/// 3.2 seconds at most, which is less than what a lost leader is granted to come back.
const LOSS_DOUBLINGS_MAX: u32 = 6;

/// What is left when somebody else asked for the end; a forced successor waits 25 seconds.
pub(super) const RESIGN_DRAIN: Duration = Duration::from_secs(10);

/// The steps of an orderly end, after the core is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Sessions are being closed, until then at most.
    Closing { until: Instant },
    /// Goodbye is being written.
    Goodbye,
    /// The locks are being given up.
    SteppingDown,
    /// All is done.
    Gone,
}

impl Engine {
    pub(super) fn drain(&mut self, why: String, patience: Duration) {
        tracing::info!(why, "draining");
        self.draining = Some(why);
        self.drained_by = Some(instant() + patience + STOPPING_MAX);
        let span = Span::micros(i64::try_from(patience.as_micros()).unwrap_or(i64::MAX));
        let drain_until = self.now() + span;
        self.handle(Input::Shutdown { drain_until });
    }

    pub(super) fn has_ended(&mut self) -> Option<Ending> {
        if self.draining.is_some() && self.leaving.is_none() && self.core.epoch().is_none() {
            // It had not begun to lead.
            self.leave();
        }
        let idle = self.scribe.as_ref().is_none_or(|scribe| scribe.open == 0);
        let why = || self.draining.clone().unwrap_or_default();
        match self.leaving {
            Some(_) if self.scribe.is_none() && self.leaving != Some(Leaving::SteppingDown) => {
                return Some(Ending::Resigned(why()));
            }
            Some(Leaving::Closing { until }) => {
                if idle && (self.sessions.closing.is_empty() || until <= instant()) {
                    let why = why();
                    self.leaving = Some(Leaving::Goodbye);
                    self.tell(Op::Goodbye { why });
                }
            }
            Some(Leaving::Goodbye) => {
                if idle {
                    // Without orders the scribe gives up the locks.
                    self.scribe = None;
                    self.leaving = Some(Leaving::SteppingDown);
                }
            }
            Some(Leaving::Gone) => return Some(Ending::Resigned(why())),
            Some(Leaving::SteppingDown) | None => {}
        }
        self.drained_by.is_some_and(|by| by <= instant()).then_some(Ending::AtOnce)
    }

    pub(super) fn leave(&mut self) {
        self.leaving = Some(Leaving::Closing { until: instant() + CLOSING_MAX });
        self.publish_nothing();
    }

    pub(super) fn lead_lost(&mut self, mut lead: Lead, untold: Vec<Op>, reason: &str) {
        tracing::warn!(reason, "the session that leads is lost; launching nothing until the lead is proved");
        self.scribe = None;
        self.untold.splice(0..0, untold);
        self.texts.clear();
        self.handle(Input::StoreLost);
        let (server, timeouts, events) = (self.server.clone(), self.options.timeouts, self.events.clone());
        let soon = self.proved_at.is_some_and(|at| at.elapsed() < LOSSES_APART);
        self.losses = if soon { self.losses + 1 } else { 0 };
        let wait = if soon { LOSS_FIRST * (1 << self.losses.min(LOSS_DOUBLINGS_MAX)) } else { Duration::ZERO };
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let event = match crate::campaign::prove(&server, &timeouts, &mut lead, &events).await {
                Some(true) => Event::LeadBack(Box::new(lead)),
                Some(false) => Event::Deposed,
                None => return,
            };
            let _ = events.send(event);
        });
    }

    pub(super) fn lead_back(&mut self, lead: Lead) {
        tracing::info!(epoch = lead.epoch().0, pid = lead.pid(), "the lead stands");
        let (server, clock) = (self.server.clone(), Arc::clone(&self.clock));
        self.scribe = Some(Scribe::hire(lead, server, self.options.timeouts, clock, self.events.clone()));
        self.proved_at = Some(instant());
        for op in std::mem::take(&mut self.untold) {
            self.tell(op);
        }
        self.rhythm.begin_anew(instant());
        self.latch = None;
        self.handle(Input::StoreBack);
    }
}
