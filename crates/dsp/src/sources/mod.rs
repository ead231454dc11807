//! What sounds by itself.

pub mod edge;
pub mod noise;
pub mod osc;
