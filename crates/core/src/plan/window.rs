//! The heads of one lane that are in memory.

use std::collections::VecDeque;

use super::lane::{Head, Lane, QueuePosition};
use crate::names::TaskId;

/// A head, and whether it was claimed ahead.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) head: Head,
    pub(super) ahead: bool,
}

/// The first heads of a lane.
///
/// Invariant: `entries` are in order. Each other task of the lane in the store comes after `bound`,
/// or was pushed or returned since the last refill.
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
    /// Whether a refill is under way.
    pub(super) asked: bool,
    /// Whether the store may have new tasks at any position.
    pub(super) stale: bool,
    /// The position of the first task that returns to the store and is not among the entries yet.
    recalled: Option<QueuePosition>,
    /// Whether the refill under way may have been read before a task returned. Its answer is then
    /// ignored.
    ignore_refill: bool,
    /// The number of heads of the last refill that cannot be claimed.
    pub(super) skipped: usize,
    pub(super) resting: bool,
    /// The position of the lane in the order of its pool.
    pub(super) listed: Option<QueuePosition>,
}

impl Window {
    pub(super) const fn new(lane: Lane) -> Self {
        Self {
            lane,
            entries: VecDeque::new(),
            more: false,
            bound: None,
            full: 0,
            asked: false,
            stale: false,
            recalled: None,
            ignore_refill: false,
            skipped: 0,
            resting: false,
            listed: None,
        }
    }

    /// Notes that a removed task returns. No task after it may be chosen before the window was read
    /// again.
    pub(super) fn recall(&mut self, position: QueuePosition) {
        self.recalled = Some(self.recalled.map_or(position, |before| before.min(position)));
        self.stale = true;
        self.ignore_refill = self.asked;
    }

    pub(super) fn refill(&mut self, heads: Vec<Head>, more: bool) {
        if std::mem::take(&mut self.ignore_refill) {
            self.asked = false;
            self.stale = true;
            return;
        }
        self.recalled = None;
        self.bound = heads.last().map(|head| head.position);
        self.entries.retain(|entry| entry.ahead);
        for head in heads {
            if !self.entries.iter().any(|entry| entry.ahead && entry.head.position.task == head.position.task) {
                self.entries.push_back(Entry { head, ahead: false });
            }
        }
        self.entries.make_contiguous().sort_by_key(|entry| entry.head.position);
        self.more = more;
        self.full = self.entries.len();
        self.asked = false;
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

    /// The position of the first task that is not claimed ahead.
    pub(super) fn first_behind(&self) -> Option<QueuePosition> {
        self.entries.iter().find(|entry| !entry.ahead).map(|entry| entry.head.position)
    }

    pub(super) fn mark_ahead(&mut self, task: TaskId) -> Option<Head> {
        let entry = self.entries.iter_mut().find(|entry| entry.head.position.task == task)?;
        entry.ahead = true;
        Some(entry.head.clone())
    }

    pub(super) fn heads(&self) -> impl Iterator<Item = &Head> {
        self.entries.iter().map(|entry| &entry.head)
    }

    pub(super) fn remove(&mut self, task: TaskId) -> Option<Head> {
        let at = self.entries.iter().position(|entry| entry.head.position.task == task)?;
        self.entries.remove(at).map(|entry| entry.head)
    }

    pub(super) fn wants_more(&self) -> bool {
        !self.asked && (self.stale || (self.more && self.entries.len() <= self.full / 2))
    }

    /// Notes that a refill is requested, if one is needed. Returns whether it is.
    pub(super) fn ask(&mut self) -> bool {
        let wanted = self.wants_more();
        if wanted {
            self.asked = true;
            self.stale = false;
        }
        wanted
    }

    /// Whether the window is empty and no refill can bring a task.
    pub(super) fn is_done(&self) -> bool {
        self.entries.is_empty() && !self.more && !self.stale && !self.asked && !self.resting
    }
}
