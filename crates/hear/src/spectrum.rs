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
    /// Samples that came so far, at most a window's.
    came: usize,
    /// Samples that no window has had yet.
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
        Self { channels, hop, samples, came: 0, fresh: 0, missing: first * channels }
    }

    /// Takes whole interleaved frames; `window` is given each window that is full.
    pub(crate) fn push(&mut self, mut samples: &[f32], mut window: impl FnMut(&[f32])) {
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(self.missing));
            self.samples.copy_within(now.len().., 0);
            let at = self.samples.len() - now.len();
            self.samples[at..].copy_from_slice(now);
            self.came = (self.came + now.len()).min(self.samples.len());
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

    /// The last window, which may have fewer frames, if some of them were in none before.
    pub(crate) fn last(&self) -> Option<&[f32]> {
        (self.fresh > 0).then(|| &self.samples[self.samples.len() - self.came..])
    }
}

/// The power of a window, by frequency.
pub(crate) struct Spectrum {
    fft: Arc<dyn Fft<f32>>,
    window: Vec<f32>,
    channels: usize,
    bins: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl Spectrum {
    /// For windows of `size` frames.
    pub(crate) fn new(size: usize, channels: usize) -> Self {
        let fft = FftPlanner::new().plan_fft_forward(size);
        let empty = Complex::new(0.0, 0.0);
        let scratch = vec![empty; fft.get_inplace_scratch_len()];
        Self { fft, window: hann(size), channels, bins: vec![empty; size], scratch }
    }

    /// Frames of a window.
    pub(crate) fn size(&self) -> usize {
        self.bins.len()
    }

    /// The power of the bins from 0 to half of the rate, summed over the channels, such that all
    /// together are the sum of the weighted squares; gives what divides it so that it becomes the
    /// mean square. Fewer frames than a window has are a window of their own.
    pub(crate) fn power(&mut self, samples: &[f32], power: &mut Vec<f32>) -> f64 {
        let size = self.size();
        let frames = samples.len() / self.channels;
        if self.window.len() != frames {
            self.window = hann(frames);
        }
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
            for (at, power) in power.iter_mut().enumerate() {
                let mirrored =
                    if at % (size / 2) == 0 { 0.0 } else { self.bins[size - at].norm_sqr() };
                *power += (self.bins[at].norm_sqr() + mirrored) * scale;
            }
        }
        self.weight()
    }

    /// The sum of the squared weights.
    pub(crate) fn weight(&self) -> f64 {
        self.window.iter().map(|weight| f64::from(*weight) * f64::from(*weight)).sum()
    }
}

/// Hann's window.
fn hann(frames: usize) -> Vec<f32> {
    let turn = std::f64::consts::TAU / frames as f64;
    (0..frames).map(|at| (0.5 - 0.5 * (turn * at as f64).cos()) as f32).collect()
}

impl std::fmt::Debug for Spectrum {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Spectrum").field("size", &self.size()).finish_non_exhaustive()
    }
}
