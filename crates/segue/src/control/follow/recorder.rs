//! A recording: what was played, block by block, to a file.

use std::path::{Path, PathBuf};

use segue_lockstep::{BLOCK_FRAMES, Shape};

use crate::control::memo::Recording;
use crate::files::wav::{self, PART_BYTES_MAX, WavError, WavWriter};

/// Samples that are written at once; as many as come between two flushes.
const WAITING_SAMPLES: usize = 1 << 16;

/// A recording under way.
pub(in crate::control) struct Recorder {
    writer: WavWriter,
    first_path: PathBuf,
    start_frame: u64,
    waiting: Vec<f32>,
    channels: usize,
}

impl Recorder {
    /// A new recording from `block` on, refused where there is a file.
    pub(in crate::control) fn create(
        path: &Path,
        shape: &Shape,
        block: u64,
    ) -> Result<Self, WavError> {
        let start_frame = block * BLOCK_FRAMES as u64;
        let channels = u16::try_from(shape.channels).unwrap_or(u16::MAX);
        let shape = wav::Shape { rate: shape.rate, channels, start_frame };
        Ok(Self::with(WavWriter::create(path, shape, PART_BYTES_MAX)?, path, start_frame))
    }

    /// Goes on with the recording of a control process that has died.
    pub(in crate::control) fn reopen(recording: &Recording) -> Result<Self, WavError> {
        let (path, first_path) = (&recording.path, &recording.first_path);
        let writer = WavWriter::reopen(path, first_path, PART_BYTES_MAX)?;
        Ok(Self::with(writer, first_path, recording.start_frame))
    }

    fn with(writer: WavWriter, first_path: &Path, start_frame: u64) -> Self {
        let channels = usize::from(writer.shape().channels);
        let waiting = Vec::with_capacity(WAITING_SAMPLES + BLOCK_FRAMES * channels);
        Self { writer, first_path: first_path.to_owned(), start_frame, waiting, channels }
    }

    /// The block in which the next frame lies.
    pub(in crate::control) fn next_block(&self) -> u64 {
        self.next_frame() / BLOCK_FRAMES as u64
    }

    /// The part being written.
    pub(super) fn path(&self) -> &Path {
        self.writer.path()
    }

    /// Frames in all parts.
    pub(super) fn frames(&self) -> u64 {
        self.next_frame() - self.start_frame
    }

    /// What a successor must know.
    pub(in crate::control) fn recording(&self) -> Recording {
        Recording {
            path: self.writer.path().to_owned(),
            first_path: self.first_path.clone(),
            start_frame: self.start_frame,
        }
    }

    /// Takes a block; what is recorded already, and what came before, is passed over. Tells when
    /// a further part began.
    pub(super) fn played(
        &mut self,
        block: u64,
        samples: &[f32],
    ) -> Result<Option<Recording>, WavError> {
        let first = block * BLOCK_FRAMES as u64;
        let next = self.next_frame();
        if next >= first + BLOCK_FRAMES as u64 {
            return Ok(None);
        }
        // A predecessor may have died with part of a block written.
        let skip = usize::try_from(next.saturating_sub(first)).unwrap_or(0) * self.channels;
        self.waiting.extend_from_slice(&samples[skip..]);
        if self.waiting.len() < WAITING_SAMPLES {
            return Ok(None);
        }
        let before = self.writer.path().to_owned();
        self.flush()?;
        Ok((before != self.writer.path()).then(|| self.recording()))
    }

    /// What follows is that of `block`: a further file says so by its start frame.
    pub(super) fn gap(&mut self, block: u64) -> Result<Recording, WavError> {
        self.flush()?;
        self.writer.next_part(block * BLOCK_FRAMES as u64)?;
        Ok(self.recording())
    }

    /// Hands everything to the system.
    pub(super) fn flush(&mut self) -> Result<(), WavError> {
        if !self.waiting.is_empty() {
            self.writer.append(&self.waiting)?;
            self.waiting.clear();
        }
        Ok(())
    }

    /// Whether the file is still in a folder.
    pub(super) fn still_there(&self) -> Result<(), WavError> {
        self.writer.still_there()
    }

    /// Ends the recording; it is on the disk then.
    pub(super) fn end(mut self) -> Result<(), WavError> {
        self.flush()?;
        self.writer.sync()
    }

    fn next_frame(&self) -> u64 {
        self.writer.next_frame() + (self.waiting.len() / self.channels) as u64
    }
}
