//! `vca`: a voltage-controlled amplifier, one signal times another.

use segue_dsp::signal::multiply;

use crate::catalog::panel::Panel;
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The panel of `vca`.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "vca",
    aliases: &[],
    summary: "An amplifier: one signal times another.",
    inlets: &[InletSpec { name: "in", summary: "what is amplified" }],
    outlets: &[OutletSpec { name: "out", summary: "in x gain" }],
    params: &[ParamSpec::number("gain", Unit::Gain, (-8.0, 8.0), 1.0, "gain")],
    has_gate: false,
};

const IN: usize = 0;
const GAIN: usize = 1;

/// One stretch.
pub(super) fn render(panel: &mut Panel<'_>) {
    multiply(panel.stride, panel.signals[IN], panel.signals[GAIN], panel.outlets[0]);
}
