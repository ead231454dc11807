//! Every type of module there is, and what each does in a block.

mod adsr;
mod biquad;
#[cfg(feature = "fault")]
pub(crate) mod fault;
mod kind;
mod manual;
mod osc;
mod out;
mod panel;
mod spec;
mod vca;

pub(crate) use self::kind::{Kind, Width};
pub use self::manual::manual;
pub(crate) use self::panel::{OUTLETS_MAX, PORTS_MAX, Panel, state_of, words_of};
pub use self::spec::{Curve, InletSpec, ModuleSpec, OutletSpec, ParamSpec};

/// The panels of all types, in the order of the manual. `[any]`
pub fn catalog() -> &'static [ModuleSpec] {
    const SPECS: &[ModuleSpec] = &[
        osc::SPEC,
        adsr::SPEC,
        biquad::SPEC,
        vca::SPEC,
        out::SPEC,
        #[cfg(feature = "fault")]
        fault::SPEC,
    ];
    SPECS
}

/// The panel of the type `name`, by name or alias. `[any]`
pub fn spec(name: &str) -> Option<&'static ModuleSpec> {
    catalog().iter().find(|spec| spec.is_called(name))
}
