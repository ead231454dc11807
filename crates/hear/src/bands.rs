//! Bands: how much there is in each octave.
//!
//! *Source*: the octaves of IEC 61260 around 1 kHz; their power by Welch's method, with Hann
//! windows of a third of a second that overlap by half.

use serde::Serialize;

use crate::report::{decibels, round};
use crate::spectrum::{Frames, Spectrum};

/// Octaves below and above 1 kHz: 31.25 Hz to 16 kHz.
const OCTAVES: std::ops::RangeInclusive<i32> = -5..=4;

/// An octave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Band {
    /// Its middle: it goes from half an octave below to half an octave above.
    pub center_hz: f64,
    /// Root of the mean square of what lies in it, the mean of the channels; a sine of full
    /// scale has -3.01. None where there is nothing.
    pub rms_dbfs: Option<f64>,
}

/// What is summed on the way.
#[derive(Debug)]
pub(crate) struct Bands {
    rate: u32,
    channels: usize,
    frames: Frames,
    spectrum: Spectrum,
    powers: Sums,
    power: Vec<f32>,
}

#[derive(Debug)]
struct Sums {
    power: Vec<f64>,
    weight: f64,
}

impl Sums {
    fn add(&mut self, power: &[f32], weight: f64) {
        for (sum, power) in self.power.iter_mut().zip(power) {
            *sum += f64::from(*power);
        }
        self.weight += weight;
    }
}

impl Bands {
    /// Nothing so far.
    pub(crate) fn new(rate: u32, channels: usize) -> Self {
        let size = (rate as usize / 4).next_power_of_two().max(256);
        Self {
            rate,
            channels,
            frames: Frames::new(size, size / 2, channels, false),
            spectrum: Spectrum::new(size, channels),
            powers: Sums { power: vec![0.0; size / 2 + 1], weight: 0.0 },
            power: Vec::new(),
        }
    }

    /// Takes whole interleaved frames of finite samples.
    pub(crate) fn hear(&mut self, samples: &[f32]) {
        let Self { spectrum, powers, power, .. } = self;
        self.frames.push(samples, |window| {
            let weight = spectrum.power(window, power);
            powers.add(power, weight);
        });
    }

    /// The octaves that the rate can carry.
    pub(crate) fn bands(mut self) -> Vec<Band> {
        if let Some(last) = self.frames.last() {
            let weight = self.spectrum.power(last, &mut self.power);
            self.powers.add(&self.power, weight);
        }
        let width_hz = f64::from(self.rate) / self.spectrum.size() as f64;
        let whole = self.powers.weight.max(f64::MIN_POSITIVE) * self.channels as f64;
        let band = |octave: i32| {
            let center_hz = 1000.0 * 2_f64.powi(octave);
            let edge = |half: f64| center_hz * half.exp2();
            let within = |bin: usize| (edge(-0.5)..edge(0.5)).contains(&(bin as f64 * width_hz));
            let bins = self.powers.power.iter().enumerate().filter(|(bin, _)| within(*bin));
            let power: f64 = bins.map(|(_, power)| power).sum();
            Band { center_hz: round(center_hz, 2), rms_dbfs: decibels((power / whole).sqrt()) }
        };
        let fits = |band: &Band| band.center_hz * 0.5_f64.exp2() <= f64::from(self.rate) / 2.0;
        OCTAVES.map(band).filter(fits).collect()
    }
}
