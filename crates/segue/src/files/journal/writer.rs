//! Writes a journal, and goes on with one whose writer died.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::reader::JournalReader;
use super::record::{self, FORMAT, HEADER_KIND, Header, JournalError, MAGIC, Record};

/// A journal that grows.
#[derive(Debug)]
pub(crate) struct JournalWriter {
    file: File,
    path: PathBuf,
    /// Bytes of whole records in the file.
    length: u64,
    /// Records not yet handed to the system.
    waiting: Vec<u8>,
}

impl JournalWriter {
    /// A new journal at `path`, refused if there is a file.
    pub(crate) fn create(path: &Path, header: &Header) -> Result<Self, JournalError> {
        let opened = OpenOptions::new().write(true).create_new(true).open(path);
        let file = opened.map_err(|source| match source.kind() {
            ErrorKind::AlreadyExists => JournalError::Exists { path: path.to_owned() },
            _ => JournalError::Io { path: path.to_owned(), source },
        })?;
        lock(&file);
        let mut waiting = Vec::new();
        waiting.extend(MAGIC);
        waiting.extend(FORMAT.to_le_bytes());
        waiting.extend(record::framed(HEADER_KIND, header));
        let mut writer = Self { file, path: path.to_owned(), length: 0, waiting };
        if let Err(error) = writer.flush() {
            writer.discard();
            return Err(error);
        }
        Ok(writer)
    }

    /// Takes a file away again that could not even be begun.
    pub(crate) fn discard(&self) {
        // Where it stays it is none, and is passed over.
        let _ = std::fs::remove_file(&self.path);
    }

    /// Goes on with the journal at `path`: what follows its last whole record is cut off.
    /// `seen` is shown every record that stays.
    pub(crate) fn reopen(
        path: &Path,
        mut seen: impl FnMut(&Record),
    ) -> Result<(Self, Header), JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        let mut reader = JournalReader::open(path)?;
        while let Ok(Some(record)) = reader.next() {
            seen(&record);
        }
        let length = reader.offset();
        let mut file = OpenOptions::new().write(true).open(path).map_err(io)?;
        lock(&file);
        file.set_len(length).map_err(io)?;
        file.seek(SeekFrom::Start(length)).map_err(io)?;
        let writer = Self { file, path: path.to_owned(), length, waiting: Vec::new() };
        Ok((writer, reader.header().clone()))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written and waiting.
    pub(crate) fn bytes(&self) -> u64 {
        self.length + self.waiting.len() as u64
    }

    /// Adds a record; it is in the file after the next [`JournalWriter::flush`].
    pub(crate) fn push(&mut self, record: &Record) {
        record.frame_into(&mut self.waiting);
    }

    /// Hands what waits to the system. After an error the file ends in a whole record, and what
    /// waited is gone: the journal has ended there.
    pub(crate) fn flush(&mut self) -> Result<(), JournalError> {
        let waiting = std::mem::take(&mut self.waiting);
        #[cfg(feature = "fault")]
        crate::host::fault::within_write(&mut self.file, &waiting);
        if let Err(source) = self.file.write_all(&waiting) {
            // The error matters, not whether the half record could be cut off: readers stop there.
            let _ = self.file.set_len(self.length);
            let _ = self.file.seek(SeekFrom::Start(self.length));
            return Err(JournalError::Io { path: self.path.clone(), source });
        }
        self.length += waiting.len() as u64;
        self.waiting = waiting;
        self.waiting.clear();
        Ok(())
    }

    /// Waits until what was flushed is on the disk.
    pub(crate) fn sync(&self) -> Result<(), JournalError> {
        let io = |source| JournalError::Io { path: self.path.clone(), source };
        self.file.sync_data().map_err(io)
    }

    /// Whether the file is still in a folder: what is written to one that was deleted is lost with
    /// this process.
    pub(crate) fn still_there(&self) -> Result<(), JournalError> {
        let io = |source| JournalError::Io { path: self.path.clone(), source };
        match self.file.metadata().map_err(io)?.nlink() {
            0 => Err(io(std::io::Error::new(ErrorKind::NotFound, "it was deleted"))),
            _ => Ok(()),
        }
    }
}

/// Whoever would go on with this journal learns that it is being written. A file system that
/// cannot lock does not keep it from being so.
fn lock(file: &File) {
    let _ = file.try_lock();
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::{
        Bypass, Checkpoint, Command, Damage, Gap, Hashes, Header, Mark, Plan, Record,
    };
    use super::{JournalReader, JournalWriter};

    fn header() -> Header {
        Header {
            build: "0.1.0".to_owned(),
            layout: 7,
            rate: 48_000,
            channels: 2,
            state_bytes: 1 << 20,
            title: "first".to_owned(),
            patch: "segue = 1\n".to_owned(),
            began_with: 11,
            editions: vec![(4, vec![1, 2, 3]), (5, vec![])],
            start_block: 0,
        }
    }

    fn command(number: u64) -> Record {
        let payload = [number, u64::MAX, 0, 1];
        Record::Command(Command { number, block: number * 3, kind: 1, payload, origin: 5, more: 0 })
    }

    fn all_kinds() -> Vec<Record> {
        let mut hashes = Hashes::new(3);
        hashes.push(u64::MAX);
        hashes.push(1);
        vec![
            command(1),
            Record::Hashes(hashes),
            Record::Checkpoint(Checkpoint::new(16, 2, &[1, u64::MAX, 3])),
            Record::Mark(Mark { block: 20, at_ns: 1 << 60 }),
            Record::Gap(Gap { from_block: 21, to_record: 40 }),
            Record::Quarantine(9),
            Record::Bypass(Bypass { part: 3, block: 9 }),
            Record::Concealed(44),
            Record::Plan(Plan {
                edition: u32::MAX,
                base: Some(3),
                patch: "segue = 1\n".to_owned(),
                bytes: vec![9; 300],
            }),
            Record::End(50),
        ]
    }

    fn written(path: &Path, records: &[Record]) {
        let mut writer = JournalWriter::create(path, &header()).unwrap();
        records.iter().for_each(|record| writer.push(record));
        writer.flush().unwrap();
    }

    fn read(path: &Path) -> (Vec<Record>, Option<Damage>) {
        let mut reader = JournalReader::open(path).unwrap();
        let mut records = Vec::new();
        loop {
            match reader.next() {
                Ok(Some(record)) => records.push(record),
                Ok(None) => return (records, None),
                Err(damage) => return (records, Some(damage)),
            }
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.journal");
        written(&path, &all_kinds());
        assert_eq!(read(&path), (all_kinds(), None));
        assert_eq!(JournalReader::open(&path).unwrap().header(), &header());
    }

    #[test]
    fn a_journal_cut_anywhere_is_read_up_to_its_last_whole_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.journal");
        written(&path, &all_kinds());
        let whole = fs::read(&path).unwrap();
        let start = JournalReader::open(&path).unwrap().offset() as usize;
        let mut ends = vec![start];
        for record in all_kinds() {
            ends.push(ends[ends.len() - 1] + record.framed().len());
        }
        for cut in start..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (records, damage) = read(&path);
            let count = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert_eq!(records, all_kinds()[..count], "cut at {cut}");
            let offset = ends[count];
            assert_eq!(damage.map(|it| it.offset), (offset != cut).then_some(offset as u64));
        }
    }

    #[test]
    fn a_flipped_bit_is_found_and_its_place_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.journal");
        written(&path, &all_kinds());
        let whole = fs::read(&path).unwrap();
        let start = JournalReader::open(&path).unwrap().offset();
        for at in start as usize..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, &bytes).unwrap();
            let damage = read(&path).1.unwrap_or_else(|| panic!("byte {at} went unnoticed"));
            assert!(damage.offset <= at as u64 && damage.offset >= start);
        }
    }

    #[test]
    fn a_reopened_journal_goes_on_after_its_last_whole_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.journal");
        written(&path, &[command(1), command(2)]);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        let mut seen = Vec::new();
        let (mut writer, header_again) =
            JournalWriter::reopen(&path, |record| seen.push(record.clone())).unwrap();
        assert_eq!((seen, header_again), (vec![command(1)], header()));
        writer.push(&command(2));
        writer.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
        assert!(JournalWriter::create(&path, &header()).is_err(), "never overwritten");
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
}
