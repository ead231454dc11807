//! The ear: takes samples as they come, and knows at the end what they were.

use crate::bands::Bands;
use crate::clipping::Clips;
use crate::levels::Meter;
use crate::onsets::Beginnings;
use crate::pitch::Tuner;
use crate::report::{Report, SCHEMA, seconds};
use crate::silence::Silences;
use crate::{loudness, tempo};

/// The most channels that are heard at once.
pub const CHANNELS_MAX: usize = 8;

/// Rates that are heard, in Hz.
pub const RATES: std::ops::RangeInclusive<u32> = 4_000..=768_000;

/// Frames taken up at a time.
const PIECE: usize = 512;

/// Why there is no ear for such samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EarError {
    /// Nothing, or more than eight channels.
    #[error("{0} channels; 1 to 8 can be heard")]
    Channels(usize),
    /// Too slow or too fast.
    #[error("{0} Hz; rates from 4,000 to 768,000 Hz can be heard")]
    Rate(u32),
}

/// What listens.
#[derive(Debug)]
pub struct Ear {
    rate: u32,
    channels: usize,
    frames: u64,
    /// Samples that are no finite numbers, and the frame of the first.
    wild: (u64, Option<u64>),
    levels: Meter,
    loudness: loudness::Meter,
    bands: Bands,
    onsets: Beginnings,
    tuner: Tuner,
    clips: Clips,
    silences: Silences,
    piece: Vec<f32>,
}

impl Ear {
    /// An ear for samples of this rate, in frames of so many channels. `[control]`
    ///
    /// # Errors
    /// [`EarError`]: other samples may do.
    pub fn new(rate: u32, channels: usize) -> Result<Self, EarError> {
        if !(1..=CHANNELS_MAX).contains(&channels) {
            return Err(EarError::Channels(channels));
        }
        let loudness = RATES.contains(&rate).then(|| loudness::Meter::new(rate, channels));
        Ok(Self {
            rate,
            channels,
            frames: 0,
            wild: (0, None),
            levels: Meter::new(channels),
            loudness: loudness.flatten().ok_or(EarError::Rate(rate))?,
            bands: Bands::new(rate, channels),
            onsets: Beginnings::new(rate, channels),
            tuner: Tuner::new(rate, channels),
            clips: Clips::new(rate, channels),
            silences: Silences::new(rate, channels),
            piece: Vec::with_capacity(PIECE * channels),
        })
    }

    /// Takes whole interleaved frames, 1.0 being full scale. `[control]`
    ///
    /// # Panics
    /// If the last frame is not whole.
    pub fn hear(&mut self, samples: &[f32]) {
        assert!(samples.len().is_multiple_of(self.channels), "whole frames only");
        for piece in samples.chunks(PIECE * self.channels) {
            self.clean(piece);
            let Self { piece, .. } = self;
            self.levels.hear(piece);
            self.loudness.hear(piece);
            self.bands.hear(piece);
            self.onsets.hear(piece);
            self.tuner.hear(piece);
            self.clips.hear(piece);
            self.silences.hear(piece);
            self.frames += (self.piece.len() / self.channels) as u64;
        }
    }

    /// What is no number is counted here, and is silence to everything behind.
    fn clean(&mut self, piece: &[f32]) {
        self.piece.clear();
        self.piece.extend(piece);
        for (at, sample) in self.piece.iter_mut().enumerate() {
            if !sample.is_finite() {
                *sample = 0.0;
                self.wild.0 += 1;
                self.wild.1.get_or_insert(self.frames + (at / self.channels) as u64);
            }
        }
    }

    /// How many frames it was given. `[control]`
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// What was heard, now that nothing follows. `[control]`
    #[must_use]
    pub fn report(self) -> Report {
        let wild = (self.wild.0, self.wild.1.map(|frame| seconds(frame, self.rate)));
        let (onsets, strengths) = self.onsets.onsets();
        Report {
            schema: SCHEMA,
            rate_hz: self.rate,
            channels: self.channels,
            frames: self.frames,
            seconds: seconds(self.frames, self.rate),
            levels: self.levels.levels(&self.loudness.true_peaks(), wild),
            loudness: self.loudness.loudness(),
            bands: self.bands.bands(),
            tempo: tempo::tempo(&strengths, onsets.count),
            onsets,
            pitch: self.tuner.pitch(),
            clipping: self.clips.clipping(),
            silence: self.silences.silence(),
        }
    }
}
