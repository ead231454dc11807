//! A checkpoint: the state before block k, in one of two areas that are written in turn.
//!
//! *Layout*: `[k + 1] [log cursor] [length] [hash] [state…]`. *Invariant*: the first word is 0
//! while the area is written, and the hash covers number, cursor and state, so what a killed
//! writer leaves is no checkpoint. While one area is being written the other is whole.

use std::ops::Range;
use std::sync::atomic::Ordering::{Acquire, Release};

use segue_sys::{Region, Words, hash};

const HEAD: usize = 4;

/// What a checkpoint says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The next block to render.
    pub block: u64,
    /// The next record of the log to apply.
    pub cursor: u64,
}

/// One of a slot's two areas.
#[derive(Clone, Debug)]
pub struct Area {
    region: Region,
    base: usize,
    state_words: usize,
}

impl Area {
    /// Words of an area for a state of at most `state_words`.
    #[must_use]
    pub const fn words(state_words: usize) -> usize {
        HEAD + state_words
    }

    /// The area that begins at word `base`; the slot has checked that it fits.
    #[must_use]
    pub(crate) fn new(region: Region, base: usize, state_words: usize) -> Self {
        Self { region, base, state_words }
    }

    /// The words of the region that a state of so many words takes here.
    pub(crate) fn used(&self, state_words: usize) -> Range<usize> {
        self.base..self.base + Self::words(state_words.min(self.state_words))
    }

    /// Writes a checkpoint; false when the state is longer than the area, which writes
    /// nothing. `[audio]`
    pub fn write(&self, mark: Mark, state: &[u64]) -> bool {
        if state.len() > self.state_words {
            return false;
        }
        self.region.store(self.base, 0, Release);
        for (offset, word) in state.iter().enumerate() {
            self.region.store(self.base + HEAD + offset, *word, Release);
        }
        self.region.store(self.base + 1, mark.cursor, Release);
        self.region.store(self.base + 2, state.len() as u64, Release);
        self.region.store(self.base + 3, seal(mark, state), Release);
        self.region.store(self.base, mark.block + 1, Release);
        true
    }

    /// What the area claims to hold; only [`Area::read`] proves it. `[any]`
    #[must_use]
    pub fn claim(&self) -> Option<Mark> {
        let block = self.region.load(self.base, Acquire).checked_sub(1)?;
        Some(Mark { block, cursor: self.region.load(self.base + 1, Acquire) })
    }

    /// Copies the checkpoint out if it is whole. `[control]`
    #[must_use]
    pub fn read(&self) -> Option<(Mark, Vec<u64>)> {
        let mark = self.claim()?;
        let length = usize::try_from(self.region.load(self.base + 2, Acquire)).ok()?;
        if length > self.state_words {
            return None;
        }
        let at = self.base + HEAD;
        let state: Vec<u64> =
            (at..at + length).map(|word| self.region.load(word, Acquire)).collect();
        let sealed = self.region.load(self.base + 3, Acquire);
        let same = self.region.load(self.base, Acquire) == mark.block + 1;
        (same && sealed == seal(mark, &state)).then_some((mark, state))
    }
}

fn seal(mark: Mark, state: &[u64]) -> u64 {
    hash::words(mark.block.rotate_left(32) ^ mark.cursor, state)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::SeqCst;

    use segue_sys::{Region, Words};

    use super::{Area, Mark};

    #[test]
    fn a_checkpoint_comes_back_whole_or_not_at_all() {
        let region = Region::heap(Area::words(8));
        let area = Area::new(region.clone(), 0, 8);
        assert!(area.read().is_none());
        let mark = Mark { block: 32, cursor: 5 };
        assert!(area.write(mark, &[1, 2, 3]));
        assert_eq!(area.read(), Some((mark, vec![1, 2, 3])));
        for word in 0..7 {
            let before = region.load(word, SeqCst);
            region.store(word, before ^ 2, SeqCst);
            assert!(area.read().is_none(), "a flipped bit in word {word} went unnoticed");
            region.store(word, before, SeqCst);
        }
        assert!(!area.write(mark, &[0; 9]));
    }
}
