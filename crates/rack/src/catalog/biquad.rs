//! `biquad`: a filter of two poles and two zeros.

use segue_dsp::biquad::{Biquad, Inputs, Mode};

use crate::catalog::panel::{Panel, state_of, words_of};
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The panel of `biquad`.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "biquad",
    aliases: &["biquad_filter"],
    summary: "A two-pole filter whose cutoff may move with every sample.",
    inlets: &[InletSpec { name: "in", summary: "what is filtered" }],
    outlets: &[OutletSpec { name: "out", summary: "what the filter lets through" }],
    params: &[
        ParamSpec::choice(
            "mode",
            &["lowpass", "highpass", "bandpass", "notch"],
            "what is let through",
        ),
        ParamSpec::number("cutoff", Unit::Hertz, (10.0, 20_000.0), 1_000.0, "corner or centre")
            .also(&["freq", "frequency"])
            .logarithmic(),
        ParamSpec::number(
            "q",
            Unit::Number,
            (0.5, 20.0),
            0.707_106_77,
            "resonance: gain at the corner",
        )
        .also(&["resonance"])
        .logarithmic(),
    ],
    has_gate: false,
};

/// Words of state.
pub(super) const STATE_WORDS: usize = words_of::<Biquad>();

const IN: usize = 0;
const MODE: usize = 1;
const CUTOFF: usize = 2;
const Q: usize = 3;

/// At rest.
pub(super) fn reset(state: &mut [u64]) {
    *state_of::<Biquad>(state) = Biquad::new();
}

/// The end of a block.
pub(super) fn settle(state: &mut [u64]) {
    state_of::<Biquad>(state).settle();
}

/// One stretch.
pub(super) fn render(panel: &mut Panel<'_>) {
    let mode = match panel.signals[MODE].at(0) as u32 {
        0 => Mode::Lowpass,
        1 => Mode::Highpass,
        2 => Mode::Bandpass,
        _ => Mode::Notch,
    };
    let inputs = Inputs {
        input: panel.signals[IN],
        cutoff: panel.signals[CUTOFF],
        q: panel.signals[Q],
        rate: panel.rate,
    };
    let biquad = state_of::<Biquad>(panel.state);
    biquad.render(mode, panel.stride, &inputs, panel.outlets[0]);
}
