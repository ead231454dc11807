//! `adsr`: an envelope, and the amplifier it opens.

use segue_dsp::adsr::{Adsr, Inputs};
use segue_dsp::signal::{Signal, multiply};

use crate::catalog::panel::{Panel, state_of, words_of};
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The panel of `adsr`.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "adsr",
    aliases: &[],
    summary: "An envelope: attack, decay, sustain, release, as high as its gate's velocity.",
    inlets: &[
        InletSpec { name: "in", summary: "what the envelope lets through" },
        InletSpec { name: "gate", summary: "open while above 0; its height is the velocity" },
    ],
    outlets: &[
        OutletSpec { name: "out", summary: "in x level; without a cable at in, the level" },
        OutletSpec { name: "level", summary: "the level, 0 to 1" },
    ],
    params: &[
        ParamSpec::number(
            "attack",
            Unit::Milliseconds,
            (0.0, 60_000.0),
            5.0,
            "time of the straight rise to the velocity, from whatever level",
        )
        .logarithmic()
        .at_once(),
        ParamSpec::number(
            "decay",
            Unit::Milliseconds,
            (0.0, 60_000.0),
            100.0,
            "time of the exponential fall to the sustain level",
        )
        .logarithmic()
        .at_once(),
        ParamSpec::number("sustain", Unit::Gain, (0.0, 1.0), 0.7, "level held, of the velocity"),
        ParamSpec::number(
            "release",
            Unit::Milliseconds,
            (0.0, 60_000.0),
            200.0,
            "time of the exponential fall to silence, from whatever level",
        )
        .logarithmic()
        .at_once(),
    ],
    has_gate: true,
};

/// Words of state.
pub(super) const STATE_WORDS: usize = words_of::<Adsr>();

/// The inlet that takes voices.
pub(super) const IN: usize = 0;
const GATE: usize = 1;
const ATTACK: usize = 2;
const DECAY: usize = 3;
const SUSTAIN: usize = 4;
const RELEASE: usize = 5;

/// Closed and silent.
pub(super) fn reset(state: &mut [u64]) {
    *state_of::<Adsr>(state) = Adsr::new();
}

/// The gate, from the next frame on.
pub(super) fn gate(state: &mut [u64], level: f32) {
    state_of::<Adsr>(state).gate(level);
}

/// Silence within 10 ms.
pub(super) fn choke(state: &mut [u64]) {
    state_of::<Adsr>(state).choke();
}

/// One stretch.
pub(super) fn render(panel: &mut Panel<'_>) {
    let inputs = Inputs {
        gate: panel.is_connected(GATE).then_some(panel.signals[GATE]),
        attack: panel.signals[ATTACK],
        decay: panel.signals[DECAY],
        sustain: panel.signals[SUSTAIN],
        release: panel.signals[RELEASE],
        rate: panel.rate,
    };
    let plugged = panel.is_connected(IN);
    let [out, level] = &mut panel.outlets;
    state_of::<Adsr>(panel.state).render(&inputs, level);
    if plugged {
        multiply(panel.stride, panel.signals[IN], Signal::cable(level, 1), out);
    } else {
        out.copy_from_slice(level);
    }
}
