//! Divergence: workers in lockstep that no longer have the same, and who of them goes.
//!
//! | who differs | goes |
//! |---|---|
//! | one from two or more that agree | that one, primary or not |
//! | two from each other, nobody else | the standby; the next guest of its slot arbitrates |
//! | the primary again, from an arbiter that is in lockstep by now | the primary |
//! | a joiner from the only one in lockstep, begun where two had agreed | the one in lockstep |
//! | a joiner otherwise | the joiner |
//!
//! *Invariant*: an error is never handed on as the truth: a joiner begins from a state that two
//! had agreed on, as long as there is one that is not too old.

use super::Monitor;
use super::act::Action;
use super::cause::Evidence;
use super::guest::State;
use super::observe::{Observation, SlotSeen};

/// A standby went because it differed from this primary, and two have not agreed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dispute {
    primary: usize,
    generation: u64,
    trusted: Option<u64>,
}

impl Monitor {
    /// Compares what all in lockstep have, and acts on it.
    pub(super) fn compare(&mut self, seen: &Observation, actions: &mut Vec<Action>) {
        self.compare_blocks(seen, actions);
        self.compare_states(seen, actions);
        self.hear_joiners(seen, actions);
    }

    /// The blocks that all have since the last look: samples, and the part of the state that was
    /// digested.
    fn compare_blocks(&mut self, seen: &Observation, actions: &mut Vec<Action>) {
        let Some(primary) = self.primary else { return };
        for (block, _) in &seen.slots[primary].facts {
            let facts = |at: &SlotSeen| {
                let (_, facts) = at.facts.iter().find(|(at, _)| at == block)?;
                Some((facts.hash, facts.digest))
            };
            self.judge_difference(*block, &facts, seen, actions);
            self.compared = self.compared.max(block + 1);
        }
    }

    /// The whole state, where two or more have hashed it before the same block. Two may agree
    /// on what is trusted; who goes is judged where all in lockstep have, for the one that is
    /// a block behind may be the one that makes the majority.
    fn compare_states(&mut self, seen: &Observation, actions: &mut Vec<Action>) {
        let hashed = |slot: usize| seen.slots[slot].state_hashes.iter().flatten().copied();
        let mut common: Vec<u64> = self.in_lockstep().flat_map(hashed).map(|it| it.0).collect();
        common.sort_unstable_by_key(|block| std::cmp::Reverse(*block));
        common.dedup();
        common.retain(|block| {
            self.in_lockstep().filter(|slot| hashed(*slot).any(|(at, _)| at == *block)).count() > 1
        });
        self.trust(&common, seen, actions);
        let by_all =
            |block: &&u64| self.in_lockstep().all(|slot| hashed(slot).any(|(at, _)| at == **block));
        let Some(newest) = common.iter().find(by_all).copied() else { return };
        let state = |at: &SlotSeen| state_before(newest, at).map(|hash| (hash, 0));
        self.judge_difference(newest, &state, seen, actions);
    }

    /// The newest of these blocks before which all had the same is trusted, if somebody left a
    /// checkpoint there. Two are remembered, so the next one has to wait while the last lies
    /// ahead of the playhead: nobody could join from either.
    fn trust(&self, common: &[u64], seen: &Observation, actions: &mut Vec<Action>) {
        if seen.trusted > Some(seen.playhead) {
            return;
        }
        let agreed = common.iter().find_map(|&block| {
            let states = self.in_lockstep().filter_map(|at| state_before(block, &seen.slots[at]));
            let states: Vec<u64> = states.collect();
            let same = states.iter().all(|hash| *hash == states[0]);
            (Some(block) > seen.trusted && same && self.has_checkpoint(block, seen))
                .then(|| (block, states[0]))
        });
        if let Some((block, hash)) = agreed {
            actions.push(Action::Trust { block, hash });
        }
    }

    /// Who differs from two or more goes; of two that differ, the one who stands by, or the
    /// primary when that was accused before.
    fn judge_difference(
        &mut self,
        block: u64,
        value: &dyn Fn(&SlotSeen) -> Option<(u64, u64)>,
        seen: &Observation,
        actions: &mut Vec<Action>,
    ) {
        let values: Vec<(usize, (u64, u64))> =
            self.in_lockstep().filter_map(|slot| Some((slot, value(&seen.slots[slot])?))).collect();
        let votes = |wanted: (u64, u64)| values.iter().filter(|(_, it)| *it == wanted).count();
        let of_primary = values.iter().find(|(slot, _)| Some(*slot) == self.primary);
        let Some((primary, of_primary)) = of_primary.copied() else { return };
        let majority = values.iter().map(|(_, it)| *it).find(|it| votes(*it) > values.len() / 2);
        let others = values.iter().copied().find(|(_, it)| *it != of_primary);
        let arbiter = others.filter(|(other, _)| self.is_arbiter(*other, primary, seen));
        let right = majority.or(arbiter.map(|(_, it)| it)).unwrap_or(of_primary);
        for (slot, value) in values {
            self.guests[slot].agrees = value == right;
            if value == right {
                continue;
            }
            let evidence = match majority {
                None if slot == primary => Evidence::Overruled(block),
                None => {
                    let generation = self.guests[primary].generation;
                    self.dispute = Some(Dispute { primary, generation, trusted: seen.trusted });
                    Evidence::Diverged(block)
                }
                Some(_) => Evidence::Diverged(block),
            };
            self.condemn(slot, evidence, seen, actions);
        }
    }

    /// Whether a standby that differs from the primary is the second to do so, and has replayed
    /// from what two had agreed on. It may come into lockstep before it has come to where the
    /// two differ: what is wrong in a state need not be heard at once.
    fn is_arbiter(&self, slot: usize, primary: usize, seen: &Observation) -> bool {
        let generation = self.guests[primary].generation;
        self.dispute == Some(Dispute { primary, generation, trusted: seen.trusted })
            && seen.slots[slot].begun_from.is_some()
    }

    /// A joiner replayed something else than somebody in lockstep has.
    fn hear_joiners(&mut self, seen: &Observation, actions: &mut Vec<Action>) {
        for joiner in 0..self.guests.len() {
            let at = &seen.slots[joiner];
            let joins = self.guests[joiner].state == State::Joining
                && at.generation == self.guests[joiner].generation;
            let Some(block) = at.disagrees.filter(|_| joins) else { continue };
            let others: Vec<usize> = self.in_lockstep().collect();
            // It is on its way to the playhead then, and will be named when it is there.
            if others.is_empty() {
                continue;
            }
            let begun = at.begun_from;
            match others[..] {
                [other] if begun.is_some() => {
                    self.condemn(other, Evidence::Overruled(block), seen, actions);
                }
                _ => self.condemn(joiner, Evidence::Diverged(block), seen, actions),
            }
        }
    }

    /// Whether somebody in lockstep holds a checkpoint of this block.
    fn has_checkpoint(&self, block: u64, seen: &Observation) -> bool {
        let mut held = self.in_lockstep().flat_map(|slot| seen.slots[slot].checkpoints);
        held.any(|mark| mark.is_some_and(|(at, _)| at == block))
    }

    pub(super) fn in_lockstep(&self) -> impl Iterator<Item = usize> + '_ {
        let guests = self.guests.iter().enumerate();
        guests.filter(|(_, guest)| guest.state == State::Lockstep).map(|(slot, _)| slot)
    }
}

/// What a slot says its state before a block hashes to.
fn state_before(block: u64, at: &SlotSeen) -> Option<u64> {
    let own = at.state_hashes.iter().flatten().find(|(at, _)| *at == block);
    own.map(|(_, hash)| *hash)
}

#[cfg(test)]
mod tests {
    use crate::Shape;
    use crate::memory::block::{self, Facts};
    use crate::memory::orders::Sealing;
    use crate::memory::slot::{Phase, Slot};
    use crate::monitor::observe::{Child, Process, Tick, observe};
    use crate::monitor::{Action, Config, Evidence, Monitor, State};
    use crate::playout::Parts;

    const SHAPE: Shape = Shape { slots: 2, channels: 2, rate: 48_000, state_words: 1 };

    /// Publishes the blocks; `wrong` is the one that hashes to something else.
    fn publish(place: &Slot, blocks: std::ops::Range<u64>, wrong: Option<u64>) {
        let mut entry = vec![0; block::words(&SHAPE)];
        for number in blocks {
            let hash = if wrong == Some(number) { 1 } else { 0 };
            block::put_facts(&mut entry, Facts { hash, ..Facts::default() });
            place.write(number, 1, &entry);
            place.publish(number + 1, number + 1, 0);
        }
    }

    /// Guests in lockstep who have nothing yet, and the monitor that looks at them.
    struct Scene {
        monitor: Monitor,
        parts: Parts,
        now_ns: u64,
    }

    impl Scene {
        fn new(slots: usize) -> Self {
            let shape = Shape { slots, ..SHAPE };
            let monitor = Monitor::new(Config { shape, build: 1, lead: 4 });
            let parts = Parts::on_heap(&shape).unwrap();
            let mut scene = Self { monitor, parts, now_ns: 1 };
            scene.look();
            for (slot, place) in scene.parts.slots.iter().enumerate() {
                let generation = scene.parts.orders.generation(slot);
                assert_eq!((scene.monitor.state(slot), generation), (State::Starting, 1));
                place.sit(1, 1);
                place.set_phase(Phase::Lockstep);
            }
            scene.look();
            assert_eq!(scene.parts.orders.primary(), Some(0));
            let sealed = Sealing { head: 0, taken: 0, sealed: 40, end: None };
            scene.parts.orders.publish(sealed);
            scene
        }

        /// Looks once; the slots whose guests are killed.
        fn look(&mut self) -> Vec<usize> {
            let Parts { orders, slots, status, .. } = &self.parts;
            self.now_ns += 1_000_000;
            let child =
                Child { process: Process::Running { cpu_ns: 0 }, pid: 1, ..Child::default() };
            let children = vec![child; slots.len()];
            let compared = self.monitor.compared();
            let tick = Tick { now_ns: self.now_ns, children, revive: 0, compared };
            let actions = self.monitor.step(&observe(tick, orders, status, slots));
            crate::monitor::perform(&actions, orders, status, slots);
            let killed = |it: &Action| match it {
                Action::Kill { slot, .. } => Some(*slot),
                _ => None,
            };
            actions.iter().filter_map(killed).collect()
        }
    }

    /// What a standby had wrong for one block, and right again when the monitor looked, is met.
    #[test]
    fn every_block_since_the_last_look_is_compared_once() {
        let mut scene = Scene::new(2);
        for (blocks, wrong) in [(0..20, None), (20..30, Some(23)), (30..40, None)] {
            publish(&scene.parts.slots[0], blocks.clone(), None);
            publish(&scene.parts.slots[1], blocks.clone(), wrong);
            assert_eq!(!scene.look().is_empty(), wrong.is_some(), "{blocks:?}");
            assert_eq!(scene.monitor.compared(), blocks.end);
            let evidence = scene.monitor.guests[1].evidence.clone();
            assert!(evidence.is_none() || evidence == Some(Evidence::Diverged(23)));
        }
    }

    /// The primary's state is wrong, one standby has hashed its own and the other is a block
    /// behind: it is waited for, since it makes the majority.
    #[test]
    fn nobody_goes_before_all_in_lockstep_have_hashed_their_state() {
        let mut scene = Scene::new(3);
        scene.parts.slots.iter().for_each(|place| publish(place, 0..16, None));
        scene.parts.slots[0].set_state_hash(1, 16, 7);
        scene.parts.slots[2].set_state_hash(1, 16, 8);
        assert_eq!(scene.look(), []);
        scene.parts.slots[1].set_state_hash(1, 16, 8);
        assert_eq!(scene.look(), [0]);
    }
}
