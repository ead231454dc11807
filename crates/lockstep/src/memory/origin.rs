//! The origin: the state with which a show is gone on with, for every worker that comes.
//!
//! *Layout*: a checkpoint. *Invariant*: control writes it before it is ready and never again; who
//! loads a plan afterwards begins with this state, not with the plan's own.

use segue_sys::{Region, Words};

use super::checkpoint::{Area, Mark};
use crate::Shape;

/// The region of the origin.
#[derive(Clone, Debug)]
pub struct Origin {
    region: Region,
    area: Area,
}

impl Origin {
    /// Words of the region.
    #[must_use]
    pub const fn words(shape: &Shape) -> usize {
        Area::words(shape.state_words)
    }

    /// The origin within `region`; none if it is too small.
    #[must_use]
    pub fn new(region: Region, shape: &Shape) -> Option<Self> {
        (region.len() >= Self::words(shape))
            .then(|| Self { area: Area::new(region.clone(), 0, shape.state_words), region })
    }

    /// The region, to hand its descriptor on.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Leaves a state; false when it is longer than there is room for. `[control]`
    #[must_use]
    pub fn write(&self, mark: Mark, state: &[u64]) -> bool {
        self.area.write(mark, state)
    }

    /// Where the show is gone on with; none if it is not. `[any]`
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        self.area.claim()
    }

    /// The state, if it is whole. `[control]`
    #[must_use]
    pub fn read(&self) -> Option<(Mark, Vec<u64>)> {
        self.area.read()
    }
}
