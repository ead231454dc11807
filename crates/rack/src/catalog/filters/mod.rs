//! What lets a part of a signal through.

pub(super) mod biquad;
pub(super) mod ladder;
pub(super) mod svf;
