//! The patch a musician writes, checked.

mod define;
mod edit;
mod expression;
mod mistake;
mod module;
mod port;
mod read;
mod scope;
mod source;

pub use self::edit::{Draft, Edit, EditError, Value};
pub use self::mistake::Mistake;
pub(crate) use self::read::MODULES_MAX;
pub(crate) use self::source::Span;

use crate::catalog::ModuleSpec;

/// Quarter notes a minute of a patch that does not say.
pub const TEMPO: f64 = 120.0;

/// A checked patch: every name known, every value in range.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    text: String,
    title: String,
    tempo: Option<f64>,
    modules: Vec<Module>,
    instruments: Vec<Instrument>,
}

/// What an instrument of the patch is called by from outside; its parts are modules `ID.PART`.
#[derive(Clone, Debug)]
pub(crate) struct Instrument {
    pub(crate) id: String,
    /// Names of its params, each with the parameters it moves: index in `Patch::modules`, and
    /// among the parameters. Inlets are no parameters.
    pub(crate) params: Vec<(String, Vec<(usize, u16)>)>,
}

/// A module as the patch describes it.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    pub(crate) id: String,
    pub(crate) spec: &'static ModuleSpec,
    /// Where its id stands.
    pub(crate) at: Span,
    /// Inlets first, then parameters, in the order of the spec.
    pub(crate) ports: Vec<Port>,
}

/// What an inlet or parameter is fed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Port {
    /// Sum of the constants: what `/mod` sets.
    pub(crate) constant: f32,
    /// Constant interval, octaves.
    pub(crate) octaves: f32,
    pub(crate) cables: Vec<Cable>,
}

/// A cable, at the end that receives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cable {
    /// Index in `Patch::modules`.
    pub(crate) module: usize,
    pub(crate) outlet: usize,
    pub(crate) amount: f32,
    /// The amount is in octaves and multiplies.
    pub(crate) bends: bool,
    /// It brings what its outlet gave 64 frames ago.
    pub(crate) delayed: bool,
    pub(crate) at: Span,
}

impl Patch {
    /// Reads a patch; all mistakes at once, in the order of the file. Pure: text in. `[control]`
    pub fn parse(text: &str) -> Result<Patch, Vec<Mistake>> {
        read::read(text)
    }

    /// The text it was read from. `[any]`
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The title the file gives, or nothing. `[any]`
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Quarter notes a minute: what the file says, or [`TEMPO`]. `[any]`
    pub fn tempo(&self) -> f64 {
        self.tempo.unwrap_or(TEMPO)
    }

    pub(crate) fn modules(&self) -> &[Module] {
        &self.modules
    }

    pub(crate) fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }
}

impl Module {
    /// Name of a port, by its index.
    pub(crate) fn port_name(&self, port: usize) -> &'static str {
        let inlets = self.spec.inlets;
        match inlets.get(port) {
            Some(inlet) => inlet.name,
            None => self.spec.params[port - inlets.len()].name,
        }
    }
}
