//! What lets a part of a signal through.

pub(super) mod biquad;
pub(super) mod ladder;
pub(super) mod svf;

use crate::catalog::ParamSpec;
use crate::quantity::Unit;

/// The corner of a filter of two poles.
const CUTOFF_PARAM: ParamSpec =
    ParamSpec::number("cutoff", Unit::Hertz, (10.0, 20_000.0), 1_000.0, "corner or centre")
        .also(&["freq", "frequency"])
        .logarithmic();

/// Its resonance; without any it is flat to the corner.
const Q_PARAM: ParamSpec = ParamSpec::number(
    "q",
    Unit::Number,
    (0.5, 20.0),
    0.707_106_77,
    "resonance: gain at the corner",
)
.also(&["resonance"])
.logarithmic();
