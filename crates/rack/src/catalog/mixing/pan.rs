//! `pan`: a place between left and right.

use segue_dsp::by_stride;
use segue_dsp::mixing::pan;

use crate::catalog::kind::Kind;
use crate::catalog::panel::Panel;
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The type `pan`.
pub(crate) const KIND: Kind =
    Kind { outlets: |lanes| [lanes.voices, lanes.voices, 0, 0], ..Kind::new(SPEC, render) };

const SPEC: ModuleSpec = ModuleSpec {
    inlets: &[InletSpec { name: "in", summary: "what is placed" }],
    outlets: &[
        OutletSpec { name: "left", summary: "the left side, 3 dB down in the middle" },
        OutletSpec { name: "right", summary: "the right side, 3 dB down in the middle" },
    ],
    params: &[ParamSpec::number(
        "position",
        Unit::Number,
        (-1.0, 1.0),
        0.0,
        "-1 is left, 1 is right; a cable may place each voice",
    )
    .also(&["pan"])],
    example: "osc = { type = \"osc\", freq = 220 }
slow = { type = \"osc\", freq = 0.3 }
place = { type = \"pan\", in = \"osc\", position = \"slow * 0.8\" }
out = { left = \"place.left * 0.3\", right = \"place.right * 0.3\" }",
    ..ModuleSpec::named("pan", "A place between left and right, of equal power everywhere.")
};

const IN: usize = 0;
const POSITION: usize = 1;

/// One stretch.
fn render(panel: &mut Panel<'_>) {
    let (input, position) = (panel.signals[IN], panel.signals[POSITION]);
    let [left, right, ..] = &mut panel.outlets;
    by_stride!(panel.build.stride, W => pan::render::<W>(input, position, left, right));
    if input.is_still() && position.is_still() {
        panel.still = 0b11;
    }
}
