//! `osc`: an oscillator of one to sixteen voices.

use segue_dsp::osc::{Inputs, Osc, Shape};

use crate::catalog::panel::{Panel, state_of, words_of};
use crate::catalog::spec::{ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The panel of `osc`.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "osc",
    aliases: &["simple_sine"],
    summary: "An oscillator: sine, saw or square, of one to sixteen voices.",
    inlets: &[],
    outlets: &[OutletSpec {
        name: "out",
        summary: "the wave, -1 to 1 (a narrow square up to 1.9)",
    }],
    params: &[
        ParamSpec::choice("shape", &["sine", "saw", "square"], "wave form"),
        ParamSpec::number("freq", Unit::Hertz, (0.01, 20_000.0), 440.0, "pitch")
            .also(&["frequency"])
            .logarithmic(),
        ParamSpec::number("width", Unit::Number, (0.05, 0.95), 0.5, "high part of the square"),
        ParamSpec::number(
            "spread",
            Unit::Cents,
            (0.0, 1_200.0),
            0.0,
            "voices lie evenly from this far below the pitch to this far above",
        ),
        ParamSpec::number("voices", Unit::Number, (1.0, 16.0), 1.0, "how many voices")
            .fixed_count(),
    ],
    has_gate: false,
};

/// Words of state.
pub(super) const STATE_WORDS: usize = words_of::<Osc>();

const SHAPE: usize = 0;
const FREQ: usize = 1;
const WIDTH: usize = 2;
const SPREAD: usize = 3;

/// All voices at the beginning of their wave.
pub(super) fn reset(state: &mut [u64]) {
    *state_of::<Osc>(state) = Osc::new();
}

/// One stretch.
pub(super) fn render(panel: &mut Panel<'_>) {
    let shape = match panel.signals[SHAPE].at(0) as u32 {
        0 => Shape::Sine,
        1 => Shape::Saw,
        _ => Shape::Square,
    };
    let inputs = Inputs {
        freq: panel.signals[FREQ],
        width: panel.signals[WIDTH],
        spread: panel.signals[SPREAD],
        voices: panel.lanes,
        rate: panel.rate,
    };
    let osc = state_of::<Osc>(panel.state);
    osc.render(shape, panel.stride, &inputs, panel.outlets[0]);
}
