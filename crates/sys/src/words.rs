//! Numbered 64-bit words that several processes see at once, as a trait, so that the rings run
//! unchanged on mapped memory, on the heap of a test and under a model checker.

use std::sync::atomic::Ordering;

/// A fixed array of atomic 64-bit words.
///
/// Every word has one writer. Readers may be anywhere, also in processes that must not be able
/// to write; what they load is untrusted until a hash or a bound has been checked.
pub trait Words {
    /// How many words there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Loads word `index`. Panics when it is out of bounds, which is our own bug: offsets come
    /// from layouts, never from shared memory. `[any]`
    fn load(&self, index: usize, order: Ordering) -> u64;

    /// Stores word `index`; the caller must be its one writer. Panics like [`Words::load`].
    /// `[any]`
    fn store(&self, index: usize, value: u64, order: Ordering);
}

impl<W: Words + ?Sized> Words for &W {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn load(&self, index: usize, order: Ordering) -> u64 {
        (**self).load(index, order)
    }

    fn store(&self, index: usize, value: u64, order: Ordering) {
        (**self).store(index, value, order);
    }
}
