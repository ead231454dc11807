//! Guards for tests: code that claims to neither allocate nor call the kernel is held to it.

mod allocation;
mod calls;

pub use allocation::{Guard, assert_no_alloc};
pub use calls::{WAITING, with_only_calls};
