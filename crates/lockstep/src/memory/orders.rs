//! The orders: what the supervisor says to all, and the log of numbered commands.
//!
//! *Invariant*: the supervisor is the only writer. Within it playout writes sealed, head,
//! playhead and taken; the monitor writes primary, cleared, generations and keep-from. A reader
//! that has seen `sealed > n` (Acquire) finds every record of block n below `head`, for both
//! are published with Release, head first.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};

use segue_sys::{Entry, Region, Ring, Words};

use super::checkpoint::Mark;
use super::verdicts::Verdicts;
use crate::{BLOCK_FRAMES, Payload, SLOTS_MAX};

const BELL: usize = 0;
const SEALED: usize = 1;
const HEAD: usize = 2;
const PLAYHEAD: usize = 3;
const PRIMARY: usize = 4;
const CLEARED: usize = 5;
const TAKEN: usize = 6;
const KEEP_FROM: usize = 7;
const LEAD: usize = 8;
const FREEWHEEL: usize = 9;
const PERIOD: usize = 10;
const END: usize = 11;
const PENDING: usize = 12;
const URGE: usize = 13;
const POSITION: usize = 14;
const FIXED: usize = 15;
const TRUSTED: usize = 40;
const FORMER: usize = 42;
const BEGINNING: usize = 44;
const GENERATIONS: usize = 16;
const FIXED_AT: usize = 24;
const FIXED_WORDS: usize = 4;
const LOG: usize = 48;
const RECORD_WORDS: usize = 6;
const VERDICTS: usize = LOG + Ring::<Region>::words_for(LOG_DEPTH, RECORD_WORDS);

/// Records the log holds: more than four seconds of the fullest blocks at 48 kHz, while
/// checkpoints come every 16 blocks.
pub const LOG_DEPTH: usize = 1 << 16;

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A command for the instrument.
    Command,
    /// A judgement about an earlier command.
    Verdict,
    /// A module taken out of the signal.
    Bypass,
    /// A point in time for the journal; no worker acts on it.
    Mark,
}

/// One numbered record of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The block it is for.
    pub block: u64,
    /// What it is for.
    pub kind: Kind,
    /// Who asked, as control numbers its senders; 0 is the supervisor.
    pub origin: u32,
    /// How many records follow that belong to the same bundle.
    pub more: u8,
    /// The command.
    pub payload: Payload,
}

impl Record {
    fn to_words(self) -> [u64; RECORD_WORDS] {
        let kind = match self.kind {
            Kind::Command => 1_u64,
            Kind::Verdict => 2,
            Kind::Bypass => 3,
            Kind::Mark => 4,
        };
        let head = kind | u64::from(self.more) << 8 | u64::from(self.origin) << 32;
        let [a, b, c, d] = self.payload;
        [self.block, head, a, b, c, d]
    }

    fn from_words(words: [u64; RECORD_WORDS]) -> Option<Self> {
        let [block, head, a, b, c, d] = words;
        let kind = match head & 0xff {
            1 => Kind::Command,
            2 => Kind::Verdict,
            3 => Kind::Bypass,
            4 => Kind::Mark,
            _ => return None,
        };
        let (more, origin) = ((head >> 8) as u8, (head >> 32) as u32);
        Some(Self { block, kind, origin, more, payload: [a, b, c, d] })
    }
}

/// How far the sealing has come, as one: what a successor of playout begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealing {
    /// Records below this are in the log.
    pub head: u64,
    /// Inbox entries below this are in the log.
    pub taken: u64,
    /// Blocks below this have all their commands.
    pub sealed: u64,
    /// The block at which the engine ends, once that is decided.
    pub end: Option<u64>,
}

/// What is found at a number of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The record.
    Record(Record),
    /// Not written yet.
    NotYet,
    /// Overwritten: the reader was away too long.
    Passed,
    /// Damaged; a log is never damaged while its supervisor lives and its seal holds.
    Damaged,
}

/// The orders region, for its writer and its readers alike.
#[derive(Clone, Debug)]
pub struct Orders {
    region: Region,
    log: Ring<Region>,
    verdicts: Verdicts,
}

impl Orders {
    /// Words of the region.
    #[must_use]
    pub const fn words() -> usize {
        VERDICTS + Verdicts::words()
    }

    /// The orders within `region`; none if the region is too small to hold them.
    #[must_use]
    pub fn new(region: Region) -> Option<Self> {
        if region.len() < Self::words() {
            return None;
        }
        let log = Ring::new(region.clone(), LOG, LOG_DEPTH, RECORD_WORDS);
        let verdicts = Verdicts::new(region.clone(), VERDICTS);
        Some(Self { region, log, verdicts })
    }

    /// The region, to hand its descriptor on.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// What was found to be poison. `[any]`
    #[must_use]
    pub fn verdicts(&self) -> &Verdicts {
        &self.verdicts
    }

    /// Rung whenever anything changes that a worker may wait for: whoever goes first listens to
    /// it. `[any]`
    #[must_use]
    pub fn bell(&self) -> &AtomicU32 {
        self.region.bell(BELL)
    }

    /// Rung when a standby must not go on waiting for the primary's bell alone: roles have
    /// changed, blocks are cleared, or the primary falls behind. `[any]`
    #[must_use]
    pub fn urge(&self) -> &AtomicU32 {
        self.region.bell(URGE)
    }

    /// Rings the bell; who waits must still be woken. `[audio]`
    pub fn ring(&self) {
        self.bell().fetch_add(1, Release);
    }

    /// Rings both bells; who waits must still be woken. `[audio]`
    pub fn ring_all(&self) {
        self.urge().fetch_add(1, Release);
        self.ring();
    }

    /// Blocks below this have all their commands. `[any]`
    #[must_use]
    pub fn sealed(&self) -> u64 {
        self.region.load(SEALED, Acquire)
    }

    /// Records below this number are in the log. `[any]`
    #[must_use]
    pub fn head(&self) -> u64 {
        self.region.load(HEAD, Acquire)
    }

    /// The next block to be played. `[any]`
    #[must_use]
    pub fn playhead(&self) -> u64 {
        self.region.load(PLAYHEAD, Acquire)
    }

    /// The slot that goes first, if any. `[any]`
    #[must_use]
    pub fn primary(&self) -> Option<usize> {
        let primary = self.region.load(PRIMARY, Acquire);
        (1..=SLOTS_MAX as u64).contains(&primary).then(|| primary as usize - 1)
    }

    /// Blocks below this may be started by a standby although they carry commands and the
    /// primary has not published them. `[any]`
    #[must_use]
    pub fn cleared(&self) -> u64 {
        self.region.load(CLEARED, Acquire)
    }

    /// Inbox entries below this number are in the log. `[any]`
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.region.load(TAKEN, Acquire)
    }

    /// The guest that may sit in a slot; 0 before the first. `[any]`
    #[must_use]
    pub fn generation(&self, slot: usize) -> u64 {
        self.region.load(GENERATIONS + slot.min(SLOTS_MAX - 1), Acquire)
    }

    /// Blocks kept ready beyond one period. `[any]`
    #[must_use]
    pub fn lead(&self) -> u64 {
        self.region.load(LEAD, Acquire)
    }

    /// Whether there is no clock: blocks are asked for when the last was delivered. `[any]`
    #[must_use]
    pub fn freewheel(&self) -> bool {
        self.region.load(FREEWHEEL, Acquire) != 0
    }

    /// The longest period asked for so far, in frames. `[any]`
    #[must_use]
    pub fn period(&self) -> u64 {
        self.region.load(PERIOD, Acquire)
    }

    /// The block at which the engine ends, once that is decided. `[any]`
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        self.region.load(END, Acquire).checked_sub(1)
    }

    /// Slots (one bit each) that a guest is on its way to. `[any]`
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.region.load(PENDING, Acquire)
    }

    /// The newest block before which two workers had the same state and one of them left a
    /// checkpoint, and what the state hashes to. `[any]`
    #[must_use]
    pub fn trusted(&self) -> Option<(u64, u64)> {
        let block = self.region.load(TRUSTED, Acquire);
        let hash = self.region.load(TRUSTED + 1, Acquire);
        let same = self.region.load(TRUSTED, Acquire) == block;
        Some((block.checked_sub(1)?, hash)).filter(|_| same)
    }

    /// The block that was trusted before [`Orders::trusted`]: needed while that one lies ahead
    /// of the playhead. While it changes block and hash may not belong together. `[any]`
    #[must_use]
    pub fn formerly_trusted(&self) -> Option<(u64, u64)> {
        let block = self.region.load(FORMER, Acquire);
        Some((block.checked_sub(1)?, self.region.load(FORMER + 1, Acquire)))
    }

    /// Two workers had the same state before this block. `[any]`
    pub fn set_trusted(&self, block: u64, hash: u64) {
        if let Some((block, hash)) = self.trusted() {
            self.region.store(FORMER, block + 1, Release);
            self.region.store(FORMER + 1, hash, Release);
        }
        self.region.store(TRUSTED, 0, Release);
        self.region.store(TRUSTED + 1, hash, Release);
        self.region.store(TRUSTED, block + 1, Release);
    }

    /// The log number from which on somebody may still need the records. `[any]`
    #[must_use]
    pub fn keep_from(&self) -> u64 {
        self.region.load(KEEP_FROM, Acquire)
    }

    /// The record with this number. `[any]`
    #[must_use]
    pub fn record(&self, number: u64) -> Found {
        if number >= self.head() {
            return Found::NotYet;
        }
        let mut words = [0; RECORD_WORDS];
        match self.log.read(number, &mut words) {
            Entry::Whole { .. } => Record::from_words(words).map_or(Found::Damaged, Found::Record),
            Entry::Absent => Found::NotYet,
            Entry::Passed => Found::Passed,
            // The writer is at this very place, a whole ring further on.
            Entry::Torn if number + LOG_DEPTH as u64 <= self.head() => Found::Passed,
            Entry::Torn => Found::Damaged,
        }
    }

    /// Whether a block's worth of records can be written without losing one that is needed.
    /// `[audio]`
    #[must_use]
    pub fn has_room(&self, head: u64) -> bool {
        head + crate::COMMANDS_PER_BLOCK as u64 + 8 < self.keep_from() + LOG_DEPTH as u64
    }

    /// Writes the record with this number; not seen before [`Orders::publish`]. `[audio]`
    pub fn append(&self, number: u64, record: Record) {
        self.log.write(number, 0, &record.to_words());
    }

    /// Shows the log, the inbox and the blocks as far as they are sealed. One store decides:
    /// whoever is ended before it has sealed nothing, and after it a successor shows the rest.
    /// `[audio]`
    pub fn publish(&self, sealing: Sealing) {
        let number = self.region.load(FIXED, Acquire) + 1;
        let at = FIXED_AT + number as usize % 2 * FIXED_WORDS;
        let Sealing { head, taken, sealed, end } = sealing;
        let words = [head, taken, sealed, end.map_or(0, |end| end + 1)];
        for (word, value) in words.into_iter().enumerate() {
            self.region.store(at + word, value, Release);
        }
        self.region.store(FIXED, number, Release);
        self.show(sealing);
    }

    /// How far the sealing has come by the word of whoever sealed last, shown or not. `[any]`
    #[must_use]
    pub fn sealing(&self) -> Sealing {
        let at = FIXED_AT + self.region.load(FIXED, Acquire) as usize % 2 * FIXED_WORDS;
        let [head, taken, sealed, end] = [0, 1, 2, 3].map(|it| self.region.load(at + it, Acquire));
        Sealing { head, taken, sealed, end: end.checked_sub(1) }
    }

    fn show(&self, sealing: Sealing) {
        self.region.store(HEAD, sealing.head, Release);
        self.region.store(TAKEN, sealing.taken, Release);
        self.region.store(SEALED, sealing.sealed, Release);
        if let Some(end) = sealing.end
            && self.end() != Some(end)
        {
            self.region.store(END, end + 1, Release);
            self.ring_all();
        }
    }

    /// Lets the timeline begin at a block and a record of the log that are not the first: those
    /// of a show that is gone on with. Before anybody plays or renders. `[control]`
    pub fn begin_at(&self, mark: Mark) {
        let Mark { block, cursor } = mark;
        self.region.store(BEGINNING, block, Release);
        self.region.store(BEGINNING + 1, cursor, Release);
        self.set_keep_from(cursor);
        self.set_playhead(block);
        self.set_position(block * BLOCK_FRAMES as u64);
        self.publish(Sealing { head: cursor, taken: 0, sealed: block, end: None });
    }

    /// The first block that is played here and the first record of the log: both 0, but where a
    /// show is gone on with. A fresh instrument has the state before that block. `[any]`
    #[must_use]
    pub fn beginning(&self) -> Mark {
        let word = |at: usize| self.region.load(BEGINNING + at, Acquire);
        Mark { block: word(0), cursor: word(1) }
    }

    /// Frames delivered since block 0. `[any]`
    #[must_use]
    pub fn position(&self) -> u64 {
        self.region.load(POSITION, Acquire)
    }

    /// Says how many frames were delivered. `[audio]`
    pub fn set_position(&self, frames: u64) {
        self.region.store(POSITION, frames, Release);
    }

    /// Moves the playhead. `[audio]`
    pub fn set_playhead(&self, block: u64) {
        self.region.store(PLAYHEAD, block, Release);
    }

    /// Names the longest period. `[audio]`
    pub fn set_period(&self, frames: u64) {
        self.region.store(PERIOD, frames, Release);
    }

    /// Names the primary. `[any]`
    pub fn set_primary(&self, slot: Option<usize>) {
        self.region.store(PRIMARY, slot.map_or(0, |slot| slot as u64 + 1), Release);
        self.ring_all();
    }

    /// Clears the blocks below `block`. `[any]`
    pub fn set_cleared(&self, block: u64) {
        self.region.store(CLEARED, block, Release);
        self.ring_all();
    }

    /// Says which guest may sit in a slot. `[any]`
    pub fn set_generation(&self, slot: usize, generation: u64) {
        self.region.store(GENERATIONS + slot, generation, Release);
    }

    /// Says which slots a guest is on its way to. `[any]`
    pub fn set_pending(&self, slots: u64) {
        self.region.store(PENDING, slots, Release);
    }

    /// Gives the records below `number` free to be overwritten. `[any]`
    pub fn set_keep_from(&self, number: u64) {
        self.region.store(KEEP_FROM, number, Release);
    }

    /// Says how many blocks are kept ready and whether there is a clock. `[any]`
    pub fn set_pace(&self, lead: u64, freewheel: bool) {
        self.region.store(LEAD, lead, Release);
        self.region.store(FREEWHEEL, u64::from(freewheel), Release);
    }

    /// Lets a test begin just below the wrap of the 32-bit bells.
    pub fn set_bell(&self, value: u32) {
        self.bell().store(value, Release);
        self.urge().store(value, Release);
    }
}
