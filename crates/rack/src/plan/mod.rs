//! A patch compiled to an order and buffers: what a rack is built from.

mod compile;
mod instrument;
mod wire;

pub use self::instrument::PlanInstrument;

use thiserror::Error;

use crate::catalog::{Kind, Lanes, ModuleSpec};
use crate::names::nearest;
use crate::patch::{Mistake, Patch};

/// What the engine was started with; part of every plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Frames a second, 8,000 to 192,000.
    pub rate: u32,
    /// Samples a frame, 1 to 8.
    pub channels: u16,
    /// Room for all musical state, in bytes: [`STATE_BYTES_MIN`] to 4 GiB.
    pub state_bytes: usize,
}

/// The least room for state: the agenda and a handful of modules.
pub const STATE_BYTES_MIN: usize = 1 << 17;

impl Setup {
    /// Whether all is within its range. `[any]`
    pub fn check(&self) -> Result<(), PlanError> {
        let what = if !(8_000..=192_000).contains(&self.rate) {
            "a rate outside 8,000 to 192,000"
        } else if !(1..=8).contains(&self.channels) {
            "channels outside 1 to 8"
        } else if !(STATE_BYTES_MIN..=1 << 32).contains(&self.state_bytes) {
            "an arena outside 128 KiB to 4 GiB"
        } else {
            return Ok(());
        };
        Err(PlanError::Wild { what })
    }
}

impl Default for Setup {
    fn default() -> Setup {
        Setup { rate: 48_000, channels: 2, state_bytes: 1 << 20 }
    }
}

/// Why bytes are not a plan this build can play. Trying again with the same bytes does not help.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// The bytes end early, or are something else.
    #[error("the bytes are no plan")]
    Malformed,
    /// Written by a build with another layout.
    #[error("the plan has layout {found}, this build reads {wanted}")]
    Version {
        /// Layout of the bytes.
        found: u32,
        /// Layout of this build.
        wanted: u32,
    },
    /// A number in it points nowhere, or the order is impossible.
    #[error("the plan contradicts itself: {what}")]
    Wild {
        /// Which rule it breaks.
        what: &'static str,
    },
    /// It was compiled for another rate, channel count or arena.
    #[error("the plan was compiled for another setup")]
    Setup,
}

/// A patch compiled for one setup. Modules stand in render order; their index is the one commands
/// use.
#[derive(Clone, Debug)]
pub struct Plan {
    title: String,
    source: String,
    setup: Setup,
    modules: Vec<PlanModule>,
    instruments: Vec<PlanInstrument>,
}

/// One module of a plan.
#[derive(Clone, Debug)]
pub struct PlanModule {
    id: String,
    spec: &'static ModuleSpec,
    kind: &'static Kind,
    lanes: Lanes,
    /// Inlets, then parameters.
    ports: Vec<PlanPort>,
}

/// What an inlet or parameter is fed.
#[derive(Clone, Debug)]
pub(crate) struct PlanPort {
    pub(crate) constant: f32,
    pub(crate) octaves: f32,
    pub(crate) cables: Vec<PlanCable>,
}

/// A cable, at the end that receives; unless it is delayed it comes from an earlier module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanCable {
    pub(crate) module: u16,
    pub(crate) outlet: u8,
    pub(crate) amount: f32,
    /// The amount is in octaves and multiplies.
    pub(crate) bends: bool,
    /// It brings what its outlet gave 64 frames ago.
    pub(crate) delayed: bool,
}

impl Plan {
    /// Compiles a checked patch: topological order, ties by place in the file. What can be wrong
    /// only now: a cycle, unequal voices, not enough room. `[control]`
    pub fn compile(patch: &Patch, setup: &Setup) -> Result<Plan, Vec<Mistake>> {
        compile::compile(patch, setup)
    }

    /// The empty rack: just `out`. Panics for a setup that [`Setup::check`] refuses. `[control]`
    pub fn empty(setup: &Setup) -> Plan {
        match Patch::parse("segue = 1\n[out]\n").and_then(|patch| Plan::compile(&patch, setup)) {
            Ok(plan) => plan,
            Err(mistakes) => panic!("the empty rack always fits: {mistakes:?}"),
        }
    }

    /// The bytes of this plan. `[control]`
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::to_bytes(self)
    }

    /// The plan in `bytes`, checked throughout: a wild one is refused, never played. `[any]`
    pub fn from_bytes(bytes: &[u8]) -> Result<Plan, PlanError> {
        wire::from_bytes(bytes)
    }

    /// A number that names this plan: that of another plan differs. FNV-1a of the bytes.
    /// `[control]`
    pub fn hash(&self) -> u64 {
        Plan::hash_of(&self.to_bytes())
    }

    /// The same of a plan's bytes, without a look at what they say. `[any]`
    pub fn hash_of(bytes: &[u8]) -> u64 {
        fnv(bytes)
    }

    /// A number for what it plays: the same for a patch that is written down otherwise, with other
    /// remarks for one. `[control]`
    pub fn music(&self) -> u64 {
        fnv(&wire::to_bytes(&Plan { source: String::new(), ..self.clone() }))
    }

    /// Bytes of state a rack of it has; within a fade from one plan to another it has both.
    /// `[control]`
    pub fn state_bytes(&self) -> usize {
        crate::engine::Layout::of(self).words * 8
    }

    /// The title of the patch, or nothing. `[any]`
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The text of the patch it was compiled from. `[any]`
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it was compiled for. `[any]`
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// All modules; the index is what commands use. `[any]`
    pub fn modules(&self) -> &[PlanModule] {
        &self.modules
    }

    /// Index of the module called `id`. `[any]`
    pub fn module(&self, id: &str) -> Option<u16> {
        self.modules.iter().position(|module| module.id == id).map(|index| index as u16)
    }

    /// Index of a parameter of a module, by name or alias. `[any]`
    pub fn param(&self, module: u16, name: &str) -> Option<u16> {
        self.modules.get(usize::from(module))?.spec.param(name)
    }

    /// The module `id` was most likely meant to be. `[control]`
    pub fn nearest_module(&self, id: &str) -> Option<&str> {
        let instruments = self.instruments.iter().map(|instrument| instrument.id());
        nearest(id, instruments.chain(self.modules.iter().map(|module| module.id.as_str())))
    }

    /// The parameter `name` was most likely meant to be. `[control]`
    pub fn nearest_param(&self, module: u16, name: &str) -> Option<&str> {
        let module = self.modules.get(usize::from(module))?;
        nearest(name, module.spec.params.iter().map(|param| param.name))
    }
}

impl PlanModule {
    /// Its id in the patch. `[any]`
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The panel of its type. `[any]`
    pub fn spec(&self) -> &'static ModuleSpec {
        self.spec
    }

    /// How many voices it has, 1 to 16. `[any]`
    pub fn voices(&self) -> usize {
        self.lanes.voices
    }

    pub(crate) fn lanes(&self) -> Lanes {
        self.lanes
    }

    pub(crate) fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// A number of its own, the same in every run: FNV-1a of its id.
    pub(crate) fn seed(&self) -> u64 {
        fnv(self.id.as_bytes())
    }

    /// The constant a parameter starts with. `[any]`
    pub fn constant(&self, param: u16) -> Option<f32> {
        let port = self.spec.inlets.len() + usize::from(param);
        self.ports.get(port).map(|port| port.constant)
    }

    /// Lowest and highest value of a parameter of this very module. `[any]`
    pub fn range(&self, param: u16) -> Option<(f32, f32)> {
        let spec = self.spec.params.get(usize::from(param))?;
        let most = spec.up_to.and_then(|name| self.constant(self.spec.param(name)?));
        Some((spec.min, most.map_or(spec.max, |most| segue_dsp::math::min(spec.max, most))))
    }

    /// The modules whose cables it receives, each once, in the order of the plan. `[any]`
    pub fn sources(&self) -> Vec<u16> {
        let cables = self.ports.iter().flat_map(|port| &port.cables);
        let mut sources: Vec<u16> = cables.map(|cable| cable.module).collect();
        sources.sort_unstable();
        sources.dedup();
        sources
    }

    pub(crate) fn ports(&self) -> &[PlanPort] {
        &self.ports
    }

    /// Lanes of one of its outlets.
    pub(crate) fn outlet_lanes(&self, outlet: u8) -> usize {
        let lanes = (self.kind.outlets)(self.lanes);
        lanes.get(usize::from(outlet)).copied().unwrap_or(1)
    }
}

/// FNV-1a, 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
