//! WAV files of any maker, read from their beginning to their end.
//!
//! *Source*: RIFF/WAVE (IBM and Microsoft, 1991), WAVE_FORMAT_EXTENSIBLE (Microsoft, 2001), RF64
//! (EBU Tech 3306). Integers of 8, 16, 24 and 32 bits and floats of 32 and 64 bits come out as
//! floats of 32 bits, full scale being 1.0. A file that ends early is read as far as it goes.

use std::io::{self, Read};
use std::path::Path;

/// Bytes taken from the file at a time, about.
const PIECE_BYTES: usize = 1 << 16;

/// A `fmt ` chunk is 16, 18 or 40 bytes long; much more is something else.
const FORMAT_BYTES_MAX: u32 = 1 << 12;

/// What the sizes say of a file that was written to a pipe, by its makers' habits.
const UNKNOWN_SIZES: [u32; 2] = [0, u32::MAX];

/// Why a file is not read. Trying again does not help, but for [`SoundError::Io`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum SoundError {
    /// The system.
    #[error("{name}: {source}")]
    Io {
        /// The file.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something else than a WAV file.
    #[error("{name}: no WAV file: {what}")]
    Foreign {
        /// The file.
        name: String,
        /// What was found where.
        what: String,
    },
    /// A WAV file whose samples are kept in another way.
    #[error(
        "{name}: its samples are {what}; integers of 8, 16, 24 or 32 bits and floats of 32 or 64 \
         bits are read. `sox IN.wav -e floating-point -b 32 OUT.wav` makes such a file"
    )]
    Kind {
        /// The file.
        name: String,
        /// How they are kept.
        what: String,
    },
    /// A WAV file that contradicts itself.
    #[error("{name}: damaged: {what}")]
    Damaged {
        /// The file.
        name: String,
        /// What is wrong where.
        what: String,
    },
}

/// How a sample is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
    Float64,
}

impl Kind {
    fn of(tag: u16, bits: u16) -> Option<Self> {
        match (tag, bits) {
            (1, 8) => Some(Self::Unsigned8),
            (1, 16) => Some(Self::Signed16),
            (1, 24) => Some(Self::Signed24),
            (1, 32) => Some(Self::Signed32),
            (3, 32) => Some(Self::Float32),
            (3, 64) => Some(Self::Float64),
            _ => None,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Unsigned8 => 1,
            Self::Signed16 => 2,
            Self::Signed24 => 3,
            Self::Signed32 | Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    /// A sample from its little-endian bytes, of which there are as many as it has.
    fn sample(self, bytes: &[u8]) -> f32 {
        let mut eight = [0; 8];
        eight[..bytes.len()].copy_from_slice(bytes);
        let [a, b, c, d, ..] = eight;
        match self {
            Self::Unsigned8 => (f32::from(a) - 128.0) / 128.0,
            Self::Signed16 => f32::from(i16::from_le_bytes([a, b])) / 32_768.0,
            Self::Signed24 => (i32::from_le_bytes([0, a, b, c]) >> 8) as f32 / 8_388_608.0,
            Self::Signed32 => {
                (f64::from(i32::from_le_bytes([a, b, c, d])) / 2_147_483_648.0) as f32
            }
            Self::Float32 => f32::from_le_bytes([a, b, c, d]),
            Self::Float64 => f64::from_le_bytes(eight) as f32,
        }
    }
}

/// A file being read.
pub(crate) struct SoundFile {
    name: String,
    reader: Box<dyn Read>,
    kind: Kind,
    /// Frames a second.
    pub(crate) rate: u32,
    /// Samples a frame.
    pub(crate) channels: usize,
    /// Bytes of samples that follow by the word of the header; none where it does not know.
    left: Option<u64>,
    bytes: Vec<u8>,
}

impl SoundFile {
    /// Opens a file; `-` is standard input.
    pub(crate) fn open(path: &Path) -> Result<Self, SoundError> {
        let name = path.display().to_string();
        if path == Path::new("-") {
            return Self::read_head("standard input".to_owned(), Box::new(io::stdin().lock()));
        }
        let file = std::fs::File::open(path);
        let file = file.map_err(|source| SoundError::Io { name: name.clone(), source })?;
        Self::read_head(name, Box::new(io::BufReader::with_capacity(PIECE_BYTES, file)))
    }

    fn read_head(name: String, reader: Box<dyn Read>) -> Result<Self, SoundError> {
        let mut head = Head { name, reader, at: 0 };
        let (long, mut data_bytes) = (head.riff()?, None);
        let mut format = None;
        loop {
            let (id, size) = head.chunk()?;
            match &id {
                b"ds64" if long => data_bytes = Some(head.long_sizes(size)?),
                b"fmt " => format = Some(head.format(size)?),
                b"data" => {
                    let Some((kind, rate, channels)) = format else {
                        return Err(head.damaged("the samples come before `fmt `".to_owned()));
                    };
                    let left = match data_bytes {
                        Some(bytes) if size == u32::MAX => Some(bytes),
                        _ if UNKNOWN_SIZES.contains(&size) => None,
                        _ => Some(size.into()),
                    };
                    let Head { name, reader, .. } = head;
                    let bytes = Vec::new();
                    return Ok(Self { name, reader, kind, rate, channels, left, bytes });
                }
                _ => head.pass(u64::from(size) + u64::from(size % 2))?,
            }
        }
    }

    /// The next whole frames, interleaved, in place of what was in `samples`; nothing at the end.
    pub(crate) fn read(&mut self, samples: &mut Vec<f32>) -> Result<(), SoundError> {
        samples.clear();
        let frame_bytes = self.kind.bytes() * self.channels;
        let wanted = (PIECE_BYTES / frame_bytes).max(1) * frame_bytes;
        let left = self.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        self.bytes.clear();
        (&mut self.reader)
            .take(wanted.min(left) as u64)
            .read_to_end(&mut self.bytes)
            .map_err(|source| SoundError::Io { name: self.name.clone(), source })?;
        if let Some(left) = &mut self.left {
            *left -= self.bytes.len() as u64;
        }
        let whole = self.bytes.len() / frame_bytes * frame_bytes;
        let each = self.bytes[..whole].chunks_exact(self.kind.bytes());
        samples.extend(each.map(|bytes| self.kind.sample(bytes)));
        Ok(())
    }

    /// What is missing at the end, once it was read to the end; none if nothing is.
    pub(crate) fn damage(&self) -> Option<SoundError> {
        let missing = self.left.filter(|left| *left > 0)?;
        let what = format!("it ends {missing} bytes before its header says; it was heard as far");
        Some(SoundError::Damaged { name: self.name.clone(), what })
    }
}

/// The head of a file, chunk by chunk.
struct Head {
    name: String,
    reader: Box<dyn Read>,
    /// Bytes read so far.
    at: u64,
}

impl Head {
    fn damaged(&self, what: String) -> SoundError {
        SoundError::Damaged { name: self.name.clone(), what: format!("{what}, byte {}", self.at) }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], SoundError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), SoundError> {
        match self.reader.read_exact(bytes) {
            Ok(()) => {
                self.at += bytes.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.damaged("it ends before its samples begin".to_owned()))
            }
            Err(source) => Err(SoundError::Io { name: self.name.clone(), source }),
        }
    }

    /// The first twelve bytes; true if the sizes may be 64 bits long.
    fn riff(&mut self) -> Result<bool, SoundError> {
        let head: [u8; 12] = self.take().map_err(|error| match error {
            SoundError::Damaged { name, .. } => {
                SoundError::Foreign { name, what: "it is shorter than a header".to_owned() }
            }
            other => other,
        })?;
        let foreign = |what: String| Err(SoundError::Foreign { name: self.name.clone(), what });
        let begins = head[..4].escape_ascii().to_string();
        let long = match &head[..4] {
            b"RIFF" => false,
            b"RF64" | b"BW64" => true,
            _ => return foreign(format!("it begins with \"{begins}\" instead of RIFF or RF64")),
        };
        if &head[8..] != b"WAVE" {
            let form = head[8..].escape_ascii();
            return foreign(format!("it is {begins} of the form \"{form}\" instead of WAVE"));
        }
        Ok(long)
    }

    /// Name and size of the next chunk.
    fn chunk(&mut self) -> Result<([u8; 4], u32), SoundError> {
        let [a, b, c, d, size @ ..]: [u8; 8] = self.take()?;
        Ok(([a, b, c, d], u32::from_le_bytes(size)))
    }

    fn pass(&mut self, bytes: u64) -> Result<(), SoundError> {
        let passed = io::copy(&mut (&mut self.reader).take(bytes), &mut io::sink());
        let passed = passed.map_err(|source| SoundError::Io { name: self.name.clone(), source })?;
        self.at += passed;
        if passed < bytes {
            return Err(self.damaged("it ends before its samples begin".to_owned()));
        }
        Ok(())
    }

    /// The number of bytes of samples, from a `ds64` chunk.
    fn long_sizes(&mut self, size: u32) -> Result<u64, SoundError> {
        if size < 16 {
            return Err(self.damaged(format!("`ds64` has {size} bytes instead of 28")));
        }
        let _riff_bytes: [u8; 8] = self.take()?;
        let data_bytes = u64::from_le_bytes(self.take()?);
        self.pass(u64::from(size) - 16 + u64::from(size % 2))?;
        Ok(data_bytes)
    }

    fn format(&mut self, size: u32) -> Result<(Kind, u32, usize), SoundError> {
        if !(16..=FORMAT_BYTES_MAX).contains(&size) {
            return Err(self.damaged(format!("`fmt ` has {size} bytes instead of 16 to 40")));
        }
        let mut chunk = vec![0; (size + size % 2) as usize];
        self.fill(&mut chunk)?;
        let u16_at = |at: usize| u16::from_le_bytes([chunk[at], chunk[at + 1]]);
        let (mut tag, channels, bits) = (u16_at(0), u16_at(2), u16_at(14));
        let rate = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        // The extensible form has the true tag at the head of its GUID.
        if tag == 0xfffe && size >= 26 {
            tag = u16_at(24);
        }
        let Some(kind) = Kind::of(tag, bits) else {
            let what = match tag {
                1 => format!("integers of {bits} bits"),
                2 | 0x11 => "ADPCM".to_owned(),
                3 => format!("floats of {bits} bits"),
                6 => "A-law".to_owned(),
                7 => "mu-law".to_owned(),
                0x55 => "MP3".to_owned(),
                other => format!("of format {other:#06x}"),
            };
            return Err(SoundError::Kind { name: self.name.clone(), what });
        };
        let frame_bytes = usize::from(u16_at(12));
        if frame_bytes != kind.bytes() * usize::from(channels) {
            let what = format!(
                "{channels} channels of {bits} bits are said to take {frame_bytes} bytes a frame"
            );
            return Err(self.damaged(what));
        }
        Ok((kind, rate, channels.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{SoundError, SoundFile};
    use crate::files::wav::{PART_BYTES_MAX, Shape, WavWriter};

    /// A file of chunks; the size of `data` may be another one.
    fn wav(tag: u16, bits: u16, channels: u16, data: &[u8], data_bytes: u32) -> Vec<u8> {
        let frame_bytes = bits / 8 * channels;
        let mut bytes = b"RIFF\x00\x00\x00\x00WAVEfmt ".to_vec();
        bytes.extend(16_u32.to_le_bytes());
        bytes.extend([tag.to_le_bytes(), channels.to_le_bytes()].concat());
        bytes.extend(44_100_u32.to_le_bytes());
        bytes.extend((44_100 * u32::from(frame_bytes)).to_le_bytes());
        bytes.extend([frame_bytes.to_le_bytes(), bits.to_le_bytes()].concat());
        // A chunk of an odd length, which is followed by one more byte.
        bytes.extend(b"LIST\x03\x00\x00\x00abc\x00data");
        bytes.extend(data_bytes.to_le_bytes());
        bytes.extend(data);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<(SoundFile, Vec<f32>), SoundError> {
        let mut file = SoundFile::read_head(
            "a.wav".to_owned(),
            Box::new(std::io::Cursor::new(bytes.to_vec())),
        )?;
        let (mut all, mut piece) = (Vec::new(), Vec::new());
        loop {
            file.read(&mut piece)?;
            if piece.is_empty() {
                return Ok((file, all));
            }
            all.extend(&piece);
        }
    }

    fn why(bytes: &[u8]) -> String {
        read(bytes).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn every_kind_of_sample_comes_out_as_the_same_number() {
        let half = [0.5_f32, -1.0, 0.0];
        let kinds: [(u16, u16, Vec<u8>); 6] = [
            (1, 8, vec![192, 0, 128]),
            (1, 16, [16_384_i16, -32_768, 0].map(i16::to_le_bytes).concat()),
            (1, 24, vec![0, 0, 0x40, 0, 0, 0x80, 0, 0, 0]),
            (1, 32, [1_i32 << 30, i32::MIN, 0].map(i32::to_le_bytes).concat()),
            (3, 32, half.map(f32::to_le_bytes).concat()),
            (3, 64, half.map(|it| f64::from(it).to_le_bytes()).concat()),
        ];
        for (tag, bits, data) in kinds {
            let (file, samples) = read(&wav(tag, bits, 3, &data, data.len() as u32)).unwrap();
            assert_eq!((file.rate, file.channels), (44_100, 3));
            assert_eq!(samples, half, "{tag}, {bits} bits");
            assert!(file.damage().is_none());
        }
    }

    #[test]
    fn extensible_and_long_files_and_those_from_a_pipe_are_read() {
        let plain = wav(1, 16, 1, &[0, 64], 2);
        let mut extensible = plain[..16].to_vec();
        extensible.extend(40_u32.to_le_bytes());
        extensible.extend([0xfe, 0xff]);
        extensible.extend(&plain[22..36]);
        extensible.extend([22, 0, 16, 0, 4, 0, 0, 0, 1, 0]);
        extensible.extend([0; 14]);
        extensible.extend(&plain[36..]);
        assert_eq!(read(&extensible).unwrap().1, [0.5]);
        let mut long = b"RF64\xff\xff\xff\xffWAVEds64\x1c\x00\x00\x00".to_vec();
        long.extend([0; 8]);
        long.extend(2_u64.to_le_bytes());
        long.extend([0; 12]);
        long.extend(&wav(1, 16, 1, &[0, 64, 9, 9], u32::MAX)[12..]);
        assert_eq!(read(&long).unwrap().1, [0.5], "and not what stands behind the samples");
        for unknown in [0, u32::MAX] {
            let (file, samples) = read(&wav(1, 16, 1, &[0, 64, 0, 192], unknown)).unwrap();
            assert_eq!(samples, [0.5, -0.5]);
            assert!(file.damage().is_none());
        }
    }

    #[test]
    fn a_file_that_ends_early_is_read_as_far_as_it_goes_and_that_is_said() {
        let (file, samples) = read(&wav(1, 16, 2, &[0, 64, 0, 64, 0, 64, 0], 400)).unwrap();
        assert_eq!(samples, [0.5, 0.5], "whole frames");
        let damage = file.damage().unwrap().to_string();
        assert!(damage.contains("393 bytes before its header says"), "{damage}");
    }

    #[test]
    fn what_is_no_wav_file_is_refused_with_what_was_found() {
        assert!(why(b"RI").contains("shorter than a header"));
        assert!(why(b"fLaC\x00\x00\x00\x22abcdef").contains("begins with \"fLaC\""));
        assert!(why(b"RIFF\x04\x00\x00\x00AVI LIST").contains("\"AVI \" instead of WAVE"));
        let good = wav(1, 16, 2, &[0; 8], 8);
        // Cut anywhere before the samples.
        for length in 12..good.len() - 8 {
            let why = why(&good[..length]);
            assert!(why.contains("ends before its samples begin"), "{length}: {why}");
        }
        assert!(why(&wav(6, 8, 1, &[0], 1)).contains("A-law"));
        assert!(why(&wav(1, 12, 1, &[0], 1)).contains("integers of 12 bits"));
        let mut wrong = good.clone();
        wrong[32] = 3;
        assert!(why(&wrong).contains("said to take 3 bytes a frame"));
        let mut early = good[..12].to_vec();
        early.extend(b"data\x00\x00\x00\x00");
        assert!(why(&early).contains("before `fmt `"));
        let mut huge = good;
        huge[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(why(&huge).contains("`fmt ` has 4294967295 bytes"));
    }

    #[test]
    fn our_own_recordings_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let shape = Shape { rate: 48_000, channels: 2, start_frame: 64 };
        let samples: Vec<f32> = (0..40_000).map(|it| it as f32 / 40_000.0).collect();
        WavWriter::create(&path, shape, PART_BYTES_MAX).unwrap().append(&samples).unwrap();
        assert_eq!(read(&std::fs::read(&path).unwrap()).unwrap().1, samples);
        let error = SoundFile::open(Path::new("/nowhere.wav")).map(|_| ()).unwrap_err();
        assert!(matches!(error, SoundError::Io { .. }));
    }
}
