//! Real servers without a sound card: what reaches their far end, held against the replay.
//!
//! Each test starts servers of its own under a private name and ends them. Where none is
//! installed it says so and passes.

mod capture;
mod jack;
mod servers;
