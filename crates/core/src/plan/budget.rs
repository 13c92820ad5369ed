//! How many heads may be in memory, over all lanes, and how many a refill reads.

use super::WINDOW_HEADS_DEFAULT;

/// About as many heads may be in memory, over all lanes: each takes about a hundred bytes. Half of them are
/// divided among the lanes equally, but no lane has fewer than [`WINDOW_HEADS_DEFAULT`]. The windows of
/// lanes whose tasks are taken grow into the rest.
pub(super) const HEADS_MAX: usize = 1 << 15;

/// A refill takes at most one in so many of the heads that are left.
const GROWTH_SHARE: usize = 16;

/// The heads in memory.
#[derive(Debug, Default)]
pub(super) struct Budget {
    held: usize,
}

impl Budget {
    /// Heads in all windows.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// A window had so many heads so far, and has so many from now on.
    pub(super) fn replace(&mut self, before: usize, after: usize) {
        debug_assert!(self.held >= before, "heads leave that were not counted");
        self.held = (self.held + after).saturating_sub(before);
    }

    /// The heads that refills may read now, with this number of lanes.
    pub(super) fn share(&self, lanes: usize) -> Share {
        let fair = (HEADS_MAX / 2 / lanes.max(1)).max(WINDOW_HEADS_DEFAULT);
        Share { fair, left: HEADS_MAX.saturating_sub(self.held) }
    }
}

/// The heads that some refills may read.
#[derive(Debug)]
pub(super) struct Share {
    /// A window may always have so many.
    fair: usize,
    /// Heads that no window and no earlier refill has.
    left: usize,
}

impl Share {
    /// How many heads a window of `len` heads should have after its refill, if it wants `wanted` by its use
    /// and may have `heads_max`.
    pub(super) fn take(&mut self, len: usize, wanted: usize, heads_max: usize) -> usize {
        let heads = wanted.min(len + self.left / GROWTH_SHARE).max(self.fair).min(heads_max);
        self.left = self.left.saturating_sub(heads.saturating_sub(len));
        heads
    }
}
