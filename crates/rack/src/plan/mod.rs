//! A patch compiled to an order and buffers: what a rack is built from.

use thiserror::Error;

use crate::catalog::{ModuleSpec, catalog, spec};
use crate::names::nearest;
use crate::patch::{Mistake, Patch};

/// What the engine was started with; part of every plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Frames a second, 8,000 to 192,000.
    pub rate: u32,
    /// Samples a frame, 1 to 8.
    pub channels: u16,
    /// Room for all musical state, in bytes.
    pub state_bytes: usize,
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
    setup: Setup,
    modules: Vec<PlanModule>,
}

/// One module of a plan.
#[derive(Clone, Debug)]
pub struct PlanModule {
    id: String,
    spec: &'static ModuleSpec,
    constants: Vec<f32>,
}

impl Plan {
    /// Compiles a checked patch: topological order, ties by place in the file. [control]
    pub fn compile(patch: &Patch, setup: &Setup) -> Result<Plan, Vec<Mistake>> {
        let _ = patch;
        Ok(Plan::empty(setup))
    }

    /// The empty rack: just `out`. [control]
    pub fn empty(setup: &Setup) -> Plan {
        let spec = spec("out").unwrap_or(&catalog()[0]);
        let out = PlanModule { id: "out".to_string(), spec, constants: Vec::new() };
        Plan { title: String::new(), setup: *setup, modules: vec![out] }
    }

    /// The bytes of this plan. [control]
    pub fn to_bytes(&self) -> Vec<u8> {
        Vec::new()
    }

    /// The plan in `bytes`, checked throughout: a wild one is refused, never played. [any]
    pub fn from_bytes(bytes: &[u8]) -> Result<Plan, PlanError> {
        let _ = bytes;
        Err(PlanError::Malformed)
    }

    /// The title of the patch, or nothing. [any]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What it was compiled for. [any]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// All modules; the index is what commands use. [any]
    pub fn modules(&self) -> &[PlanModule] {
        &self.modules
    }

    /// Index of the module called `id`. [any]
    pub fn module(&self, id: &str) -> Option<u16> {
        self.modules.iter().position(|module| module.id == id).map(|index| index as u16)
    }

    /// Index of a parameter of a module, by name or alias. [any]
    pub fn param(&self, module: u16, name: &str) -> Option<u16> {
        self.modules.get(usize::from(module))?.spec.param(name)
    }

    /// The module `id` was most likely meant to be. [control]
    pub fn nearest_module(&self, id: &str) -> Option<&str> {
        nearest(id, self.modules.iter().map(|module| module.id.as_str()))
    }

    /// The parameter `name` was most likely meant to be. [control]
    pub fn nearest_param(&self, module: u16, name: &str) -> Option<&str> {
        let module = self.modules.get(usize::from(module))?;
        nearest(name, module.spec.params.iter().map(|param| param.name))
    }
}

impl PlanModule {
    /// Its id in the patch. [any]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The panel of its type. [any]
    pub fn spec(&self) -> &'static ModuleSpec {
        self.spec
    }

    /// The constant a parameter starts with. [any]
    pub fn constant(&self, param: u16) -> Option<f32> {
        self.constants.get(usize::from(param)).copied()
    }
}
