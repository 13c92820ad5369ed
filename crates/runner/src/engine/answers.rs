//! What the leader's session answered.

use std::sync::PoisonError;
use std::time::Duration;

use pgasync_core::Input;
use pgasync_store::{Answers, Configuration, Look, Op};

use super::leaving::RESIGN_DRAIN;
use super::{Engine, Latch, ROUTINES_PAUSE_MIN};
use crate::clock::instant;
use crate::events::Event;

/// After the server refused to tell what is new.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What could not be written is tried again, but looks are not closer to each other.
const RETRY_LOOK_MIN: Duration = Duration::from_millis(20);

impl Engine {
    pub(super) fn answered(&mut self, count: usize, answers: Answers) {
        if let Some(scribe) = &mut self.scribe {
            scribe.open = scribe.open.saturating_sub(count);
        }
        let Answers { inputs, texts, look, asleep, stirred, wrote, look_failed, troubles, maintain_on, vacuum } =
            answers;
        for (task, run, text) in texts {
            if self.core.awaits_text(task, run) {
                self.texts.insert((task, run), text);
            }
        }
        for trouble in troubles {
            self.log("WARNING", trouble);
        }
        for input in inputs {
            self.handle(input);
        }
        self.stirred = self.stirred || stirred || wrote;
        if let Some(latch) = &mut self.latch {
            // What was told early is part of a batch that goes on.
            latch.batches += u32::from(count > 0);
        }
        if let Some(look) = look {
            self.stirred = true;
            self.looked(look, asleep);
        }
        if look_failed {
            let at = instant();
            let beat = self.rhythm.looked(at, asleep);
            self.rhythm.soon(at + LOOK_AGAIN);
            self.follow(beat);
        } else if stirred {
            self.rhythm.soon(instant());
        }
        if maintain_on {
            self.maintain_at = instant();
        }
        if vacuum {
            self.vacuum();
        }
    }

    pub(super) fn vacuum(&mut self) {
        if self.vacuuming {
            return;
        }
        self.vacuuming = true;
        let (server, events) = (self.server.clone(), self.events.clone());
        tokio::spawn(async move {
            let _ = events.send(Event::Vacuumed(pgasync_store::vacuum(&server).await));
        });
    }

    pub(super) fn looked(&mut self, look: Look, asleep: Option<bool>) {
        let at = instant();
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).correct(look.now);
        let beat = self.rhythm.looked(at, asleep);
        if let (Some(time), None) = (look.retries_at, beat) {
            let then = self.clock.lock().unwrap_or_else(PoisonError::into_inner).instant_of(time);
            self.rhythm.by(then.max(at + RETRY_LOOK_MIN));
        }
        self.follow(beat);
        if let Some(configuration) = look.configuration {
            self.configure(*configuration);
        }
        if look.latch > self.latch_served && self.latch.is_none() {
            self.latch = Some(Latch { number: look.latch, batches: 0, routines_ran: false });
        }
        if self.draining.is_none() {
            if !look.enabled {
                self.drain("disabled".to_owned(), RESIGN_DRAIN);
            } else if look.resign {
                self.drain("asked to by a forced takeover".to_owned(), RESIGN_DRAIN);
            }
        }
    }

    pub(super) fn configure(&mut self, configuration: Configuration) {
        let Configuration { settings, targets, idle_sleep, busy_sleep, has_routines } = configuration;
        self.settings = settings;
        for session in self.sessions.readdress(targets) {
            self.handle(Input::SessionLost { session });
        }
        self.rhythm.set_idle(idle_sleep);
        self.busy_sleep = busy_sleep.max(ROUTINES_PAUSE_MIN);
        self.has_routines = has_routines;
    }

    /// Lets callers of `wait_for_latch` go, once all that was begun since has come to rest, or a few rounds later.
    pub(super) fn serve_latch(&mut self) {
        let idle = self.scribe.as_ref().is_some_and(|scribe| scribe.open == 0);
        let Some(latch) = &mut self.latch else { return };
        if !idle && latch.batches < 4 {
            return;
        }
        if self.has_routines && !latch.routines_ran {
            latch.routines_ran = true;
            latch.batches = 0;
            self.run_routines(instant());
            return;
        }
        let number = latch.number;
        self.latch = None;
        self.latch_served = number;
        self.tell(Op::ServeLatch(number));
    }
}
