//! Loudness as EBU R128 has it, and the true peaks beside it.
//!
//! *Source*: EBU R 128, EBU Tech 3341 and 3342, ITU-R BS.1770-4, by the crate `ebur128`.

use ebur128::{Channel, EbuR128, Mode};
use serde::Serialize;

use crate::report::round;

/// How often momentary and short-term loudness are looked at, in parts of a second: Tech 3341
/// asks for ten.
const LOOKS: u32 = 10;

/// Loudness. None where there is not enough that is louder than the gate of -70 LUFS.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Loudness {
    /// Of all, gated.
    pub integrated_lufs: Option<f64>,
    /// The loudest 400 ms.
    pub momentary_max_lufs: Option<f64>,
    /// The loudest 3 s.
    pub short_term_max_lufs: Option<f64>,
    /// Between the soft and the loud parts.
    pub range_lu: Option<f64>,
}

/// The meter on the way.
pub(crate) struct Meter {
    inner: EbuR128,
    channels: usize,
    /// Samples until the next look, and between two.
    left: usize,
    every: usize,
    frames: u64,
    rate: u32,
    momentary: f64,
    short_term: f64,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Meter").field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Meter {
    /// A meter; none for a rate or a number of channels that nobody can measure.
    pub(crate) fn new(rate: u32, channels: usize) -> Option<Self> {
        let count = u32::try_from(channels).ok()?;
        let mode = Mode::I | Mode::LRA | Mode::TRUE_PEAK;
        let mut inner = EbuR128::new(count, rate, mode).ok()?;
        // Beyond 5.1 the channels have no places that everyone agrees on: each counts once.
        for channel in 6..count {
            inner.set_channel(channel, Channel::Center).ok()?;
        }
        let every = (rate / LOOKS).max(1) as usize * channels;
        let (momentary, short_term) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        let (left, frames) = (every, 0);
        Some(Self { inner, channels, left, every, frames, rate, momentary, short_term })
    }

    /// Takes whole interleaved frames of finite samples.
    pub(crate) fn hear(&mut self, mut samples: &[f32]) {
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(self.left));
            // It refuses what is no whole number of frames, and nothing else.
            let taken = self.inner.add_frames_f32(now);
            debug_assert!(taken.is_ok(), "whole frames only");
            self.frames += (now.len() / self.channels) as u64;
            self.left -= now.len();
            if self.left == 0 {
                self.left = self.every;
                self.look();
            }
            samples = later;
        }
    }

    fn look(&mut self) {
        // Not before they are filled: until then silence counts that was not heard.
        let tenths = self.frames * 10 / u64::from(self.rate);
        if tenths >= 4 {
            self.momentary =
                self.momentary.max(self.inner.loudness_momentary().unwrap_or(f64::MIN));
        }
        if tenths >= 30 {
            let now = self.inner.loudness_shortterm().unwrap_or(f64::MIN);
            self.short_term = self.short_term.max(now);
        }
    }

    /// What was found.
    pub(crate) fn loudness(&self) -> Loudness {
        let integrated = self.inner.loudness_global().ok().and_then(lufs);
        // A range needs 3 s, and something above the gate.
        let range = self.inner.loudness_range().ok().filter(|it| it.is_finite());
        let long_enough = integrated.is_some() && self.frames >= 3 * u64::from(self.rate);
        Loudness {
            integrated_lufs: integrated,
            momentary_max_lufs: lufs(self.momentary),
            short_term_max_lufs: lufs(self.short_term),
            range_lu: range.filter(|_| long_enough).map(|it| round(it, 2)),
        }
    }

    /// The true peaks, linear, one a channel.
    pub(crate) fn true_peaks(&self) -> Vec<f64> {
        let channels = 0..u32::try_from(self.channels).unwrap_or(0);
        channels.map(|channel| self.inner.true_peak(channel).unwrap_or(0.0)).collect()
    }
}

/// Below the absolute gate there is no loudness.
fn lufs(value: f64) -> Option<f64> {
    (value.is_finite() && value >= -70.0).then(|| round(value, 2))
}
