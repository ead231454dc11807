//! Who goes first: one word, changed at a death, a stop, a loop, or when it is late too often.

use super::act::Action;
use super::guest::State;
use super::observe::Observation;
use super::{Monitor, Process};
use crate::memory::status::{Change, Counter};

/// Late blocks among the last 64 that cost a primary its role.
pub(super) const LATE_MAX: u32 = 16;

impl Monitor {
    /// The primary is gone: the one who is furthest takes its place; counted once.
    pub(super) fn fail_over(
        &mut self,
        slot: usize,
        cause: &str,
        seen: &Observation,
        actions: &mut Vec<Action>,
    ) {
        actions.push(Action::Count(Counter::Failovers));
        self.guests[slot].was_primary = true;
        let to = self.furthest(slot, seen);
        self.name(to, cause.to_owned(), seen, actions);
    }

    /// Names a primary where there is none, or another where the one is late.
    pub(super) fn step_primary(&mut self, seen: &Observation, actions: &mut Vec<Action>) {
        match self.primary {
            None => self.fill(seen, actions),
            Some(slot) => {
                let settled = seen.playhead >= self.changed_at + 64;
                let late = seen.lateness.count_ones();
                if late < LATE_MAX || !settled || seen.freewheel {
                    return;
                }
                let Some(to) = self.furthest(slot, seen) else { return };
                if seen.slots[to].published > seen.playhead {
                    actions.push(Action::Count(Counter::RoleChanges));
                    let cause = format!("late in {late} of the last 64 blocks");
                    self.name(Some(to), cause, seen, actions);
                }
            }
        }
    }

    fn fill(&mut self, seen: &Observation, actions: &mut Vec<Action>) {
        if !self.begun {
            let all = self
                .guests
                .iter()
                .all(|guest| matches!(guest.state, State::Lockstep | State::GivenUp));
            let first = self.guests.iter().position(|guest| guest.state == State::Lockstep);
            if let (true, Some(first)) = (all, first) {
                self.begun = true;
                self.name(Some(first), "the first".to_owned(), seen, actions);
            }
            return;
        }
        let to = self.furthest(usize::MAX, seen).or_else(|| self.arrived(seen));
        if let Some(to) = to {
            let cause = "nobody was in lockstep; the first to reach the playhead".to_owned();
            self.name(Some(to), cause, seen, actions);
        }
    }

    /// The one in lockstep that has published most, other than `not`.
    fn furthest(&self, not: usize, seen: &Observation) -> Option<usize> {
        (0..self.guests.len())
            .filter(|slot| *slot != not && self.guests[*slot].state == State::Lockstep)
            .filter(|slot| !seen.slots[*slot].process.is_over())
            .filter(|slot| seen.slots[*slot].generation == self.guests[*slot].generation)
            .max_by_key(|slot| (seen.slots[*slot].published, std::cmp::Reverse(*slot)))
    }

    /// A joiner that has reached the playhead.
    fn arrived(&self, seen: &Observation) -> Option<usize> {
        (0..self.guests.len())
            .filter(|slot| self.guests[*slot].state == State::Joining)
            .filter(|slot| matches!(seen.slots[*slot].process, Process::Running { .. }))
            .filter(|slot| seen.slots[*slot].generation == self.guests[*slot].generation)
            .find(|slot| seen.slots[*slot].reached > seen.playhead)
    }

    fn name(
        &mut self,
        to: Option<usize>,
        cause: String,
        seen: &Observation,
        actions: &mut Vec<Action>,
    ) {
        let from = self.primary.map(|slot| slot as u64);
        self.primary = to;
        self.changed_at = seen.playhead;
        let to_told = to.map(|slot| slot as u64);
        let change = Change { at_ns: seen.now_ns, block: seen.playhead, from, to: to_told, cause };
        actions.push(Action::Primary(to));
        actions.push(Action::Change(change));
    }

    /// Whether a slot's guest could render something now.
    pub(super) fn has_work(&self, slot: usize, seen: &Observation) -> bool {
        let reached = seen.slots[slot].reached;
        if reached >= seen.sealed {
            return false;
        }
        match self.primary {
            Some(primary) if primary != slot => {
                reached < seen.slots[primary].published.max(self.cleared)
            }
            _ => true,
        }
    }

    /// With a clock, the deadline clears what the primary has not published: half the lead is
    /// left for the standby.
    pub(super) fn step_clear(&mut self, seen: &Observation, actions: &mut Vec<Action>) {
        let Some(primary) = self.primary else { return };
        if seen.freewheel {
            return;
        }
        let demanded = self.due_by_now(seen) + self.config.lead / 2 + 1;
        let demanded = self.first_suspected().map_or(demanded, |block| demanded.min(block));
        if seen.slots[primary].published < demanded && demanded > self.cleared {
            self.cleared = demanded;
            actions.push(Action::Clear(demanded));
        }
    }

    /// The block that would be playing if the device took one at a time: a long period is not
    /// asked for before its end, but by then all of it must be there.
    fn due_by_now(&self, seen: &Observation) -> u64 {
        let (playhead, since_ns) = self.moved;
        let blocks = seen.now_ns.saturating_sub(since_ns) / self.config.shape.block_ns();
        playhead + blocks.min(seen.period_blocks.saturating_sub(1))
    }
}
