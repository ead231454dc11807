//! What moves other sounds.

pub mod adsr;
pub mod keys;
pub mod lfo;
