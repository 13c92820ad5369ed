//! Random changes of inputs.

use crate::seed::Seed;

/// The limit on the length of an input.
const INPUT_BYTES_MAX: usize = 8_192;

/// Bytes that often end or begin something.
const SPECIAL: &[u8] = b"\0\x01\x7f\x80\xff\xc3'\"$;:/\\%=@?&()[]{},.- \n0123456789";

pub(super) struct Mutator<'a> {
    pub(super) seed: Seed,
    /// Pieces that are inserted.
    pub(super) dictionary: &'a [&'a str],
}

impl Mutator<'_> {
    /// One of the inputs with some changes.
    pub(super) fn change(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.seed.pick(pool).clone();
        for _ in 0..=self.seed.below(4) {
            self.change_once(&mut input, pool);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn change_once(&mut self, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
        let at = self.place(input.len());
        match self.seed.below(9) {
            0 if !input.is_empty() => {
                let at = at.min(input.len() - 1);
                input[at] ^= 1 << self.seed.below(8);
            }
            1 if !input.is_empty() => {
                let at = at.min(input.len() - 1);
                input[at] = *self.seed.pick(SPECIAL);
            }
            2 => input.insert(at, *self.seed.pick(SPECIAL)),
            3 => {
                let end = (at + 1 + self.place(16)).min(input.len());
                input.drain(at..end);
            }
            4 => {
                // A part of the input once more, elsewhere.
                let end = (at + self.place(64)).min(input.len());
                let part = input[at..end].to_vec();
                let to = self.place(input.len());
                input.splice(to..to, part);
            }
            5 => {
                // The begin of this input, and the end of another one.
                let other = self.seed.pick(pool);
                let from = self.place(other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            6 => {
                let piece = self.seed.pick(self.dictionary).repeat(1 + self.place(200));
                input.splice(at..at, piece.into_bytes());
            }
            _ => {
                let piece = *self.seed.pick(self.dictionary);
                let end = (at + self.place(piece.len())).min(input.len());
                // Over what is there, or between.
                let end = if self.seed.chance(50) { at } else { end };
                input.splice(at..end, piece.bytes());
            }
        }
    }

    /// A number up to `end`, which is included.
    fn place(&mut self, end: usize) -> usize {
        usize::try_from(self.seed.below(end as u64 + 1)).expect("a place in an input")
    }
}
