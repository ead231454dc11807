//! What is heard, kept and counted when a rack goes over to another plan.

#[path = "../bench/mod.rs"]
mod bench;
mod show;

mod agenda;
mod editions;
mod fade;
mod keeps;
mod parts;
mod states;

use segue_sys::testing::Guard;

#[global_allocator]
static GUARD: Guard = Guard;
