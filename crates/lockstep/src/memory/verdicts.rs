//! The verdicts: what was found to be poison, for all who apply commands or replay them.
//!
//! *Layout*: `[count] [kind, subject, block]…`, behind the log of the orders. *Invariant*: the
//! monitor is the only writer and never takes a word back, but for a verdict that it finds to
//! have come too late before anybody acted on it (see [`Verdicts::pass`]). A verdict for block n
//! is there before anybody has published n, so all workers and every replay agree.

use std::sync::atomic::Ordering::{Acquire, Release, SeqCst};
use std::sync::atomic::fence;

use segue_sys::{Region, Words};

use super::slot::Slot;

/// Verdicts that can be passed in the life of an engine.
pub const VERDICTS_MAX: usize = 1024;

const ENTRY_WORDS: usize = 3;
const VOID: u64 = 0;
const QUARANTINE: u64 = 1;
const BYPASS: u64 = 2;

/// One verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The command with this number of the log is never applied.
    Quarantine {
        /// Which command.
        number: u64,
        /// The block it was for.
        block: u64,
    },
    /// A part of the instrument is out of the signal from this block on, and the commands of
    /// the block for it are not applied.
    Bypass {
        /// Which part, as the breadcrumb names it.
        part: u32,
        /// From which block on.
        block: u64,
    },
}

impl Verdict {
    /// The block from which it holds.
    #[must_use]
    pub const fn block(self) -> u64 {
        match self {
            Self::Quarantine { block, .. } | Self::Bypass { block, .. } => block,
        }
    }
}

/// The table, for its writer and its readers alike.
#[derive(Clone, Debug)]
pub struct Verdicts {
    region: Region,
    at: usize,
}

impl Verdicts {
    /// Words of the table.
    #[must_use]
    pub const fn words() -> usize {
        1 + VERDICTS_MAX * ENTRY_WORDS
    }

    /// The table at word `at` of a region that has room for it.
    pub(super) fn new(region: Region, at: usize) -> Self {
        Self { region, at }
    }

    /// How many there are. `[any]`
    #[must_use]
    pub fn count(&self) -> usize {
        let count = self.region.load(self.at, Acquire);
        usize::try_from(count).unwrap_or(VERDICTS_MAX).min(VERDICTS_MAX)
    }

    /// One of them; none if it was withdrawn. `[any]`
    #[must_use]
    pub fn read(&self, index: usize) -> Option<Verdict> {
        let at = self.at + 1 + index.min(VERDICTS_MAX - 1) * ENTRY_WORDS;
        let word = |offset| self.region.load(at + offset, Acquire);
        let (kind, subject, block) = (word(0), word(1), word(2));
        match kind {
            QUARANTINE => Some(Verdict::Quarantine { number: subject, block }),
            BYPASS => Some(Verdict::Bypass { part: subject as u32, block }),
            _ => None,
        }
    }

    /// All of them, oldest first. `[any]`
    pub fn all(&self) -> impl Iterator<Item = Verdict> + '_ {
        (0..self.count()).filter_map(|index| self.read(index))
    }

    /// Whether a command is never applied. `[audio]`
    #[must_use]
    pub fn is_quarantined(&self, number: u64) -> bool {
        self.all().any(|it| matches!(it, Verdict::Quarantine { number: it, .. } if it == number))
    }

    /// Passes a verdict, if there is room for it. It is withdrawn at once, and false given, when
    /// a guest of `slots` turns out to have rendered the block without it: who renders writes it
    /// before it looks here a last time (see [`Verdicts::concern`]), so one of the two sees the
    /// other. `[control]`
    #[must_use]
    pub fn pass(
        &self,
        verdict: Verdict,
        slots: &[Slot],
        generation: impl Fn(usize) -> u64,
    ) -> bool {
        let count = self.count();
        if count >= VERDICTS_MAX {
            return false;
        }
        let (kind, subject) = match verdict {
            Verdict::Quarantine { number, .. } => (QUARANTINE, number),
            Verdict::Bypass { part, .. } => (BYPASS, u64::from(part)),
        };
        let at = self.at + 1 + count * ENTRY_WORDS;
        self.region.store(at + 1, subject, Release);
        self.region.store(at + 2, verdict.block(), Release);
        self.region.store(at, kind, Release);
        self.region.store(self.at, count as u64 + 1, Release);
        fence(SeqCst);
        let too_late = slots.iter().enumerate().any(|(slot, place)| {
            let sits = place.generation() == generation(slot) && generation(slot) != 0;
            sits && place.has_rendered(verdict.block(), generation(slot))
        });
        if too_late {
            self.region.store(at, VOID, Release);
        }
        !too_late
    }

    /// Whether one of the verdicts after the first `known` is about `block`: for a worker that
    /// has said that it rendered the block and is about to publish it. `[audio]`
    #[must_use]
    pub fn concern(&self, block: u64, known: usize) -> bool {
        fence(SeqCst);
        (known..self.count()).filter_map(|index| self.read(index)).any(|it| it.block() <= block)
    }
}

#[cfg(test)]
mod tests {
    use segue_sys::Region;

    use super::{VERDICTS_MAX, Verdict, Verdicts};
    use crate::Shape;
    use crate::memory::slot::{Phase, Slot};

    fn table() -> (Verdicts, Vec<Slot>) {
        let shape = Shape { slots: 1, channels: 1, rate: 8000, state_words: 1 };
        let slot = Slot::new(Region::heap(Slot::words(&shape)), &shape).unwrap();
        slot.sit(1, 1);
        slot.set_phase(Phase::Lockstep);
        (Verdicts::new(Region::heap(Verdicts::words()), 0), vec![slot])
    }

    #[test]
    fn a_verdict_is_there_for_all_and_found_by_its_number() {
        let (table, slots) = table();
        let poison = Verdict::Quarantine { number: 7, block: 3 };
        let bypass = Verdict::Bypass { part: 2, block: 4 };
        assert!(table.pass(poison, &slots, |_| 1) && table.pass(bypass, &slots, |_| 1));
        assert_eq!(table.all().collect::<Vec<_>>(), [poison, bypass]);
        assert!(table.is_quarantined(7) && !table.is_quarantined(2));
        assert!(table.concern(4, 1) && !table.concern(3, 1) && !table.concern(4, 2));
    }

    #[test]
    fn a_verdict_about_a_block_that_somebody_has_rendered_is_withdrawn() {
        let (table, slots) = table();
        slots[0].write(4, 1, &vec![0; slots[0].entry_words()]);
        assert!(!table.pass(Verdict::Quarantine { number: 7, block: 4 }, &slots, |_| 1));
        assert!(!table.is_quarantined(7));
        // A guest that is gone says nothing.
        assert!(table.pass(Verdict::Quarantine { number: 7, block: 4 }, &slots, |_| 2));
        assert!(table.is_quarantined(7));
    }

    #[test]
    fn a_wild_word_of_how_far_somebody_is_withdraws_nothing() {
        let (table, slots) = table();
        for reached in [5, 1 << 40, u64::MAX] {
            slots[0].set_reached(reached);
            let number = reached;
            assert!(table.pass(Verdict::Quarantine { number, block: 4 }, &slots, |_| 1));
        }
        // Whoever is far beyond the block has rendered it, though its ring no longer holds it.
        slots[0].write(400, 1, &vec![0; slots[0].entry_words()]);
        slots[0].set_reached(401);
        assert!(!table.pass(Verdict::Quarantine { number: 7, block: 4 }, &slots, |_| 1));
    }

    #[test]
    fn the_table_is_bounded() {
        let (table, slots) = table();
        let passed = (0..VERDICTS_MAX as u64 + 5)
            .filter(|&number| table.pass(Verdict::Quarantine { number, block: 9 }, &slots, |_| 1));
        assert_eq!(passed.count(), VERDICTS_MAX);
    }
}
