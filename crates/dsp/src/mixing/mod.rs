//! What brings signals together and places them.

pub mod mixer;
pub mod pan;
