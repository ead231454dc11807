//! The report: all measures of one stretch of sound, as data.
//!
//! Names end in their unit. What does not exist, such as the level of digital silence, is `null`.

mod page;

use serde::Serialize;

use crate::{Band, Clipping, Levels, Loudness, Onsets, Pitch, Silence, Tempo};

/// Version of the report's fields; they may be added to without a new one.
pub const SCHEMA: u32 = 1;

/// So many moments are listed at most of each kind; all are counted.
pub const LISTED_MAX: usize = 1000;

/// What was heard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Frames a second.
    pub rate_hz: u32,
    /// Samples a frame.
    pub channels: usize,
    /// How many frames there were.
    pub frames: u64,
    /// The same, as time.
    pub seconds: f64,
    /// Peak, RMS and the like.
    pub levels: Levels,
    /// EBU R128.
    pub loudness: Loudness,
    /// Energy by octaves, from low to high; those that the rate can carry.
    pub bands: Vec<Band>,
    /// Where something begins.
    pub onsets: Onsets,
    /// The note that sounds; none in noise, in silence, and in most chords.
    pub pitch: Option<Pitch>,
    /// How fast it is; none where nothing repeats.
    pub tempo: Option<Tempo>,
    /// Where it clips.
    pub clipping: Clipping,
    /// Where it is silent.
    pub silence: Silence,
}

/// A linear magnitude in dB; none for nothing at all.
pub(crate) fn decibels(linear: f64) -> Option<f64> {
    (linear.is_finite() && linear > 0.0).then(|| round(20.0 * linear.log10(), 2))
}

/// A frame as time.
pub(crate) fn seconds(frame: u64, rate: u32) -> f64 {
    round(frame as f64 / f64::from(rate), 4)
}

/// To so many digits behind the point: more would promise what no measure here keeps.
pub(crate) fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    // Adding zero turns -0 into 0.
    (value * scale).round() / scale + 0.0
}
