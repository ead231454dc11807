//! When a device without hardware asks for frames, as a step over the time.
//!
//! *Invariant*: one period a turn, whatever happened before. A turn that comes more than a
//! period late starts a new time (an anchor, counted); it never asks for what was missed, for
//! the timeline is the frames asked for. Turns sit on whole multiples of the period from the
//! anchor, so rounding never adds up.

const SECOND_NS: u128 = 1_000_000_000;

/// A timer that asks for `period` frames at `rate` frames a second.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    period: u64,
    rate_millihertz: u64,
    anchor_ns: u64,
    turns: u64,
    /// How often the time was begun anew because a turn came too late.
    pub(crate) anchors: u64,
}

impl Pace {
    /// Begins at `now_ns`; the first turn is due at once. `speed` multiplies the rate.
    pub(crate) fn new(period: u64, rate: u32, speed: f64, now_ns: u64) -> Self {
        assert!(period > 0 && rate > 0, "a period and a rate");
        let rate_millihertz = ((f64::from(rate) * speed * 1000.0) as u64).max(1);
        Self { period, rate_millihertz, anchor_ns: now_ns, turns: 0, anchors: 0 }
    }

    /// When the next turn is due, in nanoseconds of the monotonic clock.
    pub(crate) fn due_ns(&self) -> u64 {
        let frames = u128::from(self.turns) * u128::from(self.period);
        let since = frames * SECOND_NS * 1000 / u128::from(self.rate_millihertz);
        self.anchor_ns.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// Takes the turn that was due, at `now_ns`; true when it came so late that the time
    /// begins anew.
    pub(crate) fn turn(&mut self, now_ns: u64) -> bool {
        let late_ns = now_ns.saturating_sub(self.due_ns());
        let anew = late_ns > self.period_ns();
        if anew {
            self.anchor_ns = now_ns;
            self.turns = 0;
            self.anchors += 1;
        }
        self.turns += 1;
        anew
    }

    fn period_ns(&self) -> u64 {
        let length = u128::from(self.period) * SECOND_NS * 1000 / u128::from(self.rate_millihertz);
        u64::try_from(length).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;

    #[test]
    fn an_hour_of_turns_is_an_hour_to_the_nanosecond() {
        for (period, rate) in [(64, 48_000), (441, 44_100), (1000, 8000), (4096, 192_000)] {
            let mut pace = Pace::new(period, rate, 1.0, 7);
            let turns = 3600 * u64::from(rate) / period;
            for _ in 0..turns {
                assert!(!pace.turn(pace.due_ns()));
            }
            let frames = u128::from(turns * period);
            let expected = 7 + (frames * 1_000_000_000 / u128::from(rate)) as u64;
            assert_eq!((pace.due_ns(), pace.anchors), (expected, 0));
        }
    }

    /// S21, S22: a stall of any length costs one anchor and no burst.
    #[test]
    fn after_a_stall_the_next_turn_is_a_period_away_and_not_at_once() {
        for stall_ms in [5, 15, 200, 100_000] {
            let mut pace = Pace::new(64, 48_000, 1.0, 0);
            let mut now = 0;
            for _ in 0..100 {
                now = pace.due_ns();
                pace.turn(now);
            }
            now += stall_ms * 1_000_000;
            assert!(pace.turn(now), "{stall_ms} ms");
            assert_eq!((pace.due_ns(), pace.anchors), (now + 1_333_333, 1));
        }
    }

    #[test]
    fn a_turn_late_by_less_than_a_period_is_made_up_for() {
        let mut pace = Pace::new(480, 48_000, 1.0, 0);
        assert!(!pace.turn(9_000_000));
        assert_eq!(pace.due_ns(), 10_000_000);
    }

    #[test]
    fn speed_multiplies_the_rate() {
        let mut pace = Pace::new(48_000, 48_000, 20.0, 0);
        pace.turn(0);
        assert_eq!(pace.due_ns(), 50_000_000);
    }
}
