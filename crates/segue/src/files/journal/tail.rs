//! The tail of a journal: the newest state that can be had from it, and what came after.
//!
//! *Invariant*: only what stands before the first damage counts, and of that only blocks that
//! somebody rendered: what is known of those is known whole, for the follower writes records and
//! verdicts of the log before the hashes of the blocks they are about. A closing fade is no part
//! of the show: it is gone on with from where the fade began.

use std::path::Path;

use super::reader::{Damage, JournalReader, Sequence};
use super::record::{Bypass, Checkpoint, Command, Hashes, JournalError, Plan, Record};

/// Blocks by which the hashes may jump: what was heard is known for all but the thirty seconds
/// of the tap, and no device goes faster than the largest rate.
const JUMP_MAX: u64 = 1 << 20;

/// A stretch of a show that can be replayed.
#[derive(Debug, Default)]
struct Stretch {
    /// Where replay begins; none: with the plan, at block 0.
    base: Option<Checkpoint>,
    /// The records since.
    commands: Vec<Command>,
    /// Block and hash since.
    hashes: Vec<(u64, u64)>,
    /// Blocks below this were rendered by somebody.
    known: u64,
    /// Number and block of the closing fade.
    faded: Option<(u64, u64)>,
}

/// What is left of a show.
#[derive(Debug)]
pub(crate) struct Tail {
    /// Where replay begins; none: with the plan, at block 0.
    pub(crate) base: Option<Checkpoint>,
    /// The records of the log since, without the closing fade; of the last bundle the end of the
    /// file may have cut off some.
    pub(crate) commands: Vec<Command>,
    /// Commands that were never applied, by number.
    pub(crate) quarantined: Vec<u64>,
    /// Modules that were taken out.
    pub(crate) bypasses: Vec<Bypass>,
    /// Plans that were gone over to, or may be.
    pub(crate) plans: Vec<Plan>,
    /// Blocks since, and their hashes.
    pub(crate) hashes: Vec<(u64, u64)>,
    /// The block with which the show is gone on with.
    pub(crate) block: u64,
    /// The first record of the log that is for this block or a later one.
    pub(crate) cursor: u64,
    /// Where reading had to stop.
    pub(crate) damage: Option<Damage>,
}

impl Tail {
    /// The tail of the journal at `path`; none if no state can be had from it. Checkpoints of
    /// blocks from `ceiling` on are passed over, and `is_fade` tells the closing fade.
    pub(crate) fn read(
        path: &Path,
        ceiling: u64,
        is_fade: impl Fn(&Command) -> bool,
    ) -> Result<Option<Self>, JournalError> {
        let mut reader = JournalReader::open(path)?;
        let mut scan = Scan::new(reader.header().start_block, ceiling);
        let damage = loop {
            match reader.next() {
                Ok(None) => break None,
                Err(damage) => break Some(damage),
                Ok(Some(record)) => {
                    if let Err(what) = scan.take(record, &is_fade) {
                        break Some(reader.damaged(what));
                    }
                }
            }
        };
        Ok(scan.finish(damage))
    }
}

/// A journal being gone through.
struct Scan {
    stretch: Stretch,
    /// A state is owed before anything can be replayed: with which record the log goes on.
    owed: bool,
    /// What was before the gap.
    before: Option<Stretch>,
    /// A checkpoint of a block that was not heard yet.
    ahead: Option<Checkpoint>,
    /// Blocks below this were heard, or made up.
    heard: Option<u64>,
    sequence: Sequence,
    quarantined: Vec<u64>,
    bypasses: Vec<Bypass>,
    plans: Vec<Plan>,
    ceiling: u64,
}

impl Scan {
    fn new(start_block: u64, ceiling: u64) -> Self {
        let owed = start_block > 0;
        Self {
            stretch: Stretch::default(),
            owed,
            before: None,
            ahead: None,
            heard: (!owed).then_some(0),
            sequence: Sequence::new(start_block),
            quarantined: Vec::new(),
            bypasses: Vec::new(),
            plans: Vec::new(),
            ceiling,
        }
    }

    fn take(
        &mut self,
        record: Record,
        is_fade: impl Fn(&Command) -> bool,
    ) -> Result<(), &'static str> {
        self.sequence.follow(&record)?;
        match record {
            Record::Command(command) => self.command(command, is_fade)?,
            Record::Hashes(hashes) => self.hashes(&hashes)?,
            Record::Concealed(block) => self.hear(block, block.saturating_add(1))?,
            Record::Checkpoint(checkpoint) if checkpoint.block < self.ceiling => {
                self.checkpoint(checkpoint);
            }
            Record::Gap(_) => {
                if !self.owed {
                    self.before = Some(std::mem::take(&mut self.stretch));
                }
                self.stretch = Stretch::default();
                (self.owed, self.ahead) = (true, None);
            }
            Record::Quarantine(number) => self.quarantined.push(number),
            Record::Bypass(bypass) => self.bypasses.push(bypass),
            Record::Plan(plan) => self.plans.push(plan),
            Record::Checkpoint(_) | Record::Mark(_) | Record::End(_) => {}
        }
        Ok(())
    }

    fn command(
        &mut self,
        command: Command,
        is_fade: impl Fn(&Command) -> bool,
    ) -> Result<(), &'static str> {
        if self.stretch.commands.last().is_some_and(|last| last.block > command.block) {
            return Err("the records of the log are out of order");
        }
        if self.stretch.base.as_ref().is_some_and(|base| command.number < base.cursor) {
            return Ok(());
        }
        if self.stretch.faded.is_none() && is_fade(&command) {
            self.stretch.faded = Some((command.number, command.block));
        }
        self.stretch.commands.push(command);
        Ok(())
    }

    fn hashes(&mut self, hashes: &Hashes) -> Result<(), &'static str> {
        let until = hashes.first_block.saturating_add(hashes.len() as u64);
        self.hear(hashes.first_block, until)?;
        self.stretch.hashes.extend(hashes.iter());
        self.stretch.known = self.stretch.known.max(until);
        if self.ahead.as_ref().is_some_and(|ahead| ahead.block <= until)
            && let Some(ahead) = self.ahead.take()
        {
            self.begin_with(ahead);
        }
        Ok(())
    }

    /// Blocks were heard, or made up.
    fn hear(&mut self, first: u64, until: u64) -> Result<(), &'static str> {
        let heard = self.heard.unwrap_or(first);
        if first < heard || first - heard > JUMP_MAX || until - first > JUMP_MAX {
            return Err("the blocks that were heard are out of order");
        }
        self.heard = Some(until);
        Ok(())
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) {
        // One that has the fade in it would be silent for ever.
        if self.stretch.faded.is_some_and(|(number, _)| checkpoint.cursor > number) {
            return;
        }
        if self.owed {
            self.owed = false;
            self.begin_with(checkpoint);
        } else if checkpoint.block <= self.stretch.known {
            self.begin_with(checkpoint);
        } else {
            self.ahead = Some(checkpoint);
        }
    }

    fn begin_with(&mut self, checkpoint: Checkpoint) {
        let Stretch { commands, hashes, known, .. } = &mut self.stretch;
        commands.retain(|command| command.number >= checkpoint.cursor);
        hashes.retain(|(block, _)| *block >= checkpoint.block);
        *known = (*known).max(checkpoint.block);
        self.stretch.base = Some(checkpoint);
    }

    fn finish(self, damage: Option<Damage>) -> Option<Tail> {
        let stretch = if self.owed { self.before? } else { self.stretch };
        let Stretch { base, mut commands, mut hashes, known, faded } = stretch;
        let block = faded.map_or(known, |(_, faded)| faded.min(known));
        let from = base.as_ref().map_or(0, |base| base.cursor);
        let before = commands.iter().take_while(|command| command.block < block).count();
        let cursor = from + before as u64;
        hashes.retain(|(at, _)| *at < block);
        commands.retain(|command| faded.is_none_or(|(number, _)| command.number != number));
        let Self { quarantined, bypasses, plans, .. } = self;
        Some(Tail { base, commands, quarantined, bypasses, plans, hashes, block, cursor, damage })
    }
}
