//! Which module of a new plan stands for which one of the old, and how much of it goes on.

use std::ops::Range;

use crate::command::Command;
use crate::engine::circuit::Circuit;
use crate::engine::layout::DelayPlace;
use crate::plan::PlanModule;

/// What two plans have in common.
pub(super) struct Twins {
    /// By module of the new plan.
    pub(super) modules: Vec<Option<Twin>>,
    /// By module of the old plan: the one that stands for it.
    forth: Vec<Option<u16>>,
    /// Words of what delayed cables keep: where it goes, and where it lies in a rack.
    pub(super) delays: Vec<(Range<usize>, Range<usize>)>,
}

/// A module of the old plan, of the same id and type.
pub(super) struct Twin {
    /// Its index there.
    pub(super) index: u16,
    /// All of its state goes on, not only how it is set: lanes and fixed parameters are the same.
    pub(super) whole: bool,
}

impl Twins {
    /// Compares two plans. `[control]`
    pub(super) fn of(old: &Circuit, new: &Circuit) -> Twins {
        let mut forth = vec![None; old.specs.len()];
        let mut modules = Vec::with_capacity(new.specs.len());
        for (at, module) in new.plan.modules().iter().enumerate() {
            let index = old.plan.module(module.id());
            let known = index.map(|index| (index, &old.plan.modules()[usize::from(index)]));
            let known = known.filter(|(_, known)| known.spec().name == module.spec().name);
            modules.push(known.map(|(index, known)| {
                forth[usize::from(index)] = Some(at as u16);
                Twin { index, whole: is_whole(module, known) }
            }));
        }
        let mut delays = Vec::new();
        for delay in &new.layout.delays {
            let twin = modules[delay.module].as_ref().filter(|twin: &&Twin| twin.whole);
            let same = |old: &&DelayPlace| {
                let module = twin.map(|twin| usize::from(twin.index));
                (module, delay.outlet) == (Some(old.module), old.outlet)
            };
            if let Some(known) = old.layout.delays.iter().find(same) {
                // A rack plays the old plan from word 0 on.
                let base = old.layout.base;
                let words = known.words.start - base..known.words.end - base;
                delays.push((delay.words.clone(), words));
            }
        }
        Twins { modules, forth, delays }
    }

    /// By module of the new plan: its twin.
    pub(super) fn back(&self) -> Vec<Option<u16>> {
        self.modules.iter().map(|twin| twin.as_ref().map(|twin| twin.index)).collect()
    }

    /// The module that was reset last, as the new plan counts: its index plus one, 0 for none.
    /// `[audio]`
    pub(super) fn named(&self, reset: u64) -> u64 {
        let old = reset.checked_sub(1).and_then(|old| usize::try_from(old).ok());
        let new = old.and_then(|old| self.forth.get(old).copied().flatten());
        new.map_or(0, |new| u64::from(new) + 1)
    }

    /// What waits for a module of the old plan, for the one that stands for it; nothing if none
    /// does. `[audio]`
    pub(super) fn readdressed(&self, slot: [u64; 4]) -> Option<[u64; 4]> {
        let [head, due, body, sequence] = slot;
        let command = Command::decode(&[head, due, body, 0]).ok()?;
        let Some(module) = command.module() else { return Some(slot) };
        let module = self.forth.get(usize::from(module)).copied().flatten()?;
        Some([Command::readdress(head, module), due, body, sequence])
    }
}

/// Whether two modules of one type have the same state.
fn is_whole(new: &PlanModule, old: &PlanModule) -> bool {
    let bits = |module: &PlanModule, param| module.constant(param).map(f32::to_bits);
    let mut params = (0..).zip(new.spec().params);
    let same = params.all(|(param, spec)| !spec.fixed || bits(new, param) == bits(old, param));
    new.lanes() == old.lanes() && same
}
