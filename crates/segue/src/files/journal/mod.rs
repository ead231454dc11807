//! The journal: everything that was asked of the instrument, with which it can be played again.
//!
//! *Layout*: magic and format (16 bytes), then records: `kind length crc32` as little-endian u32,
//! then `length` bytes of postcard. The first record is the header. The sum covers kind, length
//! and bytes, so a record that was half written is noticed and everything before it holds.

mod reader;
mod record;
mod tail;
mod writer;

pub(crate) use reader::{Damage, JournalReader, Sequence};
pub(crate) use record::{
    Bypass, Checkpoint, Command, Gap, Hashes, Header, JournalError, Mark, Plan, Record,
};
pub(crate) use tail::Tail;
pub(crate) use writer::JournalWriter;
