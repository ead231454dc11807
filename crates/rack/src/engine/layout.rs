//! Where everything lies: the words of the arena, and the cables beside it.
//!
//! *Layout* of the arena: header, master, then each module ([`ModuleHead`], a `Ramp` a parameter,
//! the module's own state, the last samples of its outlets, and the steps that are being bridged),
//! then a block of each outlet that is listened to with a delay, then the agenda. Other cables
//! carry nothing from one block to the next, so they are no state and lie elsewhere.

use std::ops::Range;

use segue_dsp::limiter::Limiter;
use segue_dsp::ramp::Ramp;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::BLOCK_FRAMES;
use crate::catalog::{Bounded, Build, Kind, OUTLETS_MAX, PORTS_MAX, Width, words_of};
use crate::engine::agenda::AGENDA_CAPACITY;
use crate::plan::{Plan, PlanCable, PlanModule, PlanPort};

/// Begins every state; counts up with every change of layout or meaning.
pub(super) const MAGIC: u64 = 0x5345_4755_4500_0002;

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
    /// Frames of the bridge over a step still to come.
    pub(super) bridge_left: u32,
    /// 1: a step comes with the next frame.
    pub(super) steps: u32,
    pub(super) queue: [f32; QUEUE],
}

/// Where a plan's state and cables lie.
pub(crate) struct Layout {
    /// Length of the arena.
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

/// Where one module lies.
pub(super) struct Place {
    pub(super) kind: &'static Kind,
    pub(super) build: Build,
    /// All words of the module.
    pub(super) words: Range<usize>,
    pub(super) params: usize,
    pub(super) state_words: usize,
    /// Samples in a frame of all its outlets.
    pub(super) width: usize,
    /// Whether a choice among its parameters is bridged.
    pub(super) bridged: bool,
    pub(super) outlets: [OutletPlace; OUTLETS_MAX],
    outlet_count: usize,
    pub(super) ports: Vec<PortPlace>,
    pub(super) connected: u32,
    /// Which module of the plan it is.
    pub(super) index: usize,
    /// First sample of its row of constants.
    pub(super) constants: usize,
    /// Bit n: the cables of port n have to be mixed.
    pub(super) mixes: u32,
    /// Ports whose signal is a cable's own samples, with its page.
    pub(super) direct: Vec<(usize, usize)>,
    /// Whether the last frame of its outlets tells if all are numbers.
    pub(super) bounded: bool,
    /// Bit n: all frames of outlet n are looked at or kept, also where it rests.
    pub(super) kept: u32,
}

/// One outlet.
#[derive(Clone, Copy, Default)]
pub(super) struct OutletPlace {
    /// Samples in a frame; 0 for no outlet.
    pub(super) stride: usize,
    pub(super) lanes: usize,
    /// Where its samples are; nowhere if it is not rendered.
    pub(super) page: Option<usize>,
}

/// An outlet some cable listens to with a delay of a block.
pub(super) struct DelayPlace {
    module: usize,
    outlet: usize,
    /// Page the outlet writes.
    pub(super) from: usize,
    /// Page the delayed cables read.
    pub(super) page: usize,
    /// Words of the arena that keep it from block to block.
    pub(super) words: Range<usize>,
}

/// What feeds a port, and where it is mixed.
pub(super) struct PortPlace {
    /// Its signal is the one cable's own samples, untouched; otherwise the constant, ramped, with
    /// what the cables add.
    is_direct: bool,
    /// First sample of its buffer.
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
    /// How many of its cables, which stand last, bend.
    pub(super) bends: usize,
}

/// One cable, seen from the mixer.
pub(super) struct CablePlace {
    pub(super) page: usize,
    pub(super) stride: usize,
    pub(super) lanes: usize,
    pub(super) amount: f32,
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
        Layout::with(plan, false)
    }

    /// The layout of a plan; with `probed`, every outlet is rendered and keeps its samples until
    /// the next block. The arena is the same. `[control]`
    pub(crate) fn with(plan: &Plan, probed: bool) -> Layout {
        let mut pages = Pages::of(plan, probed);
        let mut words = words_of::<Header>() + words_of::<Master>();
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
        Layout { words: agenda.end, modules, delays, agenda, pages, port_samples, out }
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

/// Hands out pages, and takes them back when nobody listens any more.
struct Pages {
    strides: Vec<usize>,
    /// Pages nobody needs.
    idle: Vec<usize>,
    /// By module and outlet: the last module that listens, or beyond all for whoever is kept.
    ends: Vec<[Option<usize>; OUTLETS_MAX]>,
    /// Pages and the module after which they are idle.
    busy: Vec<(usize, usize)>,
    probed: bool,
}

impl Pages {
    fn of(plan: &Plan, probed: bool) -> Pages {
        let mut ends = vec![[None; OUTLETS_MAX]; plan.modules().len()];
        for (reader, module) in plan.modules().iter().enumerate() {
            for cable in module.ports().iter().flat_map(|port| &port.cables) {
                let end = if cable.delayed { usize::MAX } else { reader };
                let known = &mut ends[usize::from(cable.module)][usize::from(cable.outlet)];
                *known = (*known).max(Some(end));
            }
        }
        Pages { strides: Vec::new(), idle: Vec::new(), ends, busy: Vec::new(), probed }
    }

    /// A page for an outlet, if it is rendered at all, and whether all of it is looked at later.
    fn take(
        &mut self,
        (index, outlet): (usize, usize),
        stride: usize,
        kind: &Kind,
        connected: u32,
    ) -> Option<(usize, bool)> {
        let buses = kind.spec.name == "out";
        let end = match self.ends[index][outlet] {
            _ if stride == 0 => return None,
            _ if self.probed || buses => usize::MAX,
            Some(end) => end,
            None if (kind.always)(connected) >> outlet & 1 == 1 => index,
            None => return None,
        };
        let page = self.page(stride);
        self.busy.push((page, end));
        Some((page, end == usize::MAX))
    }

    fn page(&mut self, stride: usize) -> usize {
        match self.idle.iter().rposition(|page| self.strides[*page] == stride) {
            Some(at) => self.idle.swap_remove(at),
            None => {
                self.strides.push(stride);
                self.strides.len() - 1
            }
        }
    }

    /// Module `index` is through.
    fn free(&mut self, index: usize) {
        let idle = &mut self.idle;
        self.busy.retain(|(page, end)| {
            let keep = *end > index;
            if !keep {
                idle.push(*page);
            }
            keep
        });
    }

    /// Makes the page of a delayed cable, once for each outlet. It is read from the first block's
    /// first module on, so it is never one that was used before.
    fn delay(&mut self, plan: &Plan, cable: &PlanCable, delays: &mut Vec<DelayPlace>) {
        let (module, outlet) = (usize::from(cable.module), usize::from(cable.outlet));
        let known = delays.iter().any(|delay| (delay.module, delay.outlet) == (module, outlet));
        if cable.delayed && !known {
            self.strides.push(stride_of(plan.modules()[module].outlet_lanes(cable.outlet)));
            let page = self.strides.len() - 1;
            delays.push(DelayPlace { module, outlet, from: page, page, words: 0..0 });
        }
    }
}

impl Place {
    /// The outlets it has.
    pub(super) fn outlets(&self) -> &[OutletPlace] {
        &self.outlets[..self.outlet_count]
    }

    fn of(
        plan: &Plan,
        index: usize,
        module: &PlanModule,
        word: usize,
        earlier: &[Place],
        delays: &[DelayPlace],
        pages: &mut Pages,
    ) -> Place {
        let spec = module.spec();
        let kind = module.kind();
        let build = Build {
            lanes: module.lanes(),
            stride: stride_of(module.lanes().voices),
            control_stride: stride_of(module.lanes().control),
            rate: plan.setup().rate as f32,
            seed: module.seed(),
            constants: (0..spec.params.len() as u16)
                .map(|param| module.constant(param).unwrap_or(0.0))
                .collect(),
        };
        let (mut buffer, mut connected) = (0, 0);
        let mut ports = Vec::with_capacity(module.ports().len());
        for (at, port) in module.ports().iter().enumerate() {
            let source = |cable: &PlanCable| source_of(plan, cable, earlier, delays);
            let place = PortPlace::of(module, at, port, source, buffer);
            buffer += place.samples();
            if !port.cables.is_empty() || port.constant != 0.0 {
                connected |= 1 << at;
            }
            ports.push(place);
        }
        let mut outlets = [OutletPlace::default(); OUTLETS_MAX];
        let mut kept = 0;
        for (at, lanes) in (kind.outlets)(module.lanes()).into_iter().enumerate() {
            let stride = stride_of(lanes);
            let page = pages.take((index, at), stride, kind, connected);
            kept |= u32::from(page.is_some_and(|(_, keep)| keep)) << at;
            outlets[at] = OutletPlace { stride, lanes, page: page.map(|(page, _)| page) };
        }
        let width: usize = outlets.iter().map(|outlet| outlet.stride).sum();
        let chooses = spec.params.iter().any(|param| !param.choices.is_empty() && !param.fixed);
        let bridged = kind.bridged && chooses;
        let rows = if bridged { 2 * width } else { width };
        let state_words = (kind.state_words)(&build);
        let params = spec.params.len();
        let ramps = params * words_of::<Ramp>();
        let end = word + words_of::<ModuleHead>() + ramps + state_words + rows.div_ceil(2);
        Place {
            kind,
            build,
            words: word..end,
            params,
            state_words,
            width,
            bridged,
            outlets,
            outlet_count: outlets.iter().take_while(|outlet| outlet.stride > 0).count(),
            connected,
            index,
            constants: earlier.last().map_or(0, |place| place.constants + place.row()),
            mixes: bits(&ports, |port| !port.cables.is_empty() && !port.is_direct),
            direct: ports.iter().enumerate().filter_map(PortPlace::direct).collect(),
            bounded: match kind.bounded {
                Bounded::No => false,
                Bounded::Always => true,
                // What is mixed may come to more than a number can be.
                Bounded::ByInlets => ports[..spec.inlets.len()]
                    .iter()
                    .all(|port| port.is_direct || port.cables.is_empty()),
            },
            kept,
            ports,
        }
    }

    /// Samples of its row of constants.
    fn row(&self) -> usize {
        if self.ports.len() <= PORTS_FEW { PORTS_FEW } else { PORTS_MAX }
    }
}

/// Bit n: `is` says so of port n.
fn bits(ports: &[PortPlace], is: impl Fn(&PortPlace) -> bool) -> u32 {
    ports.iter().enumerate().fold(0, |bits, (at, port)| bits | u32::from(is(port)) << at)
}

/// Where the samples of a cable are, and how many lanes they have.
fn source_of(
    plan: &Plan,
    cable: &PlanCable,
    earlier: &[Place],
    delays: &[DelayPlace],
) -> (usize, usize) {
    let (module, outlet) = (usize::from(cable.module), usize::from(cable.outlet));
    if cable.delayed {
        let kept = delays.iter().find(|delay| (delay.module, delay.outlet) == (module, outlet));
        let lanes = plan.modules()[module].outlet_lanes(cable.outlet);
        return (kept.map_or(0, |delay| delay.page), lanes);
    }
    // Plans come checked: a cable that is not delayed comes from an earlier module.
    let source = &earlier[module].outlets[outlet];
    (source.page.unwrap_or(0), source.lanes)
}

impl PortPlace {
    fn of(
        module: &PlanModule,
        index: usize,
        port: &PlanPort,
        source: impl Fn(&PlanCable) -> (usize, usize),
        buffer: usize,
    ) -> PortPlace {
        let spec = module.spec();
        let param = index.checked_sub(spec.inlets.len());
        let range = param.and_then(|param| module.range(param as u16));
        let (min, max) = range.unwrap_or((f32::MIN, f32::MAX));
        let place = |cable: &PlanCable| {
            let (page, lanes) = source(cable);
            CablePlace { page, stride: stride_of(lanes), lanes, amount: cable.amount }
        };
        let bends = port.cables.iter().filter(|cable| cable.bends).count();
        let linear = port.cables.iter().filter(|cable| !cable.bends);
        let ordered = linear.chain(port.cables.iter().filter(|cable| cable.bends));
        let cables: Vec<CablePlace> = ordered.map(place).collect();
        let sums = (module.kind().width)(index) == Width::Sum;
        let widest = cables.iter().map(|cable| cable.stride).max().unwrap_or(1);
        let stride = if sums { 1 } else { widest };
        let plain = |cable: &CablePlace| cable.amount == 1.0 && cable.stride == stride;
        let is_direct = param.is_none()
            && port.constant == 0.0
            && bends == 0
            && cables.len() == 1
            && cables.first().is_some_and(plain);
        PortPlace {
            is_direct,
            buffer,
            stride,
            param,
            constant: port.constant,
            factor: segue_dsp::math::exp2(port.octaves),
            min,
            max,
            cables,
            sums,
            bends,
        }
    }

    /// Samples of its buffer.
    fn samples(&self) -> usize {
        if self.is_direct { 0 } else { self.stride * BLOCK_FRAMES }
    }

    /// Its index and the page of its cable, if that is all there is to it.
    fn direct((index, port): (usize, &PortPlace)) -> Option<(usize, usize)> {
        port.cables.first().filter(|_| port.is_direct).map(|cable| (index, cable.page))
    }
}
