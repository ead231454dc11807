//! What lets a part of a signal through.

pub mod biquad;
pub mod ladder;
pub mod svf;

use crate::signal::Signal;

/// What a filter of two poles reads.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What is filtered.
    pub input: Signal<'a>,
    /// Corner or centre, Hz.
    pub cutoff: Signal<'a>,
    /// Resonance: gain at the corner of a low-pass.
    pub q: Signal<'a>,
    /// Frames a second.
    pub rate: f32,
}

/// Coefficients of one frame, for `C` lanes: with `above = x − second`,
/// `first' = c1·first + d2·above` and `second' = second + d2·first + d3·above`.
#[derive(Clone, Copy)]
struct Coefficients<const C: usize> {
    c1: [f32; C],
    d2: [f32; C],
    d3: [f32; C],
    k: [f32; C],
}
