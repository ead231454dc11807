//! What a module's render is given: signals, outlets, its own words.

use segue_dsp::signal::Signal;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::catalog::kind::Build;

/// Most ports (inlets and parameters) a type has.
pub(crate) const PORTS_MAX: usize = 20;

/// Most outlets a type has, the buses of `out` included.
pub(crate) const OUTLETS_MAX: usize = 4;

/// One stretch of a module's rendering: signals in, outlets out, from the stretch's first frame.
pub(crate) struct Panel<'a> {
    /// Inlets, then parameters, as in the spec.
    pub(crate) signals: &'a [Signal<'a>],
    /// Bit n: inlet n has a cable or a constant.
    pub(crate) connected: u32,
    /// The outlets in order; those nobody listens to are empty, but for the first.
    pub(crate) outlets: [&'a mut [f32]; OUTLETS_MAX],
    /// Bit n, set by the module: all frames of outlet n are alike in this stretch.
    pub(crate) still: u32,
    /// The module's own words.
    pub(crate) state: &'a mut [u64],
    /// What it is.
    pub(crate) build: &'a Build,
    /// Samples a frame of the device.
    pub(crate) channels: usize,
}

impl Panel<'_> {
    /// Whether something is plugged into inlet `inlet`.
    pub(crate) fn is_connected(&self, inlet: usize) -> bool {
        self.connected >> inlet & 1 == 1
    }
}

/// A module's words as its state.
///
/// Panics if `words` are not exactly as long as `T`: the layout gave the module those very words.
pub(crate) fn state_of<T>(words: &mut [u64]) -> &mut T
where
    T: FromBytes + IntoBytes + KnownLayout + Immutable,
{
    match T::mut_from_bytes(words.as_mut_bytes()) {
        Ok(state) => state,
        Err(_) => panic!("a module's state has another size than its layout"),
    }
}

/// The first words of a state as a `T`, and the rest of them.
///
/// Panics if there are too few: see [`state_of`].
pub(crate) fn split_state<T>(words: &mut [u64]) -> (&mut T, &mut [u64])
where
    T: FromBytes + IntoBytes + KnownLayout + Immutable,
{
    let (first, rest) = words.split_at_mut(words_for::<T>(1));
    match T::mut_from_bytes(&mut first.as_mut_bytes()[..size_of::<T>()]) {
        Ok(state) => (state, rest),
        Err(_) => panic!("a module's state has another size than its layout"),
    }
}

/// The first `count` samples of a state's words.
///
/// Panics if there are fewer: see [`state_of`].
pub(crate) fn samples_of(words: &mut [u64], count: usize) -> &mut [f32] {
    match <[f32]>::mut_from_prefix_with_elems(words.as_mut_bytes(), count) {
        Ok((samples, _)) => samples,
        Err(_) => panic!("a module's state has another size than its layout"),
    }
}

/// Words that hold a `T`.
pub(crate) const fn words_of<T>() -> usize {
    assert!(size_of::<T>().is_multiple_of(8), "states are whole words");
    size_of::<T>() / 8
}

/// Words that hold `count` times a `T`, the last one filled up.
pub(crate) const fn words_for<T>(count: usize) -> usize {
    (count * size_of::<T>()).div_ceil(8)
}
