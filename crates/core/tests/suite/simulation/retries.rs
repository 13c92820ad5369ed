//! The promises about retries: a row that returns for another attempt may do so.

use pgasync_core::{Event, MonotonicTime, Outcome, Row, RowState, Run, TaskEvent};

use super::Violation;
use super::ledger::Ledger;
use crate::fake_store::{FakeStore, StoredTask};

impl Ledger {
    /// A row replaces another: the failed attempts are counted one by one, and a retry is one that
    /// the policy permits, after its delay, and that no request forbids.
    pub(super) fn check_attempts(
        &mut self,
        now: MonotonicTime,
        event: &TaskEvent,
        task: &StoredTask,
        new: &Row,
        store: &FakeStore,
    ) -> Result<(), Violation> {
        let (old, id) = (&task.row, event.task);
        if new.attempt == old.attempt {
            return Ok(());
        }
        let violation =
            |what: &str| Err(Violation(format!("at {now:?}: task {id}: {what}: {event:?} made {new:?} of {old:?}")));
        let Some(policy) = &task.options.retry else { return violation("it has attempts and no policy") };
        if new.attempt != old.attempt + 1 {
            return violation("its attempts are counted wrongly");
        }
        if new.attempt > policy.max_attempts {
            return violation("it has more attempts than its policy permits");
        }
        if new.state() != RowState::Ready {
            return Ok(());
        }
        if new.attempt == policy.max_attempts {
            return violation("its attempts are used up, and it is retried");
        }
        let ends = |request: &pgasync_core::Request| request.status.terminal().is_some();
        let reported = |event: &Event| matches!(event, Event::Request(_));
        if !reported(&event.event)
            && event.settles.iter().any(|request| store.requests.get(request).is_some_and(|(_, asked, _)| ends(asked)))
        {
            return violation("a request ended it, and it is retried");
        }
        if self.has_committed(id, Run(old.run)) && task.runs() && !(policy.unknown && policy.may_run_twice) {
            return violation("its query committed, and may not run twice");
        }
        if matches!(&event.event, Event::QueryEnded { outcome: Outcome::Ok, .. }) {
            return violation("its query succeeded, and it is retried");
        }
        let longest = policy.delay_max.as_micros().min(policy.delay.as_micros());
        let shortest = longest - longest * i64::from(policy.jitter) / 1_000;
        match new.eligible_when {
            Some(at) if (at - event.at).as_micros() >= shortest => {}
            Some(_) | None => return violation("it does not wait for its next attempt"),
        }
        self.note_rerun(id);
        Ok(())
    }
}
