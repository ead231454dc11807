//! WAV files of 32-bit floats that are valid at every moment of being written.
//!
//! *Layout*: `RIFF`, `fmt ` (IEEE float), `fact`, `segu` (version, rate, start frame), `data`;
//! 78 bytes, then interleaved samples, little-endian. *Invariant*: samples are written first and
//! the header, which holds the sizes, after them in one write, so whoever opens the file finds
//! sizes that are never more than what is there. The length of the file alone says how many
//! frames there are; with the start frame of `segu` a successor knows where to go on.
//!
//! The same samples from the same start frame make the same bytes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Bytes before the first sample.
pub(crate) const HEADER_BYTES: u64 = 78;
/// Where one file ends and the next part begins: the sizes are 32 bits wide, and some programs
/// read them as signed above 4 GiB less a little.
pub(crate) const PART_BYTES_MAX: u64 = (4 << 30) - (1 << 20);
/// Version of the `segu` chunk.
const SEGU_VERSION: u16 = 1;
/// Samples turned into bytes at a time.
const CHUNK_SAMPLES: usize = 4096;

/// What the samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Frames a second.
    pub(crate) rate: u32,
    /// Samples a frame.
    pub(crate) channels: u16,
    /// Index on the timeline of the first frame in the file.
    pub(crate) start_frame: u64,
}

impl Shape {
    fn frame_bytes(&self) -> u64 {
        u64::from(self.channels) * 4
    }
}

/// Why a file could not be made or gone on with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WavError {
    /// The name is taken; nothing was touched. Another name helps.
    #[error("{} exists already and is not overwritten", path.display())]
    Exists {
        /// The name.
        path: PathBuf,
    },
    /// It is no WAV file that Segue wrote. Trying again does not help.
    #[error("{} is no recording of Segue: {what}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        what: &'static str,
    },
    /// The file system refused; what was written before is whole.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A file that grows; [`WavWriter::append`] starts a further part before 4 GiB.
#[derive(Debug)]
pub(crate) struct WavWriter {
    file: File,
    path: PathBuf,
    /// Name from which those of further parts are made.
    first_path: PathBuf,
    shape: Shape,
    frames: u64,
    part_frames_max: u64,
    part_bytes_max: u64,
    bytes: Vec<u8>,
}

impl WavWriter {
    /// A new file at `path`, refused if there is one.
    pub(crate) fn create(path: &Path, shape: Shape, part_max: u64) -> Result<Self, WavError> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path);
        Self::begin(file, path, path, shape, part_max)
    }

    /// A new file at `path` in place of whatever is there.
    pub(crate) fn replace(path: &Path, shape: Shape, part_max: u64) -> Result<Self, WavError> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        Self::begin(file, path, path, shape, part_max)
    }

    /// Goes on with a file that this or another process began: half a frame at its end is cut
    /// off, and the sizes are set right. Further parts are named after `first_path`.
    pub(crate) fn reopen(path: &Path, first_path: &Path, part_max: u64) -> Result<Self, WavError> {
        let fail = |source| WavError::Io { path: path.to_owned(), source };
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        let foreign = |what| WavError::Foreign { path: path.to_owned(), what };
        if length < HEADER_BYTES {
            return Err(foreign("it is shorter than its header"));
        }
        let mut head = [0_u8; HEADER_BYTES as usize];
        file.read_exact_at(&mut head, 0).map_err(fail)?;
        let shape = read_header(&head).ok_or_else(|| foreign("its header is another one"))?;
        let frames = (length - HEADER_BYTES) / shape.frame_bytes();
        let writer = Self::with(file, path, first_path, shape, frames, part_max);
        writer.settle().map_err(fail)?;
        Ok(writer)
    }

    fn begin(
        opened: io::Result<File>,
        path: &Path,
        first_path: &Path,
        shape: Shape,
        part_max: u64,
    ) -> Result<Self, WavError> {
        let path_owned = path.to_owned();
        let file = opened.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => WavError::Exists { path: path_owned.clone() },
            _ => WavError::Io { path: path_owned.clone(), source },
        })?;
        let writer = Self::with(file, path, first_path, shape, 0, part_max);
        writer.settle().map_err(|source| WavError::Io { path: path_owned, source })?;
        Ok(writer)
    }

    fn with(
        file: File,
        path: &Path,
        first_path: &Path,
        shape: Shape,
        frames: u64,
        part_bytes_max: u64,
    ) -> Self {
        assert!(shape.channels > 0, "a file of no channels holds nothing");
        let room = part_bytes_max.saturating_sub(HEADER_BYTES) / shape.frame_bytes();
        Self {
            file,
            path: path.to_owned(),
            first_path: first_path.to_owned(),
            shape,
            frames,
            part_frames_max: room.max(1),
            part_bytes_max,
            bytes: Vec::with_capacity(CHUNK_SAMPLES * 4),
        }
    }

    /// Index on the timeline of the frame that comes next.
    pub(crate) fn next_frame(&self) -> u64 {
        self.shape.start_frame + self.frames
    }

    /// The part being written.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is being written.
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Writes whole interleaved frames. After an error the file holds whole frames still, and
    /// sizes that are true; how many of these frames are in it, [`WavWriter::next_frame`] says.
    pub(crate) fn append(&mut self, mut samples: &[f32]) -> Result<(), WavError> {
        let channels = usize::from(self.shape.channels);
        assert!(samples.len().is_multiple_of(channels), "whole frames only");
        while !samples.is_empty() {
            let room = self.part_frames_max.saturating_sub(self.frames);
            if room == 0 {
                self.next_part(self.next_frame())?;
                continue;
            }
            let room = usize::try_from(room).unwrap_or(usize::MAX).saturating_mul(channels);
            let whole = CHUNK_SAMPLES / channels * channels;
            let (now, later) = samples.split_at(samples.len().min(room).min(whole));
            self.append_chunk(now)?;
            samples = later;
        }
        self.settle().map_err(|source| WavError::Io { path: self.path.clone(), source })
    }

    /// Ends this part and begins another at `start_frame`: after a gap, or when this is full.
    pub(crate) fn next_part(&mut self, start_frame: u64) -> Result<(), WavError> {
        self.settle().map_err(|source| WavError::Io { path: self.path.clone(), source })?;
        let shape = Shape { start_frame, ..self.shape };
        for number in 2_u32.. {
            let path = numbered(&self.first_path, number);
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
            match Self::begin(file, &path, &self.first_path, shape, self.part_bytes_max) {
                Err(WavError::Exists { .. }) => {}
                Err(error) => return Err(error),
                Ok(next) => {
                    *self = next;
                    return Ok(());
                }
            }
        }
        unreachable!("more files than numbers")
    }

    /// Waits until what was written is on the disk.
    pub(crate) fn sync(&self) -> Result<(), WavError> {
        self.file.sync_data().map_err(|source| WavError::Io { path: self.path.clone(), source })
    }

    /// Whether the file is still in a folder: one that was deleted is lost with this process.
    pub(crate) fn still_there(&self) -> Result<(), WavError> {
        let fail = |source| WavError::Io { path: self.path.clone(), source };
        match self.file.metadata().map_err(fail)?.nlink() {
            0 => Err(fail(io::Error::new(io::ErrorKind::NotFound, "it was deleted"))),
            _ => Ok(()),
        }
    }

    fn append_chunk(&mut self, samples: &[f32]) -> Result<(), WavError> {
        self.bytes.clear();
        self.bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        let at = HEADER_BYTES + self.frames * self.shape.frame_bytes();
        if let Err(source) = self.file.write_all_at(&self.bytes, at) {
            // What of the chunk got through is cut off again: the error matters, not this.
            let _ = self.settle();
            return Err(WavError::Io { path: self.path.clone(), source });
        }
        self.frames += samples.len() as u64 / u64::from(self.shape.channels);
        Ok(())
    }

    /// Makes length and header say what [`WavWriter::next_frame`] says.
    fn settle(&self) -> io::Result<()> {
        let data_bytes = self.frames * self.shape.frame_bytes();
        if self.file.metadata()?.len() > HEADER_BYTES + data_bytes {
            self.file.set_len(HEADER_BYTES + data_bytes)?;
        }
        self.file.write_all_at(&header(self.shape, self.frames), 0)
    }
}

/// `name.wav` becomes `name-2.wav`; number 1 is the name itself.
pub(crate) fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 1 {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}-{number}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    path.with_file_name(name)
}

fn header(shape: Shape, frames: u64) -> [u8; HEADER_BYTES as usize] {
    let low32 = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
    let data_bytes = frames * shape.frame_bytes();
    let frame_bytes = shape.channels * 4;
    let mut head = Vec::with_capacity(HEADER_BYTES as usize);
    head.extend(b"RIFF");
    head.extend(low32(HEADER_BYTES - 8 + data_bytes));
    head.extend(b"WAVEfmt ");
    head.extend(16_u32.to_le_bytes());
    head.extend(3_u16.to_le_bytes());
    head.extend(shape.channels.to_le_bytes());
    head.extend(shape.rate.to_le_bytes());
    head.extend((shape.rate.saturating_mul(u32::from(frame_bytes))).to_le_bytes());
    head.extend(frame_bytes.to_le_bytes());
    head.extend(32_u16.to_le_bytes());
    head.extend(b"fact");
    head.extend(4_u32.to_le_bytes());
    head.extend(low32(frames));
    head.extend(b"segu");
    head.extend(14_u32.to_le_bytes());
    head.extend(SEGU_VERSION.to_le_bytes());
    head.extend(shape.rate.to_le_bytes());
    head.extend(shape.start_frame.to_le_bytes());
    head.extend(b"data");
    head.extend(low32(data_bytes));
    head.try_into().expect("the header is as long as its constant says")
}

fn read_header(head: &[u8; HEADER_BYTES as usize]) -> Option<Shape> {
    let u16_at = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let u32_at = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap_or_default());
    let start = u64::from_le_bytes(head[62..70].try_into().ok()?);
    let shape = Shape { rate: u32_at(24), channels: u16_at(22), start_frame: start };
    if shape.channels == 0 {
        return None;
    }
    // Everything but the three sizes is given by the shape: compare with what we would write.
    let mut like = header(shape, 0);
    for at in [4, 44, 74] {
        like[at..at + 4].copy_from_slice(&head[at..at + 4]);
    }
    (&like == head).then_some(shape)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{HEADER_BYTES, PART_BYTES_MAX, Shape, WavError, WavWriter, header, numbered};

    const STEREO: Shape = Shape { rate: 48_000, channels: 2, start_frame: 640 };

    fn ramp(frames: usize) -> Vec<f32> {
        (0..frames * 2).map(|i| i as f32 / 1000.0).collect()
    }

    #[test]
    fn the_sizes_are_right_after_every_append() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut writer = WavWriter::create(&path, STEREO, PART_BYTES_MAX).unwrap();
        for part in ramp(100).chunks(20) {
            writer.append(part).unwrap();
            let bytes = fs::read(&path).unwrap();
            let size = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            assert_eq!(size(4) as usize, bytes.len() - 8);
            assert_eq!(size(74) as usize, bytes.len() - HEADER_BYTES as usize);
            assert_eq!(size(44) as usize, (bytes.len() - HEADER_BYTES as usize) / 8);
        }
        assert_eq!(writer.next_frame(), 740);
    }

    #[test]
    fn a_reopened_file_goes_on_to_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("1.wav"), folder.path().join("2.wav"));
        WavWriter::create(&one, STEREO, PART_BYTES_MAX).unwrap().append(&ramp(100)).unwrap();
        let mut first = WavWriter::create(&two, STEREO, PART_BYTES_MAX).unwrap();
        first.append(&ramp(100)[..60]).unwrap();
        drop(first);
        // The writer died with half a frame written and the header not yet told.
        let mut bytes = fs::read(&two).unwrap();
        bytes.extend([1, 2, 3, 4, 5]);
        bytes[..HEADER_BYTES as usize].copy_from_slice(&header(STEREO, 20));
        fs::write(&two, bytes).unwrap();
        let mut again = WavWriter::reopen(&two, &two, PART_BYTES_MAX).unwrap();
        assert_eq!(again.next_frame(), 640 + 30);
        again.append(&ramp(100)[60..]).unwrap();
        assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        fs::write(&path, "mine").unwrap();
        let error = WavWriter::create(&path, STEREO, PART_BYTES_MAX).unwrap_err();
        assert!(matches!(error, WavError::Exists { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        let error = WavWriter::reopen(&path, &path, PART_BYTES_MAX).unwrap_err();
        assert!(matches!(error, WavError::Foreign { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn a_full_part_is_followed_by_the_next_free_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.wav");
        fs::write(numbered(&path, 2), "mine").unwrap();
        let mut writer = WavWriter::create(&path, STEREO, HEADER_BYTES + 30 * 8).unwrap();
        writer.append(&ramp(70)).unwrap();
        assert_eq!(writer.next_frame(), 710);
        let length = |number| fs::metadata(numbered(&path, number)).unwrap().len() - HEADER_BYTES;
        assert_eq!((length(1), length(3), length(4)), (240, 240, 80));
        let third = WavWriter::reopen(&numbered(&path, 4), &path, PART_BYTES_MAX).unwrap();
        assert_eq!(third.shape().start_frame, 700);
    }

    #[test]
    fn numbers_stand_before_the_extension() {
        assert_eq!(numbered("a/b.c.wav".as_ref(), 3), std::path::Path::new("a/b.c-3.wav"));
        assert_eq!(numbered("a".as_ref(), 2), std::path::Path::new("a-2"));
    }
}
