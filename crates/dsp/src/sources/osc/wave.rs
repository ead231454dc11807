//! Waves as they are at a phase, before any edge is rounded.

use crate::math::{self, sin_pi};
use crate::sources::osc::Shape;

/// The wave at a phase, as if no edge had to be rounded.
pub(super) fn value(shape: Shape, phase: u32, width: f32, high: u32) -> f32 {
    match shape {
        Shape::Sine => sin_pi(half_turns(phase)),
        Shape::Saw => half_turns(phase),
        Shape::Square => 2.0 * (high as f32 - width),
        Shape::Triangle => fold(phase),
    }
}

pub(super) const HALF: u32 = 0x8000_0000;
pub(super) const QUARTER: u32 = 0x4000_0000;

/// The phase from −1 to 1; 0 at the beginning of the wave.
#[inline(always)]
pub(crate) fn half_turns(phase: u32) -> f32 {
    (phase as i32) as f32 * (1.0 / 2_147_483_648.0)
}

/// A width in 2⁻³² turns.
#[inline(always)]
pub(super) fn width_turns(width: f32) -> u32 {
    HALF.wrapping_add(math::turns(width - 0.5))
}

/// A triangle: 0 at phase 0, 1 after a quarter, −1 after three.
#[inline(always)]
pub(crate) fn fold(phase: u32) -> f32 {
    let away = half_turns(phase.wrapping_sub(QUARTER));
    1.0 - 2.0 * f32::from_bits(away.to_bits() & 0x7fff_ffff)
}

/// Twice the phase behind the nearest corner of a triangle.
#[inline(always)]
pub(super) fn corner(phase: u32) -> u32 {
    phase.wrapping_sub(QUARTER).wrapping_shl(1)
}
