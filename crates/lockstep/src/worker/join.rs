//! Joining: load the newest checkpoint there is, replay the log, agree, and only then count.
//!
//! *Invariant*: a joiner fills its ring but publishes nothing. It is in lockstep when its blocks
//! had the hashes of a slot in lockstep eight times in a row; or, with nobody in lockstep, when
//! the monitor names it primary because it has reached the playhead.

use super::{Folded, Leave, WHOLE_WORDS, Worker};
use crate::instrument::Instrument;
use crate::memory::checkpoint::{Area, Mark};
use crate::memory::orders::{Found, LOG_DEPTH};
use crate::memory::slot::{Phase, RING_DEPTH, Slot};

use segue_sys::hash;

/// Blocks that must agree before a joiner counts.
const AGREE_BLOCKS: u64 = 8;

/// A checkpoint that two agreed on is preferred while it is at most so many blocks older than
/// the newest.
const TRUST_BLOCKS: u64 = 1024;

/// What came of comparing a block.
enum Compared {
    Same,
    Different,
    /// Nobody in lockstep has it yet.
    NotYet,
    /// It is too old for somebody's ring.
    Gone,
}

impl<I: Instrument> Worker<I> {
    /// Chooses where to begin: the first block if nothing is sealed yet, else a checkpoint, else
    /// the whole log if it is still there. `[control]`
    pub(super) fn begin(&mut self) -> Result<(), Leave> {
        let beginning = self.parts.orders.beginning();
        if self.is_fresh && self.parts.orders.sealed() == beginning.block {
            self.enter(Phase::Lockstep);
            return Ok(());
        }
        let mut areas: Vec<(Mark, Area)> = self
            .parts
            .slots
            .iter()
            .flat_map(|place| place.areas().iter())
            .filter_map(|area| Some((area.claim()?, area.clone())))
            .filter(|(mark, _)| self.is_usable(*mark))
            .collect();
        let newest = areas.iter().map(|(mark, _)| mark.block).max().unwrap_or(0);
        areas.sort_by_key(|(mark, _)| std::cmp::Reverse(mark.block));
        // What two have agreed on before what one has said, unless it is old.
        let orders = &self.parts.orders;
        let trusted = [orders.trusted(), orders.formerly_trusted()].into_iter().flatten();
        let trusted: Vec<_> = trusted.filter(|(at, _)| at + TRUST_BLOCKS > newest).collect();
        for (block, hash) in trusted {
            let agreed = areas.iter().filter(|(mark, _)| mark.block == block);
            let found = agreed.filter_map(|(_, area)| area.read()).find(|(mark, state)| {
                // A larger one was agreed on by its digests: the area proves itself alone.
                state.len() > WHOLE_WORDS && self.is_usable(*mark)
                    || hash::words(mark.block, state) == hash && self.is_usable(*mark)
            });
            if let Some((mark, state)) = found
                && self.instrument.restore(&state).is_ok()
            {
                self.parts.slots[self.parts.slot].set_begun_from(mark.block);
                self.begin_at(mark);
                return Ok(());
            }
        }
        // The state of a fresh instrument is the checkpoint of the first block, on which all
        // agree, so it comes before what one has said.
        let young = self.parts.slots.len() > 1 && newest < beginning.block + TRUST_BLOCKS;
        if young && self.begin_at_the_beginning() {
            return Ok(());
        }
        for (_, area) in areas {
            let Some((mark, state)) = area.read() else { continue };
            if self.is_usable(mark) && self.instrument.restore(&state).is_ok() {
                self.begin_at(mark);
                return Ok(());
            }
        }
        match self.begin_at_the_beginning() {
            true => Ok(()),
            false => Err(Leave::NoCheckpoint),
        }
    }

    /// Begins from the first block, if the whole log is still there.
    fn begin_at_the_beginning(&mut self) -> bool {
        let beginning = self.parts.orders.beginning();
        let usable = self.is_fresh && self.is_usable(beginning);
        if usable {
            self.parts.slots[self.parts.slot].set_begun_from(beginning.block);
            self.enter(Phase::Joining);
        }
        usable
    }

    fn begin_at(&mut self, mark: Mark) {
        self.next = mark.block;
        self.folded = Folded { from: mark.block, hash: 0 };
        self.cursor = mark.cursor;
        self.enter(Phase::Joining);
    }

    /// Whether the log still holds everything since, and no block is left out that is still to
    /// be played: with nobody in lockstep, the joiner's own ring is where it will be looked for.
    fn is_usable(&self, mark: Mark) -> bool {
        let orders = &self.parts.orders;
        let (playhead, head) = (orders.playhead(), orders.head());
        // What is kept is held, however full the log is; of the rest some will be overwritten.
        let kept = mark.cursor >= orders.keep_from();
        let held = kept || mark.cursor + LOG_DEPTH as u64 > head + 1024;
        mark.block <= playhead
            && mark.cursor <= head
            && held
            && !matches!(orders.record(mark.cursor), Found::Passed | Found::Damaged)
    }

    /// Compares what was rendered with what others have; goes into lockstep when it may.
    pub(super) fn agree(&mut self) {
        if self.parts.orders.primary() == Some(self.parts.slot) {
            // Nobody was in lockstep and this worker reached the playhead first.
            self.enter(Phase::Lockstep);
            return;
        }
        if self.parts.slots[self.parts.slot].disagrees().is_some() {
            return;
        }
        self.agree.0 = self.agree.0.max(self.next.saturating_sub(RING_DEPTH as u64 / 2));
        while self.agree.0 < self.next {
            match self.compare(self.agree.0) {
                Compared::Same => self.agree.1 += 1,
                Compared::Different => {
                    // Who is wrong is not for either of them to say.
                    self.parts.slots[self.parts.slot].set_disagrees(self.agree.0);
                    self.agree.1 = 0;
                    return;
                }
                Compared::Gone => self.agree.1 = 0,
                Compared::NotYet => return,
            }
            self.agree.0 += 1;
        }
        // Caught up first: where the others have gone wrong since, they agreed before.
        if self.agree.1 >= AGREE_BLOCKS && self.next >= self.parts.orders.playhead() {
            self.enter(Phase::Lockstep);
        }
    }

    /// Compares the whole state, by its hash, with what those in lockstep had before this block:
    /// what is wrong in it may not be heard for long.
    pub(super) fn compare_states(&self, hash: u64) {
        let own = &self.parts.slots[self.parts.slot];
        let theirs = |(other, place): (usize, &Slot)| {
            let counts = other != self.parts.slot
                && place.generation() == self.parts.orders.generation(other)
                && place.phase() == Phase::Lockstep;
            let hashes = place.state_hashes();
            hashes.into_iter().flatten().find(|(block, _)| counts && *block == self.next)
        };
        let hashes = || self.parts.slots.iter().enumerate().filter_map(theirs);
        let differs = hashes().next().is_some() && hashes().all(|(_, it)| it != hash);
        if differs && own.disagrees().is_none() {
            own.set_disagrees(self.next);
        }
    }

    /// Compares one block with what somebody in lockstep has.
    fn compare(&mut self, number: u64) -> Compared {
        let orders = &self.parts.orders;
        let own = &self.parts.slots[self.parts.slot];
        let Some(mine) = own.read(number, self.parts.generation, &mut self.entry) else {
            return Compared::Gone;
        };
        let mut found = Compared::NotYet;
        for (other, place) in self.parts.slots.iter().enumerate() {
            let generation = orders.generation(other);
            let counts = other != self.parts.slot
                && place.generation() == generation
                && place.phase() == Phase::Lockstep
                && place.published() > number;
            if !counts {
                continue;
            }
            match place.read(number, generation, &mut self.entry) {
                Some(facts) if facts.hash == mine.hash => return Compared::Same,
                Some(_) => return Compared::Different,
                None => found = Compared::Gone,
            }
        }
        found
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        let place = &self.parts.slots[self.parts.slot];
        if phase == Phase::Joining {
            // Those in the state it begins with were told by others.
            self.resets.0 = self.instrument.resets().0;
            place.set_resets(self.resets.0);
        }
        if phase == Phase::Lockstep {
            place.publish(self.next, self.next, self.cursor);
        } else {
            place.publish(self.next, 0, self.cursor);
        }
        place.set_phase(phase);
    }
}
