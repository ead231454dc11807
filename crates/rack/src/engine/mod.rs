//! The rack that plays a plan: state in an arena, commands in, blocks out.

mod agenda;
mod cables;
mod circuit;
mod layout;
mod master;
mod mix;
mod module;
mod performer;
mod rack;
mod successor;

use thiserror::Error;

pub use self::agenda::AGENDA_CAPACITY;
pub(crate) use self::layout::Layout;
pub use self::performer::{Library, Performer};
pub use self::rack::Rack;
pub use self::successor::Successor;

/// Why a state cannot be restored. Another checkpoint may fit; this one never will.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum StateError {
    /// It has another length than this plan's state.
    #[error("the state has {found} words, this plan needs {wanted}")]
    Length {
        /// Words offered.
        found: usize,
        /// Words needed.
        wanted: usize,
    },
    /// It is no state, or of another build's layout.
    #[error("the words are no state of this layout")]
    Layout,
    /// It is the state of another plan.
    #[error("the state belongs to another plan")]
    OtherPlan,
    /// A count in it is beyond what it counts.
    #[error("the state contradicts itself: {what}")]
    Wild {
        /// Which rule it breaks.
        what: &'static str,
    },
}

/// What happened inside that somebody should hear of; counted since the plan began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Commands moved to a later block because theirs was cut often enough.
    pub moved: u64,
    /// How often a module whose output was not finite was reset; `out` stands for the master.
    pub resets: u64,
    /// The module reset last, plus one, the first in the signal of several in a block; 0 for none.
    pub reset_module: u64,
    /// Commands for modules or parameters that do not exist, or with values that are no number.
    pub ignored: u64,
    /// Commands skipped because their module is bypassed.
    pub skipped: u64,
    /// Commands refused because the agenda was full.
    pub refused: u64,
    /// Gates that came so fast that they were merged with the one before.
    pub merged: u64,
    /// Frames on which the limiter held the output down.
    pub limited: u64,
}
