//! What is added to a sound behind it: echoes and rooms.

pub mod delay;
mod line;
pub mod reverb;
