//! A rack played by hand, block by block, with what the log said at each.
//!
//! *Invariant*: a record is applied at its block, before the block is rendered, in the order of
//! its number: exactly what a worker does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use segue_lockstep::memory::block;
use segue_rack::{BLOCK_FRAMES, Performer, Plan, PlanError, Rack, Setup, StateError};

use crate::files::journal;

/// Kind of a log record that is a command for the rack; workers act on no other.
pub(crate) const COMMAND: u32 = 1;

/// Plans by edition, as far as they are known.
type Shelf = BTreeMap<u32, Plan>;

/// A rack and what it will be told.
pub(crate) struct Player {
    performer: Performer<Shelf>,
    block: u64,
    waiting: VecDeque<journal::Command>,
    quarantined: BTreeSet<u64>,
    /// By block and module.
    bypassed: BTreeSet<(u64, u32)>,
    /// Records below this number are in the state.
    cursor: u64,
    /// Words of the longest state there can be.
    state_words: usize,
    samples: Vec<f32>,
    words: Vec<u64>,
}

impl Player {
    /// The rack of `plan` before block 0: the first edition of a show.
    pub(crate) fn new(plan: &Plan, setup: &Setup) -> Result<Self, PlanError> {
        Self::begin(&[(0, plan.clone())], setup)
    }

    /// The rack of the last of these editions before block 0; a state may be of any of them.
    pub(crate) fn begin(editions: &[(u32, Plan)], setup: &Setup) -> Result<Self, PlanError> {
        Self::of(editions, setup, |shelf, edition| Performer::new(shelf, edition, setup))
    }

    /// The same, whose modules can be listened to one by one.
    pub(crate) fn probed(editions: &[(u32, Plan)], setup: &Setup) -> Result<Self, PlanError> {
        Self::of(editions, setup, |shelf, edition| Performer::probed(shelf, edition, setup))
    }

    fn of(
        editions: &[(u32, Plan)],
        setup: &Setup,
        build: impl Fn(Shelf, u32) -> Result<Performer<Shelf>, PlanError>,
    ) -> Result<Self, PlanError> {
        let last = editions.last().map_or(0, |(edition, _)| *edition);
        let samples = BLOCK_FRAMES * usize::from(setup.channels);
        Ok(Self {
            performer: build(editions.iter().cloned().collect(), last)?,
            block: 0,
            waiting: VecDeque::new(),
            quarantined: BTreeSet::new(),
            bypassed: BTreeSet::new(),
            cursor: 0,
            state_words: setup.state_bytes / 8,
            samples: vec![0.0; samples],
            words: vec![0; samples / 2],
        })
    }

    /// Learns of a plan that may be gone over to.
    pub(crate) fn learn(&mut self, edition: u32, plan: Plan) {
        self.performer.library().insert(edition, plan);
    }

    /// The plan of an edition, if it is known.
    pub(crate) fn known(&mut self, edition: u32) -> Option<Plan> {
        self.performer.library().get(&edition).cloned()
    }

    /// The block that is rendered next.
    pub(crate) fn block(&self) -> u64 {
        self.block
    }

    /// The rack as it stands.
    pub(crate) fn rack(&self) -> &Rack {
        self.performer.rack()
    }

    /// The plan it plays.
    pub(crate) fn plan(&self) -> &Plan {
        self.performer.plan()
    }

    /// Which edition that is.
    pub(crate) fn edition(&self) -> u32 {
        self.performer.edition()
    }

    /// The whole state, what fades included.
    pub(crate) fn state(&self) -> &[u64] {
        self.performer.state()
    }

    /// Goes on from `checkpoint`; records that are in it are dropped.
    pub(crate) fn restore(&mut self, checkpoint: &journal::Checkpoint) -> Result<(), StateError> {
        let state = checkpoint.state(self.state_words).ok_or(StateError::Layout)?;
        self.performer.restore(&state)?;
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

    /// What is taken out at this block.
    fn out(&self) -> Vec<u32> {
        let now = (self.block, 0)..=(self.block, u32::MAX);
        self.bypassed.range(now).map(|(_, part)| *part).collect()
    }

    /// Renders the next block: its samples, and the hash a worker would give.
    pub(crate) fn render(&mut self) -> (&[f32], u64) {
        let out = self.out();
        while self.waiting.front().is_some_and(|command| command.block <= self.block) {
            let Some(command) = self.waiting.pop_front() else { break };
            let is_for = |part: &u32| self.performer.is_for(&command.payload, *part);
            let is_poison = self.quarantined.contains(&command.number) || out.iter().any(is_for);
            // What is no command was none for the workers either.
            if command.kind == COMMAND && !is_poison {
                self.performer.apply(&command.payload);
            }
        }
        out.iter().for_each(|part| self.performer.bypass(*part));
        self.performer.render(&mut self.samples, &mut |_| {});
        self.block += 1;
        let hash = block::pack(&self.samples, &mut self.words);
        (&self.samples, hash)
    }
}
