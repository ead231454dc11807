//! `adsr`: an envelope, and the amplifier it opens.

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
