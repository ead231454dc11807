//! Every type of module there is, and what each does in a block.
//!
//! A type is one file here (its panel, and how its kernel is called) and one in `dsp` (its
//! sound); docs/adding-a-module.md walks through one.

#[cfg(feature = "fault")]
mod ballast;
mod control;
mod effects;
#[cfg(feature = "fault")]
pub(crate) mod fault;
mod filters;
mod kind;
mod manual;
mod mixing;
mod panel;
mod sources;
mod spec;

pub(crate) use self::kind::{Bounded, Build, Kind, Lanes, Note, Told, Width};
pub use self::manual::manual;
pub(crate) use self::panel::{OUTLETS_MAX, PORTS_MAX, Panel, state_of, words_of};
pub use self::spec::{Curve, InletSpec, ModuleSpec, OutletSpec, ParamSpec};

/// All types, in the order of the manual.
const KINDS: &[Kind] = &[
    sources::osc::KIND,
    sources::noise::KIND,
    control::keys::KIND,
    control::adsr::KIND,
    control::lfo::KIND,
    filters::svf::KIND,
    filters::ladder::KIND,
    filters::biquad::KIND,
    effects::drive::KIND,
    mixing::vca::KIND,
    mixing::pan::KIND,
    mixing::mixer::KIND,
    effects::delay::KIND,
    effects::reverb::KIND,
    mixing::out::KIND,
    #[cfg(feature = "fault")]
    fault::KIND,
    #[cfg(feature = "fault")]
    ballast::KIND,
];

/// Their panels.
static SPECS: [ModuleSpec; KINDS.len()] = {
    let mut specs = [KINDS[0].spec; KINDS.len()];
    let mut at = 0;
    while at < KINDS.len() {
        specs[at] = KINDS[at].spec;
        at += 1;
    }
    specs
};

/// The panels of all types, in the order of the manual. `[any]`
pub fn catalog() -> &'static [ModuleSpec] {
    &SPECS
}

/// The panel of the type `name`, by name or alias. `[any]`
pub fn spec(name: &str) -> Option<&'static ModuleSpec> {
    catalog().iter().find(|spec| spec.is_called(name))
}
