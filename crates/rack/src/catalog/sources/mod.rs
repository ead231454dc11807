//! What sounds by itself.

pub(super) mod osc;
