//! The plans: compiled patches by edition, written by control, checked by whoever reads them.
//!
//! *Layout*: `[newest + 1] [first + 1] [bell] [proved]`, a ring of sixteen heads `[length in bytes]
//! [base + 1, or 0] [hash of the words]`, and behind it sixteen places for the words: of a plan
//! only those it needs are written. *Invariant*: the words come before the head, whose hash covers
//! them: a plan that is being written over, or whose writer died, is none.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};

use segue_sys::{Entry, Region, Ring, Words, hash};

const NEWEST: usize = 0;
const FIRST: usize = 1;
const BELL: usize = 2;
const PROVED: usize = 3;
const RING: usize = 8;
const HEAD_WORDS: usize = 3;
const WORDS_AT: usize = RING + Ring::<Region>::words_for(PLANS_KEPT, HEAD_WORDS);
const PLAN_WORDS: usize = PLAN_BYTES_MAX / 8;

/// Plans that are kept: so many editions later one is written over.
pub const PLANS_KEPT: usize = 16;

/// The longest plan, in bytes.
pub const PLAN_BYTES_MAX: usize = 512 * 1024;

/// A plan that is too long for its region.
#[derive(Debug, thiserror::Error)]
#[error("the compiled patch takes {bytes} bytes; there is room for {PLAN_BYTES_MAX}")]
pub struct TooLong {
    /// What it takes.
    pub bytes: usize,
}

/// A plan as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    /// The edition it follows; none for one with which the timeline begins.
    pub base: Option<u64>,
    /// The plan.
    pub bytes: Vec<u8>,
}

/// The region of plans.
#[derive(Clone, Debug)]
pub struct Plans {
    region: Region,
    heads: Ring<Region>,
}

impl Plans {
    /// Words of the region.
    #[must_use]
    pub const fn words() -> usize {
        WORDS_AT + PLANS_KEPT * PLAN_WORDS
    }

    /// The plans within `region`; none if it is too small.
    #[must_use]
    pub fn new(region: Region) -> Option<Self> {
        (region.len() >= Self::words()).then(|| Self {
            heads: Ring::new(region.clone(), RING, PLANS_KEPT, HEAD_WORDS),
            region,
        })
    }

    /// The region, to hand its descriptor on.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Rung at every plan that is written. `[any]`
    #[must_use]
    pub fn bell(&self) -> &AtomicU32 {
        self.region.bell(BELL)
    }

    /// Stores the plan of an edition that follows `base`; whoever waits for the bell is to be
    /// woken then. `[control]`
    ///
    /// # Errors
    /// When it does not fit.
    pub fn write(&self, edition: u64, base: Option<u64>, bytes: &[u8]) -> Result<(), TooLong> {
        if bytes.len() > PLAN_BYTES_MAX {
            return Err(TooLong { bytes: bytes.len() });
        }
        let at = place(edition);
        let words: Vec<u64> = bytes.chunks(8).map(word).collect();
        for (offset, word) in words.iter().enumerate() {
            self.region.store(at + offset, *word, Release);
        }
        let base = base.map_or(0, |base| base + 1);
        let head = [bytes.len() as u64, base, hash::words(edition, &words)];
        self.heads.write(edition, 0, &head);
        if self.first().is_none() {
            self.region.store(FIRST, edition + 1, Release);
        }
        self.region.store(NEWEST, edition + 1, Release);
        self.bell().fetch_add(1, Release);
        Ok(())
    }

    /// Says that the plan of this edition harms nobody who prepares or plays it; `check` tells it
    /// from others that were written under that number before. `[control]`
    pub fn set_proved(&self, edition: u32, check: u32) {
        self.region.store(PROVED, word_of(edition, check), Release);
        self.bell().fetch_add(1, Release);
    }

    /// Whether that was said of this one last. `[any]`
    #[must_use]
    pub fn is_proved(&self, edition: u32, check: u32) -> bool {
        self.region.load(PROVED, Acquire) == word_of(edition, check)
    }

    /// The newest edition, if there is one: it need not be played yet, and may never be. `[any]`
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        self.region.load(NEWEST, Acquire).checked_sub(1)
    }

    /// The edition the timeline begins with: the one that was written first. `[any]`
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.region.load(FIRST, Acquire).checked_sub(1)
    }

    /// The plan of an edition, if it is there and whole. `[control]`
    #[must_use]
    pub fn read(&self, edition: u64) -> Option<Edition> {
        let mut head = [0; HEAD_WORDS];
        let Entry::Whole { .. } = self.heads.read(edition, &mut head) else { return None };
        let [length, base, sealed] = head;
        let length = usize::try_from(length).ok().filter(|length| *length <= PLAN_BYTES_MAX)?;
        let at = place(edition);
        let words: Vec<u64> =
            (at..at + length.div_ceil(8)).map(|at| self.region.load(at, Acquire)).collect();
        if hash::words(edition, &words) != sealed {
            return None;
        }
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(length);
        Some(Edition { base: base.checked_sub(1), bytes })
    }
}

/// Where the words of an edition begin.
fn place(edition: u64) -> usize {
    WORDS_AT + (edition % PLANS_KEPT as u64) as usize * PLAN_WORDS
}

fn word(bytes: &[u8]) -> u64 {
    let mut eight = [0; 8];
    eight[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(eight)
}

/// An edition and what tells its plan from others, never 0.
pub(super) fn word_of(edition: u32, check: u32) -> u64 {
    (u64::from(edition) + 1) << 31 | u64::from(check >> 1)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::SeqCst;

    use segue_sys::{Region, Words};

    use super::{Edition, PLAN_BYTES_MAX, PLANS_KEPT, Plans, place};

    fn plans() -> Plans {
        Plans::new(Region::heap(Plans::words())).unwrap()
    }

    fn edition(base: Option<u64>, bytes: &[u8]) -> Option<Edition> {
        Some(Edition { base, bytes: bytes.to_vec() })
    }

    #[test]
    fn a_plan_comes_back_byte_for_byte_and_one_too_long_is_refused() {
        let plans = plans();
        assert_eq!((plans.first(), plans.newest()), (None, None));
        plans.write(0, None, b"seventeen bytes!!").unwrap();
        assert_eq!(plans.read(0), edition(None, b"seventeen bytes!!"));
        assert_eq!(plans.read(1), None);
        assert!(plans.write(1, Some(0), &vec![0; PLAN_BYTES_MAX + 1]).is_err());
        let longest: Vec<u8> = (0..PLAN_BYTES_MAX).map(|at| (at % 251) as u8).collect();
        plans.write(1, Some(0), &longest).unwrap();
        assert_eq!(plans.read(1), edition(Some(0), &longest));
        assert_eq!(plans.read(0), edition(None, b"seventeen bytes!!"));
    }

    #[test]
    fn a_timeline_may_begin_with_any_edition_and_each_one_rings_the_bell() {
        let plans = plans();
        plans.write(40, None, b"fades").unwrap();
        let rung = plans.bell().load(SeqCst);
        plans.write(41, Some(40), b"plays").unwrap();
        assert_eq!(plans.bell().load(SeqCst), rung + 1);
        assert_eq!((plans.first(), plans.newest()), (Some(40), Some(41)));
        assert_eq!(plans.read(41).unwrap().base, Some(40));
    }

    #[test]
    fn sixteen_are_kept_and_an_older_one_is_gone_and_never_mistaken() {
        let plans = plans();
        for number in 0..PLANS_KEPT as u64 + 3 {
            plans
                .write(number, number.checked_sub(1), format!("plan {number}").as_bytes())
                .unwrap();
        }
        assert!((0..3).all(|gone| plans.read(gone).is_none()));
        for kept in 3..PLANS_KEPT as u64 + 3 {
            assert_eq!(plans.read(kept).unwrap().bytes, format!("plan {kept}").as_bytes());
        }
        assert_eq!(plans.first(), Some(0), "what it began with, there or not");
    }

    #[test]
    fn a_plan_that_is_being_written_over_or_was_damaged_is_none() {
        let plans = plans();
        plans.write(2, Some(1), b"as it was written").unwrap();
        let at = place(2);
        for word in 0..3 {
            let before = plans.region().load(at + word, SeqCst);
            plans.region().store(at + word, before ^ 1 << 9, SeqCst);
            assert_eq!(plans.read(2), None, "word {word}");
            plans.region().store(at + word, before, SeqCst);
        }
        assert!(plans.read(2).is_some());
    }

    #[test]
    fn a_writer_that_ends_between_any_two_stores_leaves_no_plan_that_was_not_written() {
        use std::sync::Arc;
        use std::sync::atomic::AtomicU64;
        let bytes = b"another one, longer";
        let mut whole = 0;
        for stores in 0..20 {
            let plans = plans();
            plans.write(0, None, b"the first").unwrap();
            let left = Arc::new(AtomicU64::new(stores));
            let doomed = Plans::new(plans.region().doomed(&left)).unwrap();
            doomed.write(PLANS_KEPT as u64, Some(0), bytes).unwrap();
            match plans.read(PLANS_KEPT as u64) {
                Some(found) => {
                    assert_eq!(Some(found), edition(Some(0), bytes));
                    whole += 1;
                }
                None => assert_eq!(plans.newest(), Some(0), "after {stores} stores"),
            }
        }
        assert!(whole > 0, "it was never written to its end");
    }
}
