//! Processes: how ours are started, watched, ended, and how they say why they die.
//!
//! The supervisor is the watcher and, through its [`Spawner`], the parent; a worker or control
//! is the watched. A child tells its readiness itself; the watcher learns of stops and deaths
//! from [`Child::change`], and of the reason from the [`fatal::Note`] a moment before.

mod child;
pub mod confine;
pub mod fatal;
pub mod priority;
mod spawn;
mod thread;
mod wishes;

pub use child::{Orphan, die_with_parent, ignore_terminal, name_thread, unblock_signals};
pub use spawn::{Change, Child, Order, Spawner};
pub use thread::{thread_id, thread_lives};
