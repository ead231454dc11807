//! Playout: plays block n from a slot that has it, seals ahead, and is driven by the device.
//!
//! *Invariant*: a block is played once, whole, at its index; the playhead never jumps. Playout
//! does not allocate, lock, log or wait; on freewheel it delivers fewer frames than asked for
//! instead, and its driver waits and asks again.

mod conceal;
mod resume;
mod seal;
mod token;

pub use token::{Driver, Token};

use conceal::Concealment;
use segue_sys::Region;

use crate::memory::checkpoint::Mark;
use crate::memory::inbox::Inbox;
use crate::memory::orders::Orders;
use crate::memory::slot::{Phase, Slot};
use crate::memory::status::{Counter, Status};
use crate::memory::tap::Tap;
use crate::memory::{block, orders};
use crate::{BLOCK_FRAMES, Payload, Shape};

/// Blocks by which a standby may fall behind on freewheel before playout waits for it.
const LAG_MAX: u64 = 32;

/// What playout works on.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where sealed blocks and the log are written.
    pub orders: Orders,
    /// Where blocks are read.
    pub slots: Vec<Slot>,
    /// Where commands come from.
    pub inbox: Inbox,
    /// Where played blocks are left.
    pub tap: Tap,
    /// Where it counts.
    pub status: Status,
}

impl Parts {
    /// Parts in the memory of this process alone, for whoever plays without other processes: the
    /// simulator, benchmarks, tests. None for a shape without channels or state.
    #[must_use]
    pub fn on_heap(shape: &Shape) -> Option<Self> {
        let slots = (0..shape.slots).map(|_| Slot::new(Region::heap(Slot::words(shape)), shape));
        Some(Self {
            orders: Orders::new(Region::heap(Orders::words()))?,
            slots: slots.collect::<Option<_>>()?,
            inbox: Inbox::new(Region::heap(Inbox::words()))?,
            tap: Tap::new(Region::heap(Tap::words(shape)), shape)?,
            status: Status::new(Region::heap(Status::words()))?,
        })
    }
}

/// How far ahead it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Blocks sealed beyond one period.
    pub lead: u64,
    /// No clock: wait for the primary instead of concealing.
    pub freewheel: bool,
    /// Frames the driver asks for at first; longer ones are learnt.
    pub period: usize,
}

/// The closing fade: a command like any other, then the end of the timeline.
#[derive(Clone, Copy, Debug)]
struct Farewell {
    from: u64,
    blocks: u64,
    payload: Payload,
}

/// The playing side of the supervisor.
#[derive(Debug)]
pub struct Playout {
    shape: Shape,
    parts: Parts,
    pace: Pace,
    playhead: u64,
    sealed: u64,
    head: u64,
    taken: u64,
    /// Frames of `block` that were delivered; all of them when a new one is needed.
    offset: usize,
    block: Box<[f32]>,
    entry: Box<[u64]>,
    /// What others have, to be compared.
    votes: Box<[u64]>,
    concealment: Concealment,
    lateness: u64,
    farewell: Option<Farewell>,
    end: Option<u64>,
}

impl Playout {
    /// A playout at the first block. `[any]`
    #[must_use]
    pub fn new(shape: Shape, parts: Parts, pace: Pace) -> Self {
        parts.orders.set_pace(pace.lead, pace.freewheel);
        parts.orders.set_period(pace.period as u64);
        let Mark { block, cursor } = parts.orders.beginning();
        Self {
            shape,
            parts,
            pace,
            playhead: block,
            sealed: block,
            head: cursor,
            taken: 0,
            offset: BLOCK_FRAMES,
            block: vec![0.0; shape.block_samples()].into(),
            entry: vec![0; block::words(&shape)].into(),
            votes: vec![0; block::words(&shape)].into(),
            concealment: Concealment::new(shape.channels),
            lateness: 0,
            farewell: None,
            end: None,
        }
    }

    /// The next block to be fetched. `[any]`
    #[must_use]
    pub fn playhead(&self) -> u64 {
        self.playhead
    }

    /// Frames delivered since block 0. `[any]`
    #[must_use]
    pub fn position(&self) -> u64 {
        self.playhead * BLOCK_FRAMES as u64 - (BLOCK_FRAMES - self.offset) as u64
    }

    /// Whether the timeline has come to its end. `[any]`
    #[must_use]
    pub fn ended(&self) -> bool {
        self.offset == BLOCK_FRAMES && self.end.is_some_and(|end| self.playhead >= end)
    }

    /// Ends the timeline: at block `from`, or as soon as possible, `payload` (the closing fade)
    /// goes into the log, and `blocks` later nothing more is played. Said twice, the first
    /// holds. `[audio]`
    pub fn close(&mut self, from: Option<u64>, blocks: u64, payload: Payload) {
        if self.end.is_none() {
            let from = from.unwrap_or(self.sealed).max(self.sealed);
            self.farewell = Some(Farewell { from, blocks, payload });
        }
    }

    /// So many frames may be asked for at once from now on. Known a moment before they are, they
    /// are sealed for, and there in time. `[audio]`
    pub fn expect(&mut self, frames: usize) {
        if frames > self.pace.period {
            self.pace.period = frames;
            self.parts.orders.set_period(frames as u64);
            self.seal();
        }
    }

    /// Delivers frames into `out` (channels interleaved) and seals ahead; gives the frames
    /// delivered. They are fewer than asked for only on freewheel, where the caller waits for
    /// a bell and asks for the rest, and after the end. The orders' bell has rung when workers
    /// have something to do; waking them is the caller's. `[audio]`
    pub fn play(&mut self, out: &mut [f32]) -> usize {
        let channels = self.shape.channels;
        let frames = out.len() / channels;
        self.expect(frames);
        self.seal();
        let mut done = 0;
        while done < frames {
            if self.offset == BLOCK_FRAMES && !self.fetch() {
                break;
            }
            let count = (BLOCK_FRAMES - self.offset).min(frames - done);
            let from = self.offset * channels;
            out[done * channels..(done + count) * channels]
                .copy_from_slice(&self.block[from..from + count * channels]);
            self.offset += count;
            done += count;
        }
        out[done * channels..].fill(0.0);
        self.parts.orders.set_position(self.position());
        self.seal();
        done
    }

    /// Waits for the primary instead of concealing, or ceases to. `[audio]`
    pub fn set_freewheel(&mut self, freewheel: bool) {
        if freewheel != self.pace.freewheel {
            self.pace.freewheel = freewheel;
            self.parts.orders.set_pace(self.pace.lead, freewheel);
        }
    }

    /// Makes the next block current; false if there is none to be had now.
    fn fetch(&mut self) -> bool {
        if self.end.is_some_and(|end| self.playhead >= end) {
            return false;
        }
        if self.pace.freewheel && !self.may_go_on() {
            return false;
        }
        let found = self.find();
        if !found && self.pace.freewheel {
            return false;
        }
        let made_up = self.concealment.pass(found, &mut self.block);
        if made_up {
            self.parts.status.count(Counter::NoneReads);
        }
        self.parts.tap.write(self.playhead, &self.block, made_up);
        self.offset = 0;
        self.playhead += 1;
        self.parts.orders.set_playhead(self.playhead);
        true
    }

    /// Reads the block at the playhead: the primary's, else that of any slot in lockstep.
    fn find(&mut self) -> bool {
        let primary = self.parts.orders.primary();
        if let Some(slot) = primary
            && self.read(slot)
        {
            self.note_lateness(false);
            // With three or more the majority is played, whoever goes first.
            return match self.outvoted(slot) {
                Some(other) => self.read(other) || self.read(slot),
                None => true,
            };
        }
        let found =
            (0..self.shape.slots).filter(|slot| Some(*slot) != primary).any(|slot| self.read(slot));
        if found {
            self.parts.status.count(Counter::Late);
        }
        self.note_lateness(found);
        found
    }

    /// One of two who have the block at the playhead alike and otherwise than `slot`, whose
    /// block was just read.
    fn outvoted(&mut self, slot: usize) -> Option<usize> {
        if self.shape.slots < 3 {
            return None;
        }
        let own = block::facts(&self.entry).hash;
        let mut other: Option<(usize, u64)> = None;
        for voter in (0..self.shape.slots).filter(|voter| *voter != slot) {
            let Some(hash) = self.hash_of(voter).filter(|hash| *hash != own) else { continue };
            match other {
                Some((first, same)) if same == hash => return Some(first),
                Some(_) => {}
                None => other = Some((voter, hash)),
            }
        }
        None
    }

    /// What a slot in lockstep says the block at the playhead hashes to, if it has it whole.
    fn hash_of(&mut self, slot: usize) -> Option<u64> {
        let place = self.parts.slots.get(slot)?;
        let generation = self.parts.orders.generation(slot);
        let sits = place.generation() == generation && place.phase() == Phase::Lockstep;
        if generation == 0 || !sits || place.published() <= self.playhead {
            return None;
        }
        place.read(self.playhead, generation, &mut self.votes).map(|facts| facts.hash)
    }

    fn note_lateness(&mut self, late: bool) {
        self.lateness = self.lateness << 1 | u64::from(late);
        self.parts.status.set_lateness(self.lateness);
    }

    /// Reads the block at the playhead from a slot, if its guest is in lockstep and the block
    /// is whole and finite; a guest that says it is and is wrong becomes suspect.
    fn read(&mut self, slot: usize) -> bool {
        let Some(place) = self.parts.slots.get(slot) else { return false };
        let generation = self.parts.orders.generation(slot);
        let sits = || place.generation() == generation && place.phase() == Phase::Lockstep;
        if generation == 0 || !sits() || place.published() <= self.playhead {
            return false;
        }
        if place.read(self.playhead, generation, &mut self.entry).is_some() {
            block::unpack(&self.entry, &mut self.block);
            if self.block.iter().all(|sample| sample.is_finite()) {
                return true;
            }
        }
        if sits() {
            self.parts.status.set_suspect(slot, generation);
        }
        false
    }

    /// Freewheel: whether everybody who counts has come this far.
    fn may_go_on(&self) -> bool {
        let Parts { orders, slots, inbox, .. } = &self.parts;
        let primary = orders.primary().and_then(|slot| slots.get(slot).map(|place| (slot, place)));
        let Some((slot, primary)) = primary else { return false };
        let published = primary.generation() == orders.generation(slot)
            && primary.phase() == Phase::Lockstep
            && primary.published() > self.playhead;
        let all_here = (0..self.shape.slots).all(|slot| self.is_here(slot));
        let tap_room = Tap::depth(&self.shape) as u64 - 8;
        let log_room = orders::LOG_DEPTH as u64 - 256;
        published
            && all_here
            // Others wrote these: a wild one must not end playout.
            && self.playhead < inbox.tap_cursor().saturating_add(tap_room)
            && self.head < inbox.log_cursor().saturating_add(log_room)
    }

    /// Freewheel: whether a slot is in lockstep and near, a joiner that only needs more blocks
    /// to agree on, or not to be waited for.
    fn is_here(&self, slot: usize) -> bool {
        let Parts { orders, slots, .. } = &self.parts;
        let place = &slots[slot];
        let waited_for = orders.pending() >> slot & 1 != 0;
        if place.generation() != orders.generation(slot) {
            return !waited_for;
        }
        match place.phase() {
            Phase::Starting => !waited_for,
            Phase::Joining => !waited_for || place.reached() >= self.sealed,
            // With three or more a block is played when all can vote on it.
            Phase::Lockstep if self.shape.slots >= 3 => place.published() > self.playhead,
            Phase::Lockstep => place.published().saturating_add(LAG_MAX) >= self.playhead,
        }
    }
}
