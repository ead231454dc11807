//! Sealing: every block gets its commands before any worker may render it.
//!
//! *Invariant*: `sealed ≥ playhead + ceil(period / 64) + lead`; no worker renders an unsealed
//! block, so no command can come too late for one of two. At most 64 commands a block; a bundle
//! is taken whole; what is left slides on in order.

use super::{Farewell, Playout};
use crate::memory::orders::{Kind, Record};
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
            self.parts.orders.publish(self.head, self.taken, self.sealed);
            self.parts.orders.ring();
        }
    }

    fn say_farewell(&mut self) {
        let Some(Farewell { from, blocks, payload }) = self.farewell else { return };
        if from <= self.sealed {
            self.farewell = None;
            self.end = Some(self.sealed + blocks);
            self.parts.orders.set_end(self.sealed + blocks);
            let block = self.sealed;
            self.append(Record { block, kind: Kind::Command, origin: 0, more: 0, payload });
        }
    }

    fn take_commands(&mut self) {
        let waiting = self.parts.inbox.head();
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
