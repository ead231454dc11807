//! Keeps the journal: log and hashes as they come, marks, checkpoints, and old files within
//! bounds.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use segue_lockstep::memory::checkpoint;
use segue_lockstep::memory::orders::{self, Kind, Orders};
use segue_lockstep::memory::plans::Plans;
use segue_lockstep::memory::slot::Slot;
use segue_lockstep::memory::tap::Played;
use segue_lockstep::memory::verdicts::Verdict;
use segue_rack::Rack;

use crate::files::journal::{
    Bypass, Checkpoint, Command, Gap, Hashes, Header, JournalError, JournalWriter, Mark, Plan,
    Record,
};
use crate::offline::editions::adopted;

/// How often a state is put into the journal, in seconds of wall time: what `--resume` has to
/// play again before it sounds. The longer the state, the rarer.
const CHECKPOINT_S: std::ops::RangeInclusive<u64> = 2..=10;
/// Bytes of states a second that are no burden to a disk, nor to what is kept of journals.
const CHECKPOINT_BYTES: u64 = 32 << 10;
/// Records of the log after which a state is put into the journal all the same.
const CHECKPOINT_RECORDS: u64 = 1 << 14;

/// A journal under way.
pub(in crate::control) struct Keeper {
    writer: JournalWriter,
    next_block: u64,
    next_record: u64,
    hashes: Hashes,
    /// Editions whose plans are in this file.
    editions: BTreeSet<u32>,
    /// A state is owed that has everything below this record in it: the log was interrupted.
    owed: Option<u64>,
    /// Where a further file begins, counted from behind the state this one begins with.
    bytes_max: u64,
    first_bytes: u64,
    checkpointed: Instant,
    /// What the last state was like: its first record, and how long until the next is due.
    checkpoint: (u64, u64),
}

impl Keeper {
    /// A new journal, refused where there is a file.
    pub(in crate::control) fn create(
        path: &Path,
        header: &Header,
        bytes_max: u64,
    ) -> Result<Self, JournalError> {
        let writer = JournalWriter::create(path, header)?;
        let editions = editions_of(header);
        Ok(Self::with(writer, editions, (header.start_block, 0), None, bytes_max))
    }

    /// A new journal of a show that goes on from `state`, whose plans are in the header; refused
    /// where there is a file.
    pub(in crate::control) fn begin_with(
        path: &Path,
        header: &Header,
        mark: checkpoint::Mark,
        state: &[u64],
        bytes_max: u64,
    ) -> Result<Self, JournalError> {
        let writer = JournalWriter::create(path, header)?;
        let (editions, next) = (editions_of(header), (mark.block, mark.cursor));
        let mut keeper = Self::with(writer, editions, next, None, bytes_max);
        keeper.put_state(mark, state);
        keeper.first_bytes = keeper.writer.bytes();
        // Whoever goes on with a show needs its state: without it the file is none.
        if let Err(error) = keeper.write() {
            keeper.writer.discard();
            return Err(error);
        }
        Ok(keeper)
    }

    /// Goes on with the journal of a control process that has died.
    /// Gives its header as well.
    pub(in crate::control) fn reopen(
        path: &Path,
        bytes_max: u64,
    ) -> Result<(Self, Header), JournalError> {
        let (mut next_block, mut next_record, mut owed) = (None, None, None);
        let (mut cursor, mut editions) = (0, BTreeSet::new());
        let (writer, header) = JournalWriter::reopen(path, |record| match record {
            Record::Plan(plan) => {
                editions.insert(plan.edition);
            }
            Record::Command(command) => next_record = Some(command.number + 1),
            Record::Hashes(hashes) => {
                next_block = Some(hashes.first_block + hashes.len() as u64);
            }
            Record::Concealed(block) => next_block = Some(block + 1),
            Record::Gap(gap) => owed = Some(gap.to_record),
            Record::Checkpoint(checkpoint) => (owed, cursor) = (None, checkpoint.cursor),
            Record::Mark(_) | Record::Quarantine(_) | Record::Bypass(_) | Record::End(_) => {}
        })?;
        let next_block = next_block.unwrap_or(header.start_block);
        let next_record = next_record.unwrap_or(cursor);
        editions.extend(editions_of(&header));
        let next = (next_block, next_record);
        Ok((Self::with(writer, editions, next, owed, bytes_max), header))
    }

    /// Whether it is as long as a journal may be.
    pub(super) fn is_full(&self) -> bool {
        self.writer.bytes() - self.first_bytes >= self.bytes_max
    }

    fn with(
        writer: JournalWriter,
        editions: BTreeSet<u32>,
        (next_block, next_record): (u64, u64),
        owed: Option<u64>,
        bytes_max: u64,
    ) -> Self {
        let hashes = Hashes::new(next_block);
        let checkpointed = Instant::now();
        Self {
            writer,
            next_block,
            next_record,
            hashes,
            editions,
            owed,
            bytes_max,
            first_bytes: 0,
            checkpointed,
            checkpoint: (next_record, *CHECKPOINT_S.start()),
        }
    }

    /// The next block whose hash is missing.
    pub(in crate::control) fn next_block(&self) -> u64 {
        self.next_block
    }

    /// The next record that is missing.
    pub(in crate::control) fn next_record(&self) -> u64 {
        self.next_record
    }

    /// Where it is.
    pub(in crate::control) fn path(&self) -> &Path {
        self.writer.path()
    }

    /// Takes a verdict.
    pub(super) fn judged(&mut self, verdict: Verdict) {
        self.writer.push(&match verdict {
            Verdict::Quarantine { number, .. } => Record::Quarantine(number),
            Verdict::Bypass { part, block } => Record::Bypass(Bypass { part, block }),
        });
    }

    /// Takes a record of the log, behind the plan that it goes over to; false, and nothing taken,
    /// when that plan is not there any more.
    #[must_use]
    pub(super) fn logged(&mut self, number: u64, record: &orders::Record, plans: &Plans) -> bool {
        if number < self.next_record {
            return true;
        }
        if record.kind == Kind::Command
            && let Some(edition) = adopted(&record.payload)
            && !self.has_plan(edition, plans)
        {
            return false;
        }
        self.next_record = number + 1;
        let kind = match record.kind {
            Kind::Command => crate::offline::player::COMMAND,
            Kind::Verdict => 2,
            Kind::Bypass => 3,
            Kind::Mark => 4,
        };
        self.writer.push(&Record::Command(Command {
            number,
            block: record.block,
            kind,
            payload: record.payload,
            origin: record.origin.into(),
            more: record.more,
        }));
        true
    }

    /// Puts the plan of an edition into the journal where it is not there yet; false when it is
    /// nowhere.
    fn has_plan(&mut self, edition: u32, plans: &Plans) -> bool {
        if self.editions.contains(&edition) {
            return true;
        }
        let Some(found) = plans.read(edition.into()) else { return false };
        self.editions.insert(edition);
        let plan = segue_rack::Plan::from_bytes(&found.bytes);
        self.writer.push(&Record::Plan(Plan {
            edition,
            base: found.base.and_then(|base| u32::try_from(base).ok()),
            patch: plan.map(|plan| plan.source().to_owned()).unwrap_or_default(),
            bytes: found.bytes,
        }));
        true
    }

    /// Takes what was played at a block.
    pub(super) fn played(&mut self, block: u64, played: Played) {
        if block < self.next_block {
            return;
        }
        if played.concealed {
            self.put_hashes();
            self.writer.push(&Record::Concealed(block));
            self.hashes = Hashes::new(block + 1);
        } else {
            self.hashes.push(played.hash);
        }
        self.next_block = block + 1;
    }

    /// Nothing is known of what was heard before `block`; the log is whole.
    pub(super) fn unheard(&mut self, block: u64) {
        self.put_hashes();
        self.next_block = self.next_block.max(block);
        self.hashes = Hashes::new(self.next_block);
    }

    /// Records of the log before this one are missing.
    pub(super) fn gap(&mut self, to_record: u64) {
        self.put_hashes();
        self.writer.push(&Record::Gap(Gap { from_block: self.next_block, to_record }));
        self.next_record = self.next_record.max(to_record);
        self.owed = Some(to_record);
    }

    /// Hands everything so far to the kernel, where the death of this process cannot reach it.
    pub(super) fn write(&mut self) -> Result<(), JournalError> {
        self.put_hashes();
        self.writer.flush()
    }

    /// Makes everything so far safe.
    pub(super) fn mark(
        &mut self,
        block: u64,
        slots: &[Slot],
        orders: &Orders,
        plans: &Plans,
    ) -> Result<(), JournalError> {
        self.put_hashes();
        let (record, every_s) = self.checkpoint;
        let due = self.checkpointed.elapsed().as_secs() >= every_s
            || self.next_record - record >= CHECKPOINT_RECORDS;
        if due || self.owed.is_some() {
            self.put_checkpoint(slots, orders, plans);
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.writer.push(&Record::Mark(Mark { block, at_ns }));
        self.writer.flush()?;
        self.writer.sync()?;
        self.writer.still_there()
    }

    /// The show ended before `block`.
    pub(super) fn end(mut self, block: u64) -> Result<(), JournalError> {
        self.put_hashes();
        self.writer.push(&Record::End(block));
        self.writer.flush()?;
        self.writer.sync()
    }

    fn put_hashes(&mut self) {
        if self.hashes.len() > 0 {
            let next = Hashes::new(self.next_block);
            self.writer.push(&Record::Hashes(std::mem::replace(&mut self.hashes, next)));
        }
    }

    fn put_checkpoint(&mut self, slots: &[Slot], orders: &Orders, plans: &Plans) {
        let Some((mark, state)) = newest_checkpoint(slots, orders, u64::MAX) else { return };
        // A state from before the gap does not lead out of it; and what is in a state must be in
        // the journal before it, the closing fade for one.
        let leads_on = self.owed.is_none_or(|to_record| mark.cursor >= to_record);
        if !leads_on || mark.cursor > self.next_record {
            return;
        }
        // Its plans are in the journal already, but behind a gap in the log.
        let needed = Rack::editions_of(&state).map(|(edition, fading)| [Some(edition), fading]);
        if needed.is_ok_and(|all| all.into_iter().flatten().all(|it| self.has_plan(it, plans))) {
            self.put_state(mark, &state);
        }
    }

    fn put_state(&mut self, mark: checkpoint::Mark, state: &[u64]) {
        self.owed = None;
        self.checkpointed = Instant::now();
        let checkpoint = Checkpoint::new(mark.block, mark.cursor, state);
        let every_s = checkpoint.len() as u64 / CHECKPOINT_BYTES;
        let every_s = every_s.clamp(*CHECKPOINT_S.start(), *CHECKPOINT_S.end());
        self.checkpoint = (mark.cursor, every_s);
        self.writer.push(&Record::Checkpoint(checkpoint));
    }
}

fn editions_of(header: &Header) -> BTreeSet<u32> {
    header.editions.iter().map(|(edition, _)| *edition).collect()
}

/// The newest whole checkpoint, at most of block `until`, of any slot whose guest the orders name.
pub(crate) fn newest_checkpoint(
    slots: &[Slot],
    orders: &Orders,
    until: u64,
) -> Option<(checkpoint::Mark, Vec<u64>)> {
    let ours =
        slots.iter().enumerate().filter(|(at, slot)| slot.generation() == orders.generation(*at));
    let mut areas: Vec<_> = ours
        .flat_map(|(_, slot)| slot.areas())
        .filter_map(|area| area.claim().map(|mark| (mark.block, area)))
        .filter(|(block, _)| *block <= until)
        .collect();
    areas.sort_by_key(|(block, _)| std::cmp::Reverse(*block));
    areas.into_iter().find_map(|(_, area)| area.read())
}
