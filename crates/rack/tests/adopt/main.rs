//! What is heard, kept and counted when a rack goes over to another plan.

#[path = "../bench/mod.rs"]
mod bench;
mod show;

mod keeps;

use segue_sys::testing::Guard;

#[global_allocator]
static GUARD: Guard = Guard;
