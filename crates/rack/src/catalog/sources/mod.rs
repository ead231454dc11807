//! What sounds by itself.

pub(super) mod noise;
pub(super) mod osc;
