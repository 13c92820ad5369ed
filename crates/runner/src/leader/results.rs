//! Handling the results of the leader session.

use std::sync::PoisonError;

use pgasync_core::Input;
use pgasync_store::{LeaderConfiguration, OperationResults, PollResult};

use super::Leader;
use super::resignation::RESIGN_DRAIN_MAX;
use crate::clock::instant;

impl Leader {
    pub(super) fn on_results(&mut self, count: usize, results: OperationResults) {
        if let Some(writer) = &mut self.writer {
            writer.pending = writer.pending.saturating_sub(count);
        }
        let OperationResults { inputs, texts, sessions_at_self, polled, failures, warnings, publish_refused } = results;
        self.figures.note_answers(&inputs);
        for (task, run, text) in texts {
            // The task may have ended between its mark and this result. Then no launch would take
            // its text.
            if self.core.awaits_text(task, run) {
                self.texts.insert((task, run), text);
            }
        }
        for session in sessions_at_self {
            self.sessions.note_at_self(session);
        }
        for warning in warnings {
            self.log("WARNING", warning);
        }
        if let Some(polled) = &polled {
            self.clock.lock().unwrap_or_else(PoisonError::into_inner).correct(polled.now);
        }
        for input in inputs {
            self.handle(input);
        }
        for (task, error) in failures {
            // Logged at attempts 1, 2, 4, 8 and so on: a trigger may refuse a row for days.
            let attempts = self.core.write_failures(task);
            if attempts.is_power_of_two() {
                self.log("WARNING", format!("task {task} cannot be written (try {attempts}): {error}"));
            }
        }
        if let Some(polled) = polled {
            self.on_polled(polled);
        }
        if publish_refused {
            self.publisher.refused(instant());
        }
    }

    fn on_polled(&mut self, polled: PollResult) {
        if let Some(configuration) = polled.configuration {
            self.on_configured(*configuration);
        }
        if self.draining.is_some() {
            return;
        }
        if !polled.enabled {
            self.drain("disabled".to_owned(), RESIGN_DRAIN_MAX);
        } else if polled.resign {
            self.drain("asked to by a forced takeover".to_owned(), RESIGN_DRAIN_MAX);
        } else if polled.schema_replaced {
            let why = "PA213: the schema async was replaced by another version; start a pgasync of that version";
            self.log("WARNING", why.to_owned());
            self.drain(why.to_owned(), RESIGN_DRAIN_MAX);
        }
    }

    fn on_configured(&mut self, configuration: LeaderConfiguration) {
        let LeaderConfiguration { settings, targets } = configuration;
        self.workers = settings.workers;
        for session in self.sessions.set_targets(targets) {
            self.handle(Input::SessionLost { session });
        }
    }
}
