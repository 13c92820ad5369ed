//! The heads of one lane that are in memory.

use std::collections::VecDeque;

use super::lane::{Head, Lane, QueuePosition};
use super::{Choice, WINDOW_GROWTH_MAX};
use crate::names::TaskId;

/// A head, and whether it was claimed ahead.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) head: Head,
    pub(super) ahead: bool,
}

/// Where the read of a refill begins. The answer replaces the window from there on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reading {
    /// At the first waiting task.
    Front,
    /// After this position.
    After(QueuePosition),
}

/// The first heads of a lane.
///
/// Invariant: `entries` are in order. Each other task of the lane in the store comes after `bound`
/// if `more`, or is where the window is `stale`, or has not been reported as an arrival yet.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) lane: Lane,
    entries: VecDeque<Entry>,
    /// Whether the store has tasks after `bound`.
    more: bool,
    bound: Option<QueuePosition>,
    /// The number of entries after the last refill. The next refill is due when half of them are
    /// gone.
    full: usize,
    /// The refill under way.
    reading: Option<Reading>,
    /// The arrivals since the refill under way was requested. Its answer may lack them.
    arrived: Vec<Head>,
    /// From where on the store may have tasks that are not in the window: the next refill begins there.
    stale: Option<Reading>,
    /// The position of the first task that returns to the store and is not among the entries yet.
    recalled: Option<QueuePosition>,
    /// Whether the refill under way may have been read before a task returned. Its answer is then
    /// ignored.
    ignore_refill: bool,
    pub(super) resting: bool,
    /// The position of the lane in the order of its pool.
    pub(super) listed: Option<QueuePosition>,
    /// The number of entries that the plan has counted.
    pub(super) counted: usize,
}

impl Window {
    pub(super) const fn new(lane: Lane) -> Self {
        Self {
            lane,
            entries: VecDeque::new(),
            more: false,
            bound: None,
            full: 0,
            reading: None,
            arrived: Vec::new(),
            stale: None,
            recalled: None,
            ignore_refill: false,
            resting: false,
            listed: None,
            counted: 0,
        }
    }

    /// Notes that a removed task returns. No task after it may be chosen before the window was read
    /// again.
    pub(super) fn recall(&mut self, position: QueuePosition) {
        self.recalled = Some(self.recalled.map_or(position, |before| before.min(position)));
        self.ignore_refill = self.reading.is_some();
        self.read_again(Reading::After(position.before()));
    }

    /// Notes that the store may have tasks from there on that are not in the window.
    pub(super) fn read_again(&mut self, from: Reading) {
        self.stale = Some(self.stale.map_or(from, |before| before.min(from)));
    }

    /// Takes the answer to a refill: the heads that can be claimed, the position of the last head
    /// that was read, and whether the store has tasks after it.
    pub(super) fn refill(&mut self, heads: Vec<Head>, bound: Option<QueuePosition>, more: bool) {
        let reading = self.reading.take().unwrap_or(Reading::Front);
        let arrived = std::mem::take(&mut self.arrived);
        if std::mem::take(&mut self.ignore_refill) {
            self.read_again(reading);
            return;
        }
        self.recalled = None;
        let stays = |position| matches!(reading, Reading::After(before) if position <= before);
        self.entries.retain(|entry| entry.ahead || stays(entry.head.position));
        self.bound = match reading {
            Reading::After(before) => Some(bound.map_or(before, |bound| bound.max(before))),
            Reading::Front => bound,
        };
        self.more = more;
        for head in heads.into_iter().chain(arrived) {
            self.insert(head);
        }
        self.full = self.entries.len();
    }

    /// Takes a task that arrived in the store. A window that has grown too large is cut to
    /// `heads_max` tasks, because the store has the others.
    pub(super) fn arrive(&mut self, head: Head, heads_max: usize) {
        if self.reading.is_some() {
            self.arrived.push(head.clone());
        }
        self.insert(head);
        if self.reading.is_none() && self.entries.len() > heads_max.saturating_add(WINDOW_GROWTH_MAX) {
            while self.entries.len() > heads_max && self.entries.back().is_some_and(|entry| !entry.ahead) {
                self.entries.pop_back();
                self.more = true;
            }
            if self.more {
                self.bound = self.entries.back().map(|entry| entry.head.position);
            }
            self.full = self.entries.len();
        }
    }

    /// Inserts a task unless it comes after the bound. A task that was claimed ahead stays as it is.
    fn insert(&mut self, head: Head) {
        let (position, task) = (head.position, head.position.task);
        if self.more && self.bound.is_none_or(|bound| position > bound) {
            return;
        }
        if let Some(at) = self.entries.iter().position(|entry| entry.head.position.task == task) {
            if self.entries[at].ahead {
                return;
            }
            self.entries.remove(at);
        }
        let at = self.entries.partition_point(|entry| entry.head.position < position);
        self.entries.insert(at, Entry { head, ahead: false });
    }

    /// Whether the store may have tasks that are not in the window, and are not after its bound.
    pub(super) const fn is_stale(&self) -> bool {
        self.stale.is_some()
    }

    /// Whether a refill is under way.
    pub(super) const fn is_refilling(&self) -> bool {
        self.reading.is_some()
    }

    /// Forgets the refill under way, because its answer is lost.
    pub(super) fn forget_refill(&mut self) {
        self.reading = None;
        self.arrived.clear();
        self.ignore_refill = false;
        self.stale = Some(Reading::Front);
    }

    /// The position of the first task. For an exhausted window, the position after which the next
    /// task comes.
    pub(super) fn position(&self) -> Option<QueuePosition> {
        let bound = || self.bound.filter(|_| self.more);
        self.first().map(|entry| entry.head.position).or(self.recalled).or_else(bound)
    }

    pub(super) fn first(&self) -> Option<&Entry> {
        let waits = |entry: &&Entry| self.recalled.is_none_or(|recalled| entry.head.position < recalled);
        self.entries.front().filter(waits)
    }

    /// The first task, or the wait for it.
    pub(super) fn choice(&self) -> Choice<'_> {
        self.first().map_or(Choice::Await(&self.lane), |Entry { head, ahead }| Choice::Take {
            lane: &self.lane,
            head,
            ahead: *ahead,
        })
    }

    /// The position of the first task that is not claimed ahead.
    pub(super) fn first_behind(&self) -> Option<QueuePosition> {
        self.behind(0).map(|(_, position)| position)
    }

    /// The first task from this place on that is not claimed ahead: its place and its position.
    pub(super) fn behind(&self, from: usize) -> Option<(usize, QueuePosition)> {
        let found = self.entries.iter().enumerate().skip(from).find(|(_, entry)| !entry.ahead);
        found.map(|(at, entry)| (at, entry.head.position))
    }

    pub(super) fn mark_ahead(&mut self, task: TaskId) -> Option<Head> {
        let entry = self.entries.iter_mut().find(|entry| entry.head.position.task == task)?;
        entry.ahead = true;
        Some(entry.head.clone())
    }

    pub(super) fn heads(&self) -> impl Iterator<Item = &Head> {
        self.entries.iter().map(|entry| &entry.head)
    }

    /// How many entries it should have after the next refill, by its use: as many as after the last one, or
    /// twice as many if half of those were taken.
    pub(super) fn wanted(&self) -> usize {
        let taken = self.entries.len() <= self.full / 2;
        if taken { self.full * 2 } else { self.full }
    }

    /// The number of heads in memory.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn remove(&mut self, task: TaskId) -> Option<Head> {
        self.arrived.retain(|head| head.position.task != task);
        let at = self.entries.iter().position(|entry| entry.head.position.task == task)?;
        self.entries.remove(at).map(|entry| entry.head)
    }

    pub(super) fn wants_more(&self) -> bool {
        self.reading.is_none() && (self.stale.is_some() || (self.more && self.entries.len() <= self.full / 2))
    }

    /// Notes that a refill is requested, if one is needed, and returns where it begins.
    pub(super) fn ask(&mut self) -> Option<Reading> {
        if !self.wants_more() {
            return None;
        }
        let bound = self.bound.map_or(Reading::Front, Reading::After);
        let reading = match self.stale.take() {
            Some(from) if self.more => from.min(bound),
            Some(from) => from,
            None => bound,
        };
        self.reading = Some(reading);
        Some(reading)
    }

    /// Whether the window is empty and no refill can bring a task.
    pub(super) fn is_done(&self) -> bool {
        self.entries.is_empty() && !self.more && self.stale.is_none() && self.reading.is_none() && !self.resting
    }
}
