//! When the next guest may come, and when a slot is given up.
//!
//! *Invariant*: work is bounded. A guest that fails by its own doing before it was ever ready is
//! tried three times. Whoever was ready, or was killed by somebody else, is always replaced, but
//! later and later, at most once a second: a killer at the door must not silence the show.

const MS: u64 = 1_000_000;
pub(super) const FIRST_DELAY_NS: u64 = 100 * MS;
pub(super) const DELAY_MAX_NS: u64 = 1_000 * MS;
pub(super) const OWN_MAX: u32 = 3;
/// Who lived this long in lockstep has shown that the place is good.
const PROVEN_NS: u64 = 1_000 * MS;

/// What is remembered of a slot's guests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    own: u32,
    outside: u32,
}

/// Whose doing an end was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// The guest's own.
    Own,
    /// Somebody else's.
    Outside,
    /// Nobody knows: it differed from the only other one, and its successor is to say who is
    /// wrong.
    Disputed,
}

/// What to do with the empty place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refill {
    /// The next guest may come after this many nanoseconds.
    After(u64),
    /// Nobody more is sent, after this many failures in a row.
    GiveUp(u32),
}

impl Record {
    /// A guest has died. `in_lockstep_ns` is how long it was in lockstep, none if it never
    /// was. `[any]`
    pub(super) fn bury(&mut self, doing: Doing, in_lockstep_ns: Option<u64>) -> Refill {
        let was_ready = in_lockstep_ns.is_some();
        if doing == Doing::Outside && was_ready || in_lockstep_ns > Some(PROVEN_NS) {
            *self = Self::default();
            return Refill::After(0);
        }
        let (failures, free) = if doing == Doing::Own {
            self.own += 1;
            (self.own, 1)
        } else {
            self.outside += 1;
            (self.outside, 3)
        };
        if doing == Doing::Own && failures >= OWN_MAX && !was_ready {
            return Refill::GiveUp(failures);
        }
        match failures.saturating_sub(free) {
            0 => Refill::After(0),
            doublings => {
                Refill::After((FIRST_DELAY_NS << (doublings - 1).min(4)).min(DELAY_MAX_NS))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Doing, MS, Record, Refill};

    #[test]
    fn three_failures_of_its_own_before_ready_are_enough() {
        let mut record = Record::default();
        assert_eq!(record.bury(Doing::Own, None), Refill::After(0));
        assert_eq!(record.bury(Doing::Own, None), Refill::After(100 * MS));
        assert_eq!(record.bury(Doing::Own, None), Refill::GiveUp(3));
    }

    #[test]
    fn whoever_was_ready_is_replaced_for_ever_but_never_faster() {
        let mut record = Record::default();
        for _ in 0..1000 {
            assert_eq!(record.bury(Doing::Outside, Some(0)), Refill::After(0));
        }
        let delays: Vec<u64> = (0..8)
            .map(|_| match record.bury(Doing::Own, Some(0)) {
                Refill::After(delay) => delay / MS,
                Refill::GiveUp(_) => panic!("given up although it was ready"),
            })
            .collect();
        assert_eq!(delays, [0, 100, 200, 400, 800, 1000, 1000, 1000]);
    }

    #[test]
    fn a_killer_at_the_door_is_met_once_a_second_and_never_given_in_to() {
        let mut record = Record::default();
        let delays: Vec<u64> = (0..1000)
            .map(|_| match record.bury(Doing::Outside, None) {
                Refill::After(delay) => delay / MS,
                Refill::GiveUp(_) => panic!("given up because of somebody else"),
            })
            .collect();
        assert_eq!(delays[..8], [0, 0, 0, 100, 200, 400, 800, 1000]);
        assert!(delays[8..].iter().all(|delay| *delay == 1000));
    }

    /// Who is wrong is heard until an arbiter has said so, so the first come at once; a dispute
    /// that nobody can settle must not become work without end.
    #[test]
    fn the_first_arbiters_come_at_once_and_later_ones_later() {
        let mut record = Record::default();
        let delays: Vec<u64> = (0..8)
            .map(|_| match record.bury(Doing::Disputed, Some(0)) {
                Refill::After(delay) => delay / MS,
                Refill::GiveUp(_) => panic!("given up while nobody knows"),
            })
            .collect();
        assert_eq!(delays, [0, 0, 0, 100, 200, 400, 800, 1000]);
    }
}
