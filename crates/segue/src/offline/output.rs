//! The file a render writes, how far it has come, and what it sounds like.

use std::io::IsTerminal;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use segue_hear::{Ear, Report};
use segue_rack::BLOCK_FRAMES;

use crate::exit::{Exit, Failure};
use crate::files::wav::{PART_BYTES_MAX, Shape, WavError, WavWriter};

/// The frames of a render that are wanted, on their way to a file.
pub(super) struct Output {
    writer: WavWriter,
    channels: usize,
    /// Frames from here on are wanted.
    from: u64,
    /// Frames below here are wanted.
    to: u64,
    bar: ProgressBar,
    ear: Ear,
}

impl Output {
    /// A file at `path` for the frames `from..to`, as far as they come.
    pub(super) fn create(
        path: &Path,
        force: bool,
        rate: u32,
        channels: u16,
        frames: std::ops::Range<u64>,
    ) -> Result<Self, Failure> {
        let shape = Shape { rate, channels, start_frame: frames.start };
        let writer = if force {
            WavWriter::replace(path, shape, PART_BYTES_MAX)
        } else {
            WavWriter::create(path, shape, PART_BYTES_MAX)
        };
        let writer = writer.map_err(|error| match error {
            WavError::Exists { path } => {
                let text = format!("{} exists; --force overwrites it", path.display());
                Failure::new(Exit::CannotCreate, text)
            }
            WavError::Io { ref source, .. } => {
                Failure::new(Exit::of_output(source), error.to_string())
            }
            WavError::Foreign { .. } => Failure::new(Exit::CannotCreate, error.to_string()),
        })?;
        let known = frames.end != u64::MAX && std::io::stderr().is_terminal();
        let bar = if known { bar(frames.end - frames.start) } else { ProgressBar::hidden() };
        let channels = usize::from(channels);
        let ear = crate::listen::ear(rate, channels);
        Ok(Self { writer, channels, from: frames.start, to: frames.end, bar, ear })
    }

    /// Whether everything wanted has come once `block` is next.
    pub(super) fn is_complete(&self, block: u64) -> bool {
        block.saturating_mul(BLOCK_FRAMES as u64) >= self.to
    }

    /// Takes the samples of `block`.
    pub(super) fn take(&mut self, block: u64, samples: &[f32]) -> Result<(), Failure> {
        let first = block * BLOCK_FRAMES as u64;
        let last = first + BLOCK_FRAMES as u64;
        let (from, to) = (self.from.max(first), self.to.min(last));
        if from >= to {
            return Ok(());
        }
        if from > self.writer.next_frame() {
            self.writer.next_part(from).map_err(failed)?;
        }
        let at = |frame: u64| usize::try_from(frame - first).unwrap_or(0) * self.channels;
        let wanted = &samples[at(from)..at(to)];
        self.writer.append(wanted).map_err(failed)?;
        self.ear.hear(wanted);
        self.bar.set_position(to - self.from);
        Ok(())
    }

    /// Waits for the disk; gives the number of the frame behind the last, and what was heard.
    pub(super) fn finish(self) -> Result<(u64, Report), Failure> {
        self.bar.finish_and_clear();
        self.writer.sync().map_err(failed)?;
        Ok((self.writer.next_frame(), self.ear.report()))
    }
}

fn failed(error: WavError) -> Failure {
    Failure::new(Exit::Io, format!("{error}; what was written before is whole"))
}

fn bar(frames: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {percent}% {eta}");
    let bar = ProgressBar::new(frames);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
