//! The lockstep in a world we control: one thread, virtual time, one seed.
//!
//! *Invariant*: the step functions are the product's own; only processes, clock and device are
//! made up. The checkers read what was played and compare it with a reference that nobody can
//! disturb: an instrument fed from the log alone.

pub mod chance;
pub mod check;
pub mod child;
pub mod life;
pub mod planted;
mod player;
mod stage;
pub mod toy;
pub mod world;

pub use chance::Chance;
pub use world::{Config, World};
