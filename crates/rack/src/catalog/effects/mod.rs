//! What makes another sound of a sound.

pub(super) mod drive;
