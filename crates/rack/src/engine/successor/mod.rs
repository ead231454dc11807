//! All that a rack needs to go over to another plan, made before it does.
//!
//! *Layout* of its arena: the words of the new plan, then those of the old one once more, which
//! goes on there while it is faded from.

mod twins;

use self::twins::Twins;
use crate::command::Command;
use crate::engine::circuit::Circuit;
use crate::engine::layout::Header;
use crate::engine::module;
use crate::engine::rack::{check, fitting, touched};
use crate::plan::{Plan, PlanError, Setup};

/// What takes over from a rack that plays another plan; after
/// [`Rack::adopt`](crate::Rack::adopt) it holds what was taken over from.
pub struct Successor {
    pub(super) circuit: Circuit,
    /// None where there is no room for both states.
    pub(super) before: Option<Before>,
    pub(super) arena: Vec<u64>,
    twins: Twins,
    base: u32,
    base_hash: u64,
}

/// The plan a rack fades from.
pub(super) struct Before {
    /// Its words follow those of the plan that plays.
    pub(super) circuit: Circuit,
    /// By module of the plan that plays: the one of the same id and type here.
    twins: Vec<Option<u16>>,
}

impl Successor {
    /// Prepares to go over from one plan, and its edition, to another: allocates and touches all
    /// that is needed. Refused is what was compiled for another setup, or has more state than
    /// there is room; where only both together have, it is prepared for a cut. `[control]`
    pub fn prepare(
        from: (&Plan, u32),
        to: (&Plan, u32),
        setup: &Setup,
    ) -> Result<Box<Successor>, PlanError> {
        Successor::build(from, to, setup, false).map(Box::new)
    }

    pub(super) fn build(
        from: (&Plan, u32),
        to: (&Plan, u32),
        setup: &Setup,
        probed: bool,
    ) -> Result<Successor, PlanError> {
        let circuit = fitting(Circuit::new(check(to.0, setup)?, to.1, (0, probed)), setup)?;
        let words = circuit.layout.words;
        let old = Circuit::new(check(from.0, setup)?, from.1, (words, probed));
        let twins = Twins::of(&old, &circuit);
        let (base, base_hash) = (from.1, old.hash);
        let both = words + old.layout.words;
        let fits = both * 8 <= setup.state_bytes;
        let mut arena = touched(if fits { both } else { words });
        circuit.begin(&mut arena);
        let before = fits.then(|| Before { circuit: old, twins: twins.back() });
        Ok(Successor { circuit, before, arena, twins, base, base_hash })
    }

    /// Number of the plan it goes over to. `[any]`
    pub fn edition(&self) -> u32 {
        self.circuit.edition
    }

    /// Number of the plan it goes over from. `[any]`
    pub fn base(&self) -> u32 {
        self.base
    }

    /// The plan it goes over to. `[any]`
    pub fn plan(&self) -> &Plan {
        &self.circuit.plan
    }

    /// Words of the longest state there will be: within a fade both plans'. `[any]`
    pub fn state_words(&self) -> usize {
        let before = self.before.as_ref().map_or(0, |before| before.circuit.layout.words);
        self.circuit.layout.words + before
    }

    /// Whether there is room for a fade; if not, it will be a cut. `[any]`
    pub fn crosses(&self) -> bool {
        self.before.is_some()
    }

    /// The low half of the new plan's hash, as `Action::Adopt` names it. `[any]`
    pub fn check(&self) -> u32 {
        self.circuit.hash as u32
    }

    /// Whether it takes over from this circuit.
    pub(super) fn follows(&self, circuit: &Circuit) -> bool {
        let base = (self.base, self.base_hash) == (circuit.edition, circuit.hash);
        base && self.circuit.edition > self.base
    }

    /// Takes over what goes on: of the state of `old`, which is not changed. `[audio]`
    pub(super) fn inherit(&mut self, old: &Circuit, words: &mut [u64]) {
        let Successor { circuit, arena, twins, .. } = self;
        let (layout, known) = (&circuit.layout, *old.layout.header(words));
        *layout.master(arena) = *old.layout.master(words);
        *layout.header(arena) =
            Header { plan: circuit.hash, edition: circuit.edition.into(), agenda_len: 0, ..known };
        for (place, twin) in layout.modules.iter().zip(&twins.modules) {
            let Some(twin) = twin else { continue };
            let from = (&old.layout.modules[usize::from(twin.index)], &words[..]);
            if twin.whole {
                module::follow(place, arena, from);
            } else {
                module::resume(place, arena, from);
            }
        }
        for (new, old) in &twins.delays {
            arena[new.clone()].copy_from_slice(&words[old.clone()]);
        }
        let waiting = old.layout.agenda(words);
        let mut ignored = 0;
        let culprit = twins.named(known.notes.reset_module);
        let mut agenda = layout.agenda(arena);
        agenda.slots.copy_from_slice(waiting.slots);
        *agenda.len = *waiting.len;
        agenda.change(|slot| {
            let slot = twins.readdressed(slot);
            ignored += u64::from(slot.is_none());
            slot
        });
        let notes = &mut layout.header(arena).notes;
        notes.ignored += ignored;
        notes.reset_module = culprit;
    }
}

impl Before {
    /// Whether the header of a state means this one.
    pub(super) fn is_named(&self, before: u64) -> bool {
        before == u64::from(self.circuit.edition) + 1
    }

    /// The first word of what a command for the plan that plays is here; nothing if it is for a
    /// module that is not here.
    pub(super) fn head_for(&self, command: &Command, head: u64) -> Option<u64> {
        match command.module() {
            None => Some(head),
            Some(module) => {
                let twin = self.twins.get(usize::from(module)).copied().flatten();
                twin.map(|twin| Command::readdress(head, twin))
            }
        }
    }
}
