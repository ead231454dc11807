//! A plan wired up: where its words lie in an arena, its cables, and what it is told in a block.
//!
//! *Invariant*: all that outlives a block is in the words of the arena that are its own. Two
//! circuits play out of one arena while one is faded to the other.

mod schedule;

use zerocopy::IntoBytes;

use self::schedule::Schedule;
use crate::catalog::ModuleSpec;
use crate::command::{Action, Command};
use crate::engine::StateError;
use crate::engine::agenda::AGENDA_CAPACITY;
use crate::engine::cables::{Cables, Outlets};
use crate::engine::layout::{Header, Layout, MAGIC, Master, QUEUE, Tally};
use crate::engine::master::{Desk, MasterTask, frames};
use crate::engine::module::{self, BRIDGE_MS, BYPASS_MS, Scene};
use crate::plan::Plan;

/// A plan, ready to be played out of an arena.
pub(super) struct Circuit {
    pub(super) plan: Plan,
    /// Number of the plan.
    pub(super) edition: u32,
    /// Hash of the plan.
    pub(super) hash: u64,
    pub(super) layout: Layout,
    pub(super) specs: Vec<&'static ModuleSpec>,
    pub(super) cables: Cables,
    /// Nothing between two modules.
    outlets: Outlets,
    schedule: Schedule,
}

/// The block at hand.
#[derive(Clone, Copy)]
pub(super) struct Block {
    /// Its first frame.
    pub(super) start: u64,
    /// Resets counted before it.
    pub(super) resets: u64,
    /// What its first module is called by crumbs and resets.
    pub(super) first: usize,
}

impl Circuit {
    /// The circuit of a plan whose words begin at `base`. `[control]`
    pub(super) fn new(plan: &Plan, edition: u32, (base, probed): (usize, bool)) -> Circuit {
        let layout = Layout::with(plan, base, probed);
        Circuit {
            plan: plan.clone(),
            edition,
            hash: plan.hash(),
            specs: plan.modules().iter().map(|module| module.spec()).collect(),
            cables: Cables::new(&layout),
            outlets: Outlets::default(),
            schedule: Schedule::new(layout.modules.len()),
            layout,
        }
    }

    /// Writes the state it begins with. `[control]`
    pub(super) fn begin(&self, arena: &mut [u64]) {
        arena[self.layout.range()].fill(0);
        *self.layout.header(arena) = Header {
            magic: MAGIC,
            plan: self.hash,
            block: 0,
            sequence: 0,
            agenda_len: 0,
            notes: Tally::default(),
            edition: self.edition.into(),
            before: 0,
            fade_left: 0,
            fade_frames: 0,
        };
        *self.layout.master(arena) = Master::new();
        for place in &self.layout.modules {
            module::initialise(place, &mut arena[place.words.clone()]);
        }
    }

    /// Whether a command means something here. `[audio]`
    pub(super) fn takes(&self, command: &Command) -> bool {
        let module = command.module().map(|module| self.specs.get(usize::from(module)));
        match (command.action, module.flatten()) {
            (Action::Set { param, value, .. }, Some(spec)) => {
                let param = spec.params.get(usize::from(param));
                value.is_finite() && param.is_some_and(|param| !param.fixed)
            }
            (Action::Gate { level, .. }, Some(spec)) => spec.has_gate && level.is_finite(),
            (Action::Note { note, velocity, .. }, Some(spec)) => {
                spec.has_notes && note.is_finite() && velocity.is_finite()
            }
            (Action::Voice { param, value, .. }, Some(spec)) => {
                usize::from(param) < spec.voice_params.len() && value.is_finite()
            }
            (Action::MasterGain { gain, .. }, _) => gain.is_finite(),
            (Action::Adopt { .. }, _) => false,
            (_, known) => known.is_some() || module.is_none(),
        }
    }

    /// Empties what could still ring. `[audio]`
    pub(super) fn silence(&self, arena: &mut [u64]) {
        for place in &self.layout.modules {
            module::silence(place, &mut arena[place.words.clone()]);
        }
        for delay in &self.layout.delays {
            arena[delay.words.clone()].fill(0);
        }
    }

    /// Renders all modules of a block; `crumb` is called with what each is called before it
    /// renders. `[audio]`
    pub(super) fn render(
        &mut self,
        arena: &mut [u64],
        desk: &Desk,
        block: Block,
        crumb: &mut dyn FnMut(u32),
        tally: &mut Tally,
    ) {
        for delay in &self.layout.delays {
            let kept = arena[delay.words.clone()].as_bytes();
            self.cables.pages[delay.page].as_mut_bytes().copy_from_slice(kept);
        }
        let scene = Scene {
            start: block.start,
            channels: desk.channels,
            gate_gap: u64::from(desk.rate).div_ceil(1_000),
            bypass_frames: frames(BYPASS_MS, desk.rate),
            bridge_frames: frames(BRIDGE_MS, desk.rate),
            events: &self.schedule.events,
        };
        for (index, place) in self.layout.modules.iter().enumerate() {
            crumb((block.first + index) as u32);
            let words = &mut arena[place.words.clone()];
            let first = self.schedule.chains[index].map(|(first, _)| first);
            let cables = (&mut self.cables, &mut self.outlets);
            let sound = module::play(place, words, cables, &scene, first, tally);
            if !sound {
                tally.reset(block.first + index, block.resets);
            }
        }
        for delay in &self.layout.delays {
            let heard = self.cables.pages[delay.from].as_bytes();
            arena[delay.words.clone()].as_mut_bytes().copy_from_slice(heard);
        }
    }

    /// What the master is told in the block at hand, by frame. `[audio]`
    pub(super) fn master_tasks(&self) -> &[(usize, MasterTask)] {
        &self.schedule.master
    }

    /// The block that `out` gave, left and right. `[audio]`
    pub(super) fn buses(&self) -> (&[f32], &[f32]) {
        let [left, right, ..] = &self.layout.modules[self.layout.out].outlets;
        (self.cables.outlet(left), self.cables.outlet(right))
    }

    /// The same, to be written to. `[audio]`
    pub(super) fn bus_mut(&mut self, side: usize) -> &mut [f32] {
        let outlet = self.layout.modules[self.layout.out].outlets[side];
        match outlet.page {
            Some(page) => &mut self.cables.pages[page],
            None => &mut [],
        }
    }

    /// Whether its words in `state`, which is as long as it must be, can be gone on from.
    /// `[any]`
    pub(super) fn check(&self, state: &[u64]) -> Result<(), StateError> {
        let Some(header) = Header::of(&state[self.layout.range()]) else {
            return Err(StateError::Layout);
        };
        if header.magic != MAGIC {
            return Err(StateError::Layout);
        }
        if (header.plan, header.edition) != (self.hash, self.edition.into()) {
            return Err(StateError::OtherPlan);
        }
        let wild = |what| Err(StateError::Wild { what });
        if header.agenda_len > AGENDA_CAPACITY as u64 {
            return wild("an agenda longer than there is room");
        }
        // Far from any real number, and near enough to the end that frames would overflow.
        if header.block > u64::MAX / 256 || header.sequence > u64::MAX / 2 {
            return wild("a time beyond all times");
        }
        if (header.fade_left > 0) != (header.before > 0) || header.fade_left > header.fade_frames {
            return wild("a fade that goes from nothing, or is longer than it is");
        }
        for place in &self.layout.modules {
            match module::head(place, state) {
                Some(head) if head.waiting as usize <= QUEUE => {}
                _ => return wild("more gates waiting than there is room"),
            }
        }
        Ok(())
    }
}
