//! The tap: the blocks that were played, kept for thirty seconds for whoever records them.
//!
//! *Layout*: `[bell] [head] … ring`; an entry is `[samples…] [hash] [flags]`. *Invariant*:
//! playout is the only writer and never waits for a reader, but on freewheel.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};

use segue_sys::{Entry, Region, Ring, Words};

use super::block;
use crate::{BLOCK_FRAMES, Shape};

const BELL: usize = 0;
const HEAD: usize = 1;
const RING: usize = 8;
const SECONDS: usize = 30;
const CONCEALED: u64 = 1;

/// What was played at a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Played {
    /// Hash of the samples as they were played.
    pub hash: u64,
    /// Whether they were made up because no worker had the block.
    pub concealed: bool,
}

/// What a reader finds at a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The block; its samples are in the buffer.
    Block(Played),
    /// Not played yet.
    NotYet,
    /// Overwritten: the reader was away for more than thirty seconds.
    Passed,
}

/// The tap region.
#[derive(Clone, Debug)]
pub struct Tap {
    region: Region,
    ring: Ring<Region>,
    scratch: Box<[u64]>,
}

impl Tap {
    /// Words of the region.
    #[must_use]
    pub const fn words(shape: &Shape) -> usize {
        RING + Ring::<Region>::words_for(Self::depth(shape), shape.block_words() + 2)
    }

    /// Blocks it holds: thirty seconds.
    #[must_use]
    pub const fn depth(shape: &Shape) -> usize {
        SECONDS * shape.rate as usize / BLOCK_FRAMES
    }

    /// The tap within `region`; none if it is too small.
    #[must_use]
    pub fn new(region: Region, shape: &Shape) -> Option<Self> {
        if region.len() < Self::words(shape) {
            return None;
        }
        let payload = shape.block_words() + 2;
        let ring = Ring::new(region.clone(), RING, Self::depth(shape), payload);
        Some(Self { region, ring, scratch: vec![0; payload].into() })
    }

    /// The region, to hand its descriptor on.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Rung at every block. `[any]`
    #[must_use]
    pub fn bell(&self) -> &AtomicU32 {
        self.region.bell(BELL)
    }

    /// Blocks below this were played. `[any]`
    #[must_use]
    pub fn head(&self) -> u64 {
        self.region.load(HEAD, Acquire)
    }

    /// Stores what was played at `block`. `[audio]`
    pub fn write(&mut self, block: u64, samples: &[f32], concealed: bool) {
        let count = samples.len() / 2;
        self.scratch[count] = block::pack(samples, &mut self.scratch);
        self.scratch[count + 1] = if concealed { CONCEALED } else { 0 };
        self.ring.write(block, 0, &self.scratch);
        self.region.store(HEAD, block + 1, Release);
        self.bell().fetch_add(1, Release);
    }

    /// Copies what was played at `block` into `samples`. `[control]`
    pub fn read(&mut self, block: u64, samples: &mut [f32]) -> Found {
        if block >= self.head() {
            return Found::NotYet;
        }
        match self.ring.read(block, &mut self.scratch) {
            Entry::Whole { .. } => {
                let count = samples.len() / 2;
                block::unpack(&self.scratch, samples);
                let concealed = self.scratch[count + 1] & CONCEALED != 0;
                Found::Block(Played { hash: self.scratch[count], concealed })
            }
            Entry::Absent => Found::NotYet,
            // Playout only ever tears an entry by writing a newer one over it.
            Entry::Passed | Entry::Torn => Found::Passed,
        }
    }
}

#[cfg(test)]
mod tests {
    use segue_sys::Region;

    use super::{Found, Tap};
    use crate::Shape;

    #[test]
    fn a_block_stays_for_thirty_seconds_and_is_then_said_to_be_gone() {
        let shape = Shape { slots: 1, channels: 2, rate: 640, state_words: 1 };
        let mut tap = Tap::new(Region::heap(Tap::words(&shape)), &shape).unwrap();
        let mut samples = [0.0; 128];
        assert_eq!(tap.read(0, &mut samples), Found::NotYet);
        for block in 0..=300_u64 {
            tap.write(block, &[block as f32; 128], block == 7);
        }
        assert_eq!(tap.read(0, &mut samples), Found::Passed);
        assert!(matches!(tap.read(7, &mut samples), Found::Block(played) if played.concealed));
        assert!(matches!(tap.read(300, &mut samples), Found::Block(played) if !played.concealed));
        assert_eq!(samples, [300.0; 128]);
    }
}
