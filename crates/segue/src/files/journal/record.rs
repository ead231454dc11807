//! What stands in a journal, and how a record is framed.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};

/// First bytes of every journal.
pub(crate) const MAGIC: [u8; 12] = *b"segue-show\r\n";
/// Format of the records. Another format is refused.
pub(crate) const FORMAT: u32 = 3;
/// Bytes before the first record.
pub(crate) const PRELUDE_BYTES: usize = MAGIC.len() + 4;
/// Bytes before the payload of a record.
pub(crate) const FRAME_BYTES: usize = 12;
/// Longest payload that is believed: a checkpoint of the largest state (1 GiB) and a little.
pub(crate) const PAYLOAD_BYTES_MAX: usize = (1 << 30) + (1 << 16);

/// What a journal is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// Version and build of the engine that played.
    pub(crate) build: String,
    /// Hash over the catalog; another one cannot be replayed bit for bit.
    pub(crate) layout: u64,
    /// Frames a second.
    pub(crate) rate: u32,
    /// Samples a frame.
    pub(crate) channels: u16,
    /// Bytes of the arena.
    pub(crate) state_bytes: u64,
    /// Name of the patch, as the user called it.
    pub(crate) title: String,
    /// Text of the patch as it was when the journal began; empty for a show without one.
    pub(crate) patch: String,
    /// The number of the plan with which the show began, as [`segue_rack::Plan::hash`] gives it:
    /// what was asked for when the engine was started, whatever was edited since.
    pub(crate) began_with: u64,
    /// Edition and plan of what the first state needs: one, or two where one fades into the
    /// other. The last is the one in force.
    pub(crate) editions: Vec<(u32, Vec<u8>)>,
    /// First block; a checkpoint follows at once if it is not 0.
    pub(crate) start_block: u64,
}

/// A plan that the commands after it may go over to, or that the state after it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Its edition.
    pub(crate) edition: u32,
    /// The edition it follows; none where that is not known any more.
    pub(crate) base: Option<u32>,
    /// Text of the patch it was compiled from: another build compiles it again.
    pub(crate) patch: String,
    /// The plan.
    pub(crate) bytes: Vec<u8>,
}

/// One record of the command log, whatever its kind: command, verdict, bypass or mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Command {
    /// Its number in the log.
    pub(crate) number: u64,
    /// The block it was applied at.
    pub(crate) block: u64,
    /// What it is, as the log says.
    pub(crate) kind: u32,
    /// The rack's command, or the subject of a verdict.
    pub(crate) payload: [u64; 4],
    /// Who sent it, as control numbers senders.
    pub(crate) origin: u64,
    /// How many follow that belong to the same bundle.
    pub(crate) more: u8,
}

/// Hashes of consecutive blocks as they were played.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hashes {
    /// The first block.
    pub(crate) first_block: u64,
    /// Little-endian 64-bit hashes, one a block.
    bytes: Vec<u8>,
}

impl Hashes {
    /// None yet, beginning at `first_block`.
    pub(crate) fn new(first_block: u64) -> Self {
        Self { first_block, bytes: Vec::new() }
    }

    /// Adds that of the block which follows.
    pub(crate) fn push(&mut self, hash: u64) {
        self.bytes.extend(hash.to_le_bytes());
    }

    /// How many blocks.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / 8
    }

    /// Block and hash, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let hashes = self.bytes.chunks_exact(8);
        hashes.zip(self.first_block..).map(|(bytes, block)| {
            (block, u64::from_le_bytes(bytes.try_into().expect("chunks of eight")))
        })
    }
}

/// A state of the instrument from which replay can begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// The state is that before this block was rendered.
    pub(crate) block: u64,
    /// The first number of the log that is not in it.
    pub(crate) cursor: u64,
    /// The arena in runs: `zeros others` as little-endian u32, then so many little-endian 64-bit
    /// words that follow so many zeros. Most of an agenda and of a new delay line is zero.
    #[serde(serialize_with = "at_once")]
    bytes: Vec<u8>,
}

/// The same bytes as one after the other, in one copy.
fn at_once<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(bytes)
}

impl Checkpoint {
    /// The checkpoint of `state` before `block`.
    pub(crate) fn new(block: u64, cursor: u64, state: &[u64]) -> Self {
        // Not more than that is touched: a page that was never used costs a machine that shares its
        // memory with others more than the copy.
        let mut bytes = Vec::with_capacity(8 * state.len() + 16);
        let mut rest = state;
        while !rest.is_empty() {
            let zeros = rest.iter().position(|word| *word != 0).unwrap_or(rest.len());
            rest = &rest[zeros..];
            // A single zero costs no more than the run that would end before it.
            let others = rest.windows(2).position(|two| two == [0, 0]).unwrap_or(rest.len());
            for count in [zeros, others] {
                let count = u32::try_from(count).expect("a state is at most 1 GiB");
                bytes.extend(count.to_le_bytes());
            }
            bytes.extend(rest[..others].iter().flat_map(|word| word.to_le_bytes()));
            rest = &rest[others..];
        }
        Self { block, cursor, bytes }
    }

    /// Bytes it takes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The words of the arena; none if there are more than `words_max`, or the runs are damaged.
    pub(crate) fn state(&self, words_max: usize) -> Option<Vec<u64>> {
        let mut state = Vec::new();
        let mut rest = self.bytes.as_slice();
        while !rest.is_empty() {
            let (zeros, after) = rest.split_first_chunk()?;
            let (others, after) = after.split_first_chunk()?;
            let count = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes) as usize;
            let (zeros, others) = (count(zeros), count(others));
            if state.len() + zeros + others > words_max || after.len() < others * 8 {
                return None;
            }
            state.resize(state.len() + zeros, 0);
            let (words, after) = after.split_at(others * 8);
            let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight"));
            state.extend(words.chunks_exact(8).map(word));
            rest = after;
        }
        Some(state)
    }
}

/// A moment: everything up to here is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The playhead.
    pub(crate) block: u64,
    /// Nanoseconds since 1970.
    pub(crate) at_ns: u64,
}

/// Records of the log are missing from here on; what follows counts again behind the next
/// checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gap {
    /// The first block that cannot be replayed.
    pub(crate) from_block: u64,
    /// The first record that is there again.
    pub(crate) to_record: u64,
}

/// A module was out of the signal from this block on, and the commands of the block for it
/// were not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bypass {
    /// Which module, by its place in the plan.
    pub(crate) part: u32,
    /// From which block on.
    pub(crate) block: u64,
}

/// One entry of a journal after its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// From the log.
    Command(Command),
    /// What was heard.
    Hashes(Hashes),
    /// Where replay can begin.
    Checkpoint(Checkpoint),
    /// Safe up to here.
    Mark(Mark),
    /// Something is missing.
    Gap(Gap),
    /// The command of this number was never applied.
    Quarantine(u64),
    /// A module was taken out.
    Bypass(Bypass),
    /// The show ended in order before this block.
    End(u64),
    /// Nobody had this block when it was due: what was heard was made up.
    Concealed(u64),
    /// What may be gone over to.
    Plan(Plan),
}

pub(crate) const HEADER_KIND: u32 = 1;

impl Record {
    /// Appends the bytes of the whole record, framed: a long one is not copied from one buffer to
    /// the next.
    pub(crate) fn frame_into(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Command(it) => frame_into(2, it, bytes),
            Self::Hashes(it) => frame_into(3, it, bytes),
            Self::Checkpoint(it) => frame_into(4, it, bytes),
            Self::Mark(it) => frame_into(5, it, bytes),
            Self::Gap(it) => frame_into(6, it, bytes),
            Self::Quarantine(it) => frame_into(7, it, bytes),
            Self::End(it) => frame_into(8, it, bytes),
            Self::Concealed(it) => frame_into(9, it, bytes),
            Self::Bypass(it) => frame_into(10, it, bytes),
            Self::Plan(it) => frame_into(11, it, bytes),
        }
    }

    /// The bytes of the whole record, framed.
    #[cfg(test)]
    pub(crate) fn framed(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.frame_into(&mut bytes);
        bytes
    }

    /// The record of a kind; none if kind or bytes are not ours.
    pub(crate) fn decode(kind: u32, payload: &[u8]) -> Option<Self> {
        Some(match kind {
            2 => Self::Command(decode(payload)?),
            3 => Self::Hashes(decode(payload)?),
            4 => Self::Checkpoint(decode(payload)?),
            5 => Self::Mark(decode(payload)?),
            6 => Self::Gap(decode(payload)?),
            7 => Self::Quarantine(decode(payload)?),
            8 => Self::End(decode(payload)?),
            9 => Self::Concealed(decode(payload)?),
            10 => Self::Bypass(decode(payload)?),
            11 => Self::Plan(decode(payload)?),
            _ => return None,
        })
    }
}

/// `kind length crc payload` of anything that can be written down.
pub(crate) fn framed(kind: u32, what: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame_into(kind, what, &mut bytes);
    bytes
}

fn frame_into(kind: u32, what: &impl Serialize, bytes: &mut Vec<u8>) {
    let at = bytes.len();
    bytes.extend([0; FRAME_BYTES]);
    *bytes = postcard::to_extend(what, std::mem::take(bytes))
        .expect("a record in memory can be written down");
    let (frame, payload) = bytes[at..].split_at_mut(FRAME_BYTES);
    let length = u32::try_from(payload.len()).expect("no record is longer than the limit");
    let words = [kind, length, checksum(kind, length, payload)];
    let words = words.iter().flat_map(|word| word.to_le_bytes());
    frame.iter_mut().zip(words).for_each(|(to, byte)| *to = byte);
}

/// The sum a whole record carries.
pub(crate) fn checksum(kind: u32, length: u32, payload: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&kind.to_le_bytes());
    sum.update(&length.to_le_bytes());
    sum.update(payload);
    sum.finalize()
}

/// A value from bytes that are exactly its own.
pub(crate) fn decode<T: DeserializeOwned>(payload: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(payload) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// The name is taken; nothing was touched. Another name helps.
    #[error("{} exists already and is not overwritten", path.display())]
    Exists {
        /// The name.
        path: PathBuf,
    },
    /// Not a journal, or one whose header is damaged. Trying again does not help.
    #[error("{} is no journal: {what}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        what: &'static str,
    },
    /// A journal as another version writes it. That version can read it.
    #[error(
        "{} is a journal of format {format}, and this version of Segue reads format {FORMAT}; \
         use the version that wrote it", path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The format it says it has.
        format: u32,
    },
    /// The file system refused; records written before are whole.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::{Checkpoint, FRAME_BYTES, Record, checksum};

    /// However it is put there: what older journals have is what is written now.
    #[test]
    fn a_state_is_framed_as_its_bytes_one_after_the_other_behind_what_waits() {
        let state: Vec<u64> = (0..300).map(|word| word * word % 7).collect();
        let checkpoint = Checkpoint::new(70, 900, &state);
        let fields = (checkpoint.block, checkpoint.cursor, checkpoint.bytes.clone());
        let expected = postcard::to_stdvec(&fields).unwrap();
        let mut bytes = vec![7, 8, 9];
        Record::Checkpoint(checkpoint.clone()).frame_into(&mut bytes);
        let (frame, payload) = bytes[3..].split_at(FRAME_BYTES);
        assert_eq!((&bytes[..3], payload), (&[7, 8, 9][..], &expected[..]));
        let length = expected.len() as u32;
        let words = [4, length, checksum(4, length, &expected)];
        assert_eq!(frame, words.map(u32::to_le_bytes).concat());
        assert_eq!(Record::decode(4, payload), Some(Record::Checkpoint(checkpoint)));
    }
}
