//! A rack played by hand, block by block, with what the log said at each.
//!
//! *Invariant*: a record is applied at its block, before the block is rendered, in the order of
//! its number: exactly what a worker does.

use std::collections::{BTreeSet, VecDeque};

use segue_lockstep::memory::block;
use segue_rack::{Action, BLOCK_FRAMES, Command, Plan, PlanError, Rack, Setup, StateError};

use crate::files::journal;

/// Kind of a log record that is a command for the rack; workers act on no other.
pub(crate) const COMMAND: u32 = 1;

/// A rack and what it will be told.
pub(crate) struct Player {
    rack: Rack,
    block: u64,
    waiting: VecDeque<journal::Command>,
    quarantined: BTreeSet<u64>,
    /// By block and module.
    bypassed: BTreeSet<(u64, u32)>,
    /// Records below this number are in the state.
    cursor: u64,
    samples: Vec<f32>,
    words: Vec<u64>,
}

impl Player {
    /// The rack of `plan` before block 0.
    pub(crate) fn new(plan: &Plan, setup: &Setup) -> Result<Self, PlanError> {
        Ok(Self::of(Rack::new(plan, setup)?, setup))
    }

    /// The same, whose modules can be listened to one by one.
    pub(crate) fn probed(plan: &Plan, setup: &Setup) -> Result<Self, PlanError> {
        Ok(Self::of(Rack::probed(plan, setup)?, setup))
    }

    fn of(rack: Rack, setup: &Setup) -> Self {
        let samples = BLOCK_FRAMES * usize::from(setup.channels);
        Self {
            rack,
            block: 0,
            waiting: VecDeque::new(),
            quarantined: BTreeSet::new(),
            bypassed: BTreeSet::new(),
            cursor: 0,
            samples: vec![0.0; samples],
            words: vec![0; samples / 2],
        }
    }

    /// The block that is rendered next.
    pub(crate) fn block(&self) -> u64 {
        self.block
    }

    /// The rack as it stands.
    pub(crate) fn rack(&self) -> &Rack {
        &self.rack
    }

    /// Goes on from `checkpoint`; records that are in it are dropped.
    pub(crate) fn restore(&mut self, checkpoint: &journal::Checkpoint) -> Result<(), StateError> {
        let state = checkpoint.state(self.rack.state().len()).ok_or(StateError::Layout)?;
        self.rack.restore(&state)?;
        self.block = checkpoint.block;
        self.cursor = checkpoint.cursor;
        self.waiting.retain(|command| command.number >= checkpoint.cursor);
        Ok(())
    }

    /// Takes a record of the log, to be applied at its block.
    pub(crate) fn push(&mut self, command: journal::Command) {
        if command.number >= self.cursor {
            self.waiting.push_back(command);
        }
    }

    /// This record is never applied.
    pub(crate) fn quarantine(&mut self, number: u64) {
        self.quarantined.insert(number);
    }

    /// A module is out of the signal from a block on.
    pub(crate) fn bypass(&mut self, bypass: journal::Bypass) {
        self.bypassed.insert((bypass.block, bypass.part));
    }

    /// Takes out what was taken out at this block; gives which modules.
    fn take_out(&mut self) -> Vec<u32> {
        let now = (self.block, 0)..=(self.block, u32::MAX);
        let parts: Vec<u32> = self.bypassed.range(now).map(|(_, part)| *part).collect();
        for module in parts.iter().filter_map(|part| u16::try_from(*part).ok()) {
            self.rack.apply(&Command::now(Action::Bypass { module }));
        }
        parts
    }

    /// Renders the next block: its samples, and the hash a worker would give.
    pub(crate) fn render(&mut self) -> (&[f32], u64) {
        let out = self.take_out();
        while self.waiting.front().is_some_and(|command| command.block <= self.block) {
            let Some(command) = self.waiting.pop_front() else { break };
            if command.kind != COMMAND || self.quarantined.contains(&command.number) {
                continue;
            }
            // What is no command was none for the workers either.
            if let Ok(command) = Command::decode(&command.payload)
                && command.module().is_none_or(|module| !out.contains(&module.into()))
            {
                self.rack.apply(&command);
            }
        }
        self.rack.render(&mut self.samples, &mut |_| {});
        self.block += 1;
        let hash = block::pack(&self.samples, &mut self.words);
        (&self.samples, hash)
    }
}
