//! Sound: samples in, samples out.
//!
//! *Invariant*: no I/O, no clock, no allocation while rendering; the same samples in give the same
//! bits out on every machine. So: nothing but `+ − × ÷`, comparisons, bit patterns and `libm`; no
//! `mul_add`, no transcendental of `std`, no `f32::max`.

pub mod math;
