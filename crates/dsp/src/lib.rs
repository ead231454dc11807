//! Sound: samples in, samples out.
//!
//! *Invariant*: no I/O, no clock, no allocation while rendering; the same samples in give the same
//! bits out on every machine. So: nothing but `+ − × ÷`, comparisons, bit patterns and `libm`; no
//! `mul_add`, no transcendental of `std`, no `f32::max`. A stretch of frames may be rendered in
//! any number of pieces of at most 64 frames: the bits are those of one piece.
//!
//! *Layout*: a cable holds `[frame][lane]`. One lane is stored plainly; more are padded to 8 or
//! 16, so that plain loops over `[f32; 8]` become vector instructions. Those loops are compiled
//! for the instruction sets there are and chosen at run time; the bits are the same in all.

// Lanes of several rows are indexed side by side: that is what becomes a vector instruction.
#![allow(clippy::needless_range_loop)]

pub mod control;
pub mod effects;
pub mod filters;
pub mod limiter;
pub mod math;
pub mod mixing;
pub mod ramp;
pub mod signal;
pub mod sources;

/// The most frames one call of a kernel renders: a block.
pub const FRAMES_MAX: usize = 64;
