//! Memory and processes of this machine: regions, rings, futexes, spawn, priority.
//!
//! *Invariant*: the only crate with `unsafe`; it knows no music. What another process wrote is
//! handed out as a value to be checked, never as a reference.
#![allow(unsafe_code)]

pub mod clock;
pub mod event;
pub mod futex;
pub mod hash;
pub mod jack;
pub mod process;
pub mod region;
pub mod ring;
pub mod socket;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod words;

pub use process::{fatal, priority};
pub use region::{Access, Region};
pub use ring::{Entry, Ring};
pub use words::Words;
