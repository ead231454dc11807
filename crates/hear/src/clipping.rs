//! Clipping: three samples or more in a row at full scale or beyond.
//!
//! One sample at full scale is a peak that just fits; a run of them is a top that was cut off.
//! Full scale is the largest number 16 bits hold, so that a file of those is judged alike.

use serde::Serialize;

use crate::report::LISTED_MAX;

/// From this magnitude on a sample is at full scale.
const FULL: f32 = 32_767.0 / 32_768.0;

/// So many in a row are a clip.
const RUN: u32 = 3;

/// Where it clips.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Clipping {
    /// Runs, each channel counted by itself.
    pub count: u64,
    /// Samples in them.
    pub samples: u64,
    /// The longest run, in samples.
    pub longest_samples: u64,
    /// Where the first begins.
    pub first_s: Option<f64>,
    /// Where they begin, the first [`LISTED_MAX`].
    pub at_s: Vec<f64>,
}

/// What is counted on the way.
#[derive(Debug)]
pub(crate) struct Clips {
    rate: u32,
    frame: u64,
    /// Length of the run each channel is in.
    runs: Vec<u32>,
    count: u64,
    samples: u64,
    longest: u32,
    at: Vec<u64>,
}

impl Clips {
    /// None so far.
    pub(crate) fn new(rate: u32, channels: usize) -> Self {
        let runs = vec![0; channels];
        Self { rate, frame: 0, runs, count: 0, samples: 0, longest: 0, at: Vec::new() }
    }

    /// Takes whole interleaved frames.
    pub(crate) fn hear(&mut self, samples: &[f32]) {
        for frame in samples.chunks_exact(self.runs.len()) {
            for (run, sample) in self.runs.iter_mut().zip(frame) {
                *run = if sample.abs() >= FULL { run.saturating_add(1) } else { 0 };
                self.longest = self.longest.max(*run);
                if *run > RUN {
                    self.samples += 1;
                } else if *run == RUN {
                    self.samples += u64::from(RUN);
                    self.count += 1;
                    if self.at.len() < LISTED_MAX {
                        self.at.push(self.frame + 1 - u64::from(RUN));
                    }
                }
            }
            self.frame += 1;
        }
    }

    /// What was found.
    pub(crate) fn clipping(&self) -> Clipping {
        let at = self.at.iter().map(|frame| crate::report::seconds(*frame, self.rate));
        let at_s: Vec<f64> = at.collect();
        let longest = if self.longest >= RUN { self.longest } else { 0 };
        Clipping {
            count: self.count,
            samples: self.samples,
            longest_samples: longest.into(),
            first_s: at_s.first().copied(),
            at_s,
        }
    }
}
