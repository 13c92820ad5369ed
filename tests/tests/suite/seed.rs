//! Repeatable random numbers, and the number of rounds.

use std::env;
use std::hash::{BuildHasher, RandomState};

/// A source of random numbers. A run prints its seed; `PGASYNC_SEED` sets it.
#[derive(Debug)]
pub(super) struct Seed {
    state: u64,
}

impl Seed {
    pub(super) fn of_this_run() -> Self {
        let given = env::var("PGASYNC_SEED").ok().and_then(|seed| seed.parse().ok());
        let state = given.unwrap_or_else(|| RandomState::new().hash_one(0) % 1_000_000);
        eprintln!("PGASYNC_SEED={state}");
        Self { state }
    }

    /// A source with the same numbers in each run, unless `PGASYNC_SEED` is set.
    pub(super) fn fixed(state: u64) -> Self {
        if env::var_os("PGASYNC_SEED").is_some() { Self::of_this_run() } else { Self::numbered(state) }
    }

    /// A source with the same numbers in each run.
    pub(super) fn numbered(state: u64) -> Self {
        Self { state }
    }

    /// The number that repeats this source, as long as no number was taken.
    pub(super) fn number(&self) -> u64 {
        self.state
    }

    /// Another source, so that two tokio tasks have independent sequences.
    pub(super) fn fork(&mut self) -> Self {
        Self { state: self.next() }
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let place = usize::try_from(self.below(items.len() as u64)).expect("a place in a slice");
        &items[place]
    }

    /// `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The number of kills in a test: `PGASYNC_CHAOS_ROUNDS`, or the usual number.
pub(super) fn rounds(usual: u32) -> u32 {
    env::var("PGASYNC_CHAOS_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usual)
}
