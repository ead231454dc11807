//! What runs through cables: a page of samples an outlet, shared by outlets that never meet.
//!
//! *Invariant*: nothing in a page outlives a block, so pages are no state. What a delayed cable
//! keeps from one block to the next lies in the arena.

use crate::BLOCK_FRAMES;
use crate::catalog::OUTLETS_MAX;
use crate::engine::layout::{Layout, OutletPlace, Place};

/// All pages, and room for the ports of the module at hand.
pub(super) struct Cables {
    pub(super) pages: Vec<Vec<f32>>,
    /// By page: all frames of the block are alike.
    pub(super) still: Vec<bool>,
    /// Ports that have to be mixed, each with its own buffer.
    pub(super) ports: Vec<f32>,
    /// A cable's worth of lanes, for sums on the way to a port.
    pub(super) lanes: Vec<f32>,
}

/// Most samples in a frame of a cable.
const LANES_MAX: usize = 16;

/// The pages of one module's outlets, taken out while it renders.
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
        }
    }

    /// Takes the pages a module writes to. Nothing is allocated: an empty row stands in. `[audio]`
    pub(super) fn take(&mut self, place: &Place) -> Outlets {
        let mut outlets = Outlets::default();
        for (taken, outlet) in outlets.iter_mut().zip(place.outlets()) {
            if let Some(page) = outlet.page {
                *taken = std::mem::take(&mut self.pages[page]);
            }
        }
        outlets
    }

    /// Puts them back; bit n of `still` says that nothing moves in outlet n. `[audio]`
    pub(super) fn put(&mut self, place: &Place, mut outlets: Outlets, still: u32) {
        for (at, (taken, outlet)) in outlets.iter_mut().zip(place.outlets()).enumerate() {
            if let Some(page) = outlet.page {
                std::mem::swap(&mut self.pages[page], taken);
                self.still[page] = still >> at & 1 == 1;
            }
        }
    }

    /// The samples of an outlet; none if nobody listens to it. `[audio]`
    pub(super) fn outlet(&self, outlet: &OutletPlace) -> &[f32] {
        outlet.page.map_or(&[], |page| &self.pages[page])
    }
}
