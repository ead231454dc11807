//! The instrument: modules, patch, plan and agenda, in an arena.
//!
//! *Invariant*: `state(n+1), audio(n) = render(state(n), commands(n))`, bit for bit, everywhere.
//! No clock, no I/O, no thread; all musical state is in the words [`Rack::state`] shows.

pub mod catalog;
mod command;
mod engine;
mod names;
mod patch;
mod plan;
pub mod quantity;

pub use catalog::catalog;
#[cfg(feature = "fault")]
pub use catalog::fault::{run_wild_by, sit as name_replica};
pub use command::{Action, Command, CommandError, MASTER_GAIN_MAX, OWN_SMOOTHING};
pub use engine::{AGENDA_CAPACITY, Library, Notes, Performer, Rack, StateError, Successor};
pub use names::{ID_BYTES_MAX, RESERVED, is_id, nearest};
pub use patch::{Draft, Edit, EditError, Mistake, Patch, TEMPO, Value};
pub use plan::{Plan, PlanError, PlanInstrument, PlanModule, STATE_BYTES_MIN, Setup};

/// Frames in a block, always.
pub const BLOCK_FRAMES: usize = 64;
