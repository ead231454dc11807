//! Whose turn it is: the primary goes first, so that what kills one need not kill all.
//!
//! | who | starts block n |
//! |---|---|
//! | primary | when it is sealed |
//! | standby | when the primary has published n |
//! | standby, n without commands | also when half the lead has run out |
//! | standby, n with commands | also when the monitor has cleared n |
//! | joiner | when the primary has published n; without a primary, when it is sealed |

use super::Worker;
use crate::instrument::Instrument;
use crate::memory::slot::Phase;

impl<I: Instrument> Worker<I> {
    /// Whether the next block may be started now. `[audio]`
    pub(super) fn may_start(&self) -> bool {
        let orders = &self.parts.orders;
        let block = self.next;
        let Some(primary) = orders.primary() else { return true };
        if primary == self.parts.slot {
            return true;
        }
        let first = &self.parts.slots[primary.min(self.shape.slots - 1)];
        let lives = first.generation() == orders.generation(primary);
        if lives && first.published() > block {
            return true;
        }
        if self.phase != Phase::Lockstep {
            return false;
        }
        if orders.cleared() > block {
            return true;
        }
        let half = orders.lead() / 2;
        self.records.is_empty() && !orders.freewheel() && block <= orders.playhead() + half
    }
}
