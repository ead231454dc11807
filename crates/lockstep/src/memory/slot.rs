//! A slot: a worker's place, made once; guests change, the place stays.
//!
//! *Layout*: a page of words about the guest, the place for its dying note, a ring of blocks
//! (tag = generation), two checkpoint areas. *Invariant*: the guest is the only writer, and it
//! writes its generation last when it sits down; whoever reads believes nothing under another
//! generation than the supervisor's orders name.

use std::io;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};

use segue_sys::{Entry, Region, Ring, Words};

use super::block::{self, Facts};
use super::checkpoint::Area;
use super::plans;
use crate::Shape;

const GENERATION: usize = 0;
const BELL: usize = 1;
const PUBLISHED: usize = 2;
const REACHED: usize = 3;
const PHASE: usize = 4;
const CRUMB: usize = 5;
const CRUMB_BLOCK: usize = 6;
const CURSOR: usize = 7;
const BUILD: usize = 8;
const CHECKPOINT: usize = 9;
const BEGUN_FROM: usize = 10;
const DISAGREES: usize = 11;
const RESETS: usize = 12;
const PREPARED: usize = 13;
const HASHES: usize = 16;

/// Hashes of its state that a slot keeps: two workers need not be as far.
pub const HASHES_KEPT: usize = 8;

/// Resets of parts that a slot keeps.
const RESETS_KEPT: usize = 8;

const RESETS_AT: usize = HASHES + 2 * HASHES_KEPT;

const _: () = assert!(RESETS_AT + 4 * RESETS_KEPT <= NOTE_AT);

/// First word of the dying note; its layout is the fatal-signal handler's.
pub const NOTE_AT: usize = 64;

/// Words kept for the dying note.
pub const NOTE_WORDS: usize = 64;

const RING: usize = NOTE_AT + NOTE_WORDS;

/// Blocks a ring holds: twice the longest period (4096 frames) and the largest lead.
pub const RING_DEPTH: usize = 256;

/// The largest lead, in blocks.
pub const LEAD_MAX: u64 = 64;

const _: () = assert!(RING_DEPTH as u64 >= 2 * (4096 / crate::BLOCK_FRAMES as u64) + LEAD_MAX);

/// How far a guest has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Loading the plan; takes as long as it takes.
    Starting,
    /// Replaying the log from a checkpoint.
    Joining,
    /// Rendering what the others render; its blocks may be played.
    Lockstep,
}

/// A part of the instrument was set back because its output was no number, once or block after
/// block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// With the first there were so many.
    pub count: u64,
    /// Which part, as the breadcrumb names it.
    pub part: u32,
    /// The first block.
    pub from: u64,
    /// The last one.
    pub to: u64,
}

/// What a worker is doing, left where it can be read when it is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crumb {
    /// Waiting.
    Idle,
    /// Applying the record with this number.
    Apply(u64),
    /// Rendering the module with this index.
    Render(u32),
    /// Writing a checkpoint.
    Checkpoint,
    /// Loading plan and checkpoint.
    Load,
}

impl Crumb {
    fn to_word(self) -> u64 {
        match self {
            Self::Idle => 0,
            Self::Apply(number) => 1 | number << 8,
            Self::Render(module) => 2 | u64::from(module) << 8,
            Self::Checkpoint => 3,
            Self::Load => 4,
        }
    }

    /// What it is and its number, as deaths are told: 0 idle, 1 a command, 2 a module, 3 a
    /// checkpoint, 4 loading. `[any]`
    #[must_use]
    pub fn to_numbers(self) -> (u64, u64) {
        let word = self.to_word();
        (word & 0xff, word >> 8)
    }

    fn from_word(word: u64) -> Self {
        match word & 0xff {
            1 => Self::Apply(word >> 8),
            2 => Self::Render((word >> 8) as u32),
            3 => Self::Checkpoint,
            4 => Self::Load,
            _ => Self::Idle,
        }
    }
}

/// A slot, for its guest and for those who watch it.
#[derive(Clone, Debug)]
pub struct Slot {
    region: Region,
    ring: Ring<Region>,
    entry_words: usize,
    areas: [Area; 2],
}

impl Slot {
    /// Words of the region.
    #[must_use]
    pub const fn words(shape: &Shape) -> usize {
        Self::areas_at(shape) + 2 * Area::words(shape.state_words)
    }

    const fn areas_at(shape: &Shape) -> usize {
        RING + Ring::<Region>::words_for(RING_DEPTH, block::words(shape))
    }

    /// The slot within `region`; none if it is too small.
    #[must_use]
    pub fn new(region: Region, shape: &Shape) -> Option<Self> {
        if region.len() < Self::words(shape) {
            return None;
        }
        let ring = Ring::new(region.clone(), RING, RING_DEPTH, block::words(shape));
        let first = Self::areas_at(shape);
        let second = first + Area::words(shape.state_words);
        let area = |base| Area::new(region.clone(), base, shape.state_words);
        let entry_words = block::words(shape);
        Some(Self { areas: [area(first), area(second)], ring, region, entry_words })
    }

    /// The words of the region that hold block `number`, if it is there. `[any]`
    #[must_use]
    pub fn words_of(&self, number: u64) -> std::ops::Range<usize> {
        self.ring.words_of(number)
    }

    /// Has those pages there that are used with a state of so many words: all but what is left
    /// of the two areas. `[control]`
    ///
    /// # Errors
    /// What the kernel says; above all that there is no memory.
    pub fn touch(&self, state_words: usize) -> io::Result<()> {
        let [first, second] = self.areas.each_ref().map(|area| area.used(state_words));
        self.region.touch(0..first.end)?;
        self.region.touch(second)
    }

    /// The region, to hand its descriptor on and to write the dying note.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Rung at every published block. `[any]`
    #[must_use]
    pub fn bell(&self) -> &AtomicU32 {
        self.region.bell(BELL)
    }

    /// The guest that sits here, by its own word. `[any]`
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.region.load(GENERATION, Acquire)
    }

    /// Blocks below this are in the ring and may be played. `[any]`
    #[must_use]
    pub fn published(&self) -> u64 {
        self.region.load(PUBLISHED, Acquire)
    }

    /// Blocks below this are rendered, also while joining. `[any]`
    #[must_use]
    pub fn reached(&self) -> u64 {
        self.region.load(REACHED, Acquire)
    }

    /// How far the guest has come. `[any]`
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.region.load(PHASE, Acquire) {
            2 => Phase::Joining,
            3 => Phase::Lockstep,
            _ => Phase::Starting,
        }
    }

    /// What the guest is doing, and in which block. `[any]`
    #[must_use]
    pub fn crumb(&self) -> (Crumb, u64) {
        let crumb = Crumb::from_word(self.region.load(CRUMB, Acquire));
        (crumb, self.region.load(CRUMB_BLOCK, Acquire))
    }

    /// The next record the guest will apply. `[any]`
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.region.load(CURSOR, Acquire)
    }

    /// The build the guest says it is of. `[any]`
    #[must_use]
    pub fn build(&self) -> u64 {
        self.region.load(BUILD, Acquire)
    }

    /// The block of the newest checkpoint the guest has written, plus one; 0 for none. `[any]`
    #[must_use]
    pub fn newest_checkpoint(&self) -> u64 {
        self.region.load(CHECKPOINT, Acquire)
    }

    /// Words of a block's entry: the size of the buffer for [`Slot::read`].
    #[must_use]
    pub fn entry_words(&self) -> usize {
        self.entry_words
    }

    /// The two checkpoint areas.
    #[must_use]
    pub fn areas(&self) -> &[Area; 2] {
        &self.areas
    }

    /// Copies block `block` of this generation into `entry` if it is whole. `[audio]`
    pub fn read(&self, block: u64, generation: u64, entry: &mut [u64]) -> Option<Facts> {
        match self.ring.read(block, entry) {
            Entry::Whole { tag } if tag == generation => Some(block::facts(entry)),
            _ => None,
        }
    }

    /// Whether this guest has rendered `block`: its ring holds that block, or a later one up to
    /// which it says it has come. The word alone may be damaged. `[control]`
    #[must_use]
    pub fn has_rendered(&self, block: u64, generation: u64) -> bool {
        let mut entry = vec![0; self.entry_words];
        let last = self.reached().saturating_sub(1).max(block);
        [block, last].into_iter().any(|it| self.read(it, generation, &mut entry).is_some())
    }

    /// A new guest sits down: everything about the last one is cleared, the generation is
    /// written last. `[any]`
    pub fn sit(&self, generation: u64, build: u64) {
        self.region.store(GENERATION, 0, Release);
        for word in PUBLISHED..RESETS_AT + 4 * RESETS_KEPT {
            self.region.store(word, 0, Release);
        }
        for word in NOTE_AT..NOTE_AT + NOTE_WORDS {
            self.region.store(word, 0, Release);
        }
        self.region.store(BUILD, build, Release);
        self.region.store(PHASE, 1, Release);
        self.region.store(CRUMB, Crumb::Load.to_word(), Release);
        self.region.store(GENERATION, generation, Release);
    }

    /// Says how far the guest has come. `[audio]`
    pub fn set_phase(&self, phase: Phase) {
        self.region.store(PHASE, phase as u64 + 1, Release);
    }

    /// Leaves a breadcrumb. `[audio]`
    pub fn set_crumb(&self, crumb: Crumb, block: u64) {
        self.region.store(CRUMB_BLOCK, block, Release);
        self.region.store(CRUMB, crumb.to_word(), Release);
    }

    /// Says which checkpoint is the newest here. `[audio]`
    pub fn set_checkpoint(&self, block: u64) {
        self.region.store(CHECKPOINT, block + 1, Release);
    }

    /// Says what the whole state before a block hashes to, so that two can be compared; `turn`
    /// counts up. `[audio]`
    pub fn set_state_hash(&self, turn: usize, block: u64, hash: u64) {
        let at = HASHES + turn % HASHES_KEPT * 2;
        self.region.store(at, 0, Release);
        self.region.store(at + 1, hash, Release);
        self.region.store(at, block + 1, Release);
    }

    /// The newest blocks before which the state was hashed, and the hashes. `[any]`
    #[must_use]
    pub fn state_hashes(&self) -> [Option<(u64, u64)>; HASHES_KEPT] {
        std::array::from_fn(|turn| {
            let at = HASHES + 2 * turn;
            let block = self.region.load(at, Acquire);
            let hash = self.region.load(at + 1, Acquire);
            let same = self.region.load(at, Acquire) == block;
            Some((block.checked_sub(1)?, hash)).filter(|_| same)
        })
    }

    /// Says how many resets there were, those before this guest's time included. `[audio]`
    pub fn set_resets(&self, count: u64) {
        self.region.store(RESETS, count, Release);
    }

    /// Says which part was set back; `turn` counts up, and stays while it goes on. `[audio]`
    pub fn set_reset(&self, turn: usize, reset: Reset) {
        let at = RESETS_AT + turn % RESETS_KEPT * 4;
        self.region.store(at, 0, Release);
        self.region.store(at + 1, reset.part.into(), Release);
        self.region.store(at + 2, reset.from, Release);
        self.region.store(at + 3, reset.to, Release);
        self.region.store(at, reset.count, Release);
    }

    /// How many resets there were. `[any]`
    #[must_use]
    pub fn resets(&self) -> u64 {
        self.region.load(RESETS, Acquire)
    }

    /// The newest resets, oldest first. `[any]`
    #[must_use]
    pub fn newest_resets(&self) -> Vec<Reset> {
        let read = |turn: usize| {
            let word = |word: usize| self.region.load(RESETS_AT + 4 * turn + word, Acquire);
            let count = word(0);
            let reset = Reset { count, part: word(1) as u32, from: word(2), to: word(3) };
            Some(reset).filter(|_| count > 0 && word(0) == count)
        };
        let mut resets: Vec<_> = (0..RESETS_KEPT).filter_map(read).collect();
        resets.sort_by_key(|reset| reset.count);
        resets
    }

    /// Says from which block on a joiner replays, if two had agreed on the state before it.
    /// `[control]`
    pub fn set_begun_from(&self, block: u64) {
        self.region.store(BEGUN_FROM, block + 1, Release);
    }

    /// From which block on the guest replayed, if two had agreed on the state before it.
    /// `[any]`
    #[must_use]
    pub fn begun_from(&self) -> Option<u64> {
        self.region.load(BEGUN_FROM, Acquire).checked_sub(1)
    }

    /// A joiner says which block came out different from what somebody in lockstep has.
    /// `[audio]`
    pub fn set_disagrees(&self, block: u64) {
        self.region.store(DISAGREES, block + 1, Release);
    }

    /// The block a joiner has otherwise than somebody in lockstep. `[any]`
    #[must_use]
    pub fn disagrees(&self) -> Option<u64> {
        self.region.load(DISAGREES, Acquire).checked_sub(1)
    }

    /// Says that the guest can go over to the plan of this edition at any block; `check` tells it
    /// from others that were written under that number before. `[control]`
    pub fn set_prepared(&self, edition: u32, check: u32) {
        self.region.store(PREPARED, plans::word_of(edition, check), Release);
    }

    /// The edition of the newest plan that the guest plays or has everything ready for. `[any]`
    #[must_use]
    pub fn prepared(&self) -> Option<u64> {
        (self.region.load(PREPARED, Acquire) >> 31).checked_sub(1)
    }

    /// Whether the newest plan that the guest plays or has everything ready for is this one.
    /// `[any]`
    #[must_use]
    pub fn is_prepared(&self, edition: u32, check: u32) -> bool {
        self.region.load(PREPARED, Acquire) == plans::word_of(edition, check)
    }

    /// Writes a block into the ring. `[audio]`
    pub fn write(&self, block: u64, generation: u64, entry: &[u64]) {
        self.ring.write(block, generation, entry);
    }

    /// Says what is rendered, before it is known whether it may be played. `[audio]`
    pub fn set_reached(&self, reached: u64) {
        self.region.store(REACHED, reached, Release);
    }

    /// Says what is rendered, and what of it may be played. `[audio]`
    pub fn publish(&self, reached: u64, published: u64, cursor: u64) {
        self.region.store(CURSOR, cursor, Release);
        self.region.store(REACHED, reached, Release);
        self.region.store(PUBLISHED, published, Release);
        self.bell().fetch_add(1, Release);
    }
}

#[cfg(test)]
mod tests {
    use segue_sys::Region;

    use super::Slot;
    use crate::Shape;

    #[test]
    fn what_a_guest_has_prepared_is_gone_with_it() {
        let shape = Shape { slots: 1, channels: 1, rate: 8000, state_words: 1 };
        let slot = Slot::new(Region::heap(Slot::words(&shape)), &shape).unwrap();
        slot.sit(1, 1);
        assert!(!slot.is_prepared(0, 0));
        slot.set_prepared(0, 0);
        assert!(slot.is_prepared(0, 0) && !slot.is_prepared(0, 2) && !slot.is_prepared(1, 0));
        slot.set_prepared(u32::MAX, u32::MAX);
        assert!(slot.is_prepared(u32::MAX, u32::MAX) && !slot.is_prepared(u32::MAX, 1));
        assert_eq!((slot.resets(), slot.disagrees()), (0, None));
        slot.sit(2, 1);
        assert!(!slot.is_prepared(u32::MAX, u32::MAX));
    }
}
