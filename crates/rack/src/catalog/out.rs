//! `out`: where a patch ends and is heard.

use crate::catalog::spec::{InletSpec, ModuleSpec};

/// The panel of `out`.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "out",
    aliases: &[],
    summary: "What is heard: the one module every patch ends in. Voices are summed.",
    inlets: &[
        InletSpec { name: "in", summary: "to both sides" },
        InletSpec { name: "left", summary: "to the left side" },
        InletSpec { name: "right", summary: "to the right side" },
    ],
    outlets: &[],
    params: &[],
    has_gate: false,
};
