//! A state that goes wrong silently, with all there or among other faults, and who judges it.

use segue_lockstep::monitor::State;

use super::acts::{FRESH_BLOCKS, PLACES};
use super::{Life, MS};
use crate::Config;
use crate::child::Ailment;
use crate::toy::{Poison, poison};

/// Blocks that may be heard wrong when a primary's state goes wrong and one other is there.
const JUDGED_BLOCKS: u64 = 300;

/// The longest time until a guest that fails twice is tried again.
const RETRY_NS: u64 = 200 * MS;

impl Life {
    /// A state goes wrong silently, while all are there or while one of three or more joins, and
    /// then as often as not something else happens. Where nobody can compare it, nobody could
    /// find out.
    pub(super) fn stain(&mut self) {
        let slots = self.report.config.slots;
        if slots < 2 || !self.is_calm() {
            return self.hurt_worker();
        }
        let after = self.world.chance.below(4);
        let drawn = self.draw_slot();
        // Who is left alone has written the checkpoints, which standbys do.
        let leads = after == 2 && self.world.orders.primary() == Some(drawn);
        let slot = if leads { (drawn + 1) % slots } else { drawn };
        let Some(pid) = self.world.child(slot).map(|child| child.pid()) else { return };
        let one_joins = slots > 2 && self.world.chance.one_in(3);
        let others = [0, 0, 1, 1 + self.world.chance.below(2)][after as usize];
        self.tolerate(others + u64::from(one_joins));
        if one_joins {
            self.world.kill((slot + 1) % slots);
            self.note("kill");
            let ns = self.world.chance.below(60 * MS);
            self.world.run_ns(ns);
        }
        self.world.endanger("block ");
        let (how, kind) = match self.world.chance.one_in(2) {
            true => (Poison::QuietStain, "silent corruption that is not heard at once"),
            false => (Poison::Stain, "silent corruption"),
        };
        let _ = self.world.send(&[poison(how, pid)]);
        self.note(kind);
        match after {
            0 => {}
            1 => {
                let ns = self.world.chance.below(60 * MS);
                self.world.run_ns(ns);
                self.hurt_all();
            }
            2 => self.leave_alone(slot),
            _ => {
                for _ in 0..others {
                    let ns = self.world.chance.below(60 * MS);
                    self.world.run_ns(ns);
                    self.happen_to_stained();
                }
            }
        }
        // What is wrong after that was handed on as the truth.
        let start_ns = self.report.config.start_ns;
        self.world.run_ns(600 * MS + 3 * start_ns + others * (start_ns + RETRY_NS));
        self.world.checker.tolerated = self.world.checker.wrong;
    }

    /// Everybody else dies, and the next ones take their time: the one whose state goes wrong plays
    /// on, and writes checkpoints.
    fn leave_alone(&mut self, slot: usize) {
        let Config { slots, start_ns, .. } = self.report.config;
        if self.world.chance.one_in(2) {
            let ns = self.world.chance.below(20 * MS);
            self.world.run_ns(ns);
        }
        for other in (0..slots).filter(|other| *other != slot) {
            let late_ns = RETRY_NS / 4 + self.world.chance.below(3 * RETRY_NS / 4);
            self.world.late_starts[other] = 1 + late_ns / start_ns;
            if self.is_running(other) {
                self.world.kill(other);
            }
        }
        self.note("all but one at once");
        self.world.run_ns(20 * MS);
        self.world.late_starts.fill(1);
    }

    /// How much may be heard wrong when a state goes wrong among so many other faults.
    fn tolerate(&mut self, others: u64) {
        // Two cannot tell who is wrong before a third has started and replayed; more can vote,
        // unless they are late and there is no waiting.
        let Config { slots, start_ns, freewheel, period, .. } = self.report.config;
        let period_blocks = period.1.div_ceil(64) as u64;
        let again = start_ns / MS + RETRY_NS / MS + 3 * period_blocks;
        let borne = match (slots, freewheel, others) {
            (2, _, _) => JUDGED_BLOCKS + start_ns / MS + 3 * period_blocks,
            (_, true, 0) => 0,
            _ => JUDGED_BLOCKS + 3 * period_blocks,
        };
        self.world.checker.tolerated = self.world.checker.wrong + borne + others * again;
    }

    /// Something else while a state is wrong: whatever leaves a state that two had agreed on
    /// within reach.
    fn happen_to_stained(&mut self) {
        let slot = self.draw_slot();
        if !self.is_running(slot) {
            return;
        }
        match self.world.chance.below(8) {
            0 | 1 => {
                self.world.kill(slot);
                self.note("kill");
            }
            2 => {
                self.world.stop(slot);
                self.note("stop");
            }
            3 if self.world.state(slot) != State::Starting => {
                let kind = self.afflict(slot, Ailment::Looping, "looped", "loop");
                self.note(kind);
            }
            4 => {
                self.world.endanger("published a damaged block");
                self.world.tear_block(slot);
                self.note("torn block");
            }
            5 => self.poison(),
            6 => self.burst(),
            _ => {
                let (place, kind) = PLACES[self.world.chance.below(5) as usize];
                self.flip_in(slot, place, kind);
            }
        }
    }

    /// Whether whoever is in lockstep is level and well, and the state that two agreed on last
    /// is one of now: what goes wrong then is for the monitor to find and to mend.
    fn is_calm(&mut self) -> bool {
        self.world.run_ns(100 * MS);
        let drained = self.world.orders.taken() == self.world.inbox.head();
        let sealed = self.world.orders.sealed();
        self.world.run_ns(100 * MS);
        let slots = 0..self.report.config.slots;
        let is_level = slots.clone().all(|slot| self.world.slots[slot].published() >= sealed);
        let is_well = slots
            .clone()
            .all(|slot| self.world.child(slot).is_some_and(|child| child.ailment == Ailment::None));
        let trusted = self.world.orders.trusted().map_or(0, |(block, _)| block);
        let playhead = self.world.orders.playhead();
        let is_fresh = playhead >= self.checkpoint_hurt + FRESH_BLOCKS;
        drained
            && is_level
            && is_well
            && is_fresh
            && self.world.is_whole()
            && trusted + FRESH_BLOCKS >= playhead
    }
}
