//! The worker: waits until block n is sealed, applies its commands, renders it, publishes it.
//!
//! *Invariant*: what a worker renders depends on its state and the log alone. Roles and clocks
//! decide when it renders a block, never what.

mod join;
mod turn;

use crate::instrument::Instrument;
use crate::memory::block::{self, Facts};
use crate::memory::checkpoint::{Area, Mark};
use crate::memory::orders::{Found, Kind, Orders, Record};
use crate::memory::slot::{Crumb, Phase, Reset, Slot};
use crate::memory::verdicts::Verdict;
use crate::{COMMANDS_PER_BLOCK, Shape};

use segue_sys::hash;

/// Records a block can carry: the commands, and a few of the supervisor's own.
const RECORDS_MAX: usize = COMMANDS_PER_BLOCK + 8;

/// Parts the state is cut into for the digest; each block hashes one.
const DIGEST_PARTS: u64 = 64;

/// Words of a part at most, 64 KiB: a larger state has more parts, and a block never hashes more.
const PART_WORDS_MAX: u64 = 1 << 13;

/// Words of a state that is hashed as a whole in one block, 1 MiB. What is larger would make that
/// block late: of it the digests since the last checkpoint stand for the whole.
const WHOLE_WORDS: usize = 1 << 17;

/// Blocks between two checkpoints of a state up to 1 MiB.
const CHECKPOINT_BLOCKS: u64 = 16;

/// After so many times that long without a checkpoint by a standby the primary writes one.
const SPARED: u64 = 3;

/// What a worker works on.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What to do.
    pub orders: Orders,
    /// All slots; its own is writable.
    pub slots: Vec<Slot>,
    /// Which of them is its own.
    pub slot: usize,
    /// Which guest of it this is.
    pub generation: u64,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A block was rendered; there may be more to do at once.
    Rendered,
    /// Nothing to do before a bell rings: the orders' or the primary's.
    Wait,
    /// This worker must go; another guest will do better.
    Leave(Leave),
}

/// Why a worker leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Leave {
    /// The log has passed this worker's cursor.
    #[error("the log has passed record {0}, which was not applied yet")]
    Passed(u64),
    /// A record is damaged or out of order.
    #[error("record {0} of the log is damaged")]
    Damaged(u64),
    /// A verdict about a block came while the block was rendered without it.
    #[error("a verdict about block {0} came while it was rendered")]
    Overruled(u64),
    /// What it says of itself is not what it has said.
    #[error("its slot was written over by somebody else")]
    Overwritten,
    /// There is neither a checkpoint nor the whole log to begin from.
    #[error("there is no checkpoint to join from")]
    NoCheckpoint,
}

/// A worker at its place.
#[derive(Debug)]
pub struct Worker<I> {
    instrument: I,
    shape: Shape,
    parts: Parts,
    phase: Phase,
    /// The next block to render.
    next: u64,
    /// The next record to read.
    cursor: u64,
    /// Whether the instrument began with the state before the first block.
    is_fresh: bool,
    /// The records of the next block, read ahead to know whether there are any.
    records: Vec<Record>,
    /// The next block whose hash is to be compared while joining, and how many agreed.
    agree: (u64, u64),
    /// How often it has hashed its state.
    hashes: usize,
    /// The digests since the block of the last checkpoint, hashed one into the next.
    folded: Folded,
    /// Resets of parts that are told, how often another one began, and the last.
    resets: (u64, usize, Option<Reset>),
    samples: Box<[f32]>,
    entry: Box<[u64]>,
}

impl<I: Instrument> Worker<I> {
    /// Sits down in its slot with an instrument whose state is that before the first block. The
    /// slot says `starting` until the first step; loading the instrument may take as long as it
    /// takes. `[control]`
    #[must_use]
    pub fn sit(instrument: I, shape: Shape, parts: Parts, build: u64) -> Self {
        let place = &parts.slots[parts.slot];
        if place.generation() != parts.generation {
            place.sit(parts.generation, build);
        }
        let Mark { block, cursor } = parts.orders.beginning();
        Self {
            samples: vec![0.0; shape.block_samples()].into(),
            entry: vec![0; block::words(&shape)].into(),
            records: Vec::with_capacity(RECORDS_MAX),
            phase: Phase::Starting,
            next: block,
            cursor,
            is_fresh: true,
            agree: (0, 0),
            hashes: 0,
            folded: Folded { from: block, hash: 0 },
            resets: (0, 0, None),
            instrument,
            shape,
            parts,
        }
    }

    /// The same for an instrument that is only there to be given a state: what the timeline began
    /// with is not to be had any more. It never begins with the first block. `[control]`
    #[must_use]
    pub fn without_beginning(mut self) -> Self {
        self.is_fresh = false;
        self
    }

    /// How far this worker has come. `[any]`
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The next block it will render. `[any]`
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// One step: a block if one may be rendered now. `clock` gives nanoseconds and is used for
    /// the figure of the rendering time only. `[audio]`
    pub fn step(&mut self, clock: &mut dyn FnMut() -> u64) -> Step {
        if self.phase == Phase::Starting {
            return match self.begin() {
                Ok(()) => Step::Rendered,
                Err(leave) => Step::Leave(leave),
            };
        }
        if self.phase == Phase::Joining {
            self.agree();
        }
        if self.next >= self.parts.orders.sealed() {
            return self.wait();
        }
        if let Err(leave) = self.read_records() {
            return Step::Leave(leave);
        }
        if !self.may_start() {
            return self.wait();
        }
        if let Err(leave) = self.render(clock) {
            return Step::Leave(leave);
        }
        self.write_checkpoint();
        Step::Rendered
    }

    /// Reads the records of the next block, once.
    fn read_records(&mut self) -> Result<(), Leave> {
        loop {
            let number = self.cursor + self.records.len() as u64;
            match self.parts.orders.record(number) {
                Found::NotYet => return Ok(()),
                Found::Passed => return Err(Leave::Passed(number)),
                Found::Damaged => return Err(Leave::Damaged(number)),
                Found::Record(record) if record.block > self.next => return Ok(()),
                Found::Record(record) => {
                    if record.block < self.next || self.records.len() == RECORDS_MAX {
                        return Err(Leave::Damaged(number));
                    }
                    self.records.push(record);
                }
            }
        }
    }

    fn render(&mut self, clock: &mut dyn FnMut() -> u64) -> Result<(), Leave> {
        let block = self.next;
        let began = clock();
        let known = self.parts.orders.verdicts().count();
        self.apply(known);
        let place = &self.parts.slots[self.parts.slot];
        let mut crumb = |part| place.set_crumb(Crumb::Render(part), block);
        self.instrument.render(&mut self.samples, &mut crumb);
        place.set_crumb(Crumb::Idle, block);
        self.tell_resets(block);
        let place = &self.parts.slots[self.parts.slot];
        let facts = Facts {
            hash: block::pack(&self.samples, &mut self.entry),
            digest: digest(block, self.instrument.state()),
            render_ns: clock().saturating_sub(began),
        };
        self.folded.hash = hash::words(self.folded.hash, &[facts.digest]);
        block::put_facts(&mut self.entry, facts);
        place.write(block, self.parts.generation, &self.entry);
        self.next += 1;
        // Written before the verdicts are looked at a last time: see `Verdicts::pass`.
        place.set_reached(self.next);
        if self.parts.orders.verdicts().concern(block, known) {
            return Err(Leave::Overruled(block));
        }
        place.publish(self.next, self.published(), self.cursor);
        Ok(())
    }

    /// Blocks below this may be played.
    fn published(&self) -> u64 {
        if self.phase == Phase::Lockstep { self.next } else { 0 }
    }

    /// Nothing to do: says again how far it is where those words were damaged, for on `freewheel`
    /// all may be waiting for them, and nothing else would be rendered to say it. Who is not known
    /// by its number and phase is taken for one that is still on its way, and goes.
    fn wait(&self) -> Step {
        let Parts { slots, slot, generation, .. } = &self.parts;
        let place = &slots[*slot];
        if place.generation() != *generation || place.phase() != self.phase {
            return Step::Leave(Leave::Overwritten);
        }
        let said = (place.reached(), place.published(), place.cursor());
        if said != (self.next, self.published(), self.cursor) {
            place.publish(self.next, self.published(), self.cursor);
        }
        Step::Wait
    }

    /// Says which part was set back in this block, if one was.
    fn tell_resets(&mut self, block: u64) {
        let (told, turn, last) = &mut self.resets;
        let (count, part) = self.instrument.resets();
        if count == *told {
            return;
        }
        *told = count;
        let goes_on = last.filter(|last| last.part == part && last.to + 1 == block);
        let reset = match goes_on {
            Some(last) => Reset { to: block, ..last },
            None => {
                *turn += 1;
                Reset { count, part, from: block, to: block }
            }
        };
        *last = Some(reset);
        let place = &self.parts.slots[self.parts.slot];
        place.set_reset(*turn, reset);
        place.set_resets(count);
    }

    /// Applies the commands of the next block, but for what the first `known` verdicts forbid.
    fn apply(&mut self, known: usize) {
        let Parts { orders, slots, slot, .. } = &self.parts;
        let (place, verdicts, block) = (&slots[*slot], orders.verdicts(), self.next);
        let bypassed = || {
            (0..known).filter_map(|index| match verdicts.read(index) {
                Some(Verdict::Bypass { part, block: from }) if from == block => Some(part),
                _ => None,
            })
        };
        for (at, record) in self.records.iter().enumerate() {
            let number = self.cursor + at as u64;
            let poison = known > 0
                && (verdicts.is_quarantined(number)
                    || bypassed().any(|part| self.instrument.is_for(&record.payload, part)));
            if record.kind == Kind::Command && !poison {
                place.set_crumb(Crumb::Apply(number), block);
                self.instrument.apply(&record.payload);
            }
        }
        // Last: a part counts in what renders this block, and a command may have changed that.
        bypassed().for_each(|part| self.instrument.bypass(part));
        self.cursor += self.records.len() as u64;
        self.records.clear();
    }

    /// Writes a checkpoint when one is due: a standby always, the primary when no standby has
    /// done so for a while.
    fn write_checkpoint(&mut self) {
        let every = checkpoint_blocks(self.instrument.state().len());
        if !self.next.is_multiple_of(every) {
            return;
        }
        let hash = self.state_hash(every);
        if self.phase != Phase::Lockstep {
            hash.into_iter().for_each(|hash| self.compare_states(hash));
            return;
        }
        let state = self.instrument.state();
        let Parts { orders, slots, slot, .. } = &self.parts;
        let place = &slots[*slot];
        if let Some(hash) = hash {
            place.set_state_hash(self.hashes, self.next, hash);
            self.hashes += 1;
        }
        if orders.primary() == Some(*slot) && self.is_spared(every) {
            return;
        }
        let [first, second] = place.areas();
        // What claims to lie ahead of this block is damaged, or of a guest who went further.
        let claims = |area: &Area| area.claim().map(|mark| mark.block);
        let claim = |area: &Area| claims(area).filter(|block| *block < self.next).unwrap_or(0);
        let (older, newer) =
            if claim(first) <= claim(second) { (first, second) } else { (second, first) };
        // One that two have agreed on stays until they agree on a newer one that can be used.
        let playhead = orders.playhead();
        let needed =
            [older, newer].map(|area| claim(area) > 0 && is_trusted(orders, claim(area), playhead));
        let (area, kept) = match needed {
            // Two that claim the same are one, and a damaged number.
            [true, true] if claim(older) != claim(newer) => return,
            [true, false] => (newer, older),
            _ => (older, newer),
        };
        // The checkpoint that stays must not lie ahead of what is still to be played.
        if claim(kept) > playhead {
            return;
        }
        place.set_crumb(Crumb::Checkpoint, self.next);
        if area.write(Mark { block: self.next, cursor: self.cursor }, state) {
            place.set_checkpoint(self.next);
        }
        place.set_crumb(Crumb::Idle, self.next);
    }

    /// What stands for the whole state before the next block, where two workers can be compared:
    /// its hash, or that of all digests in the `every` blocks since the last checkpoint; none
    /// where not all of those are known.
    fn state_hash(&mut self, every: u64) -> Option<u64> {
        let fresh = Folded { from: self.next, hash: 0 };
        let folded = std::mem::replace(&mut self.folded, fresh);
        let state = self.instrument.state();
        if state.len() <= WHOLE_WORDS {
            return Some(hash::words(self.next, state));
        }
        (folded.from + every == self.next).then_some(folded.hash)
    }

    /// Whether a standby writes checkpoints often enough for the primary to be spared. With a large
    /// state what whoever has died has left counts as well: to copy it makes blocks late, and the
    /// next standby is back before it is too old.
    fn is_spared(&self, every: u64) -> bool {
        let Parts { orders, slots, slot, .. } = &self.parts;
        let is_recent = |block: u64| block < self.next && block + SPARED * every > self.next;
        let is_large = self.instrument.state().len() > WHOLE_WORDS;
        slots.iter().enumerate().any(|(other, place)| {
            let left = || place.areas().iter().filter_map(Area::claim);
            let writes = other != *slot
                && place.generation() == orders.generation(other)
                && place.phase() == Phase::Lockstep
                && place.newest_checkpoint() + SPARED * every > self.next;
            writes || is_large && left().any(|mark| is_recent(mark.block))
        })
    }
}

/// Digests of consecutive blocks.
#[derive(Clone, Copy, Debug)]
struct Folded {
    /// The first of the blocks.
    from: u64,
    hash: u64,
}

/// Blocks between two checkpoints of a state of so many words; of a large one as many at least as
/// its digest has parts.
fn checkpoint_blocks(words: usize) -> u64 {
    let blocks = CHECKPOINT_BLOCKS * words.div_ceil(1 << 17).max(1) as u64;
    if words <= WHOLE_WORDS { blocks } else { blocks.max(digest_parts(words)) }
}

/// Parts of the digest of a state of so many words.
fn digest_parts(words: usize) -> u64 {
    DIGEST_PARTS.max((words as u64).div_ceil(PART_WORDS_MAX))
}

/// Whether joiners may need the checkpoint of this block because two have agreed on it.
fn is_trusted(orders: &Orders, block: u64, playhead: u64) -> bool {
    let Some((newest, _)) = orders.trusted() else { return false };
    let former = orders.formerly_trusted().filter(|_| newest > playhead);
    block == newest || former.is_some_and(|(former, _)| block == former)
}

/// Hash of one part of the state, another one each block.
fn digest(block: u64, state: &[u64]) -> u64 {
    let parts = digest_parts(state.len());
    let part = (block % parts) as usize;
    let bound = |part: usize| state.len() * part / parts as usize;
    hash::words(block, &state[bound(part)..bound(part + 1)])
}

#[cfg(test)]
mod tests {
    use super::{PART_WORDS_MAX, WHOLE_WORDS, checkpoint_blocks, digest, digest_parts};

    /// Whatever is wrong in a state is in a digest before the next checkpoint, and no block hashes
    /// more than its share.
    #[test]
    fn every_word_of_a_state_of_any_size_is_digested_between_two_checkpoints() {
        for words in [64, 5_000, WHOLE_WORDS, WHOLE_WORDS + 1, 3 << 17, (1 << 20) - 7, 1 << 22] {
            let (parts, every) = (digest_parts(words), checkpoint_blocks(words));
            assert!(words.div_ceil(parts as usize) <= PART_WORDS_MAX as usize);
            assert!(words <= WHOLE_WORDS || every >= parts, "{words} words: {every}, {parts}");
            let mut state = vec![7; words];
            for wrong in [0, words / 3, words - 1] {
                let before: Vec<u64> = (0..parts).map(|block| digest(block, &state)).collect();
                state[wrong] ^= 1 << 40;
                let after: Vec<u64> = (0..parts).map(|block| digest(block, &state)).collect();
                let differ = before.iter().zip(&after).filter(|(a, b)| a != b).count();
                assert_eq!(differ, 1, "word {wrong} of {words}");
            }
        }
    }
}
