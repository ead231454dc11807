//! The status page: what the supervisor counts and remembers, for everybody to read.
//!
//! *Invariant*: playout writes its own counters, the monitor all else; each word has one
//! writer. Deaths and changes of primary are rings whose entries are rewritten whole.

use std::sync::atomic::Ordering::{Acquire, Release};

use segue_sys::{Entry, Region, Ring, Words};

use super::text;
use crate::SLOTS_MAX;

const FACTS: usize = 0;
const NAME: usize = 32;
const NAME_WORDS: usize = 16;
const SUSPECTS: usize = NAME + NAME_WORDS;
const COUNTERS: usize = SUSPECTS + 2 * SLOTS_MAX;
const COUNTERS_LEN: usize = 32;
const SLOTS: usize = COUNTERS + COUNTERS_LEN;
const SLOT_WORDS: usize = 16;
const HEADS: usize = SLOTS + SLOTS_MAX * SLOT_WORDS;
const DEATHS: usize = HEADS + 8;
const CHANGES: usize = DEATHS + Ring::<Region>::words_for(KEPT, DEATH_WORDS);
const TROUBLE: usize = CHANGES + Ring::<Region>::words_for(KEPT, CHANGE_WORDS);
const END: usize = TROUBLE + TEXT_WORDS;
const LATENESS: usize = HEADS + 2;
const TEXT_WORDS: usize = 32;
const DONE_WORDS: usize = 8;
const DEATH_WORDS: usize = 16 + 2 * TEXT_WORDS + DONE_WORDS;
const CHANGE_WORDS: usize = 8 + TEXT_WORDS;

/// Deaths and changes of primary that are kept.
pub const KEPT: usize = 64;

/// What does not change while the engine runs, or rarely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Process id of the supervisor.
    Pid,
    /// When it began, nanoseconds of the calendar since 1970.
    StartedRealtime,
    /// When it began, nanoseconds of the monotonic clock.
    StartedMonotonic,
    /// Frames a second.
    Rate,
    /// Channels of a frame.
    Channels,
    /// Slots there are.
    Slots,
    /// The largest state, in words.
    StateWords,
    /// Whether real-time priority was granted: 0 no, 1 by the kernel, 2 by rtkit.
    Realtime,
    /// The UDP port of OSC.
    Port,
    /// The control process.
    ControlPid,
    /// Which guest control is.
    ControlGeneration,
    /// How often control was restarted.
    ControlRestarts,
    /// Whether control answers: 0 not yet, 1 yes, 2 it died and will be started again.
    ControlState,
    /// When the status page was last brought up to date, nanoseconds of the monotonic clock.
    Beat,
    /// Frames from handing over to a device to being heard, as its backend says.
    DeviceLatency,
    /// Whether a device's stream drives: 0 while a timer does.
    DeviceDrives,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Deaths, stops and loops of a primary.
    Failovers,
    /// Changes of primary because it was late.
    RoleChanges,
    /// Deaths of workers.
    Deaths,
    /// Commands quarantined.
    Quarantined,
    /// Modules bypassed.
    Bypassed,
    /// Blocks about which two workers disagreed.
    Divergences,
    /// Devices lost.
    DeviceLosses,
    /// Playout: blocks nobody had.
    NoneReads,
    /// Playout: blocks taken from another slot than the primary's.
    Late,
    /// Playout: commands put into the log.
    Applied,
    /// Playout: damaged inbox entries passed over.
    Damaged,
    /// Driver: turns that came more than a period late.
    Anchors,
    /// Periods that came too late for the device, by its backend's word.
    Xruns,
}

/// What the monitor knows of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotFacts {
    /// Its process; 0 for none.
    pub pid: u64,
    /// Which guest.
    pub generation: u64,
    /// See [`crate::monitor::State`].
    pub state: u64,
    /// Since when, nanoseconds of the monotonic clock.
    pub since_ns: u64,
    /// Guests before this one.
    pub restarts: u64,
    /// Whether the last comparison with the primary agreed.
    pub agrees: u64,
    /// When the next guest may come, nanoseconds of the monotonic clock; 0 if none waits.
    pub retry_ns: u64,
    /// When this guest was asked for, nanoseconds of the monotonic clock.
    pub born_ns: u64,
    /// When it was last seen to have got on, nanoseconds of the monotonic clock.
    pub moved_ns: u64,
}

/// A death, explained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Death {
    /// Which death it was, from 0.
    pub number: u64,
    /// Which slot.
    pub slot: u64,
    /// Which process.
    pub pid: u64,
    /// Which guest.
    pub generation: u64,
    /// When, nanoseconds of the monotonic clock.
    pub at_ns: u64,
    /// How long it had lived, nanoseconds.
    pub lived_ns: u64,
    /// The first block it did not publish.
    pub block: u64,
    /// The signal that ended it, or 0.
    pub signal: u64,
    /// Its exit code, if it exited.
    pub exit_code: Option<u8>,
    /// What it was doing: see [`super::slot::Crumb`], with its number.
    pub crumb: (u64, u64),
    /// The block it was doing it in.
    pub crumb_block: u64,
    /// Whether it was the primary.
    pub was_primary: bool,
    /// From its death to its successor in lockstep, nanoseconds; 0 while there is none.
    pub lockstep_again_ns: u64,
    /// The cause in words.
    pub cause: String,
    /// Panic text, or what it last printed.
    pub last_words: String,
    /// What was done about it.
    pub done: String,
}

/// A change of primary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// When, nanoseconds of the monotonic clock.
    pub at_ns: u64,
    /// The playhead then.
    pub block: u64,
    /// Who was primary.
    pub from: Option<u64>,
    /// Who is.
    pub to: Option<u64>,
    /// Why, in words with the evidence.
    pub cause: String,
}

/// The status page.
#[derive(Clone, Debug)]
pub struct Status {
    region: Region,
    deaths: Ring<Region>,
    changes: Ring<Region>,
}

impl Status {
    /// Words of the region.
    #[must_use]
    pub const fn words() -> usize {
        END
    }

    /// The page within `region`; none if it is too small.
    #[must_use]
    pub fn new(region: Region) -> Option<Self> {
        if region.len() < Self::words() {
            return None;
        }
        let deaths = Ring::new(region.clone(), DEATHS, KEPT, DEATH_WORDS);
        let changes = Ring::new(region.clone(), CHANGES, KEPT, CHANGE_WORDS);
        Some(Self { region, deaths, changes })
    }

    /// The region, to hand its descriptor on.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// A fact. `[any]`
    #[must_use]
    pub fn fact(&self, fact: Fact) -> u64 {
        self.region.load(FACTS + fact as usize, Acquire)
    }

    /// States a fact. `[any]`
    pub fn set_fact(&self, fact: Fact, value: u64) {
        self.region.store(FACTS + fact as usize, value, Release);
    }

    /// The device, as `kind:name`. `[any]`
    #[must_use]
    pub fn device(&self) -> String {
        let words: Vec<u64> =
            (NAME..NAME + NAME_WORDS).map(|at| self.region.load(at, Acquire)).collect();
        text::unpack(&words)
    }

    /// Names the device. `[control]`
    pub fn set_device(&self, name: &str) {
        let mut words = [0; NAME_WORDS];
        text::pack(name, &mut words);
        for (at, word) in words.iter().enumerate() {
            self.region.store(NAME + at, *word, Release);
        }
    }

    /// What keeps the device from being heard; empty when nothing is known to. `[any]`
    #[must_use]
    pub fn trouble(&self) -> String {
        let words: Vec<u64> =
            (TROUBLE..TROUBLE + TEXT_WORDS).map(|at| self.region.load(at, Acquire)).collect();
        text::unpack(&words)
    }

    /// Says what keeps the device from being heard. `[control]`
    pub fn set_trouble(&self, trouble: &str) {
        let mut words = [0; TEXT_WORDS];
        text::pack(trouble, &mut words);
        for (at, word) in words.iter().enumerate() {
            self.region.store(TROUBLE + at, *word, Release);
        }
    }

    /// A counter. `[any]`
    #[must_use]
    pub fn counter(&self, counter: Counter) -> u64 {
        self.region.load(COUNTERS + counter as usize, Acquire)
    }

    /// All counters at once, by the number of [`Counter`]. `[control]`
    #[must_use]
    pub fn counters(&self) -> Vec<u64> {
        (COUNTERS..COUNTERS + COUNTERS_LEN).map(|at| self.region.load(at, Acquire)).collect()
    }

    /// Counts one more; only the counter's own writer may. `[audio]`
    pub fn count(&self, counter: Counter) {
        let at = COUNTERS + counter as usize;
        self.region.store(at, self.region.load(at, Acquire) + 1, Release);
    }

    /// Which of the last 64 blocks were late, the newest in the lowest bit. `[any]`
    #[must_use]
    pub fn lateness(&self) -> u64 {
        self.region.load(LATENESS, Acquire)
    }

    /// Playout says which of the last 64 blocks were late. `[audio]`
    pub fn set_lateness(&self, bits: u64) {
        self.region.store(LATENESS, bits, Release);
    }

    /// The guest of a slot that playout last caught with a bad block; 0 for none. `[any]`
    #[must_use]
    pub fn suspect(&self, slot: usize) -> u64 {
        self.region.load(SUSPECTS + slot.min(SLOTS_MAX - 1), Acquire)
    }

    /// Playout caught a guest with a block that it called published and that is torn, damaged
    /// or not finite. `[audio]`
    pub fn set_suspect(&self, slot: usize, generation: u64) {
        self.region.store(SUSPECTS + slot, generation, Release);
    }

    /// What is known of a slot. `[any]`
    #[must_use]
    pub fn slot(&self, slot: usize) -> SlotFacts {
        let load =
            |at| self.region.load(SLOTS + slot.min(SLOTS_MAX - 1) * SLOT_WORDS + at, Acquire);
        SlotFacts {
            pid: load(0),
            generation: load(1),
            state: load(2),
            since_ns: load(3),
            restarts: load(4),
            agrees: load(5),
            retry_ns: load(6),
            born_ns: load(7),
            moved_ns: load(8),
        }
    }

    /// States what is known of a slot. `[any]`
    pub fn set_slot(&self, slot: usize, facts: SlotFacts) {
        let words = [
            facts.pid,
            facts.generation,
            facts.state,
            facts.since_ns,
            facts.restarts,
            facts.agrees,
            facts.retry_ns,
            facts.born_ns,
            facts.moved_ns,
        ];
        for (at, word) in words.into_iter().enumerate() {
            self.region.store(SLOTS + slot * SLOT_WORDS + at, word, Release);
        }
    }

    /// Tells a death, or tells it again with more known. `[any]`
    pub fn tell_death(&self, death: &Death) {
        let mut words = [0; DEATH_WORDS];
        let head = [
            death.slot,
            death.pid,
            death.generation,
            death.at_ns,
            death.lived_ns,
            death.block,
            death.signal,
            death.exit_code.map_or(0, |code| u64::from(code) + 1),
            death.crumb.0,
            death.crumb.1,
            death.crumb_block,
            u64::from(death.was_primary),
            death.lockstep_again_ns,
        ];
        words[..head.len()].copy_from_slice(&head);
        text::pack(&death.cause, &mut words[16..16 + TEXT_WORDS]);
        let (last_words, done) = (16 + TEXT_WORDS, 16 + 2 * TEXT_WORDS);
        text::pack(&death.last_words, &mut words[last_words..done]);
        text::pack(&death.done, &mut words[done..]);
        self.deaths.write(death.number, 0, &words);
        let head = self.region.load(HEADS, Acquire).max(death.number + 1);
        self.region.store(HEADS, head, Release);
    }

    /// The deaths that are kept, oldest first. `[control]`
    #[must_use]
    pub fn deaths(&self) -> Vec<Death> {
        let head = self.region.load(HEADS, Acquire);
        (head.saturating_sub(KEPT as u64)..head).filter_map(|number| self.death(number)).collect()
    }

    fn death(&self, number: u64) -> Option<Death> {
        let mut words = [0; DEATH_WORDS];
        let Entry::Whole { .. } = self.deaths.read(number, &mut words) else { return None };
        Some(Death {
            number,
            slot: words[0],
            pid: words[1],
            generation: words[2],
            at_ns: words[3],
            lived_ns: words[4],
            block: words[5],
            signal: words[6],
            exit_code: words[7].checked_sub(1).map(|code| code as u8),
            crumb: (words[8], words[9]),
            crumb_block: words[10],
            was_primary: words[11] != 0,
            lockstep_again_ns: words[12],
            cause: text::unpack(&words[16..16 + TEXT_WORDS]),
            last_words: text::unpack(&words[16 + TEXT_WORDS..16 + 2 * TEXT_WORDS]),
            done: text::unpack(&words[16 + 2 * TEXT_WORDS..]),
        })
    }

    /// Tells a change of primary. `[any]`
    pub fn tell_change(&self, change: &Change) {
        let mut words = [0; CHANGE_WORDS];
        words[0] = change.at_ns;
        words[1] = change.block;
        words[2] = change.from.map_or(0, |slot| slot + 1);
        words[3] = change.to.map_or(0, |slot| slot + 1);
        text::pack(&change.cause, &mut words[8..]);
        let number = self.region.load(HEADS + 1, Acquire);
        self.changes.write(number, 0, &words);
        self.region.store(HEADS + 1, number + 1, Release);
    }

    /// The changes of primary that are kept, oldest first. `[control]`
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        let head = self.region.load(HEADS + 1, Acquire);
        let mut words = [0; CHANGE_WORDS];
        let mut changes = Vec::new();
        for number in head.saturating_sub(KEPT as u64)..head {
            if let Entry::Whole { .. } = self.changes.read(number, &mut words) {
                changes.push(Change {
                    at_ns: words[0],
                    block: words[1],
                    from: words[2].checked_sub(1),
                    to: words[3].checked_sub(1),
                    cause: text::unpack(&words[8..]),
                });
            }
        }
        changes
    }
}
