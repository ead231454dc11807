//! What the monitor sees at a tick: values copied out of shared memory and of the kernel.
//!
//! *Invariant*: nothing here is believed because it is there; the monitor compares generations
//! and bounds before it acts on it.

use crate::memory::block::Facts;
use crate::memory::inbox::Inbox;
use crate::memory::orders::Orders;
use crate::memory::slot::{Crumb, HASHES_KEPT, Phase, Slot};
use crate::memory::status::Status;
use crate::memory::verdicts::Verdict;

/// The note a dying worker left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// The signal it died of, or 0 for a panic.
    pub signal: i32,
    /// Why it got it: above 0 its own doing, else somebody sent it.
    pub si_code: i32,
    /// The address it touched.
    pub address: u64,
    /// The text of a panic, with its place.
    pub text: String,
}

impl Note {
    /// Whether the worker did it itself: a panic, or a signal the kernel raised for what it
    /// did.
    #[must_use]
    pub fn is_own_fault(&self) -> bool {
        self.signal == 0 || self.si_code > 0
    }
}

/// A child as the kernel tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Process {
    /// Not there: never asked for, or not started yet.
    #[default]
    Absent,
    /// Alive.
    Running {
        /// Processor time it has used, in nanoseconds.
        cpu_ns: u64,
    },
    /// Stopped by a signal.
    Stopped,
    /// Ended by itself.
    Exited {
        /// Its exit code.
        code: u8,
    },
    /// Ended by a signal.
    Killed {
        /// Which.
        signal: i32,
    },
    /// It could not be started.
    Failed,
}

impl Process {
    /// Whether it is over and can be buried.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Exited { .. } | Self::Killed { .. } | Self::Failed)
    }
}

/// Blocks that are compared at a tick at most: the longest period anybody asks for. Who was away
/// for longer lets the older ones go.
const COMPARED_MAX: u64 = 64;

/// A slot at a tick.
#[derive(Clone, Debug)]
pub struct SlotSeen {
    /// The child that was started for it.
    pub process: Process,
    /// Its process id; 0 for none.
    pub pid: u32,
    /// What it printed last, or why it could not be started.
    pub last_words: String,
    /// The note it left.
    pub note: Option<Note>,
    /// The guest by its own word.
    pub generation: u64,
    /// How far it says it is.
    pub phase: Phase,
    /// Blocks below this it says it published.
    pub published: u64,
    /// Blocks below this it has published: its ring has the last of them whole.
    pub proved: u64,
    /// Blocks below this it says it rendered.
    pub reached: u64,
    /// What it says it is doing, and in which block.
    pub crumb: (Crumb, u64),
    /// The build it says it is of.
    pub build: u64,
    /// The next record it will apply.
    pub cursor: u64,
    /// Playout caught this guest with a bad block.
    pub suspect: u64,
    /// The newest two checkpoints it holds, as (block, cursor).
    pub checkpoints: [Option<(u64, u64)>; 2],
    /// The blocks that all in lockstep have and that were not compared yet, oldest first, with
    /// their facts as this slot has them.
    pub facts: Vec<(u64, Facts)>,
    /// The newest blocks before which it hashed its state, and the hashes.
    pub state_hashes: [Option<(u64, u64)>; HASHES_KEPT],
    /// From which block on it replayed, if two had agreed on the state before it.
    pub begun_from: Option<u64>,
    /// The block it has otherwise than somebody in lockstep, while it joins.
    pub disagrees: Option<u64>,
}

#[cfg(test)]
impl SlotSeen {
    /// A slot whose guest of this generation, if not 0, has come so far; for tests to vary.
    pub(super) fn guest(generation: u64, phase: Phase, blocks: u64) -> Self {
        Self {
            process: if generation == 0 { Process::Absent } else { Process::Running { cpu_ns: 0 } },
            pid: u32::from(generation != 0),
            last_words: String::new(),
            note: None,
            generation,
            phase,
            published: blocks,
            proved: blocks,
            reached: blocks,
            crumb: (Crumb::Idle, 0),
            build: 1,
            cursor: 0,
            suspect: 0,
            checkpoints: [None; 2],
            facts: Vec::new(),
            state_hashes: Default::default(),
            begun_from: None,
            disagrees: None,
        }
    }
}

/// A tick.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Nanoseconds of the monotonic clock.
    pub now_ns: u64,
    /// The slots, in order.
    pub slots: Vec<SlotSeen>,
    /// The newest block before which two had the same state.
    pub trusted: Option<u64>,
    /// The next block to be played.
    pub playhead: u64,
    /// Blocks below this are sealed.
    pub sealed: u64,
    /// The first record of the log: a fresh instrument begins there.
    pub first: u64,
    /// Records below this are in the log.
    pub head: u64,
    /// Which of the last 64 blocks were late.
    pub lateness: u64,
    /// Slots (one bit each) somebody asked to be brought back.
    pub revive: u64,
    /// The verdicts that stand.
    pub verdicts: Vec<Verdict>,
    /// No clock: no rule about blocks uses time.
    pub freewheel: bool,
    /// Blocks of the longest period asked for, rounded up.
    pub period_blocks: u64,
}

/// What the kernel knows of a slot's child.
#[derive(Clone, Debug, Default)]
pub struct Child {
    /// How it is.
    pub process: Process,
    /// Its process id.
    pub pid: u32,
    /// What it printed last.
    pub last_words: String,
    /// The note it left in its slot.
    pub note: Option<Note>,
}

/// What the host knows at a tick, beside what is in shared memory.
#[derive(Clone, Debug, Default)]
pub struct Tick {
    /// Nanoseconds of the monotonic clock.
    pub now_ns: u64,
    /// The slots' children, in order.
    pub children: Vec<Child>,
    /// Slots (one bit each) somebody asked to be brought back.
    pub revive: u64,
    /// Blocks below this were compared: [`super::Monitor::compared`].
    pub compared: u64,
}

/// Looks at everything. `[control]`
#[must_use]
pub fn observe(tick: Tick, orders: &Orders, status: &Status, slots: &[Slot]) -> Observation {
    let Tick { now_ns, children, revive, compared } = tick;
    let (primary, sealed) = (orders.primary(), orders.sealed());
    // Blocks below this all in lockstep say they have. What was not sealed nobody can have.
    let common = slots
        .iter()
        .filter(|place| place.phase() == Phase::Lockstep && place.published() > 0)
        .map(|place| place.published().min(sealed))
        .min()
        .filter(|_| primary.is_some())
        .unwrap_or(0);
    let fresh = compared.max(common.saturating_sub(COMPARED_MAX))..common;
    let mut entry = vec![0; slots.first().map_or(0, Slot::entry_words)];
    let seen = slots.iter().zip(children).enumerate().map(|(slot, (place, child))| {
        let mut claims = place.areas().clone().map(|area| area.claim());
        claims.sort_by_key(|claim| std::cmp::Reverse(claim.map(|mark| mark.block)));
        SlotSeen {
            process: child.process,
            pid: child.pid,
            last_words: child.last_words,
            note: child.note,
            generation: place.generation(),
            phase: place.phase(),
            published: place.published(),
            proved: proved(place, &mut entry),
            reached: place.reached(),
            crumb: place.crumb(),
            build: place.build(),
            cursor: place.cursor(),
            suspect: status.suspect(slot),
            checkpoints: claims.map(|claim| claim.map(|mark| (mark.block, mark.cursor))),
            facts: fresh
                .clone()
                .filter_map(|it| Some((it, read(place, it, &mut entry)?)))
                .collect(),
            state_hashes: place.state_hashes(),
            begun_from: place.begun_from(),
            disagrees: place.disagrees(),
        }
    });
    Observation {
        now_ns,
        slots: seen.collect(),
        trusted: orders.trusted().map(|(block, _)| block),
        playhead: orders.playhead(),
        sealed,
        first: orders.beginning().cursor,
        head: orders.head(),
        lateness: status.lateness(),
        revive,
        verdicts: orders.verdicts().all().collect(),
        freewheel: orders.freewheel(),
        period_blocks: orders.period().div_ceil(crate::BLOCK_FRAMES as u64),
    }
}

/// What a slot says it published, if the last of it is there: the word alone may be damaged.
fn proved(place: &Slot, entry: &mut [u64]) -> u64 {
    let published = place.published();
    match published.checked_sub(1).and_then(|last| read(place, last, entry)) {
        Some(_) => published,
        None => 0,
    }
}

fn read(place: &Slot, block: u64, entry: &mut [u64]) -> Option<Facts> {
    place.read(block, place.generation(), entry)
}

/// How control is: the inbox tells whether it lives. `[control]`
#[must_use]
pub fn control_beat(inbox: &Inbox) -> (u64, u64) {
    (inbox.beat(), inbox.ready())
}
