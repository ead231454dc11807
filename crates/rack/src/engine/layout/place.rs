//! Where one module lies, and what feeds it.

use std::ops::Range;

use segue_dsp::ramp::Ramp;

use crate::BLOCK_FRAMES;
use crate::catalog::{Bounded, Build, Kind, OUTLETS_MAX, PORTS_MAX, Width, words_of};
use crate::engine::layout::pages::Pages;
use crate::engine::layout::{DelayPlace, ModuleHead, PORTS_FEW, stride_of};
use crate::plan::{Plan, PlanCable, PlanModule, PlanPort};

/// Where one module lies.
pub(in crate::engine) struct Place {
    pub(in crate::engine) kind: &'static Kind,
    pub(in crate::engine) build: Build,
    /// All words of the module.
    pub(in crate::engine) words: Range<usize>,
    pub(in crate::engine) params: usize,
    pub(in crate::engine) state_words: usize,
    /// Samples in a frame of all its outlets.
    pub(in crate::engine) width: usize,
    /// Whether a choice among its parameters is bridged.
    pub(in crate::engine) bridged: bool,
    pub(in crate::engine) outlets: [OutletPlace; OUTLETS_MAX],
    outlet_count: usize,
    pub(in crate::engine) ports: Vec<PortPlace>,
    pub(in crate::engine) connected: u32,
    /// Which module of the plan it is.
    pub(in crate::engine) index: usize,
    /// First sample of its row of constants.
    pub(in crate::engine) constants: usize,
    /// Bit n: the cables of port n have to be mixed.
    pub(in crate::engine) mixes: u32,
    /// Ports whose signal is a cable's own samples, with its page.
    pub(in crate::engine) direct: Vec<(usize, usize)>,
    /// Whether the last frame of its outlets tells if all are numbers.
    pub(in crate::engine) bounded: bool,
    /// Bit n: all frames of outlet n are looked at or kept, also where it rests.
    pub(in crate::engine) kept: u32,
    /// Bit n: outlet n is rendered only where it is probed.
    pub(in crate::engine) unheard: u32,
}

/// One outlet.
#[derive(Clone, Copy, Default)]
pub(in crate::engine) struct OutletPlace {
    /// Samples in a frame; 0 for no outlet.
    pub(in crate::engine) stride: usize,
    pub(in crate::engine) lanes: usize,
    /// Where its samples are; nowhere if it is not rendered.
    pub(in crate::engine) page: Option<usize>,
}

/// What feeds a port, and where it is mixed.
pub(in crate::engine) struct PortPlace {
    /// Its signal is the one cable's own samples, untouched; otherwise the constant, ramped, with
    /// what the cables add.
    is_direct: bool,
    /// First sample of its buffer.
    pub(in crate::engine) buffer: usize,
    pub(in crate::engine) stride: usize,
    /// Index of the parameter, for ports that are one.
    pub(in crate::engine) param: Option<usize>,
    /// The constant of an inlet.
    pub(in crate::engine) constant: f32,
    pub(in crate::engine) factor: f32,
    pub(in crate::engine) min: f32,
    pub(in crate::engine) max: f32,
    pub(in crate::engine) cables: Vec<CablePlace>,
    pub(in crate::engine) sums: bool,
    /// How many of its cables, which stand last, bend.
    pub(in crate::engine) bends: usize,
}

/// One cable, seen from the mixer.
pub(in crate::engine) struct CablePlace {
    pub(in crate::engine) page: usize,
    pub(in crate::engine) stride: usize,
    pub(in crate::engine) lanes: usize,
    pub(in crate::engine) amount: f32,
}

impl Place {
    /// The outlets it has.
    pub(in crate::engine) fn outlets(&self) -> &[OutletPlace] {
        &self.outlets[..self.outlet_count]
    }

    pub(super) fn of(
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
        let (mut kept, mut unheard) = (0, 0);
        for (at, lanes) in (kind.outlets)(module.lanes()).into_iter().enumerate() {
            let stride = stride_of(lanes);
            let page = pages.take((index, at), stride, kind, connected);
            kept |= u32::from(page.is_some_and(|(_, keep)| keep)) << at;
            unheard |= u32::from(!pages.is_heard((index, at), kind, connected)) << at;
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
            mixes: mask(&ports, |port| !port.cables.is_empty() && !port.is_direct),
            direct: ports.iter().enumerate().filter_map(PortPlace::direct).collect(),
            bounded: is_bounded(kind, &ports[..spec.inlets.len()]),
            kept,
            unheard,
            ports,
        }
    }

    /// Samples of its row of constants.
    pub(super) fn row(&self) -> usize {
        if self.ports.len() <= PORTS_FEW { PORTS_FEW } else { PORTS_MAX }
    }
}

/// Whether the last frame of its outlets tells if all are numbers.
fn is_bounded(kind: &Kind, inlets: &[PortPlace]) -> bool {
    match kind.bounded {
        Bounded::No => false,
        Bounded::Always => true,
        // What is mixed may come to more than a number can be.
        Bounded::ByInlets => inlets.iter().all(|port| port.is_direct || port.cables.is_empty()),
    }
}

/// Bit n: `is` says so of port n.
fn mask(ports: &[PortPlace], is: impl Fn(&PortPlace) -> bool) -> u32 {
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
    pub(super) fn samples(&self) -> usize {
        if self.is_direct { 0 } else { self.stride * BLOCK_FRAMES }
    }

    /// Its index and the page of its cable, if that is all there is to it.
    fn direct((index, port): (usize, &PortPlace)) -> Option<(usize, usize)> {
        port.cables.first().filter(|_| port.is_direct).map(|cable| (index, cable.page))
    }
}
