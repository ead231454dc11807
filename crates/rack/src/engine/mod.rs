//! The rack that plays a plan: state in an arena, commands in, blocks out.

use thiserror::Error;

use crate::command::Command;
use crate::plan::{Plan, PlanError, Setup};

/// How many commands can wait for their time.
pub const AGENDA_CAPACITY: usize = 2_048;

/// Why a state cannot be restored. Another checkpoint may fit; this one never will.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum StateError {
    /// It has another length than this plan's state.
    #[error("the state has {found} words, this plan needs {wanted}")]
    Length {
        /// Words offered.
        found: usize,
        /// Words needed.
        wanted: usize,
    },
    /// It is no state, or of another build's layout.
    #[error("the words are no state of this layout")]
    Layout,
    /// It is the state of another plan.
    #[error("the state belongs to another plan")]
    OtherPlan,
    /// A count in it is beyond what it counts.
    #[error("the state contradicts itself: {what}")]
    Wild {
        /// Which rule it breaks.
        what: &'static str,
    },
}

/// What happened inside that somebody should hear of; counted since the plan began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Commands moved to a later block because theirs was cut often enough.
    pub moved: u64,
    /// Modules whose output was not finite and that were reset.
    pub resets: u64,
    /// The module reset last, plus one; 0 for none.
    pub reset_module: u64,
    /// Commands for modules or parameters that do not exist, or with values that are no number.
    pub ignored: u64,
    /// Commands skipped because their module is bypassed.
    pub skipped: u64,
    /// Commands refused because the agenda was full.
    pub refused: u64,
    /// Gates that came so fast that they were merged with the one before.
    pub merged: u64,
    /// Frames on which the limiter held the output down.
    pub limited: u64,
}

/// An instrument: a plan and its state.
pub struct Rack {
    arena: Vec<u64>,
}

impl Rack {
    /// Builds the rack of a plan: arena allocated and touched, state initial. [control]
    pub fn new(plan: &Plan, setup: &Setup) -> Result<Rack, PlanError> {
        if plan.setup() != setup {
            return Err(PlanError::Setup);
        }
        Ok(Rack { arena: vec![0; 64] })
    }

    /// Takes a command, relative to the next block to render. [audio]
    pub fn apply(&mut self, command: &Command) {
        let _ = command;
    }

    /// Renders the next block: 64 frames, interleaved. `crumb` is called with the index of each
    /// module before it renders. [audio]
    pub fn render(&mut self, out: &mut [f32], crumb: &mut dyn FnMut(u32)) {
        crumb(0);
        out.fill(0.0);
    }

    /// All state: what is copied, hashed, and given back to [`Rack::restore`]. [audio]
    pub fn state(&self) -> &[u64] {
        &self.arena
    }

    /// Goes on from a state taken from a rack of the same plan. On an error nothing changed. [any]
    pub fn restore(&mut self, state: &[u64]) -> Result<(), StateError> {
        if state.len() != self.arena.len() {
            return Err(StateError::Length { found: state.len(), wanted: self.arena.len() });
        }
        self.arena.copy_from_slice(state);
        Ok(())
    }

    /// Index of the next block to render. [any]
    pub fn block(&self) -> u64 {
        0
    }

    /// The constant a parameter has or is on its way to: what `/mod` set last. [any]
    pub fn param(&self, module: u16, param: u16) -> Option<f32> {
        let _ = (module, param);
        None
    }

    /// What the gate of a module was told last; `None` where there is no gate. [any]
    pub fn gate(&self, module: u16) -> Option<f32> {
        let _ = module;
        None
    }

    /// Whether a module is bypassed. [any]
    pub fn is_bypassed(&self, module: u16) -> bool {
        let _ = module;
        false
    }

    /// The master gain (linear) set last, and whether muted. [any]
    pub fn master(&self) -> (f32, bool) {
        (1.0, false)
    }

    /// How many commands wait. [any]
    pub fn agenda_len(&self) -> usize {
        0
    }

    /// The commands that wait, each with its frame, in no particular order. [any]
    pub fn pending(&self) -> impl Iterator<Item = Command> + '_ {
        std::iter::empty()
    }

    /// What was counted so far. [any]
    pub fn notes(&self) -> Notes {
        Notes::default()
    }
}
