//! Two recordings, sample by sample.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::exit::{Exit, Failure};
use crate::files::wav::HEADER_BYTES;

/// What a comparison found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// Samples in the longer one.
    pub(super) samples: u64,
    /// Samples whose bits differ, or that only one of the two has.
    pub(super) differing: u64,
}

impl Comparison {
    /// Compares all samples of two files.
    pub(super) fn make(one: &Path, other: &Path) -> Result<Self, Failure> {
        let mut readers = [open(one)?, open(other)?];
        let mut comparison = Self::default();
        loop {
            let [one, other] = &mut readers;
            let pair = (sample(one)?, sample(other)?);
            if pair == (None, None) {
                return Ok(comparison);
            }
            comparison.samples += 1;
            comparison.differing += u64::from(pair.0 != pair.1);
        }
    }
}

fn open(path: &Path) -> Result<BufReader<File>, Failure> {
    let opened = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(HEADER_BYTES))?;
        Ok(BufReader::with_capacity(1 << 16, file))
    });
    opened.map_err(|error| failed(&error))
}

fn sample(reader: &mut BufReader<File>) -> Result<Option<[u8; 4]>, Failure> {
    let mut bytes = [0; 4];
    match reader.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Io, format!("cannot compare the recordings: {error}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Comparison;
    use crate::files::wav::{PART_BYTES_MAX, Shape, WavWriter};

    fn recorded(path: &Path, samples: &[f32]) {
        let shape = Shape { rate: 48_000, channels: 1, start_frame: 0 };
        WavWriter::create(path, shape, PART_BYTES_MAX).unwrap().append(samples).unwrap();
    }

    #[test]
    fn a_sample_that_differs_in_one_bit_or_is_missing_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("1.wav"), folder.path().join("2.wav"));
        recorded(&one, &[0.0, 0.5, 1.0]);
        recorded(&two, &[-0.0, 0.5]);
        let found = |a: &Path, b: &Path| Comparison::make(a, b).unwrap();
        assert_eq!(found(&one, &one), Comparison { samples: 3, differing: 0 });
        assert_eq!(found(&one, &two), Comparison { samples: 3, differing: 2 });
    }
}
