//! What makes another sound of a sound.

pub mod drive;
pub mod fourfold;
