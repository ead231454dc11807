//! What is added to a sound behind it: echoes and rooms.

pub(super) mod delay;
pub(super) mod reverb;
