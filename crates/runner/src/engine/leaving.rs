//! Losing the leader's session, and leaving in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgasync_core::{Input, Span};
use pgasync_store::{Lead, Op};

use super::Engine;
use crate::clock::instant;
use crate::ends::Ending;
use crate::leader_writer::LeaderWriter;

/// Sessions get so long to close before goodbye is said.
const CLOSING_MAX: Duration = Duration::from_secs(2);

/// After the drain timeout what still runs is cancelled, terminated, dropped: so long at most.
const STOPPING_MAX: Duration = Duration::from_secs(20);

/// The drain timeout when the end was asked for through the server; a forced successor waits 25 seconds.
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
        let drain_until = self.now().monotonic + span;
        self.handle(Input::Shutdown { drain_until });
    }

    pub(super) fn has_ended(&mut self) -> Option<Ending> {
        if self.draining.is_some() && self.leaving.is_none() && self.core.epoch().is_none() {
            // It had not begun to lead.
            self.leave();
        }
        let idle = self.writer.as_ref().is_none_or(|writer| writer.open == 0);
        let why = || self.draining.clone().unwrap_or_default();
        match self.leaving {
            Some(_) if self.writer.is_none() && self.leaving != Some(Leaving::SteppingDown) => {
                return Some(Ending::Resigned(why()));
            }
            Some(Leaving::Closing { until }) => {
                if idle && (self.sessions.closing.is_empty() || until <= instant()) {
                    let why = why();
                    self.leaving = Some(Leaving::Goodbye);
                    self.send(Op::Goodbye { why });
                }
            }
            Some(Leaving::Goodbye) => {
                if idle {
                    // Without operations to come the writer gives up the locks.
                    self.writer = None;
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

    pub(super) fn lead_lost(&mut self, lead: Box<Lead>, untold: Vec<Op>, reason: &str) {
        tracing::warn!(reason, "the session that leads is lost; launching nothing until the lead is proved");
        self.writer = None;
        self.lost_lead = Some(lead);
        self.untold.splice(0..0, untold);
        self.texts.clear();
        self.handle(Input::StoreLost);
    }

    pub(super) fn prove_lead(&mut self, after: Span) {
        let Some(lead) = self.lost_lead.take() else { return };
        let (server, timeouts, events) = (self.server.clone(), self.options.timeouts, self.events.clone());
        let after = Duration::from_micros(u64::try_from(after.as_micros()).unwrap_or(0));
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            crate::campaign::prove(server, timeouts, lead, events).await;
        });
    }

    pub(super) fn proof_failed(&mut self, lead: Box<Lead>) {
        self.lost_lead = Some(lead);
        self.handle(Input::ProofFailed);
    }

    pub(super) fn lead_back(&mut self, lead: Lead, marks_lost: bool) {
        tracing::info!(epoch = lead.epoch().0, pid = lead.pid(), "the lead stands");
        let (server, clock) = (self.server.clone(), Arc::clone(&self.clock));
        self.writer = Some(LeaderWriter::start(lead, server, self.options.timeouts, clock, self.events.clone()));
        for op in std::mem::take(&mut self.untold) {
            self.send(op);
        }
        if marks_lost {
            self.handle(Input::MarksLost);
        }
        self.handle(Input::StoreBack);
    }
}
