//! What the answer to a write means. The row counts, not the prediction.

use super::task::Tracked;
use super::write::Write;
use crate::orchestrator::input::WriteAnswer;
use crate::task::Task;
use crate::task::event::Event;
use crate::task::row::{LaunchState, Row, RowState};
use crate::time::Timestamp;

/// What an answer means for its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The task is claimed, and this is the task now.
    Claimed(Task),
    /// The task was not claimed or offered. A row that could not be written is skipped for a while.
    NotReserved { skip: bool },
    /// The task is offered, and this is the task now.
    Offered(Task),
    /// The task moves to where its row is now, if there is one.
    Follow(Option<Row>),
    /// The task is back in its lane. At this time something is due for it there.
    Returned { due: Option<Timestamp> },
    /// The slot is free. The task may be restarted from now on, or have been deleted.
    Released,
    /// The event is written, and this is the task now.
    Recorded(Task),
    /// The row is gone, or no task's life leads to it.
    Vanished,
    /// Nothing came of the write: it is sent again, later each time.
    Later,
    /// The lost session did not commit the write: it is sent again at once.
    Again,
}

impl Tracked {
    /// What the answer to its pending write means.
    pub(crate) fn verdict(&self, write: &Write, answer: &WriteAnswer) -> Verdict {
        let unwritten = matches!(answer, WriteAnswer::Locked | WriteAnswer::Failed(_));
        match &write.event {
            Event::Claim { .. } => claim_verdict(write, answer),
            Event::Offer { .. } if unwritten => Verdict::NotReserved { skip: true },
            Event::Offer { .. } | Event::Withdraw => offer_verdict(write, answer),
            Event::GiveBack { .. } => match answer {
                WriteAnswer::Locked | WriteAnswer::Failed(_) => Verdict::Later,
                WriteAnswer::Row(row) if self.is_running(row) => Verdict::Later,
                WriteAnswer::AsPredicted | WriteAnswer::Row(_) | WriteAnswer::Gone => {
                    Verdict::Returned { due: write.next.phase.due() }
                }
            },
            Event::Release if unwritten => Verdict::Later,
            Event::Release => Verdict::Released,
            Event::QueryEnded { .. }
            | Event::Request(_)
            | Event::Deadline
            | Event::Abandon { .. }
            | Event::GiveUp { .. } => self.record_verdict(write, answer),
            Event::Launch | Event::Promote | Event::Take { .. } | Event::Restart => {
                debug_assert!(false, "the orchestrator writes no {:?}", write.event);
                Verdict::Later
            }
        }
    }

    fn record_verdict(&self, write: &Write, answer: &WriteAnswer) -> Verdict {
        match answer {
            WriteAnswer::Locked | WriteAnswer::Failed(_) => Verdict::Later,
            WriteAnswer::Gone => Verdict::Vanished,
            WriteAnswer::AsPredicted => Verdict::Recorded((*write.next).clone()),
            // A row of one's own run that is RUNNING is never let go of.
            WriteAnswer::Row(row) if self.is_running(row) => Verdict::Later,
            WriteAnswer::Row(row) => {
                row.task(self.task().options.clone(), LaunchState::Claimed).map_or(Verdict::Vanished, Verdict::Recorded)
            }
        }
    }

    /// What the row means for a pending write whose answer is lost with the store. `None` is for a
    /// row that does not exist.
    pub(crate) fn verdict_of_row(&self, write: &Write, row: Option<&Row>) -> Verdict {
        let before = self.task().row();
        // Other columns may differ: a client may have changed the deadline by hand.
        let as_before =
            |row: &Row| row.state() == before.state() && row.run == before.run && row.tracked == before.tracked;
        match row {
            None => self.verdict(write, &WriteAnswer::Gone),
            Some(row) if *row == write.next.row() => self.verdict(write, &WriteAnswer::AsPredicted),
            Some(row) if as_before(row) && matches!(write.event, Event::Claim { .. } | Event::Offer { .. }) => {
                Verdict::NotReserved { skip: false }
            }
            Some(row) if as_before(row) => Verdict::Again,
            Some(row) => self.verdict(write, &WriteAnswer::Row(row.clone())),
        }
    }

    /// Whether the row is RUNNING on the run of this task.
    fn is_running(&self, row: &Row) -> bool {
        row.state() == RowState::Running && row.run == self.task().run.0 && !self.task().options.client_pulled
    }
}

fn claim_verdict(write: &Write, answer: &WriteAnswer) -> Verdict {
    let claimed = match answer {
        WriteAnswer::AsPredicted => Some((*write.next).clone()),
        // A trigger may have changed the deadline, say.
        WriteAnswer::Row(row) if row.state() == RowState::Running && row.run == write.next.run.0 => {
            row.task(write.next.options.clone(), LaunchState::Claimed).ok()
        }
        WriteAnswer::Row(_) | WriteAnswer::Gone | WriteAnswer::Locked | WriteAnswer::Failed(_) => None,
    };
    let skip = matches!(answer, WriteAnswer::Locked | WriteAnswer::Failed(_));
    claimed.map_or(Verdict::NotReserved { skip }, Verdict::Claimed)
}

fn offer_verdict(write: &Write, answer: &WriteAnswer) -> Verdict {
    let offers = matches!(write.event, Event::Offer { .. });
    match answer {
        WriteAnswer::AsPredicted if offers => Verdict::Offered((*write.next).clone()),
        WriteAnswer::AsPredicted => Verdict::Returned { due: write.next.phase.due() },
        WriteAnswer::Locked | WriteAnswer::Failed(_) => Verdict::Later,
        WriteAnswer::Row(row) => Verdict::Follow(Some(row.clone())),
        WriteAnswer::Gone => Verdict::Follow(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{PoolName, Priority, Run, TargetName, TaskId};
    use crate::orchestrator::settings::Tuning;
    use crate::plan::lane::{Lane, LaneKind, QueuePosition};
    use crate::task::TaskOptions;
    use crate::task::event::Outcome;
    use crate::time::Now;

    const NOW: Now = Now::from_micros(0);

    fn tracked(task: Task) -> Tracked {
        let target = TargetName::new("t").unwrap();
        let lane = Lane { pool: PoolName::of(None, &target), target, kind: LaneKind::Run };
        let position = QueuePosition { priority: Priority(0), entered: NOW.server, task: TaskId(1) };
        Tracked::new(position, lane, task, &Tuning::default(), NOW)
    }

    fn claim() -> Event {
        Event::Claim { default_timeout: None }
    }

    fn claimed() -> Task {
        Task::pushed(TaskOptions::default()).step(&claim(), NOW.server).unwrap()
    }

    /// A task whose query ended, and the write that says so.
    fn ended() -> (Tracked, Write) {
        let launched = claimed().step(&Event::Launch, NOW.server).unwrap();
        let ended = Event::QueryEnded { run: launched.run, outcome: Outcome::Ok };
        let write = Write::of(&launched, ended, NOW).unwrap();
        (tracked(launched), write)
    }

    #[test]
    fn what_was_not_written_is_written_later_and_an_offer_is_skipped() {
        let (one, ended) = ended();
        for unwritten in [WriteAnswer::Locked, WriteAnswer::Failed("a trigger raises".to_owned())] {
            let write = |event| Write { event, ..ended.clone() };
            assert_eq!(one.verdict(&write(Event::Release), &unwritten), Verdict::Later);
            let offer = Event::Offer { default_timeout: None };
            assert_eq!(one.verdict(&write(offer), &unwritten), Verdict::NotReserved { skip: true });
        }
        let released = one.verdict(&Write { event: Event::Release, ..ended }, &WriteAnswer::AsPredicted);
        assert_eq!(released, Verdict::Released);
    }

    #[test]
    fn a_claim_counts_by_the_row_it_left() {
        let pushed = Task::pushed(TaskOptions::default());
        let (one, write) = (tracked(pushed.clone()), Write::of(&pushed, claim(), NOW).unwrap());
        assert_eq!(one.verdict(&write, &WriteAnswer::AsPredicted), Verdict::Claimed(claimed()));
        let other_deadline = Row { times_up: Some(Timestamp::from_micros(9)), ..claimed().row() };
        assert!(matches!(one.verdict(&write, &WriteAnswer::Row(other_deadline)), Verdict::Claimed(_)));
        let other_run = Row { run: 9, ..claimed().row() };
        assert_eq!(one.verdict(&write, &WriteAnswer::Row(other_run)), Verdict::NotReserved { skip: false });
        assert_eq!(one.verdict(&write, &WriteAnswer::Locked), Verdict::NotReserved { skip: true });
        assert_eq!(one.verdict_of_row(&write, Some(&pushed.row())), Verdict::NotReserved { skip: false });
    }

    #[test]
    fn a_running_row_of_the_run_in_hand_is_never_let_go_of() {
        let (one, write) = ended();
        let running = one.task().row();
        assert_eq!(one.verdict(&write, &WriteAnswer::Row(running.clone())), Verdict::Later);
        assert_eq!(one.verdict_of_row(&write, Some(&running)), Verdict::Again);
        let later_run = Row { run: Run(7).0, ..running };
        assert!(matches!(one.verdict(&write, &WriteAnswer::Row(later_run)), Verdict::Recorded(_)));
        assert_eq!(one.verdict(&write, &WriteAnswer::Gone), Verdict::Vanished);
        assert_eq!(one.verdict_of_row(&write, Some(&write.next.row())), Verdict::Recorded((*write.next).clone()));
    }

    #[test]
    fn a_withdrawn_offer_follows_a_row_that_a_client_changed() {
        let options = TaskOptions { client_pulled: true, ..TaskOptions::default() };
        let offered = Task::pushed(options).step(&Event::Offer { default_timeout: None }, NOW.server).unwrap();
        let write = Write::of(&offered, Event::Withdraw, NOW).unwrap();
        let one = tracked(offered.clone());
        assert_eq!(one.verdict(&write, &WriteAnswer::AsPredicted), Verdict::Returned { due: None });
        assert_eq!(one.verdict(&write, &WriteAnswer::Locked), Verdict::Later);
        let taken = offered.step(&Event::Take { default_timeout: None }, NOW.server).unwrap().row();
        assert_eq!(one.verdict(&write, &WriteAnswer::Row(taken.clone())), Verdict::Follow(Some(taken)));
    }

    #[test]
    fn an_offer_of_a_row_that_cannot_be_written_is_skipped_for_a_while() {
        let options = TaskOptions { client_pulled: true, ..TaskOptions::default() };
        let pushed = Task::pushed(options);
        let write = Write::of(&pushed, Event::Offer { default_timeout: None }, NOW).unwrap();
        let one = tracked(pushed.clone());
        for unwritten in [WriteAnswer::Locked, WriteAnswer::Failed("a trigger raises".to_owned())] {
            assert_eq!(one.verdict(&write, &unwritten), Verdict::NotReserved { skip: true });
        }
        assert_eq!(one.verdict(&write, &WriteAnswer::AsPredicted), Verdict::Offered((*write.next).clone()));
        assert_eq!(one.verdict(&write, &WriteAnswer::Gone), Verdict::Follow(None));
        assert_eq!(one.verdict_of_row(&write, Some(&pushed.row())), Verdict::NotReserved { skip: false });
    }

    #[test]
    fn a_claim_that_is_returned_is_sent_again_until_its_row_runs_no_more() {
        let write = Write::of(&claimed(), Event::GiveBack { default_timeout: None }, NOW).unwrap();
        let one = tracked(claimed());
        let running = one.task().row();
        for again in [WriteAnswer::Locked, WriteAnswer::Failed("no".to_owned()), WriteAnswer::Row(running.clone())] {
            assert_eq!(one.verdict(&write, &again), Verdict::Later);
        }
        let due = write.next.phase.times_up();
        for over in [WriteAnswer::AsPredicted, WriteAnswer::Gone, WriteAnswer::Row(Row { run: 9, ..running })] {
            assert_eq!(one.verdict(&write, &over), Verdict::Returned { due });
        }
    }

    #[test]
    fn a_claim_counts_only_if_the_row_runs() {
        let pushed = Task::pushed(TaskOptions::default());
        let (one, write) = (tracked(pushed.clone()), Write::of(&pushed, claim(), NOW).unwrap());
        let waits = Row { run: write.next.run.0, ..pushed.row() };
        assert_eq!(waits.state(), RowState::Ready);
        assert_eq!(one.verdict(&write, &WriteAnswer::Row(waits)), Verdict::NotReserved { skip: false });
        assert_eq!(one.verdict(&write, &WriteAnswer::Gone), Verdict::NotReserved { skip: false });
    }

    #[test]
    fn a_write_in_doubt_is_sent_again_if_the_row_stands_where_it_stood() {
        let options = TaskOptions { client_pulled: true, ..TaskOptions::default() };
        let offered = Task::pushed(options).step(&Event::Offer { default_timeout: None }, NOW.server).unwrap();
        let write = Write::of(&offered, Event::Withdraw, NOW).unwrap();
        let (one, before) = (tracked(offered.clone()), offered.row());
        for same in [before.clone(), Row { times_up: Some(Timestamp::from_micros(9)), ..before.clone() }] {
            assert_eq!(one.verdict_of_row(&write, Some(&same)), Verdict::Again);
        }
        let written = Verdict::Returned { due: None };
        assert_eq!(one.verdict_of_row(&write, Some(&write.next.row())), written, "it is in its lane again");
        for other in [
            Row { run: 7, ..before.clone() },
            Row { tracked: Some(false), ..before.clone() },
            Row { consumed: Some(NOW.server), ..before },
        ] {
            assert_eq!(one.verdict_of_row(&write, Some(&other)), Verdict::Follow(Some(other.clone())));
        }
    }
}
