//! What makes another sound of a sound: drive, echoes, rooms.

pub(super) mod delay;
pub(super) mod drive;
pub(super) mod reverb;

use crate::catalog::InletSpec;

/// The inlets of what has two sides.
const SIDES: [InletSpec; 3] = [
    InletSpec { name: "in", summary: "to both sides; voices are summed" },
    InletSpec { name: "left", summary: "to the left side" },
    InletSpec { name: "right", summary: "to the right side" },
];
