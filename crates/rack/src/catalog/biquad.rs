//! `biquad`: a filter of two poles and two zeros.

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
        )
        .also(&["filter_type"]),
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
