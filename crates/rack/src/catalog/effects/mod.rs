//! What makes another sound of a sound: drive, echoes, rooms.

pub(super) mod delay;
pub(super) mod drive;
pub(super) mod reverb;
