//! What the monitor decides: values, carried out by whoever owns memory and processes.

use crate::memory::orders::Orders;
use crate::memory::slot::Slot;
use crate::memory::status::{Change, Counter, Death, SlotFacts, Status};
use crate::memory::verdicts::Verdict;

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a guest for a slot.
    Spawn {
        /// Which slot.
        slot: usize,
        /// Which guest of it.
        generation: u64,
    },
    /// End a slot's child, by SIGKILL.
    Kill {
        /// Which slot.
        slot: usize,
        /// Which guest of it.
        generation: u64,
    },
    /// Forget a slot's child: it is dead and told.
    Bury {
        /// Which slot.
        slot: usize,
    },
    /// Pass a verdict, before anybody may act without it.
    Verdict(Verdict),
    /// Name the primary.
    Primary(Option<usize>),
    /// Let standbys start the blocks below, commands or not.
    Clear(u64),
    /// Only this guest of a slot is believed from now on.
    Generation {
        /// Which slot.
        slot: usize,
        /// Which guest of it.
        generation: u64,
    },
    /// Slots (one bit each) a guest is on its way to.
    Pending(u64),
    /// Two had the same state before a block, and there is a checkpoint of it.
    Trust {
        /// Which block.
        block: u64,
        /// What the state hashes to.
        hash: u64,
    },
    /// Records below may be overwritten.
    KeepFrom(u64),
    /// Count one more.
    Count(Counter),
    /// Tell a death, or tell it again with more known.
    Death(Box<Death>),
    /// Tell a change of primary.
    Change(Change),
    /// Tell how a slot is.
    Slot(usize, SlotFacts),
}

/// Carries out what concerns memory; gives whether the orders' bell rang. Spawning, killing and
/// burying are the host's. `[control]`
pub fn perform(actions: &[Action], orders: &Orders, status: &Status, slots: &[Slot]) -> bool {
    let mut rang = false;
    // How the slots stand before what is counted: see `Snapshot::read`.
    for action in actions {
        if let Action::Slot(slot, facts) = action {
            status.set_slot(*slot, *facts);
        }
    }
    for action in actions {
        match action {
            Action::Verdict(verdict) => {
                let passed =
                    orders.verdicts().pass(*verdict, slots, |slot| orders.generation(slot));
                if passed {
                    status.count(match verdict {
                        Verdict::Quarantine { .. } => Counter::Quarantined,
                        Verdict::Bypass { .. } => Counter::Bypassed,
                    });
                }
            }
            Action::Primary(slot) => {
                orders.set_primary(*slot);
                rang = true;
            }
            Action::Clear(block) => {
                orders.set_cleared(*block);
                rang = true;
            }
            Action::Generation { slot, generation } => orders.set_generation(*slot, *generation),
            Action::Pending(slots) => orders.set_pending(*slots),
            Action::Trust { block, hash } => orders.set_trusted(*block, *hash),
            Action::KeepFrom(number) => orders.set_keep_from(*number),
            Action::Count(counter) => status.count(*counter),
            Action::Death(death) => status.tell_death(death),
            Action::Change(change) => status.tell_change(change),
            Action::Slot(..) | Action::Spawn { .. } | Action::Kill { .. } | Action::Bury { .. } => {
            }
        }
    }
    rang
}
