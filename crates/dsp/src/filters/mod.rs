//! What lets a part of a signal through.

pub mod biquad;
pub mod ladder;
pub mod svf;
