//! Levels: peak, true peak, RMS, crest and DC, channel by channel.
//!
//! *Source*: the true peak is that of ITU-R BS.1770-4, annex 2, as [`crate::loudness`] has it.

use serde::Serialize;

use crate::report::{decibels, round};

/// Levels of all channels together: the loudest peaks, the mean power.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Levels {
    /// The largest magnitude of a sample; 0 dBFS is 1.0. None in digital silence.
    pub peak_dbfs: Option<f64>,
    /// The largest magnitude between samples too, as a converter would make it.
    pub true_peak_dbtp: Option<f64>,
    /// Root of the mean square; a sine of full scale has -3.01.
    pub rms_dbfs: Option<f64>,
    /// Peak over RMS.
    pub crest_db: Option<f64>,
    /// The mean, linear; of the channel where it is farthest from 0.
    pub dc: f64,
    /// Samples that are no finite numbers; they are heard as 0.
    pub not_finite: u64,
    /// Where the first of these is.
    pub not_finite_first_s: Option<f64>,
    /// Channel by channel.
    pub channels: Vec<ChannelLevels>,
}

/// Levels of one channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelLevels {
    /// As in [`Levels`].
    pub peak_dbfs: Option<f64>,
    /// As in [`Levels`].
    pub true_peak_dbtp: Option<f64>,
    /// As in [`Levels`].
    pub rms_dbfs: Option<f64>,
    /// As in [`Levels`].
    pub crest_db: Option<f64>,
    /// The mean, linear.
    pub dc: f64,
}

/// What is summed on the way.
#[derive(Debug)]
pub(crate) struct Meter {
    channels: Vec<Sums>,
    frames: u64,
}

#[derive(Clone, Debug, Default)]
struct Sums {
    peak: f32,
    sum: f64,
    squares: f64,
}

impl Meter {
    /// A meter for so many channels.
    pub(crate) fn new(channels: usize) -> Self {
        Self { channels: vec![Sums::default(); channels], frames: 0 }
    }

    /// Takes whole interleaved frames of finite samples.
    pub(crate) fn hear(&mut self, samples: &[f32]) {
        for frame in samples.chunks_exact(self.channels.len()) {
            for (sums, sample) in self.channels.iter_mut().zip(frame) {
                sums.peak = sums.peak.max(sample.abs());
                sums.sum += f64::from(*sample);
                sums.squares += f64::from(*sample) * f64::from(*sample);
            }
            self.frames += 1;
        }
    }

    /// The levels; `true_peaks` linear, one a channel; `wild` how many samples were no numbers
    /// and when the first came.
    pub(crate) fn levels(&self, true_peaks: &[f64], wild: (u64, Option<f64>)) -> Levels {
        let frames = self.frames.max(1) as f64;
        let channel = |(sums, true_peak): (&Sums, &f64)| {
            let rms = (sums.squares / frames).sqrt();
            let peak = f64::from(sums.peak);
            ChannelLevels {
                peak_dbfs: decibels(peak),
                true_peak_dbtp: decibels(true_peak.max(peak)),
                rms_dbfs: decibels(rms),
                crest_db: decibels(peak / rms),
                dc: round(sums.sum / frames, 6),
            }
        };
        let channels: Vec<_> = self.channels.iter().zip(true_peaks).map(channel).collect();
        let peak = self.channels.iter().fold(0.0, |most, it| f64::max(most, it.peak.into()));
        let true_peak = true_peaks.iter().copied().fold(peak, f64::max);
        let squares: f64 = self.channels.iter().map(|it| it.squares).sum();
        let rms = (squares / frames / self.channels.len() as f64).sqrt();
        let farther = |most: f64, it: &ChannelLevels| {
            if it.dc.abs() > most.abs() { it.dc } else { most }
        };
        Levels {
            peak_dbfs: decibels(peak),
            true_peak_dbtp: decibels(true_peak),
            rms_dbfs: decibels(rms),
            crest_db: decibels(peak / rms),
            dc: channels.iter().fold(0.0, farther),
            not_finite: wild.0,
            not_finite_first_s: wild.1,
            channels,
        }
    }
}
