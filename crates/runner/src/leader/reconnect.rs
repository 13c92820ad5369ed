//! The loss of the leader session, and the proof of the lead with a new one. Between the two,
//! running queries continue, and nothing is launched.

use std::sync::Arc;
use std::time::Duration;

use pgasync_core::{Input, Span};
use pgasync_store::{LeaderSession, Operation};

use super::Leader;
use crate::leader_writer::LeaderWriter;

impl Leader {
    pub(super) fn on_leader_session_lost(
        &mut self,
        session: Box<LeaderSession>,
        unwritten: Vec<Operation>,
        reason: &str,
    ) {
        tracing::warn!(reason, "the leader session is lost; no launches until the lead is proved");
        self.writer = None;
        self.show_state();
        self.lost_session = Some(session);
        // The lines of the lost session are older than those that `send` has kept since.
        self.unwritten.splice(0..0, unwritten);
        // The core has forgotten the unused marks, so these texts would never be taken.
        self.texts.clear();
        self.handle(Input::StoreLost);
    }

    pub(super) fn start_proof(&mut self, after: Span) {
        debug_assert!(self.lost_session.is_some(), "one attempt at a time, and only after a loss");
        let Some(session) = self.lost_session.take() else { return };
        let (server, timeouts, events) = (self.server.clone(), self.options.timeouts, self.events.clone());
        let after = Duration::from_micros(u64::try_from(after.as_micros()).unwrap_or(0));
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            crate::election::attempt_to_prove(server, timeouts, session, events).await;
        });
    }

    pub(super) fn on_proof_failed(&mut self, session: Box<LeaderSession>) {
        self.lost_session = Some(session);
        self.handle(Input::ProofFailed);
    }

    pub(super) fn on_lead_proved(&mut self, session: LeaderSession, marks_lost: bool) {
        tracing::info!(epoch = session.epoch().0, pid = session.pid(), "lead proved");
        let (server, clock) = (self.server.clone(), Arc::clone(&self.clock));
        self.writer = Some(LeaderWriter::start(session, server, self.options.timeouts, clock, self.events.clone()));
        self.show_state();
        for operation in std::mem::take(&mut self.unwritten) {
            self.send(operation);
        }
        self.publisher.repeat();
        // The core learns of lost marks before it decides anything else: without marks, every
        // claimed task may have been launched.
        if marks_lost {
            self.handle(Input::MarksLost);
        }
        self.handle(Input::StoreBack);
    }
}
