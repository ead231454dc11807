//! What makes another sound of a sound: drive, echoes, rooms.

pub mod delay;
pub mod drive;
pub mod fourfold;
mod line;
pub mod reverb;
