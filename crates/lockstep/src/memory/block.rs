//! A block in shared words: samples two a word, then what is known about them.
//!
//! *Layout*: `[samples…] [sample hash] [state digest] [render time in ns]`.

use segue_sys::hash;

use crate::Shape;

/// Words after the samples.
pub const TRAILER: usize = 3;

/// What a worker says about a block beside its samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Hash of the samples, the same on every worker.
    pub hash: u64,
    /// Hash of one 64th of the state after the block, the same on every worker.
    pub digest: u64,
    /// What rendering took, in nanoseconds; differs from worker to worker.
    pub render_ns: u64,
}

/// Words of a block of this shape.
#[must_use]
pub const fn words(shape: &Shape) -> usize {
    shape.block_words() + TRAILER
}

/// Writes samples into words and gives their hash. `[audio]`
pub fn pack(samples: &[f32], words: &mut [u64]) -> u64 {
    for (pair, word) in samples.chunks_exact(2).zip(words.iter_mut()) {
        *word = u64::from(pair[0].to_bits()) | u64::from(pair[1].to_bits()) << 32;
    }
    let count = samples.len() / 2;
    hash::words(0, &words[..count])
}

/// Takes samples out of words; the caller has checked the entry. `[audio]`
pub fn unpack(words: &[u64], samples: &mut [f32]) {
    for (pair, word) in samples.chunks_exact_mut(2).zip(words) {
        pair[0] = f32::from_bits(*word as u32);
        pair[1] = f32::from_bits((*word >> 32) as u32);
    }
}

/// The facts behind the samples of an entry. `[any]`
#[must_use]
pub fn facts(entry: &[u64]) -> Facts {
    let at = entry.len() - TRAILER;
    Facts { hash: entry[at], digest: entry[at + 1], render_ns: entry[at + 2] }
}

/// Puts the facts behind the samples of an entry. `[audio]`
pub fn put_facts(entry: &mut [u64], facts: Facts) {
    let at = entry.len() - TRAILER;
    entry[at] = facts.hash;
    entry[at + 1] = facts.digest;
    entry[at + 2] = facts.render_ns;
}
