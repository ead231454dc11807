//! What sounds by itself.

pub mod edge;
pub mod osc;
