//! `osc`: an oscillator of one to sixteen voices.

use crate::catalog::spec::{ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The panel of `osc`.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "osc",
    aliases: &["simple_sine"],
    summary: "An oscillator: sine, saw or square, of one to sixteen voices.",
    inlets: &[],
    outlets: &[OutletSpec { name: "out", summary: "the wave, -1 to 1, a channel a voice" }],
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
