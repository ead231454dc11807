//! When the next guest may come, and when a slot is given up.
//!
//! *Invariant*: work is bounded. A guest that fails by its own doing before it was ever ready is
//! tried three times; one that somebody keeps killing, twenty times. One that was ready is
//! always replaced, but not faster and faster.

const MS: u64 = 1_000_000;
const FIRST_DELAY_NS: u64 = 100 * MS;
const DELAY_MAX_NS: u64 = 1_000 * MS;
const OWN_MAX: u32 = 3;
const OUTSIDE_MAX: u32 = 20;
/// Who lived this long in lockstep has shown that the place is good.
const PROVEN_NS: u64 = 1_000 * MS;

/// What is remembered of a slot's guests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    own: u32,
    outside: u32,
}

/// What to do with the empty place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The next guest may come after this many nanoseconds.
    After(u64),
    /// Nobody more is sent, after this many failures in a row.
    GiveUp(u32),
}

impl Record {
    /// A guest has died. `in_lockstep_ns` is how long it was in lockstep, none if it never
    /// was. `[any]`
    pub(super) fn bury(&mut self, own_fault: bool, in_lockstep_ns: Option<u64>) -> Verdict {
        if !own_fault && in_lockstep_ns.is_some() || in_lockstep_ns > Some(PROVEN_NS) {
            *self = Self::default();
            return Verdict::After(0);
        }
        let (failures, most) = if own_fault {
            self.own += 1;
            (self.own, OWN_MAX)
        } else {
            self.outside += 1;
            (self.outside, OUTSIDE_MAX)
        };
        if failures >= most && in_lockstep_ns.is_none() {
            return Verdict::GiveUp(failures);
        }
        let free = if own_fault { 1 } else { 3 };
        match failures.saturating_sub(free) {
            0 if failures <= free => Verdict::After(0),
            doublings => {
                Verdict::After((FIRST_DELAY_NS << (doublings - 1).min(4)).min(DELAY_MAX_NS))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MS, Record, Verdict};

    #[test]
    fn three_failures_of_its_own_before_ready_are_enough() {
        let mut record = Record::default();
        assert_eq!(record.bury(true, None), Verdict::After(0));
        assert_eq!(record.bury(true, None), Verdict::After(100 * MS));
        assert_eq!(record.bury(true, None), Verdict::GiveUp(3));
    }

    #[test]
    fn whoever_was_ready_is_replaced_for_ever_but_never_faster() {
        let mut record = Record::default();
        for _ in 0..1000 {
            assert_eq!(record.bury(false, Some(0)), Verdict::After(0));
        }
        let delays: Vec<u64> = (0..8)
            .map(|_| match record.bury(true, Some(0)) {
                Verdict::After(delay) => delay / MS,
                Verdict::GiveUp(_) => panic!("given up although it was ready"),
            })
            .collect();
        assert_eq!(delays, [0, 100, 200, 400, 800, 1000, 1000, 1000]);
    }

    #[test]
    fn a_killer_at_the_door_is_waited_out_and_then_the_place_is_given_up() {
        let mut record = Record::default();
        let tries = (0..).find(|_| matches!(record.bury(false, None), Verdict::GiveUp(_)));
        assert_eq!(tries, Some(19));
    }
}
