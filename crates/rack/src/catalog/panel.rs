//! What a module's render is given: signals, outlets, its own words.

use segue_dsp::signal::Signal;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most ports (inlets and parameters) a type has.
pub(crate) const PORTS_MAX: usize = 8;

/// Most outlets a type has, the buses of `out` included.
pub(crate) const OUTLETS_MAX: usize = 2;

/// One stretch of a module's rendering: signals in, outlets out, from the stretch's first frame.
pub(crate) struct Panel<'a> {
    /// Inlets, then parameters, as in the spec.
    pub(crate) signals: [Signal<'a>; PORTS_MAX],
    /// Bit n: inlet n has a cable or a constant.
    pub(crate) connected: u32,
    /// The outlets in order; unused ones are empty.
    pub(crate) outlets: [&'a mut [f32]; OUTLETS_MAX],
    /// The module's own words.
    pub(crate) state: &'a mut [u64],
    /// How many lanes mean something.
    pub(crate) lanes: usize,
    /// How many lie in a frame of the main outlet: 1, 8 or 16.
    pub(crate) stride: usize,
    /// Frames a second.
    pub(crate) rate: f32,
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

/// Words that hold a `T`.
pub(crate) const fn words_of<T>() -> usize {
    assert!(size_of::<T>().is_multiple_of(8), "states are whole words");
    size_of::<T>() / 8
}
