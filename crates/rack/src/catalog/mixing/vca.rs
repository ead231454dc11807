//! `vca`: a voltage-controlled amplifier, one signal times another.

use segue_dsp::signal::multiply;

use crate::catalog::kind::Kind;
use crate::catalog::panel::Panel;
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The type `vca`.
pub(crate) const KIND: Kind = Kind::new(SPEC, render);

const SPEC: ModuleSpec = ModuleSpec {
    inlets: &[InletSpec { name: "in", summary: "what is amplified" }],
    outlets: &[OutletSpec { name: "out", summary: "in x gain" }],
    params: &[ParamSpec::number("gain", Unit::Gain, (-8.0, 8.0), 1.0, "gain")],
    example: "ring = { type = \"vca\", in = \"osc\", gain = \"slow\" }
osc = { type = \"osc\", freq = 330 }
slow = { type = \"osc\", freq = 40 }
out = { in = \"ring * 0.5\" }",
    ..ModuleSpec::named("vca", "An amplifier: one signal times another.")
};

const IN: usize = 0;
const GAIN: usize = 1;

/// One stretch.
fn render(panel: &mut Panel<'_>) {
    let stride = panel.build.stride;
    multiply(stride, panel.signals[IN], panel.signals[GAIN], panel.outlets[0]);
}
