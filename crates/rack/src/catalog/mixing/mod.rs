//! What brings signals together and sets their level.

pub(super) mod mixer;
pub(super) mod out;
pub(super) mod pan;
pub(super) mod vca;
