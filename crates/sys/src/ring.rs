//! A ring of numbered entries: one writer, any number of readers, none of whom can hold it up.
//!
//! The log (numbered commands), a slot's ring (numbered blocks), the inbox and the tap are all
//! this one structure. A reader asks for entry *n* and gets it whole, or is told why not.
//!
//! *Layout*: entry n sits at `base + (n mod depth) * stride`; its words are
//! `[n + 1] [tag] [hash] [payload…]`. The first word is 0 while the entry is being written.
//!
//! *Invariant*: an entry is handed out only if its number was the same before and after the
//! copy, and its hash, keyed by number and tag, covers the payload. The writer stores 0, then
//! the payload, then the number, each with Release; the reader loads each with Acquire. Whoever
//! sees one new payload word therefore also sees the 0 on the second look at the number, so no
//! fence is needed; and a writer that was killed between any two stores leaves an entry that
//! reads as torn.

use std::sync::atomic::Ordering::{Acquire, Release};

use crate::hash;
use crate::words::Words;

/// Words before the payload of an entry.
const HEAD: usize = 3;

/// What a reader found at a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The whole entry, copied out; its tag is the writer's (a generation, flags).
    Whole {
        /// The tag it was written with.
        tag: u64,
    },
    /// Not there yet: the place is empty or holds an older entry.
    Absent,
    /// Gone: the place holds a newer entry. Trying again does not help.
    Passed,
    /// Half written, or damaged. Trying again helps only while its writer lives.
    Torn,
}

/// A ring within some words. The handle is plain data; who holds the words decides who may
/// write.
#[derive(Clone, Debug)]
pub struct Ring<W> {
    words: W,
    base: usize,
    depth: usize,
    payload: usize,
}

impl<W: Words> Ring<W> {
    /// The ring of `depth` entries of `payload` words each that begins at word `base`.
    ///
    /// Panics when it does not fit: layouts are ours.
    #[must_use]
    pub fn new(words: W, base: usize, depth: usize, payload: usize) -> Self {
        assert!(depth > 0 && payload > 0, "a ring needs room");
        assert!(base + Self::words_for(depth, payload) <= words.len(), "a ring within its region");
        Self { words, base, depth, payload }
    }

    /// How many words a ring of this shape takes.
    #[must_use]
    pub const fn words_for(depth: usize, payload: usize) -> usize {
        depth * (HEAD + payload)
    }

    /// How many entries it holds before the oldest is overwritten.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Writes entry `number` over the one `depth` before it. One writer only. `[audio]`
    pub fn write(&self, number: u64, tag: u64, payload: &[u64]) {
        assert_eq!(payload.len(), self.payload, "an entry of the ring's own size");
        for step in 0..self.write_steps() {
            self.write_step(number, tag, payload, step);
        }
    }

    /// How many stores [`Ring::write`] makes.
    #[must_use]
    pub fn write_steps(&self) -> usize {
        HEAD + 1 + self.payload
    }

    /// One store of [`Ring::write`], by number, so that a test can end a writer between any
    /// two. `[audio]`
    pub fn write_step(&self, number: u64, tag: u64, payload: &[u64], step: usize) {
        let at = self.place(number);
        match step {
            0 => self.words.store(at, 0, Release),
            1 => self.words.store(at + 1, tag, Release),
            2 => self.words.store(at + 2, seal(number, tag, payload), Release),
            step if step < HEAD + payload.len() => {
                self.words.store(at + step, payload[step - HEAD], Release);
            }
            _ => self.words.store(at, number.wrapping_add(1), Release),
        }
    }

    /// Copies entry `number` into `into` if it is whole; what `into` holds otherwise means
    /// nothing. `[audio]`
    pub fn read(&self, number: u64, into: &mut [u64]) -> Entry {
        assert_eq!(into.len(), self.payload, "a buffer of the ring's own size");
        let at = self.place(number);
        let found = self.words.load(at, Acquire);
        if found != number.wrapping_add(1) {
            return match found {
                0 => Entry::Torn,
                older if older <= number => Entry::Absent,
                _ => Entry::Passed,
            };
        }
        let tag = self.words.load(at + 1, Acquire);
        let sealed = self.words.load(at + 2, Acquire);
        for (offset, word) in into.iter_mut().enumerate() {
            *word = self.words.load(at + HEAD + offset, Acquire);
        }
        let again = self.words.load(at, Acquire);
        if again != found || sealed != seal(number, tag, into) {
            return Entry::Torn;
        }
        Entry::Whole { tag }
    }

    /// The words of entry `number`: `[n + 1] [tag] [hash] [payload…]`.
    #[must_use]
    pub fn words_of(&self, number: u64) -> std::ops::Range<usize> {
        let at = self.place(number);
        at..at + HEAD + self.payload
    }

    fn place(&self, number: u64) -> usize {
        self.base + (number % self.depth as u64) as usize * (HEAD + self.payload)
    }
}

fn seal(number: u64, tag: u64, payload: &[u64]) -> u64 {
    hash::words(number.rotate_left(32) ^ tag, payload)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::{Strategy, any, proptest};

    use super::{Entry, Ring};
    use crate::region::Region;
    use crate::words::Words;

    fn ring(depth: usize) -> Ring<Region> {
        Ring::new(Region::heap(Ring::<Region>::words_for(depth, 4)), 0, depth, 4)
    }

    #[test]
    fn a_fresh_ring_reads_as_torn_or_absent_and_never_as_whole() {
        let ring = ring(4);
        assert_eq!(ring.read(0, &mut [0; 4]), Entry::Torn);
        ring.write(0, 9, &[1, 2, 3, 4]);
        assert_eq!(ring.read(4, &mut [0; 4]), Entry::Absent);
    }

    #[test]
    fn a_writer_that_ends_between_any_two_stores_leaves_no_whole_entry() {
        let new = [5, 6, 7, 8];
        for stop in 0..8 {
            let ring = ring(4);
            ring.write(2, 1, &[1, 2, 3, 4]);
            for step in 0..stop {
                ring.write_step(6, 1, &new, step);
            }
            let mut got = [0; 4];
            let found = ring.read(6, &mut got);
            match stop {
                0 => assert_eq!(found, Entry::Absent),
                8 => assert_eq!((found, got), (Entry::Whole { tag: 1 }, new)),
                _ => assert_eq!(found, Entry::Torn, "after {stop} stores"),
            }
        }
    }

    #[test]
    fn one_flipped_bit_anywhere_in_an_entry_is_noticed() {
        let region = Region::heap(Ring::<Region>::words_for(1, 4));
        let ring = Ring::new(region.clone(), 0, 1, 4);
        for bit in 0..7 * 64 {
            ring.write(3, 1, &[1, 2, 3, 4]);
            let order = std::sync::atomic::Ordering::SeqCst;
            region.store(bit / 64, region.load(bit / 64, order) ^ (1 << (bit % 64)), order);
            let found = ring.read(3, &mut [0; 4]);
            assert!(!matches!(found, Entry::Whole { .. }), "bit {bit} went unnoticed: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn a_ring_is_the_last_entries_of_an_endless_list(
            depth in 1_usize..9,
            writes in proptest::collection::vec(any::<[u64; 4]>().prop_map(|w| w), 1..40),
        ) {
            let ring = ring(depth);
            let mut model: VecDeque<(u64, [u64; 4])> = VecDeque::new();
            for (number, payload) in writes.iter().enumerate() {
                ring.write(number as u64, 7, payload);
                model.push_back((number as u64, *payload));
                if model.len() > depth {
                    model.pop_front();
                }
                for asked in 0..=number as u64 {
                    let mut got = [0; 4];
                    let found = ring.read(asked, &mut got);
                    match model.iter().find(|(n, _)| *n == asked) {
                        Some((_, kept)) => {
                            assert_eq!((found, &got), (Entry::Whole { tag: 7 }, kept));
                        }
                        None => assert_eq!(found, Entry::Passed),
                    }
                }
            }
        }
    }
}
