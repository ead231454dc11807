//! What can be done to a world beside ending its processes: bits, torn writes, strangers' words.
//!
//! *Invariant*: only words of the process that is hurt are touched, a worker's own slot or
//! control's inbox; what the supervisor writes is out of everybody's reach in the product too.

use std::sync::atomic::Ordering::SeqCst;

use segue_lockstep::Payload;
use segue_lockstep::memory::checkpoint::{Area, Mark};
use segue_lockstep::memory::inbox::{Inbox, Sent};
use segue_lockstep::memory::slot::{NOTE_AT, NOTE_WORDS, RING_DEPTH, Slot};
use segue_sys::{Region, Words};

use super::World;

/// Words of a ring's entry before its payload.
const ENTRY_HEAD: usize = 3;

/// The bell of a slot or of the inbox: never touched as a whole word.
const SLOT_BELL: usize = 1;
const INBOX_BELL: usize = 0;

/// Where in a slot a bit flips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Among what the guest says of itself: number, heartbeat, phase, breadcrumb, hashes of its
    /// state.
    Words,
    /// In how far it says it has published: the heartbeat itself.
    Heartbeat,
    /// In how far it says it has read the log.
    Cursor,
    /// In a block that is still to be played.
    Block,
    /// In what the block is sealed with.
    Hash,
    /// In a checkpoint.
    Checkpoint,
}

impl World {
    /// A bit flips in what a slot's guest has written.
    pub fn flip(&mut self, slot: usize, place: Place) {
        let word = match place {
            Place::Words => match self.chance.below(NOTE_AT as u64 - 1) as usize {
                word if word < SLOT_BELL => word,
                word => word + 1,
            },
            Place::Heartbeat => self.word_of(|it| it.publish(0, u64::MAX, 0)),
            Place::Cursor => self.word_of(|it| it.publish(0, 0, u64::MAX)),
            Place::Block => {
                let payload = self.slots[slot].entry_words() as u64;
                self.entry_at(slot) + ENTRY_HEAD + self.chance.below(payload) as usize
            }
            Place::Hash => self.entry_at(slot) + self.chance.below(ENTRY_HEAD as u64) as usize,
            Place::Checkpoint => self.checkpoint_word(slot),
        };
        let bit = self.chance.below(64);
        let region = self.slots[slot].region();
        region.store(word, region.load(word, SeqCst) ^ 1 << bit, SeqCst);
    }

    /// A guest says that it has published what nobody can have.
    pub fn boast(&mut self, slot: usize) {
        let word = self.word_of(|it| it.publish(0, u64::MAX, 0));
        let wild = u64::MAX >> self.chance.below(30);
        self.slots[slot].region().store(word, wild, SeqCst);
    }

    /// A guest says that it has published less than it has.
    pub fn understate(&mut self, slot: usize) {
        let word = self.word_of(|it| it.publish(0, u64::MAX, 0));
        let less = self.chance.below(self.slots[slot].published().max(1));
        self.slots[slot].region().store(word, less, SeqCst);
    }

    /// What a guest says of its number is damaged.
    pub fn disown(&mut self, slot: usize) {
        let word = self.word_of(|it| it.sit(u64::MAX, 0));
        let region = self.slots[slot].region();
        region.store(word, region.load(word, SeqCst) ^ 1 << 40, SeqCst);
    }

    /// A guest says that it has rendered what nobody can have.
    pub fn overreach(&mut self, slot: usize) {
        let word = self.word_of(|it| it.set_reached(u64::MAX));
        let region = self.slots[slot].region();
        region.store(word, region.load(word, SeqCst) | 1 << 27, SeqCst);
    }

    /// The one word that such a store changes, the bell aside.
    fn word_of(&self, store: impl Fn(&Slot)) -> usize {
        let region = Region::heap(Slot::words(&self.shape));
        let slot = Slot::new(region.clone(), &self.shape).expect("a region of its own size");
        store(&slot);
        let changed = |word: &usize| *word != SLOT_BELL && region.load(*word, SeqCst) != 0;
        (0..NOTE_AT).find(changed).expect("a word that changes")
    }

    /// Where a block that is still to be played lies, or would.
    fn entry_at(&mut self, slot: usize) -> usize {
        let block = self.orders.playhead() + self.chance.below(8);
        let stride = ENTRY_HEAD + self.slots[slot].entry_words();
        NOTE_AT + NOTE_WORDS + block as usize % RING_DEPTH * stride
    }

    /// How many checkpoints there are that one could begin from.
    #[must_use]
    pub fn checkpoints(&self) -> usize {
        let areas = self.slots.iter().flat_map(|slot| slot.areas());
        let whole = areas.filter_map(|area| area.read()).map(|(mark, _)| mark);
        let usable = whole.filter(|mark| {
            mark.block <= self.orders.playhead() && mark.cursor >= self.orders.keep_from()
        });
        usable.count()
    }

    /// A word of the newer of the two checkpoints, its head as often as its state.
    fn checkpoint_word(&mut self, slot: usize) -> usize {
        let words = Area::words(self.shape.state_words);
        let first = Slot::words(&self.shape) - 2 * words;
        let [one, two] = self.slots[slot].areas().clone().map(|area| area.claim());
        let newer = one.map(|mark| mark.block) < two.map(|mark| mark.block);
        let within = if self.chance.one_in(2) { 4 } else { 4 + self.state_words as u64 };
        first + usize::from(newer) * words + self.chance.below(within) as usize
    }

    /// The process in a slot is killed within a store: a block that was being written keeps
    /// some of its new words, and the word that says so.
    pub fn tear_block(&mut self, slot: usize) {
        let at = self.entry_at(slot);
        let words = 1 + self.chance.below(self.slots[slot].entry_words() as u64) as usize;
        let noise = self.chance.bits();
        let region = self.slots[slot].region();
        region.store(at, 0, SeqCst);
        for word in 1..words {
            region.store(at + word, noise.rotate_left(word as u32), SeqCst);
        }
        self.kill(slot);
    }

    /// The same while it writes a checkpoint.
    pub fn tear_checkpoint(&mut self, slot: usize) {
        let scratch = Region::heap(Slot::words(&self.shape));
        let torn = Slot::new(scratch.clone(), &self.shape).expect("a region of its own size");
        let noise = self.chance.bits();
        let (block, cursor) = (self.orders.playhead() / 16 * 16, self.orders.head());
        let which = self.chance.below(2) as usize;
        let written =
            torn.areas()[which].write(Mark { block, cursor }, &vec![noise; self.state_words]);
        assert!(written, "a state that fits");
        let words = Area::words(self.shape.state_words);
        let first = Slot::words(&self.shape) - (2 - which) * words;
        let reached = 1 + self.chance.below(self.state_words as u64) as usize;
        let region = self.slots[slot].region();
        region.store(first, 0, SeqCst);
        for word in first + 4..first + 4 + reached {
            region.store(word, scratch.load(word, SeqCst), SeqCst);
        }
        self.kill(slot);
    }

    /// A guest that is long buried goes on writing into its place, under its old number.
    pub fn write_as_stale(&mut self, slot: usize) -> bool {
        let Some(stale) = self.slots[slot].generation().checked_sub(1).filter(|it| *it > 0) else {
            return false;
        };
        let noise = self.chance.bits();
        let entry = vec![noise; self.slots[slot].entry_words()];
        let block = self.orders.playhead() + self.chance.below(6);
        self.slots[slot].write(block, stale, &entry);
        true
    }

    /// Control dies within a bundle: some of it is in the inbox, and was never shown.
    pub fn send_half(&mut self, bundle: &[Payload]) {
        let real = self.inbox.region().clone();
        let scratch = Region::heap(real.len());
        let copy = |from: &Region, to: &Region, words: std::ops::Range<usize>| {
            words.for_each(|word| to.store(word, from.load(word, SeqCst), SeqCst));
        };
        copy(&real, &scratch, 1..real.len());
        let torn = Inbox::new(scratch.clone()).expect("a region of its own size");
        if torn.send(self.orders.taken(), 2, bundle).is_none() {
            return;
        }
        let differs = |word: &usize| scratch.load(*word, SeqCst) != real.load(*word, SeqCst);
        let changed: Vec<usize> = (1..real.len()).filter(differs).collect();
        // The last word but the bell that control stores shows the bundle: it is not stored.
        let shown = scratch_head(&torn, &real);
        let entries: Vec<usize> = changed.into_iter().filter(|word| *word != shown).collect();
        let reached = self.chance.below(entries.len() as u64 + 1) as usize;
        for word in &entries[..reached] {
            real.store(*word, scratch.load(*word, SeqCst), SeqCst);
        }
    }

    /// A bit flips in a command on its way, if there is one; it is lost then, and counted.
    pub fn flip_inbox(&mut self) -> bool {
        let (taken, head) = (self.orders.taken(), self.inbox.head());
        if taken >= head {
            return false;
        }
        let number = taken + self.chance.below(head - taken);
        let Some(Sent { payload, .. }) = self.inbox.take(number) else { return false };
        let region = self.inbox.region();
        let is_it = |word: &usize| region.load(*word, SeqCst) == payload[0];
        let Some(word) = (INBOX_BELL + 1..region.len()).find(is_it) else { return false };
        region.store(word, payload[0] ^ 1 << self.chance.below(64), SeqCst);
        self.damaged.retain(|number| *number < taken);
        self.damaged.extend((taken..head).filter(|it| self.inbox.take(*it).is_none()));
        true
    }

    /// How many commands were damaged on their way.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged.len() as u64
    }
}

impl World {
    /// Control says that it has sent what it cannot have.
    pub fn boast_as_control(&mut self) {
        let torn = Inbox::new(Region::heap(Inbox::words())).expect("a region of its own size");
        assert!(torn.send(0, 1, &[[0; 4]]).is_some());
        let word = scratch_head(&torn, &Region::heap(Inbox::words()));
        self.inbox.region().store(word, 1 << 50, SeqCst);
    }
}

/// The word that says how far the inbox is filled.
fn scratch_head(sent: &Inbox, before: &Region) -> usize {
    let head = sent.head();
    let is_it = |word: &usize| {
        sent.region().load(*word, SeqCst) == head && before.load(*word, SeqCst) != head
    };
    (1..before.len()).find(is_it).expect("the inbox says how far it is filled")
}
