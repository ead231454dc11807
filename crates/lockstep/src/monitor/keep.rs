//! How much of the log is kept: everything since the older of the last two checkpoints from which
//! one could join, and what a guest has still to apply.

use super::Monitor;
use super::act::Action;
use super::guest::State;
use super::observe::Observation;

impl Monitor {
    /// Gives free what nobody can need any more. Cursors come from workers, so a wild one is
    /// bounded by the head, and the bound never goes back.
    pub(super) fn step_keep(&mut self, seen: &Observation, actions: &mut Vec<Action>) {
        let mut claims: Vec<(u64, u64)> = seen
            .slots
            .iter()
            .flat_map(|slot| slot.checkpoints.iter().flatten().copied())
            .filter(|(block, cursor)| *block <= seen.playhead && *cursor <= seen.head)
            .collect();
        claims.sort_unstable();
        claims.dedup();
        let Some((_, mut keep)) = claims.len().checked_sub(2).map(|older| claims[older]) else {
            return;
        };
        for (guest, slot) in self.guests.iter().zip(&seen.slots) {
            let reads = matches!(guest.state, State::Joining | State::Lockstep);
            if reads && slot.generation == guest.generation {
                keep = keep.min(slot.cursor);
            }
        }
        if keep > self.keep_from {
            self.keep_from = keep;
            actions.push(Action::KeepFrom(keep));
        }
    }
}
