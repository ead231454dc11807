//! Reads a journal record by record and stops at damage, saying where.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use super::record::{
    self, FORMAT, FRAME_BYTES, HEADER_KIND, Header, JournalError, MAGIC, PAYLOAD_BYTES_MAX,
    PRELUDE_BYTES, Record,
};

/// Where and why reading had to stop; what came before is whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("damaged at byte {offset}, after block {block}: {what}")]
pub(crate) struct Damage {
    /// Offset of the record that could not be read.
    pub(crate) offset: u64,
    /// The last block of which anything was read.
    pub(crate) block: u64,
    /// What was wrong.
    pub(crate) what: &'static str,
}

/// A journal being read from its beginning.
#[derive(Debug)]
pub(crate) struct JournalReader {
    file: BufReader<File>,
    header: Header,
    offset: u64,
    block: u64,
    ended: bool,
}

impl JournalReader {
    /// Opens the journal at `path` and reads its header.
    pub(crate) fn open(path: &Path) -> Result<Self, JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        let foreign = |what| JournalError::Foreign { path: path.to_owned(), what };
        let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(io)?);
        let mut prelude = [0; PRELUDE_BYTES];
        match file.read_exact(&mut prelude) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(foreign("it is too short"));
            }
            read => read.map_err(io)?,
        }
        let (magic, format) = prelude.split_at(MAGIC.len());
        let format = u32::from_le_bytes(format.try_into().expect("four bytes are left"));
        if magic != MAGIC {
            return Err(foreign("it begins differently"));
        }
        if format != FORMAT {
            return Err(JournalError::Format { path: path.to_owned(), format });
        }
        let header = match read_frame(&mut file) {
            Ok(Some((HEADER_KIND, payload))) => record::decode::<Header>(&payload),
            _ => None,
        };
        let header = header.ok_or_else(|| foreign("its header is damaged"))?;
        let offset = PRELUDE_BYTES as u64 + record::framed(HEADER_KIND, &header).len() as u64;
        let block = header.start_block;
        Ok(Self { file, header, offset, block, ended: false })
    }

    /// Whether the file at `path` begins like a journal.
    pub(crate) fn looks_like_one(path: &Path) -> bool {
        let mut magic = [0; MAGIC.len()];
        File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == MAGIC
    }

    /// What it is of.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Offset just behind the last whole record.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the show ended in order.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// The next record; none at the end of the file. After damage there is nothing more.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, Damage> {
        let frame = read_frame(&mut self.file).map_err(|what| self.damaged(what))?;
        let Some((kind, payload)) = frame else { return Ok(None) };
        let record = Record::decode(kind, &payload);
        let record = record.ok_or_else(|| self.damaged("a record of an unknown kind or form"))?;
        self.offset += (FRAME_BYTES + payload.len()) as u64;
        self.note(&record);
        Ok(Some(record))
    }

    /// That what was read last makes no sense where it stands.
    pub(crate) fn damaged(&self, what: &'static str) -> Damage {
        Damage { offset: self.offset, block: self.block, what }
    }

    fn note(&mut self, record: &Record) {
        let block = match record {
            Record::Command(command) => command.block,
            Record::Hashes(hashes) => hashes.first_block.saturating_add(hashes.len() as u64),
            Record::Checkpoint(checkpoint) => checkpoint.block,
            Record::Mark(mark) => mark.block,
            Record::Gap(gap) => gap.from_block,
            Record::Quarantine(_) | Record::Bypass(_) | Record::Plan(_) => self.block,
            Record::End(blocks) => *blocks,
            Record::Concealed(block) => block.saturating_add(1),
        };
        self.block = self.block.max(block);
        self.ended = matches!(record, Record::End(_));
    }
}

/// Whether the records of the log follow each other: one that is missing or stands twice would
/// make everything after it another show.
#[derive(Debug)]
pub(crate) struct Sequence {
    /// The number that comes next; none where the first state tells.
    next: Option<u64>,
}

impl Sequence {
    /// That of a journal which begins with this block.
    pub(crate) fn new(start_block: u64) -> Self {
        Self { next: (start_block == 0).then_some(0) }
    }

    /// Takes the next record of the journal; an error says what is wrong with its place.
    pub(crate) fn follow(&mut self, record: &Record) -> Result<(), &'static str> {
        match record {
            Record::Command(command) => {
                if self.next.is_some_and(|next| next != command.number) {
                    return Err("a record of the log is missing");
                }
                self.next = Some(command.number.saturating_add(1));
            }
            Record::Checkpoint(checkpoint) => {
                self.next.get_or_insert(checkpoint.cursor);
            }
            Record::Gap(gap) => self.next = Some(gap.to_record),
            _ => {}
        }
        Ok(())
    }
}

/// Kind and payload of the next frame; none where the file ends between two.
fn read_frame(file: &mut impl Read) -> Result<Option<(u32, Vec<u8>)>, &'static str> {
    const CUT: &str = "the record is cut short";
    let mut frame = [0_u8; FRAME_BYTES];
    let mut filled = 0;
    while filled < frame.len() {
        match file.read(&mut frame[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(CUT),
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err("the file cannot be read further"),
        }
    }
    let word = |at: usize| u32::from_le_bytes(frame[at..at + 4].try_into().expect("in a frame"));
    let (kind, length, sum) = (word(0), word(4), word(8));
    if length as usize > PAYLOAD_BYTES_MAX {
        return Err("the record claims an impossible length");
    }
    // Not allocated on the word of a damaged length: it grows as bytes arrive.
    let mut payload = Vec::new();
    let got = file.take(u64::from(length)).read_to_end(&mut payload);
    match got {
        Err(_) => Err("the file cannot be read further"),
        Ok(bytes) if bytes < length as usize => Err(CUT),
        Ok(_) if record::checksum(kind, length, &payload) != sum => Err("the sum does not match"),
        Ok(_) => Ok(Some((kind, payload))),
    }
}
