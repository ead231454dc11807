//! Where everything lies: the words of the arena, and the cables beside it.
//!
//! *Layout* of the arena: header, master, then each module ([`ModuleHead`], a `Ramp` a parameter,
//! the module's own state, the last samples of its outlets, and the steps that are being bridged),
//! then a block of each outlet that is listened to with a delay, then the agenda. Other cables
//! carry nothing from one block to the next, so they are no state and lie elsewhere. While one
//! plan is faded to another, the words of the one before follow those of the new one.

mod pages;
mod place;

use std::ops::Range;

use segue_dsp::limiter::Limiter;
use segue_dsp::ramp::Ramp;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use self::pages::Pages;
pub(super) use self::place::{CablePlace, OutletPlace, Place, PortPlace};
use crate::BLOCK_FRAMES;
use crate::catalog::{state_of, words_of};
use crate::engine::agenda::{AGENDA_CAPACITY, Agenda};
use crate::plan::Plan;

/// Begins every state; counts up with every change of layout or meaning.
pub(super) const MAGIC: u64 = 0x5345_4755_4500_0004;

/// Most types have no more ports than this, and less to be prepared for them.
pub(super) const PORTS_FEW: usize = 8;

/// Gates of one module that can wait for their millisecond.
pub(super) const QUEUE: usize = 16;

/// The first words of a state.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct Header {
    pub(super) magic: u64,
    pub(super) plan: u64,
    pub(super) block: u64,
    pub(super) sequence: u64,
    pub(super) agenda_len: u64,
    pub(super) notes: Tally,
    /// Number of the plan.
    pub(super) edition: u64,
    /// Number of the plan that is faded from, plus one; 0 for none.
    pub(super) before: u64,
    /// Frames of that fade still to come.
    pub(super) fade_left: u32,
    /// Frames it takes in all.
    pub(super) fade_frames: u32,
}

impl Header {
    /// The header at the beginning of a state, to look at; nothing of one of another layout.
    pub(super) fn of(state: &[u64]) -> Option<&Header> {
        let words = state.get(..words_of::<Header>())?;
        Header::ref_from_bytes(words.as_bytes()).ok()
    }
}

/// The counters of `Notes`, in its order.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct Tally {
    pub(super) moved: u64,
    pub(super) resets: u64,
    pub(super) reset_module: u64,
    pub(super) ignored: u64,
    pub(super) skipped: u64,
    pub(super) refused: u64,
    pub(super) merged: u64,
    pub(super) limited: u64,
}

impl Tally {
    /// Counts a reset; of several in a block, before which there were `before`, the one first in
    /// the signal is named. `[audio]`
    pub(super) fn reset(&mut self, module: usize, before: u64) {
        if self.resets == before {
            self.reset_module = module as u64 + 1;
        }
        self.resets += 1;
    }
}

/// What stands behind `out`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct Master {
    pub(super) gain: Ramp,
    pub(super) mute: Ramp,
    pub(super) fade: Ramp,
    /// Goes down and up again around a panic.
    pub(super) duck: Ramp,
    pub(super) tone: Ramp,
    pub(super) limiter: Limiter,
    pub(super) tone_left: u32,
    pub(super) tone_phase: u32,
    /// 1 while the duck goes down.
    pub(super) ducking: u32,
    pub(super) muted: u32,
}

/// What every module has.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct ModuleHead {
    /// First frame at which a gate may be moved again.
    pub(super) next_gate: u64,
    /// What the gate was moved to last.
    pub(super) level: f32,
    pub(super) bypassed: u32,
    /// Frames still to come of the decay into a bypass, or of the fade out of one.
    pub(super) fade_left: u32,
    /// Gates that wait.
    pub(super) waiting: u32,
    /// Frames of the bridge over a step still to come.
    pub(super) bridge_left: u32,
    /// 1: a step comes with the next frame.
    pub(super) steps: u32,
    pub(super) queue: [f32; QUEUE],
}

impl ModuleHead {
    /// What the gate was told last.
    pub(super) fn gate(&self) -> f32 {
        let waiting = (self.waiting as usize).checked_sub(1);
        waiting.and_then(|last| self.queue.get(last)).copied().unwrap_or(self.level)
    }
}

/// Where a plan's state and cables lie.
pub(crate) struct Layout {
    /// First word of it all.
    pub(super) base: usize,
    /// How many words it takes.
    pub(crate) words: usize,
    pub(super) modules: Vec<Place>,
    pub(super) delays: Vec<DelayPlace>,
    /// Words of the agenda.
    pub(super) agenda: Range<usize>,
    /// Samples in a frame of each page.
    pub(super) pages: Vec<usize>,
    /// Samples of the ports of the module that mixes most.
    pub(super) port_samples: usize,
    /// Index of `out`.
    pub(super) out: usize,
}

/// An outlet some cable listens to with a delay of a block.
pub(super) struct DelayPlace {
    pub(super) module: usize,
    pub(super) outlet: usize,
    /// Page the outlet writes.
    pub(super) from: usize,
    /// Page the delayed cables read.
    pub(super) page: usize,
    /// Words of the arena that keep it from block to block.
    pub(super) words: Range<usize>,
}

/// Samples in a frame of a cable with so many lanes.
pub(crate) fn stride_of(lanes: usize) -> usize {
    match lanes {
        0 => 0,
        1 => 1,
        2..=8 => 8,
        _ => 16,
    }
}

impl Layout {
    /// The layout of a plan. `[control]`
    pub(crate) fn of(plan: &Plan) -> Layout {
        Layout::with(plan, 0, false)
    }

    /// The layout of a plan from word `base` of an arena on; with `probed`, every outlet is
    /// rendered and keeps its samples until the next block. The words are the same. `[control]`
    pub(super) fn with(plan: &Plan, base: usize, probed: bool) -> Layout {
        let mut pages = Pages::of(plan, probed);
        let mut words = base + words_of::<Header>() + words_of::<Master>();
        let mut modules: Vec<Place> = Vec::with_capacity(plan.modules().len());
        let mut delays = Vec::new();
        for (index, module) in plan.modules().iter().enumerate() {
            for cable in module.ports().iter().flat_map(|port| &port.cables) {
                pages.delay(plan, cable, &mut delays);
            }
            let place = Place::of(plan, index, module, words, &modules, &delays, &mut pages);
            words = place.words.end;
            modules.push(place);
            pages.free(index);
        }
        for delay in &mut delays {
            let outlet = modules[delay.module].outlets[delay.outlet];
            delay.from = outlet.page.unwrap_or(delay.page);
            delay.words = words..words + outlet.stride * BLOCK_FRAMES / 2;
            words = delay.words.end;
        }
        let agenda = words..words + 4 * AGENDA_CAPACITY;
        let out = modules.iter().position(|place| place.kind.spec.name == "out").unwrap_or(0);
        let mixed = |place: &Place| place.ports.iter().map(PortPlace::samples).sum();
        let port_samples = modules.iter().map(mixed).max().unwrap_or(0);
        let pages = pages.strides;
        let words = agenda.end - base;
        Layout { base, words, modules, delays, agenda, pages, port_samples, out }
    }

    /// All its words. `[any]`
    pub(super) fn range(&self) -> Range<usize> {
        self.base..self.base + self.words
    }

    /// The header of the state in `arena`. `[audio]`
    pub(super) fn header<'a>(&self, arena: &'a mut [u64]) -> &'a mut Header {
        state_of(&mut arena[self.base..][..words_of::<Header>()])
    }

    /// What stands behind `out`. `[audio]`
    pub(super) fn master<'a>(&self, arena: &'a mut [u64]) -> &'a mut Master {
        state_of(&mut arena[self.base + words_of::<Header>()..][..words_of::<Master>()])
    }

    /// The commands that wait. `[audio]`
    pub(super) fn agenda<'a>(&self, arena: &'a mut [u64]) -> Agenda<'a> {
        let (before, rest) = arena[..self.agenda.end].split_at_mut(self.agenda.start);
        let len = &mut self.header(before).agenda_len;
        let (slots, _) = rest.as_chunks_mut::<4>();
        Agenda { slots, len }
    }

    /// The rows of constants, inlets filled in: those never change. `[control]`
    pub(super) fn constants(&self) -> Vec<f32> {
        let mut constants = Vec::new();
        for place in &self.modules {
            let row = place.ports.iter().map(|port| port.fit(&Ramp::at(port.constant)));
            constants.extend(row);
            constants.resize(place.constants + place.row(), 0.0);
        }
        constants
    }

    /// The module that takes most, and how many words. `[control]`
    pub(crate) fn largest(&self) -> (usize, usize) {
        let words = self.modules.iter().map(|place| place.words.len());
        words.enumerate().max_by_key(|(_, words)| *words).unwrap_or((self.out, 0))
    }
}
