//! Actions on several tasks: the question, with the chosen ids, and the report.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pgasync_core::{RowState, TaskId};
use pgasync_store::{Change, Client, Skipped};

/// The most tasks of one action. The command line has a higher limit.
pub(crate) const TASKS_MAX: u32 = 100_000;

/// Questions and reports that are kept. The oldest is forgotten first.
const QUESTIONS_MAX: usize = 32;
const REPORTS_MAX: usize = 100;

/// An older question is not answered: its tasks have changed.
const QUESTION_AGE_MAX: Duration = Duration::from_secs(900);

/// Skipped tasks that a report names.
pub(crate) const SKIPPED_SHOWN_MAX: usize = 200;

/// A change of chosen tasks, before it is confirmed.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) change: Change,
    pub(crate) tasks: Vec<TaskId>,
    /// The number of tasks in each phase.
    pub(crate) phases: BTreeMap<&'static str, usize>,
    /// Chosen tasks in a phase that the change cannot change.
    pub(crate) skipped: Vec<Skipped>,
    /// Where the browser came from.
    pub(crate) back: String,
}

/// What became of a change.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) change: Change,
    pub(crate) total: usize,
    pub(crate) done: usize,
    pub(crate) skipped_count: usize,
    pub(crate) skipped: Vec<Skipped>,
    /// Why it ended before all tasks were sent.
    pub(crate) error: Option<String>,
    pub(crate) is_over: bool,
    pub(crate) back: String,
}

#[derive(Default)]
pub(crate) struct Changes {
    questions: Mutex<VecDeque<(String, String, Instant, Question)>>,
    reports: Mutex<VecDeque<(String, Arc<Mutex<Report>>)>>,
}

impl Changes {
    /// Keeps a question of a session under a name.
    pub(crate) fn ask(&self, name: String, session: &str, question: Question, now: Instant) {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        if questions.len() >= QUESTIONS_MAX {
            questions.pop_front();
        }
        questions.push_back((name, session.to_owned(), now, question));
    }

    /// Takes a question, once, and only for its own session.
    pub(crate) fn take(&self, name: &str, session: &str, now: Instant) -> Option<Question> {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        let place = questions.iter().position(|(known, owner, _, _)| known == name && owner == session)?;
        let (_, _, asked, question) = questions.remove(place)?;
        (now.duration_since(asked) < QUESTION_AGE_MAX).then_some(question)
    }

    /// Begins the change of a question. The report under this name grows while it is carried out.
    pub(crate) fn begin(&self, name: String, question: Question, client: Client) {
        let report = Arc::new(Mutex::new(Report {
            change: question.change.clone(),
            total: question.tasks.len(),
            done: 0,
            skipped_count: question.skipped.len(),
            skipped: question.skipped.iter().take(SKIPPED_SHOWN_MAX).cloned().collect(),
            error: None,
            is_over: question.tasks.is_empty(),
            back: question.back.clone(),
        }));
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        if reports.len() >= REPORTS_MAX {
            reports.pop_front();
        }
        reports.push_back((name, Arc::clone(&report)));
        tokio::spawn(carry_out(question, client, report));
    }

    pub(crate) fn report(&self, name: &str) -> Option<Report> {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, report) = reports.iter().find(|(known, _)| known == name)?;
        Some(report.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

async fn carry_out(question: Question, client: Client, report: Arc<Mutex<Report>>) {
    for part in Change::parts(&question.tasks) {
        let done = client.change(&question.change, part).await;
        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
        match done {
            Ok(skipped) => {
                report.done += part.len() - skipped.len().min(part.len());
                report.skipped_count += skipped.len();
                let room = SKIPPED_SHOWN_MAX.saturating_sub(report.skipped.len());
                report.skipped.extend(skipped.into_iter().take(room));
            }
            Err(error) => {
                report.error = Some(error.to_string());
                break;
            }
        }
    }
    report.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
}

/// The name of a phase on pages.
pub(crate) const fn phase_name(phase: RowState) -> &'static str {
    match phase {
        RowState::Ready => "READY",
        RowState::Running => "RUNNING",
        RowState::Yielded => "YIELDED",
        RowState::Finished => "FINISHED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question {
            change: Change::Restart,
            tasks: vec![TaskId(1)],
            phases: BTreeMap::new(),
            skipped: Vec::new(),
            back: String::new(),
        }
    }

    #[test]
    fn a_question_is_answered_once_in_time_and_by_its_session() {
        let (changes, now) = (Changes::default(), Instant::now());
        changes.ask("a".to_owned(), "mine", question(), now);
        assert!(changes.take("a", "other", now).is_none() && changes.take("b", "mine", now).is_none());
        assert!(changes.take("a", "mine", now).is_some());
        assert!(changes.take("a", "mine", now).is_none());
        changes.ask("a".to_owned(), "mine", question(), now);
        assert!(changes.take("a", "mine", now + QUESTION_AGE_MAX).is_none());
    }

    #[test]
    fn the_number_of_questions_is_limited() {
        let (changes, now) = (Changes::default(), Instant::now());
        for number in 0..=QUESTIONS_MAX {
            changes.ask(number.to_string(), "mine", question(), now);
        }
        assert!(changes.take("0", "mine", now).is_none() && changes.take("1", "mine", now).is_some());
    }
}
