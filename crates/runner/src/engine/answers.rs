//! What the leader's session answered.

use std::sync::PoisonError;

use pgasync_store::{Answers, Configuration, Seen};

use super::Engine;
use super::leaving::RESIGN_DRAIN;
use crate::events::Event;

impl Engine {
    pub(super) fn answered(&mut self, count: usize, answers: Answers) {
        if let Some(writer) = &mut self.writer {
            writer.open = writer.open.saturating_sub(count);
        }
        let Answers { inputs, texts, seen, failures, troubles, vacuum } = answers;
        for (task, run, text) in texts {
            if self.core.awaits_text(task, run) {
                self.texts.insert((task, run), text);
            }
        }
        for trouble in troubles {
            self.log("WARNING", trouble);
        }
        if let Some(seen) = &seen {
            self.clock.lock().unwrap_or_else(PoisonError::into_inner).correct(seen.now);
        }
        for input in inputs {
            self.handle(input);
        }
        for (task, error) in failures {
            // The first time, and then each time that it has taken twice as many tries.
            let tries = self.core.write_failures(task);
            if tries.is_power_of_two() {
                self.log("WARNING", format!("task {task} cannot be written (try {tries}): {error}"));
            }
        }
        if let Some(seen) = seen {
            self.polled(seen);
        }
        if vacuum {
            self.vacuum();
        }
    }

    fn vacuum(&mut self) {
        if self.vacuuming {
            return;
        }
        self.vacuuming = true;
        let (server, events) = (self.server.clone(), self.events.clone());
        tokio::spawn(async move {
            let _ = events.send(Event::Vacuumed(pgasync_store::vacuum(&server).await));
        });
    }

    fn polled(&mut self, seen: Seen) {
        if let Some(configuration) = seen.configuration {
            self.configure(*configuration);
        }
        if self.draining.is_some() {
            return;
        }
        if !seen.enabled {
            self.drain("disabled".to_owned(), RESIGN_DRAIN);
        } else if seen.resign {
            self.drain("asked to by a forced takeover".to_owned(), RESIGN_DRAIN);
        } else if seen.replaced {
            let why = "PA213: the schema async was replaced by another version; start a pgasync of that version";
            self.log("WARNING", why.to_owned());
            self.drain(why.to_owned(), RESIGN_DRAIN);
        }
    }

    fn configure(&mut self, configuration: Configuration) {
        let Configuration { settings, targets } = configuration;
        self.workers = settings.workers;
        for session in self.sessions.readdress(targets) {
            self.handle(pgasync_core::Input::SessionLost { session });
        }
    }
}
