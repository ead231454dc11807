//! Onsets: where something begins.
//!
//! *Source*: spectral flux of logarithmic bands (Bello et al., «A Tutorial on Onset Detection in
//! Music Signals», 2005; Böck and Widmer, «Maximum Filter Vibrato Suppression for Onset
//! Detection», 2013). A peak of the flux says that something begins, the steepest rise of the
//! energy nearby says when.

use std::collections::VecDeque;

use serde::Serialize;

use crate::report::{LISTED_MAX, round};
use crate::spectrum::{Frames, Spectrum};

/// Windows a second.
pub(crate) const STRENGTHS_HZ: f64 = 200.0;

/// A window is compared with the loudest of those from 10 to 40 ms before it: the pulses of a low
/// note come oftener than that.
const LAG: usize = 2;
const MEMORY: usize = 8;

/// Bands an octave, from 30 Hz to 16 kHz.
const BANDS_AN_OCTAVE: f64 = 4.0;
const LOW_HZ: f64 = 30.0;
const HIGH_HZ: f64 = 16_000.0;

/// Amplitudes are compressed by ln(1 + 1000 a): what is below -60 dBFS hardly counts.
const COMPRESSION: f32 = 1000.0;

/// A peak stands above all within 30 ms, and above three of four windows within a quarter of a
/// second: so many times, and so much more.
const NEAR: usize = 6;
const AROUND: usize = 50;
const ABOVE_FACTOR: f32 = 1.5;
const ABOVE: f32 = 0.1;

/// A millisecond's mean square below -70 dBFS counts as that much.
const FLOOR: f64 = 1e-7;

/// How far around each moment the energy before and after is compared, in milliseconds.
const BESIDE: usize = 10;

/// A low note is loud and soft within that time, in milliseconds; at most twice its mean.
const SWING: usize = 40;

/// Where something begins.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Onsets {
    /// How often.
    pub count: u64,
    /// When, the first [`LISTED_MAX`].
    pub at_s: Vec<f64>,
}

/// What is kept on the way: 4.8 kB a second.
#[derive(Debug)]
pub(crate) struct Beginnings {
    rate: u32,
    channels: usize,
    hop: usize,
    frames: Frames,
    spectrum: Spectrum,
    bands: Bands,
    /// The flux, window by window.
    strengths: Vec<f32>,
    energy: Energy,
}

/// The compressed bands of the last windows.
#[derive(Debug)]
struct Bands {
    /// First bin of each, and of one more.
    edges: Vec<usize>,
    scale: f32,
    power: Vec<f32>,
    before: VecDeque<Vec<f32>>,
}

/// Mean squares, millisecond by millisecond.
#[derive(Debug)]
struct Energy {
    rate: u64,
    frame: u64,
    sum: f64,
    count: u32,
    ms: Vec<f32>,
}

impl Beginnings {
    /// Nothing so far.
    pub(crate) fn new(rate: u32, channels: usize) -> Self {
        let size = (rate as usize * 3 / 100).next_power_of_two().max(128);
        let hop = (f64::from(rate) / STRENGTHS_HZ).round() as usize;
        let spectrum = Spectrum::new(size, channels);
        // Of a sine of amplitude a: its power is a²/2 times the window's.
        let scale = 2.0 / (spectrum.weight() * channels as f64);
        let bands = Bands::new(rate, size, scale as f32);
        let frames = Frames::new(size, hop, channels, true);
        let energy = Energy { rate: rate.into(), frame: 0, sum: 0.0, count: 0, ms: Vec::new() };
        Self { rate, channels, hop, frames, spectrum, bands, strengths: Vec::new(), energy }
    }

    /// Takes whole interleaved frames of finite samples.
    pub(crate) fn hear(&mut self, samples: &[f32]) {
        let Self { spectrum, bands, strengths, .. } = self;
        self.frames.push(samples, |window| {
            spectrum.power(window, &mut bands.power);
            strengths.push(bands.flux());
        });
        for frame in samples.chunks_exact(self.channels) {
            let squares: f64 = frame.iter().map(|it| f64::from(*it) * f64::from(*it)).sum();
            self.energy.add(squares / self.channels as f64);
        }
    }

    /// The onsets, and how strongly something begins in each window.
    pub(crate) fn onsets(mut self) -> (Onsets, Vec<f32>) {
        // What began within the last window is seen when it has passed the middle of one.
        let tail = vec![0.0; self.spectrum.size() / 2 / self.hop * self.hop * self.channels];
        let heard = self.strengths.len();
        self.hear(&tail);
        let mut found: Vec<usize> = Vec::new();
        for at in 0..self.strengths.len() {
            if self.is_peak(at)
                && let Some(ms) = self.moment(at)
                && found.last().is_none_or(|last| *last + 30 <= ms)
            {
                found.push(ms);
            }
        }
        let at_s = found.iter().take(LISTED_MAX).map(|ms| round(*ms as f64 / 1000.0, 4)).collect();
        self.strengths.truncate(heard);
        (Onsets { count: found.len() as u64, at_s }, self.strengths)
    }

    fn is_peak(&self, at: usize) -> bool {
        let strengths = &self.strengths;
        let within = |reach: usize| {
            &strengths[at.saturating_sub(reach)..(at + reach + 1).min(strengths.len())]
        };
        let own = strengths[at];
        if own <= ABOVE || within(NEAR).iter().any(|other| *other > own) {
            return false;
        }
        // Of equals the first.
        if strengths[at.saturating_sub(NEAR)..at].contains(&own) {
            return false;
        }
        let mut around = within(AROUND).to_vec();
        around.sort_unstable_by(f32::total_cmp);
        own > ABOVE_FACTOR * around[around.len() * 3 / 4] + ABOVE
    }

    /// The millisecond in which what window `at` saw began; none if something ended there.
    fn moment(&self, at: usize) -> Option<usize> {
        let ms_of = |frame: usize| frame * 1000 / self.rate as usize;
        let end = (at + 1) * self.hop;
        let from = ms_of(end.saturating_sub(self.spectrum.size()));
        let to = ms_of(end).min(self.energy.ms.len());
        let mean = |range: std::ops::Range<usize>| {
            let ms = &self.energy.ms[range.start.min(self.energy.ms.len())..];
            let sum: f64 = ms.iter().take(range.len()).map(|it| f64::from(*it)).sum();
            sum / range.len().max(1) as f64 + FLOOR
        };
        let rise = |ms: usize| mean(ms..ms + BESIDE) / mean(ms.saturating_sub(BESIDE)..ms);
        let mut best = (from, 0.0);
        for ms in from..to {
            let now = if ms == 0 { mean(0..BESIDE) / FLOOR } else { rise(ms) };
            // Of equals the last: the sound itself, and not the silence before it.
            if now >= best.1 * 0.999_999 {
                best = (ms, now);
            }
        }
        // An end makes flux as well: something broad, and then less than there was. It is a
        // beginning all the same if it stands out of what was, the swing of low notes included.
        let moment = best.0;
        let falls = mean(to..to + 20) * 2.0 < mean(from.saturating_sub(20)..from.max(1));
        let before = mean(moment.saturating_sub(SWING)..moment);
        let stands_out = moment == 0 || mean(moment..moment + BESIDE) > 2.5 * before;
        (stands_out || !falls).then_some(moment)
    }
}

impl Bands {
    fn new(rate: u32, size: usize, scale: f32) -> Self {
        let highest = HIGH_HZ.min(f64::from(rate) * 0.45);
        let width_hz = f64::from(rate) / size as f64;
        let mut edges: Vec<usize> = Vec::new();
        let mut edge_hz = LOW_HZ;
        while edge_hz <= highest {
            let bin = (edge_hz / width_hz).ceil() as usize;
            // Low bands are narrower than a bin: those are one.
            if edges.last().is_none_or(|last| *last < bin) {
                edges.push(bin);
            }
            edge_hz *= (1.0 / BANDS_AN_OCTAVE).exp2();
        }
        let before = VecDeque::from(vec![vec![0.0; edges.len() - 1]; MEMORY]);
        Self { edges, scale, power: Vec::new(), before }
    }

    /// How much more there is than before, in the mean of the bands.
    fn flux(&mut self) -> f32 {
        let mut bands = self.before.pop_front().unwrap_or_default();
        let mut flux = 0.0;
        for (at, band) in bands.iter_mut().enumerate() {
            let power: f32 = self.power[self.edges[at]..self.edges[at + 1]].iter().sum();
            let now = (1.0 + COMPRESSION * (power * self.scale).sqrt()).ln();
            let earlier = self.before.iter().take(MEMORY - LAG).map(|bands| bands[at]);
            flux += (now - earlier.fold(*band, f32::max)).max(0.0);
            *band = now;
        }
        let flux = flux / bands.len() as f32;
        self.before.push_back(bands);
        flux
    }
}

impl Energy {
    fn add(&mut self, square: f64) {
        let ms = self.frame * 1000 / self.rate;
        while (self.ms.len() as u64) <= ms {
            self.ms.push(0.0);
            (self.sum, self.count) = (0.0, 0);
        }
        self.sum += square;
        self.count += 1;
        if let Some(last) = self.ms.last_mut() {
            *last = (self.sum / f64::from(self.count)) as f32;
        }
        self.frame += 1;
    }
}
