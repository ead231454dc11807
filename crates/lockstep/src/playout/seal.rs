//! Sealing: every block gets its commands before any worker may render it.
//!
//! *Invariant*: `sealed ≥ playhead + ceil(period / 64) + lead`; no worker renders an unsealed
//! block, so no command can come too late for one of two. At most 64 commands a block; a bundle
//! is taken whole; what is left slides on in order.

use super::{Farewell, Playout};
use crate::memory::inbox::INBOX_DEPTH;
use crate::memory::orders::{Kind, Record, Sealing};
use crate::memory::status::Counter;
use crate::{BLOCK_FRAMES, COMMANDS_PER_BLOCK};

impl Playout {
    /// Seals blocks as far as the pace demands. `[audio]`
    pub fn seal(&mut self) {
        let period = self.pace.period.div_ceil(BLOCK_FRAMES) as u64;
        let target = self.playhead + period + self.pace.lead;
        let before = self.sealed;
        while self.sealed < self.end.map_or(target, |end| target.min(end)) {
            self.say_farewell();
            self.take_commands();
            self.sealed += 1;
        }
        if self.sealed != before {
            let (head, taken, sealed, end) = (self.head, self.taken, self.sealed, self.end);
            self.parts.orders.publish(Sealing { head, taken, sealed, end });
            match self.primary_is_in_time() {
                true => self.parts.orders.ring(),
                false => self.parts.orders.ring_all(),
            }
        }
    }

    /// Whether standbys can leave it to the primary's bell to wake them: it has the blocks that
    /// they might else start without it. What it says is not trusted beyond the seal.
    fn primary_is_in_time(&self) -> bool {
        let half = self.playhead + self.pace.lead / 2;
        let first = self.parts.orders.primary().and_then(|slot| self.parts.slots.get(slot));
        first.is_some_and(|place| (half + 1..=self.sealed).contains(&place.published()))
    }

    fn say_farewell(&mut self) {
        let Some(Farewell { from, blocks, payload }) = self.farewell else { return };
        if from <= self.sealed {
            self.farewell = None;
            self.end = Some(self.sealed + blocks);
            let block = self.sealed;
            self.append(Record { block, kind: Kind::Command, origin: 0, more: 0, payload });
        }
    }

    fn take_commands(&mut self) {
        let waiting = self.parts.inbox.head();
        if waiting.saturating_sub(self.taken) > INBOX_DEPTH as u64 {
            // No control says this; whoever sends next says it anew.
            self.parts.status.count(Counter::Damaged);
            return;
        }
        let mut count = 0;
        while self.taken < waiting && self.parts.orders.has_room(self.head) {
            let Some(first) = self.parts.inbox.take(self.taken) else {
                // Control's memory is not trusted: a damaged entry costs itself, no more.
                self.parts.status.count(Counter::Damaged);
                self.taken += 1;
                continue;
            };
            let size =
                if usize::from(first.more) < COMMANDS_PER_BLOCK { first.more + 1 } else { 1 };
            if count + usize::from(size) > COMMANDS_PER_BLOCK {
                break;
            }
            count += usize::from(size);
            self.take_bundle(u64::from(size).min(waiting - self.taken));
        }
    }

    fn take_bundle(&mut self, size: u64) {
        for left in (0..size).rev() {
            if let Some(sent) = self.parts.inbox.take(self.taken) {
                self.append(Record {
                    block: self.sealed,
                    kind: Kind::Command,
                    origin: sent.origin,
                    more: left as u8,
                    payload: sent.payload,
                });
                self.parts.status.count(Counter::Applied);
            } else {
                self.parts.status.count(Counter::Damaged);
            }
            self.taken += 1;
        }
    }

    fn append(&mut self, record: Record) {
        self.parts.orders.append(self.head, record);
        self.head += 1;
    }
}

#[cfg(test)]
mod tests {
    use crate::Shape;
    use crate::playout::{Pace, Parts, Playout};

    /// A playout of 64 frames a turn and a lead of four.
    fn playout() -> (Playout, Parts) {
        let shape = Shape { slots: 2, channels: 2, rate: 48_000, state_words: 1 };
        let parts = Parts::on_heap(&shape).unwrap();
        let pace = Pace { lead: 4, freewheel: false, period: 64 };
        (Playout::new(shape, parts.clone(), pace), parts)
    }

    /// S50: who learns of a longer period by being asked for it has nothing to give.
    #[test]
    fn a_longer_period_is_sealed_for_before_it_is_asked_for() {
        let (mut playout, Parts { orders, .. }) = playout();
        playout.play(&mut [0.0; 128]);
        assert_eq!((orders.playhead(), orders.sealed()), (1, 6));
        let bell = load(orders.bell());
        playout.expect(4096);
        assert_eq!((orders.playhead(), orders.sealed(), orders.period()), (1, 69, 4096));
        assert!(load(orders.bell()) > bell, "workers hear of it");
        playout.expect(64);
        assert_eq!((orders.sealed(), orders.period()), (69, 4096));
    }

    #[test]
    fn standbys_are_urged_when_the_primary_is_behind_and_left_asleep_when_it_is_not() {
        let (mut playout, Parts { orders, slots, .. }) = playout();
        let primary = slots[1].clone();
        orders.set_primary(Some(1));
        let mut urged = |published: u64| {
            primary.publish(published, published, 0);
            let (bell, urge) = (load(orders.bell()), load(orders.urge()));
            playout.play(&mut [0.0; 128]);
            assert!(load(orders.bell()) > bell, "the primary hears of every seal");
            load(orders.urge()) > urge
        };
        assert!(urged(0), "nothing is there");
        // The playhead is at 2 then, and at 4 half the lead is over.
        assert!(!urged(5));
        assert!(urged(5), "the standby may start block 5 now");
        assert!(!urged(8));
        assert!(urged(u64::MAX), "more than was sealed");
    }

    fn load(bell: &std::sync::atomic::AtomicU32) -> u32 {
        bell.load(std::sync::atomic::Ordering::Acquire)
    }
}
