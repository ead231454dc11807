//! Silence: stretches in which no sample of any channel reaches a threshold.

use serde::Serialize;

use crate::report::{LISTED_MAX, round, seconds};

/// Below this a sample is silent.
pub const SILENT_DBFS: f64 = -60.0;

/// The same, linear.
const SILENT: f32 = 1e-3;

/// What is shorter than a tenth of a second is a pause within a sound.
const SHORTEST_PART: u64 = 10;

/// Where it is silent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Silence {
    /// Below this it is silent.
    pub threshold_dbfs: f64,
    /// Part of the time, 0 to 1.
    pub share: f64,
    /// How many stretches there are, of a tenth of a second or more.
    pub count: u64,
    /// The longest.
    pub longest_s: f64,
    /// The first [`LISTED_MAX`].
    pub stretches: Vec<Stretch>,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stretch {
    /// From here.
    pub from_s: f64,
    /// To here.
    pub to_s: f64,
}

/// What is counted on the way.
#[derive(Debug)]
pub(crate) struct Silences {
    rate: u32,
    channels: usize,
    frame: u64,
    /// First frame of the silence that goes on.
    since: u64,
    silent: u64,
    longest: u64,
    count: u64,
    found: Vec<(u64, u64)>,
}

impl Silences {
    /// Silent so far.
    pub(crate) fn new(rate: u32, channels: usize) -> Self {
        let found = Vec::new();
        Self { rate, channels, frame: 0, since: 0, silent: 0, longest: 0, count: 0, found }
    }

    /// Takes whole interleaved frames.
    pub(crate) fn hear(&mut self, samples: &[f32]) {
        for frame in samples.chunks_exact(self.channels) {
            if frame.iter().any(|sample| sample.abs() >= SILENT) {
                self.end();
                self.since = self.frame + 1;
            }
            self.frame += 1;
        }
    }

    fn end(&mut self) {
        let length = self.frame - self.since;
        if length > 0 && length * SHORTEST_PART >= u64::from(self.rate) {
            self.silent += length;
            self.longest = self.longest.max(length);
            self.count += 1;
            if self.found.len() < LISTED_MAX {
                self.found.push((self.since, self.frame));
            }
        }
    }

    /// What was found, now that nothing follows.
    pub(crate) fn silence(mut self) -> Silence {
        self.end();
        let at = |frame| seconds(frame, self.rate);
        let stretch = |(from, to): &(u64, u64)| Stretch { from_s: at(*from), to_s: at(*to) };
        Silence {
            threshold_dbfs: SILENT_DBFS,
            share: round(self.silent as f64 / self.frame.max(1) as f64, 4),
            count: self.count,
            longest_s: at(self.longest),
            stretches: self.found.iter().map(stretch).collect(),
        }
    }
}
