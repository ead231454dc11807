//! What brings signals together and sets their level.

pub(super) mod out;
pub(super) mod vca;
