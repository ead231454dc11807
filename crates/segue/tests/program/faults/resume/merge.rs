//! Journals read and written by hand: those of a show that was gone on with, as one.

use std::path::Path;

use serde::{Deserialize, Serialize};

const PRELUDE_BYTES: usize = 16;
const FRAME_BYTES: usize = 12;
const COMMAND: u32 = 2;
const HASHES: u32 = 3;
const CHECKPOINT: u32 = 4;
const END: u32 = 8;

/// A record of the log as the journal has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Command {
    number: u64,
    pub(crate) block: u64,
    kind: u32,
    payload: [u64; 4],
    origin: u64,
    more: u8,
}

#[derive(Serialize, Deserialize)]
struct Hashes {
    first_block: u64,
    bytes: Vec<u8>,
}

/// What of a journal is whole.
pub(crate) struct Journal {
    /// Magic, format and header.
    head: Vec<u8>,
    /// The block it begins with: that of its first state, if that stands before all else.
    pub(crate) start: u64,
    /// The log.
    pub(crate) commands: Vec<Command>,
    /// Block and hash.
    pub(crate) hashes: Vec<(u64, u64)>,
}

impl Journal {
    /// Reads the journal at `path` up to what is torn.
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("a journal");
        let (mut at, mut records) = (PRELUDE_BYTES, 0);
        let mut journal =
            Self { head: Vec::new(), start: 0, commands: Vec::new(), hashes: Vec::new() };
        while let Some((kind, payload)) = frame(&bytes[at..]) {
            at += FRAME_BYTES + payload.len();
            records += 1;
            match kind {
                _ if records == 1 => journal.head = bytes[..at].to_vec(),
                COMMAND => journal.commands.push(postcard::from_bytes(payload).expect("ours")),
                HASHES => {
                    let Hashes { first_block, bytes } =
                        postcard::from_bytes(payload).expect("ours");
                    let hashes = bytes.chunks_exact(8).map(|it| it.try_into().expect("eight"));
                    journal.hashes.extend((first_block..).zip(hashes.map(u64::from_le_bytes)));
                }
                CHECKPOINT if records == 2 => {
                    journal.start = postcard::take_from_bytes(payload).expect("a block").0;
                }
                _ => {}
            }
        }
        journal
    }
}

/// What was in the log and not heard yet when a show stopped is what the next begins with.
pub(crate) fn assert_due_is_kept(journals: &[Journal]) {
    for (round, pair) in journals.windows(2).enumerate() {
        let due = pair[0].commands.iter().filter(|command| command.block >= pair[1].start);
        let due: Vec<&Command> = due.collect();
        // The end of the file may have cut a bundle in two.
        let whole = due.iter().rposition(|command| command.more == 0).map_or(0, |last| last + 1);
        assert!(pair[1].commands.len() >= whole, "round {round}");
        for (old, new) in due[..whole].iter().zip(&pair[1].commands) {
            assert_eq!((old.payload, pair[1].start), (new.payload, new.block), "round {round}");
        }
    }
}

/// Writes the show of all these journals as the one that nobody had interrupted: of each what
/// comes before the next. Gives how many blocks it has; every one must be known.
pub(crate) fn write(journals: &[Journal], path: &Path) -> u64 {
    let mut bytes = journals[0].head.clone();
    let starts = journals.iter().skip(1).map(|it| it.start).chain([u64::MAX]);
    let (mut number, mut block, mut hashed) = (0, 0, Vec::new());
    for (journal, until) in journals.iter().zip(starts) {
        for command in journal.commands.iter().filter(|command| command.block < until) {
            let command = Command { number, ..command.clone() };
            put(&mut bytes, COMMAND, &command);
            number += 1;
        }
        for (at, hash) in journal.hashes.iter().filter(|(at, _)| *at < until) {
            assert_eq!(*at, block, "a block is missing or twice");
            hashed.extend(hash.to_le_bytes());
            block += 1;
        }
    }
    put(&mut bytes, HASHES, &Hashes { first_block: 0, bytes: hashed });
    put(&mut bytes, END, &block);
    std::fs::write(path, bytes).expect("written");
    block
}

fn frame(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (kind, length, sum) = (word(0)?, word(4)? as usize, word(8)?);
    let payload = bytes.get(FRAME_BYTES..FRAME_BYTES + length)?;
    (checksum(kind, payload) == sum).then_some((kind, payload))
}

fn put(bytes: &mut Vec<u8>, kind: u32, record: &impl Serialize) {
    let payload = postcard::to_stdvec(record).expect("it can be written");
    bytes.extend(kind.to_le_bytes());
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(checksum(kind, &payload).to_le_bytes());
    bytes.extend(payload);
}

fn checksum(kind: u32, payload: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&kind.to_le_bytes());
    sum.update(&(payload.len() as u32).to_le_bytes());
    sum.update(payload);
    sum.finalize()
}
