//! Who plays, who stands by, who is to blame.
//!
//! *Invariant*: every decision is a step over values (observations in, actions out), so that the
//! host with its processes and the simulator with its seed run the same code. Whatever another
//! process wrote is copied, then checked; it may be refused, it never reaches an assertion.
//!
//! Reading order: [`instrument`] is what is replicated, [`memory`] is what processes share,
//! then who works on it: [`playout`], [`worker`], [`monitor`]; [`snapshot`] tells of it.

pub mod instrument;
pub mod memory;
pub mod monitor;
pub mod playout;
pub mod snapshot;
pub mod worker;

pub use instrument::{Instrument, Unfit};

/// Frames in a block, always.
pub const BLOCK_FRAMES: usize = 64;

/// The most slots there can be: a primary and seven standbys.
pub const SLOTS_MAX: usize = 8;

/// The most commands stamped on one block; what is left slides to the next.
pub const COMMANDS_PER_BLOCK: usize = 64;

/// One command as the instrument encodes it; the lockstep never looks inside.
pub type Payload = [u64; 4];

/// What all regions of one engine agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Slots there are, 1 to [`SLOTS_MAX`].
    pub slots: usize,
    /// Channels of a frame, 1 to 8.
    pub channels: usize,
    /// Frames a second.
    pub rate: u32,
    /// The largest state of the instrument, in 64-bit words.
    pub state_words: usize,
}

impl Shape {
    /// Words that hold the samples of one block.
    #[must_use]
    pub const fn block_words(&self) -> usize {
        BLOCK_FRAMES * self.channels / 2
    }

    /// Samples of one block: frames times channels.
    #[must_use]
    pub const fn block_samples(&self) -> usize {
        BLOCK_FRAMES * self.channels
    }

    /// How long a block lasts, in nanoseconds.
    #[must_use]
    pub const fn block_ns(&self) -> u64 {
        BLOCK_FRAMES as u64 * 1_000_000_000 / self.rate as u64
    }
}
