//! `fault`: a module that misbehaves when told to; only in builds that test the rest.

use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The panel of `fault`.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "fault",
    aliases: &[],
    summary: "Passes its inlet on, and does harm when triggered. For tests of the engine.",
    inlets: &[InletSpec { name: "in", summary: "what is passed on" }],
    outlets: &[OutletSpec { name: "out", summary: "the same" }],
    params: &[
        ParamSpec::choice(
            "mode",
            &["panic", "abort", "exit", "loop", "slow", "hold", "nan", "diverge"],
            "the harm done",
        ),
        ParamSpec::choice(
            "phase",
            &["render", "apply"],
            "when: in render, or as the command is applied",
        ),
        ParamSpec::number(
            "ms",
            Unit::Milliseconds,
            (0.0, 60_000.0),
            5.0,
            "how long slow takes a block",
        )
        .at_once(),
        ParamSpec::number("trigger", Unit::Number, (0.0, 1.0), 0.0, "above 0: now").at_once(),
    ],
    has_gate: false,
};
