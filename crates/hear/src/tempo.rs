//! Tempo: how often something begins, as beats a minute.
//!
//! *Source*: autocorrelation of the onset strengths (Ellis, «Beat Tracking by Dynamic
//! Programming», 2007), summed over windows of twenty seconds. What repeats at a period repeats
//! at twice the period too: a score that looks at four periods and a preference for what people
//! tap choose; half or twice the tempo may still be meant.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;
use serde::Serialize;

use crate::onsets::STRENGTHS_HZ;
use crate::report::round;

/// Strengths that are correlated at once, and how far the next such window is.
const WINDOW: usize = 4096;
const HOP: usize = WINDOW / 2;

/// What can be a tempo.
const BPM: std::ops::RangeInclusive<f64> = 40.0..=220.0;

/// What people tap most: a bell over the logarithm, an octave wide.
const PREFERRED_BPM: f64 = 120.0;

/// Half a period takes its place if it repeats nearly as well, unless that were too fast.
const NEARLY: f64 = 0.8;
const FAST_BPM: f64 = 200.0;

/// Periods that a score looks at.
const PERIODS: usize = 4;

/// Below this nothing repeats.
const CONFIDENCE_MIN: f64 = 0.2;

/// Fewer onsets have no tempo.
const ONSETS_MIN: u64 = 4;

/// How fast it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tempo {
    /// Beats a minute.
    pub bpm: f64,
    /// How alike the onset strengths are one, two, three and four beats later, 0 to 1.
    pub confidence: f64,
}

/// The tempo of these onset strengths; none where nothing repeats.
pub(crate) fn tempo(strengths: &[f32], onsets: u64) -> Option<Tempo> {
    if onsets < ONSETS_MIN {
        return None;
    }
    let alike = Alike::of(&smoothed(strengths))?;
    let lag_of = |bpm: f64| 60.0 * STRENGTHS_HZ / bpm;
    let (shortest, longest) = (lag_of(*BPM.end()), lag_of(*BPM.start()));
    let peaks = (shortest.ceil() as usize..=longest as usize).filter(|lag| alike.is_peak(*lag));
    let likely = |lag: usize| {
        let octaves = (lag_of(PREFERRED_BPM) / lag as f64).log2();
        alike.score(lag as f64) * (-0.5 * octaves * octaves).exp()
    };
    let best = peaks.max_by(|a, b| likely(*a).total_cmp(&likely(*b)))?;
    let mut lag = best as f64;
    while lag / 2.0 >= lag_of(FAST_BPM) && alike.score(lag / 2.0) >= NEARLY * alike.score(lag) {
        lag /= 2.0;
    }
    let confidence = alike.score(lag);
    let bpm = lag_of(alike.refined(lag));
    (confidence >= CONFIDENCE_MIN)
        .then(|| Tempo { bpm: round(bpm, 2), confidence: round(confidence.min(1.0), 3) })
}

/// A mean over 10 ms, so that beats between two windows are as alike as those on one.
fn smoothed(strengths: &[f32]) -> Vec<f32> {
    const SIGMA: f32 = 2.0;
    const REACH: usize = 6;
    let bell = |far: usize| (-0.5 * (far as f32 / SIGMA).powi(2)).exp();
    let weights: Vec<f32> = (0..=REACH).map(bell).collect();
    let mean = |at: usize| {
        let range = at.saturating_sub(REACH)..(at + REACH + 1).min(strengths.len());
        let sum: f32 = range.clone().map(|other| weights[at.abs_diff(other)]).sum();
        range.map(|other| strengths[other] * weights[at.abs_diff(other)]).sum::<f32>() / sum
    };
    (0..strengths.len()).map(mean).collect()
}

/// How alike the strengths are a while later: 1 at lag 0.
struct Alike(Vec<f64>);

impl Alike {
    /// None where all are the same.
    fn of(strengths: &[f32]) -> Option<Self> {
        let mut sums = vec![0.0; WINDOW];
        let mut counts = vec![0.0; WINDOW];
        let mut planner = FftPlanner::new();
        let forward = planner.plan_fft_forward(2 * WINDOW);
        let back = planner.plan_fft_inverse(2 * WINDOW);
        for first in (0..strengths.len().saturating_sub(HOP).max(1)).step_by(HOP) {
            let window = &strengths[first..(first + WINDOW).min(strengths.len())];
            let mean = window.iter().sum::<f32>() / window.len().max(1) as f32;
            let mut bins = vec![Complex::new(0.0, 0.0); 2 * WINDOW];
            for (bin, strength) in bins.iter_mut().zip(window) {
                *bin = Complex::new(f64::from(strength - mean), 0.0);
            }
            forward.process(&mut bins);
            bins.iter_mut().for_each(|bin| *bin = Complex::new(bin.norm_sqr(), 0.0));
            back.process(&mut bins);
            for lag in 0..window.len() {
                sums[lag] += bins[lag].re;
                counts[lag] += (window.len() - lag) as f64;
            }
        }
        // Where hardly two strengths are so far apart, alike means nothing.
        let enough = counts[0] / 4.0;
        let power = sums[0] / counts[0];
        let alike = sums.iter().zip(&counts).take_while(|(_, count)| **count >= enough);
        let alike: Vec<f64> = alike.map(|(sum, count)| sum / count / power).collect();
        (power > 1e-9).then_some(Self(alike))
    }

    fn at(&self, lag: f64) -> Option<f64> {
        let (low, part) = (lag.floor() as usize, lag.fract());
        let high = if part > 0.0 { low + 1 } else { low };
        Some(self.0.get(low)? * (1.0 - part) + self.0.get(high)? * part)
    }

    fn is_peak(&self, lag: usize) -> bool {
        let near = self.0.get(lag - 1..=lag + 1);
        near.is_some_and(|near| near[1] >= near[0] && near[1] > near[2] && near[1] > 0.0)
    }

    /// The mean over so many periods as there are.
    fn score(&self, lag: f64) -> f64 {
        let many = (1..=PERIODS).map_while(|period| self.best_near(lag * period as f64, period));
        let (sum, count) = many.fold((0.0, 0), |(sum, count), (_, it)| (sum + it, count + 1));
        if count == 0 { 0.0 } else { sum / f64::from(count) }
    }

    /// The best lag within half a window a period of this one, and how alike it is.
    fn best_near(&self, lag: f64, reach: usize) -> Option<(usize, f64)> {
        self.at(lag + reach as f64)?;
        let middle = lag.round() as usize;
        let near = middle.saturating_sub(reach)..=middle + reach;
        let near = near.filter_map(|lag| Some((lag, *self.0.get(lag)?)));
        near.max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// A lag between the windows: by a parabola through the peak at the most periods that can
    /// still be told apart.
    fn refined(&self, mut lag: f64) -> f64 {
        let parabola = |at: usize| {
            let near = self.0.get(at.checked_sub(1)?..=at + 1)?;
            let bend = near[0] - 2.0 * near[1] + near[2];
            let shift = if bend < 0.0 { 0.5 * (near[0] - near[2]) / bend } else { 0.0 };
            Some(at as f64 + shift.clamp(-0.5, 0.5))
        };
        for periods in [1, 2, 4, 8, 16] {
            let Some((at, alike)) = self.best_near(lag * f64::from(periods), 2) else { break };
            if alike < 0.5 * self.score(lag) {
                break;
            }
            if let Some(found) = parabola(at) {
                lag = found / f64::from(periods);
            }
        }
        lag
    }
}
