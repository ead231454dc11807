//! Where everything lies: the words of the arena, and the cables beside it.
//!
//! *Layout* of the arena: header, master, then each module ([`ModuleHead`], a `Ramp` a parameter,
//! the module's own state, the last samples of its outlets), then the agenda. Cables carry nothing
//! from one block to the next, so they are no state and lie elsewhere.

use std::ops::Range;

use segue_dsp::limiter::Limiter;
use segue_dsp::ramp::Ramp;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::BLOCK_FRAMES;
use crate::catalog::{Kind, OUTLETS_MAX, Width, words_of};
use crate::engine::agenda::AGENDA_CAPACITY;
use crate::plan::{Plan, PlanCable, PlanModule, PlanPort};

/// Begins every state; counts up with every change of layout or meaning.
pub(super) const MAGIC: u64 = 0x5345_4755_4500_0001;

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
    /// Frames of the decay into a bypass still to come.
    pub(super) fade_left: u32,
    /// Gates that wait.
    pub(super) waiting: u32,
    pub(super) queue: [f32; QUEUE],
}

/// Where a plan's state and cables lie.
pub(crate) struct Layout {
    /// Length of the arena.
    pub(crate) words: usize,
    pub(super) modules: Vec<Place>,
    /// Words of the agenda.
    pub(super) agenda: Range<usize>,
    /// Samples of all cables.
    pub(super) samples: usize,
    /// Index of `out`.
    pub(super) out: usize,
}

/// Where one module lies.
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) has_gate: bool,
    pub(super) lanes: usize,
    pub(super) stride: usize,
    /// All words of the module.
    pub(super) words: Range<usize>,
    pub(super) params: usize,
    /// First of its own samples: port buffers, then outlets.
    pub(super) samples: usize,
    /// First sample of its outlets.
    pub(super) outlets: usize,
    pub(super) outlet_strides: [usize; OUTLETS_MAX],
    pub(super) ports: Vec<PortPlace>,
    pub(super) connected: u32,
}

/// What feeds a port, and where it is mixed.
pub(super) struct PortPlace {
    pub(super) feed: Feed,
    /// First sample of its buffer, counted from the module's own samples.
    pub(super) buffer: usize,
    pub(super) stride: usize,
    /// Index of the parameter, for ports that are one.
    pub(super) param: Option<usize>,
    /// The constant of an inlet.
    pub(super) constant: f32,
    pub(super) factor: f32,
    pub(super) min: f32,
    pub(super) max: f32,
    pub(super) cables: Vec<CablePlace>,
    pub(super) sums: bool,
}

/// How a port comes to its signal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Feed {
    /// The cable's own samples, untouched.
    Direct,
    /// The constant, ramped, with what the cables add.
    Mixed,
}

/// One cable, seen from the mixer.
pub(super) struct CablePlace {
    /// First sample, absolute.
    pub(super) at: usize,
    pub(super) stride: usize,
    pub(super) lanes: usize,
    pub(super) amount: f32,
    pub(super) bends: bool,
}

/// Samples in a frame of a cable with so many lanes.
fn stride_of(lanes: usize) -> usize {
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
        let mut words = words_of::<Header>() + words_of::<Master>();
        let mut samples = 0;
        let mut modules: Vec<Place> = Vec::with_capacity(plan.modules().len());
        for module in plan.modules() {
            let place = Place::of(module, &modules, words, samples);
            words = place.words.end;
            samples = place.outlets
                + place.outlet_strides.iter().map(|stride| stride * BLOCK_FRAMES).sum::<usize>();
            modules.push(place);
        }
        let agenda = words..words + 4 * AGENDA_CAPACITY;
        let out = modules.iter().position(|place| place.kind == Kind::Out).unwrap_or(0);
        Layout { words: agenda.end, modules, agenda, samples, out }
    }
}

impl Place {
    fn of(module: &PlanModule, earlier: &[Place], word: usize, sample: usize) -> Place {
        let spec = module.spec();
        // Plans come checked: a spec without a kind is a gap in this crate's own tables.
        let kind = Kind::of(spec).unwrap_or(Kind::Vca);
        let outlet_strides = kind.outlet_lanes(module.lanes()).map(stride_of);
        let mut buffer = 0;
        let mut connected = 0;
        let mut ports = Vec::with_capacity(module.ports().len());
        for (index, port) in module.ports().iter().enumerate() {
            let place = PortPlace::of(module, kind, index, port, earlier, buffer);
            if place.feed == Feed::Mixed {
                buffer += place.stride * BLOCK_FRAMES;
            }
            if !port.cables.is_empty() || port.constant != 0.0 {
                connected |= 1 << index;
            }
            ports.push(place);
        }
        let last = outlet_strides.iter().sum::<usize>().div_ceil(2);
        let params = spec.params.len();
        let end = word
            + words_of::<ModuleHead>()
            + params * words_of::<Ramp>()
            + kind.state_words()
            + last;
        Place {
            kind,
            has_gate: spec.has_gate,
            lanes: module.lanes(),
            stride: stride_of(module.lanes()),
            words: word..end,
            params,
            samples: sample,
            outlets: sample + buffer,
            outlet_strides,
            ports,
            connected,
        }
    }
}

impl PortPlace {
    fn of(
        module: &PlanModule,
        kind: Kind,
        index: usize,
        port: &PlanPort,
        earlier: &[Place],
        buffer: usize,
    ) -> PortPlace {
        let spec = module.spec();
        let param = index.checked_sub(spec.inlets.len());
        let (min, max) = match param {
            Some(param) => (spec.params[param].min, spec.params[param].max),
            None => (f32::MIN, f32::MAX),
        };
        let cable = |cable: &PlanCable| {
            let source = &earlier[usize::from(cable.module)];
            let outlet = usize::from(cable.outlet);
            let before: usize = source.outlet_strides[..outlet].iter().sum();
            CablePlace {
                at: source.outlets + before * BLOCK_FRAMES,
                stride: source.outlet_strides[outlet],
                lanes: source.kind.outlet_lanes(source.lanes)[outlet],
                amount: cable.amount,
                bends: cable.bends,
            }
        };
        let cables: Vec<CablePlace> = port.cables.iter().map(cable).collect();
        let sums = kind.width(index) == Width::Sum;
        let widest = cables.iter().map(|cable| cable.stride).max().unwrap_or(1);
        let stride = if sums { 1 } else { widest };
        let plain =
            |cable: &CablePlace| !cable.bends && cable.amount == 1.0 && cable.stride == stride;
        let direct = param.is_none()
            && port.constant == 0.0
            && cables.len() == 1
            && cables.first().is_some_and(plain);
        PortPlace {
            feed: if direct { Feed::Direct } else { Feed::Mixed },
            buffer,
            stride,
            param,
            constant: port.constant,
            factor: segue_dsp::math::exp2(port.octaves),
            min,
            max,
            cables,
            sums,
        }
    }
}
