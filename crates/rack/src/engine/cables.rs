//! What runs through cables: a page of samples an outlet, shared by outlets that never meet.
//!
//! *Invariant*: nothing in a page outlives a block, so pages are no state. What a delayed cable
//! keeps from one block to the next lies in the arena. Of the ports only what follows from the
//! arena is kept, so a rack that takes up a state forgets it.

use crate::BLOCK_FRAMES;
use crate::catalog::OUTLETS_MAX;
use crate::engine::layout::{Layout, OutletPlace, Place};

/// All pages, and room for the ports of the module at hand.
pub(super) struct Cables {
    pub(super) pages: Vec<Vec<f32>>,
    /// By page: all frames of the block are like the first, and only that one was written.
    pub(super) still: Vec<bool>,
    /// Ports that have to be mixed, each with its own buffer.
    pub(super) ports: Vec<f32>,
    /// A cable's worth of lanes, for sums on the way to a port.
    pub(super) lanes: Vec<f32>,
    /// A row for each module: what its ports stand at that no cable feeds.
    pub(super) constants: Vec<f32>,
    /// By module: its row is what its ramps say, and none of them moves.
    pub(super) settled: Vec<bool>,
}

/// Most samples in a frame of a cable.
const LANES_MAX: usize = 16;

/// The pages of one module's outlets while it renders, and empty rows otherwise.
pub(super) type Outlets = [Vec<f32>; OUTLETS_MAX];

impl Cables {
    /// Room for all cables of a layout, written to, so that the first render faults no page in.
    /// `[control]`
    pub(super) fn new(layout: &Layout) -> Cables {
        let touched = |length: usize| {
            let mut page = vec![1.0; length];
            page.fill(0.0);
            page
        };
        Cables {
            pages: layout.pages.iter().map(|stride| touched(stride * BLOCK_FRAMES)).collect(),
            still: vec![false; layout.pages.len()],
            ports: touched(layout.port_samples),
            lanes: touched(LANES_MAX * BLOCK_FRAMES),
            constants: layout.constants(),
            settled: vec![false; layout.modules.len()],
        }
    }

    /// Takes the pages a module writes to, or puts them back: what stands in for them meanwhile is
    /// empty, so nothing is allocated. `[audio]`
    pub(super) fn exchange(&mut self, place: &Place, outlets: &mut Outlets) {
        for (taken, outlet) in outlets.iter_mut().zip(place.outlets()) {
            if let Some(page) = outlet.page {
                std::mem::swap(&mut self.pages[page], taken);
            }
        }
    }

    /// Bit n of `still` says that nothing moves in outlet n, and that only its first frame was
    /// written unless all of it is kept. `[audio]`
    pub(super) fn mark(&mut self, place: &Place, still: u32) {
        for (at, outlet) in place.outlets().iter().enumerate() {
            if let Some(page) = outlet.page {
                self.still[page] = still >> at & 1 == 1;
            }
        }
    }

    /// The samples of an outlet; none if nobody listens to it. `[audio]`
    pub(super) fn outlet(&self, outlet: &OutletPlace) -> &[f32] {
        outlet.page.map_or(&[], |page| &self.pages[page])
    }
}
