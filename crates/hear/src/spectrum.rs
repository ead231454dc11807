//! Windows over interleaved samples, and the power in each: what bands and onsets look at.

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

/// The last frames, handed on each time so many new ones have come.
#[derive(Debug)]
pub(crate) struct Frames {
    channels: usize,
    hop: usize,
    samples: Vec<f32>,
    /// Samples at the end of it that are new.
    fresh: usize,
    /// Samples that are missing before the first is handed on.
    missing: usize,
}

impl Frames {
    /// Windows of `size` frames, `hop` apart. The first is handed on when it is full; with
    /// `early` already after one hop, as if silence had gone before.
    pub(crate) fn new(size: usize, hop: usize, channels: usize, early: bool) -> Self {
        let samples = vec![0.0; size * channels];
        let first = if early { hop } else { size };
        Self { channels, hop, samples, fresh: 0, missing: first * channels }
    }

    /// Takes whole interleaved frames; `window` is given each window that is full.
    pub(crate) fn push(&mut self, mut samples: &[f32], mut window: impl FnMut(&[f32])) {
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(self.missing));
            self.samples.copy_within(now.len().., 0);
            let at = self.samples.len() - now.len();
            self.samples[at..].copy_from_slice(now);
            self.fresh += now.len();
            self.missing -= now.len();
            if self.missing == 0 {
                window(&self.samples);
                self.missing = self.hop * self.channels;
                self.fresh = 0;
            }
            samples = later;
        }
    }

    /// The frames that no window has had yet, alone.
    pub(crate) fn rest(&self) -> &[f32] {
        &self.samples[self.samples.len() - self.fresh..]
    }
}

/// The power of a window, by frequency.
pub(crate) struct Spectrum {
    fft: Arc<dyn Fft<f32>>,
    window: Vec<f32>,
    /// Sum of the squares of the window's first n weights, by n.
    weights: Vec<f64>,
    channels: usize,
    bins: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl Spectrum {
    /// For windows of `size` frames.
    pub(crate) fn new(size: usize, channels: usize) -> Self {
        let fft = FftPlanner::new().plan_fft_forward(size);
        let turn = std::f64::consts::TAU / size as f64;
        let hann = |at: usize| (0.5 - 0.5 * (turn * at as f64).cos()) as f32;
        let window: Vec<f32> = (0..size).map(hann).collect();
        let mut weights = vec![0.0];
        for weight in &window {
            let before = weights[weights.len() - 1];
            weights.push(before + f64::from(*weight) * f64::from(*weight));
        }
        let empty = Complex::new(0.0, 0.0);
        let scratch = vec![empty; fft.get_inplace_scratch_len()];
        Self { fft, window, weights, channels, bins: vec![empty; size], scratch }
    }

    /// Frames of a window.
    pub(crate) fn size(&self) -> usize {
        self.window.len()
    }

    /// Sum of the squared weights of the first so many frames: what divides the sum of all powers
    /// so that it becomes the mean square.
    pub(crate) fn weight(&self, frames: usize) -> f64 {
        self.weights[frames.min(self.size())]
    }

    /// The power of the bins from 0 to half of the rate, summed over the channels, such that all
    /// together are the sum of the windowed squares. Frames that are missing are silence.
    pub(crate) fn power(&mut self, samples: &[f32], power: &mut Vec<f32>) {
        let size = self.size();
        power.clear();
        power.resize(size / 2 + 1, 0.0);
        for first in (0..self.channels).step_by(2) {
            let pair = first + 1 < self.channels;
            self.bins.fill(Complex::new(0.0, 0.0));
            // Two channels in one transform: |Z(k)|² + |Z(-k)|² is twice the power of both.
            let frames = samples.chunks_exact(self.channels).zip(&self.window);
            for (bin, (frame, weight)) in self.bins.iter_mut().zip(frames) {
                let other = if pair { frame[first + 1] } else { 0.0 };
                *bin = Complex::new(frame[first] * weight, other * weight);
            }
            self.fft.process_with_scratch(&mut self.bins, &mut self.scratch);
            let scale = 1.0 / size as f32;
            power[0] += self.bins[0].norm_sqr() * scale;
            power[size / 2] += self.bins[size / 2].norm_sqr() * scale;
            for at in 1..size / 2 {
                power[at] += (self.bins[at].norm_sqr() + self.bins[size - at].norm_sqr()) * scale;
            }
        }
    }
}

impl std::fmt::Debug for Spectrum {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Spectrum").field("size", &self.size()).finish_non_exhaustive()
    }
}
