//! Blame: which command or part killed a worker, judged once, as data.
//!
//! | crumb of a worker that died by its own doing | verdict |
//! |---|---|
//! | applying command c of block n | c is quarantined |
//! | rendering part m of block n | m is bypassed from n on |
//! | anything else, or a cause from outside | none: everything is applied |
//!
//! A loop needs two witnesses: time stolen from a virtual machine can look like one, and a
//! verdict on an innocent would be heard. The second worker that is caught at the same crumb of
//! the same block proves it.
//!
//! *Invariant*: no verdict about a block that anybody has published. While another worker is
//! within the same block the verdict waits for it: if it comes out alive, the block was not to
//! blame.

use super::act::Action;
use super::cause::Evidence;
use super::guest::State;
use super::observe::{Observation, Process};
use super::respawn::Record;
use super::{Monitor, SlotSeen};
use crate::memory::slot::{Crumb, Phase};
use crate::memory::verdicts::Verdict;

impl Monitor {
    /// The verdict that a death by this evidence suggests, if any.
    pub(super) fn blame(
        &mut self,
        slot: usize,
        evidence: &Evidence,
        seen: &Observation,
        actions: &mut Vec<Action>,
    ) {
        let at = &seen.slots[slot];
        let sat = at.generation == self.guests[slot].generation;
        if !sat || at.phase == Phase::Starting || !is_of_a_block(evidence, &at.process) {
            return;
        }
        let (crumb, block) = at.crumb;
        let verdict = match crumb {
            Crumb::Apply(number) => Verdict::Quarantine { number, block },
            Crumb::Render(part) => Verdict::Bypass { part, block },
            _ => return,
        };
        if self.suspected.contains(&verdict) || self.verdicts.contains(&verdict) {
            return;
        }
        if matches!(evidence, Evidence::Looping(_)) && !self.caught.contains(&verdict) {
            self.caught.push(verdict);
            return;
        }
        self.suspected.push(verdict);
        self.guests[slot].judged = true;
        self.judge_suspects(seen, actions);
    }

    /// Passes the verdicts that nobody's fate is waited for any more.
    pub(super) fn judge_suspects(&mut self, seen: &Observation, actions: &mut Vec<Action>) {
        let published = self.published;
        self.suspected.retain(|verdict| published <= verdict.block());
        self.caught.retain(|verdict| published <= verdict.block());
        let (waiting, judged): (Vec<Verdict>, Vec<Verdict>) = self
            .suspected
            .iter()
            .partition(|verdict| self.is_someone_within(verdict.block(), seen));
        self.suspected = waiting;
        for verdict in judged {
            self.verdicts.push(verdict);
            // What is remedied is held against nobody any more.
            self.guests.iter_mut().for_each(|guest| guest.record = Record::default());
            actions.push(Action::Verdict(verdict));
        }
    }

    /// The first block whose verdict is waited for: it is not cleared meanwhile.
    pub(super) fn first_suspected(&self) -> Option<u64> {
        self.suspected.iter().map(|verdict| verdict.block()).min()
    }

    /// Whether a worker in lockstep that is not on its way out is within a block.
    fn is_someone_within(&self, block: u64, seen: &Observation) -> bool {
        self.guests.iter().zip(&seen.slots).any(|(guest, at)| {
            guest.state == State::Lockstep
                && at.generation == guest.generation
                && at.note.is_none()
                && matches!(at.process, Process::Running { .. })
                && is_within(at, block)
        })
    }

    /// Remembers how far anybody in lockstep has published.
    pub(super) fn note_published(&mut self, seen: &Observation) {
        for (guest, at) in self.guests.iter().zip(&seen.slots) {
            if at.generation == guest.generation && at.phase == Phase::Lockstep {
                // Nobody can have published what was not sealed.
                self.published = self.published.max(at.proved.min(seen.sealed));
            }
        }
    }
}

fn is_within(at: &SlotSeen, block: u64) -> bool {
    matches!(at.crumb.0, Crumb::Apply(_) | Crumb::Render(_)) && at.crumb.1 == block
}

/// Whether what happened came of what the worker was doing just then.
fn is_of_a_block(evidence: &Evidence, process: &Process) -> bool {
    match evidence {
        Evidence::Note(note) => note.is_own_fault(),
        Evidence::Looping(_) => true,
        Evidence::Over => matches!(process, Process::Exited { .. }),
        _ => false,
    }
}
