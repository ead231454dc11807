//! Who goes first: one word, changed at a death, a stop, a loop, or when it is late too often.

use super::act::Action;
use super::guest::State;
use super::observe::Observation;
use super::{Monitor, Process};
use crate::memory::slot::Crumb;
use crate::memory::status::{Change, Counter};

/// Late blocks among the last 64 that cost a primary its role.
pub(super) const LATE_MAX: u32 = 16;

/// Between two looks while somebody comes, goes or is within a block, and how much after its
/// deadline a block may be cleared.
pub(super) const LOOK_NS: u64 = 1_000_000;

/// Blocks that the monitor rests at most: a loop that begins meanwhile is met as much later.
pub(super) const REST_BLOCKS_MAX: u64 = 4;

impl Monitor {
    /// The primary is gone: the one who is furthest takes its place; counted once.
    pub(super) fn fail_over(
        &mut self,
        slot: usize,
        cause: &str,
        seen: &Observation,
        actions: &mut Vec<Action>,
    ) {
        actions.push(Action::Count(Counter::Failovers));
        self.guests[slot].was_primary = true;
        let to = self.furthest(slot, seen);
        self.name(to, cause.to_owned(), seen, actions);
    }

    /// Names a primary where there is none, or another where the one is late.
    pub(super) fn step_primary(&mut self, seen: &Observation, actions: &mut Vec<Action>) {
        match self.primary {
            None => self.fill(seen, actions),
            Some(slot) => {
                let settled = seen.playhead >= self.changed_at + 64;
                let late = seen.lateness.count_ones();
                if late < LATE_MAX || !settled || seen.freewheel {
                    return;
                }
                let Some(to) = self.furthest(slot, seen) else { return };
                if seen.slots[to].published > seen.playhead {
                    actions.push(Action::Count(Counter::RoleChanges));
                    let cause = format!("late in {late} of the last 64 blocks");
                    self.name(Some(to), cause, seen, actions);
                }
            }
        }
    }

    fn fill(&mut self, seen: &Observation, actions: &mut Vec<Action>) {
        if !self.begun {
            let all = self
                .guests
                .iter()
                .all(|guest| matches!(guest.state, State::Lockstep | State::GivenUp));
            let first = self.guests.iter().position(|guest| guest.state == State::Lockstep);
            if let (true, Some(first)) = (all, first) {
                self.begun = true;
                self.name(Some(first), "the first".to_owned(), seen, actions);
            }
            return;
        }
        let to = self.furthest(usize::MAX, seen).or_else(|| self.arrived(seen));
        if let Some(to) = to {
            let cause = "nobody was in lockstep; the first to reach the playhead".to_owned();
            self.name(Some(to), cause, seen, actions);
        }
    }

    /// The one in lockstep that has published most, other than `not`.
    fn furthest(&self, not: usize, seen: &Observation) -> Option<usize> {
        (0..self.guests.len())
            .filter(|slot| *slot != not && self.guests[*slot].state == State::Lockstep)
            .filter(|slot| !seen.slots[*slot].process.is_over())
            .filter(|slot| seen.slots[*slot].generation == self.guests[*slot].generation)
            .max_by_key(|slot| (seen.slots[*slot].published, std::cmp::Reverse(*slot)))
    }

    /// A joiner that has reached the playhead.
    fn arrived(&self, seen: &Observation) -> Option<usize> {
        (0..self.guests.len())
            .filter(|slot| self.guests[*slot].state == State::Joining)
            .filter(|slot| matches!(seen.slots[*slot].process, Process::Running { .. }))
            .filter(|slot| seen.slots[*slot].generation == self.guests[*slot].generation)
            .find(|slot| seen.slots[*slot].reached > seen.playhead)
    }

    fn name(
        &mut self,
        to: Option<usize>,
        cause: String,
        seen: &Observation,
        actions: &mut Vec<Action>,
    ) {
        let from = self.primary.map(|slot| slot as u64);
        self.primary = to;
        self.changed_at = seen.playhead;
        let to_told = to.map(|slot| slot as u64);
        let change = Change { at_ns: seen.now_ns, block: seen.playhead, from, to: to_told, cause };
        actions.push(Action::Primary(to));
        actions.push(Action::Change(change));
    }

    /// Whether a slot's guest could render something now.
    pub(super) fn has_work(&self, slot: usize, seen: &Observation) -> bool {
        let reached = seen.slots[slot].reached;
        if reached >= seen.sealed {
            return false;
        }
        match self.primary {
            Some(primary) if primary != slot => {
                reached < seen.slots[primary].published.max(self.cleared)
            }
            _ => true,
        }
    }

    /// With a clock, the deadline clears what the primary has not published: half the lead is
    /// left for the standby.
    pub(super) fn step_clear(&mut self, seen: &Observation, actions: &mut Vec<Action>) {
        let Some(primary) = self.primary else { return };
        if seen.freewheel {
            return;
        }
        let demanded = self.due_by_now(seen) + self.config.lead / 2 + 1;
        let demanded = self.first_suspected().map_or(demanded, |block| demanded.min(block));
        if seen.slots[primary].published < demanded && demanded > self.cleared {
            self.cleared = demanded;
            actions.push(Action::Clear(demanded));
        }
    }

    /// How long the monitor may rest: until the primary, should it publish nothing more from now
    /// on, would have to be cleared. Within a longer period when that is depends on the moment at
    /// which the device asked, so there it looks for that.
    pub(super) fn rest(&self, seen: &Observation) -> u64 {
        let is_quiet = self.guests.iter().zip(&seen.slots).all(|(guest, at)| match guest.state {
            State::Lockstep => !matches!(at.crumb.0, Crumb::Apply(_) | Crumb::Render(_)),
            state => state == State::GivenUp,
        });
        let is_steady = !seen.freewheel && seen.period_blocks <= 1 && self.suspected.is_empty();
        let Some(primary) = self.primary.filter(|_| is_quiet && is_steady) else {
            return LOOK_NS;
        };
        // The last of these blocks may begin in a moment.
        let published = seen.slots[primary].published.min(seen.sealed);
        let blocks = published.saturating_sub(seen.playhead + self.config.lead / 2 + 1);
        let block_ns = self.config.shape.block_ns();
        (blocks * block_ns + LOOK_NS).min(REST_BLOCKS_MAX * block_ns)
    }

    /// The block that would be playing if the device took one at a time: a long period is not
    /// asked for before its end, but by then all of it must be there.
    fn due_by_now(&self, seen: &Observation) -> u64 {
        let (playhead, since_ns) = self.moved;
        let blocks = seen.now_ns.saturating_sub(since_ns) / self.config.shape.block_ns();
        playhead + blocks.min(seen.period_blocks.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::{LOOK_NS, REST_BLOCKS_MAX};
    use crate::Shape;
    use crate::memory::slot::{Crumb, Phase};
    use crate::monitor::observe::{Process, SlotSeen};
    use crate::monitor::{Action, Config, Evidence, Monitor, Observation, State};

    const SHAPE: Shape = Shape { slots: 2, channels: 2, rate: 48_000, state_words: 1 };
    const BLOCK_NS: u64 = SHAPE.block_ns();

    /// Two in lockstep on a timer of one block, looked at when the monitor wants to.
    struct Show {
        monitor: Monitor,
        lead: u64,
        now_ns: u64,
        /// Who publishes nothing any more, and from when on.
        stalls: usize,
        stalls_ns: u64,
        /// Its breadcrumb from then on.
        caught: Option<Crumb>,
        looks: u64,
    }

    impl Show {
        fn new(lead: u64) -> Self {
            let monitor = Monitor::new(Config { shape: SHAPE, build: 1, lead });
            let (stalls_ns, caught) = (u64::MAX, None);
            let mut show =
                Self { monitor, lead, now_ns: 1, stalls: 0, stalls_ns, caught, looks: 0 };
            for guest in &mut show.monitor.guests {
                guest.invite(1);
                guest.enter(State::Lockstep, 1);
            }
            show.look();
            assert_eq!(show.monitor.primary, Some(0));
            show
        }

        fn slot(&self, slot: usize) -> SlotSeen {
            let stalls = slot == self.stalls && self.now_ns >= self.stalls_ns;
            let until_ns = if stalls { self.stalls_ns } else { self.now_ns };
            // What is sealed is rendered at once.
            let rendered = until_ns / BLOCK_NS + 1 + self.lead;
            let caught = self.caught.filter(|_| stalls);
            let cpu_ns = self.now_ns.saturating_sub(self.stalls_ns);
            SlotSeen {
                process: Process::Running { cpu_ns },
                crumb: (caught.unwrap_or(Crumb::Idle), rendered),
                ..SlotSeen::guest(1, Phase::Lockstep, rendered)
            }
        }

        /// A look, and the rest that the monitor wants after it.
        fn look(&mut self) -> Vec<Action> {
            self.looks += 1;
            let playhead = self.now_ns / BLOCK_NS;
            let actions = self.monitor.step(&Observation {
                now_ns: self.now_ns,
                slots: vec![self.slot(0), self.slot(1)],
                trusted: None,
                playhead,
                sealed: playhead + 1 + self.lead,
                first: 0,
                head: 0,
                lateness: 0,
                revive: 0,
                verdicts: Vec::new(),
                freewheel: false,
                period_blocks: 1,
            });
            self.now_ns += self.monitor.rest_ns();
            actions
        }

        /// Looks until something is done; gives the moment.
        fn until(&mut self, is_it: impl Fn(&Action) -> bool) -> u64 {
            loop {
                let now_ns = self.now_ns;
                if self.look().iter().any(&is_it) {
                    return now_ns;
                }
                assert!(now_ns < self.stalls_ns + 1_000 * BLOCK_NS, "never");
            }
        }
    }

    /// The standby may go on with commands when half the lead is over, whenever the primary
    /// stalled, although the monitor sleeps most of the time.
    #[test]
    fn a_stalled_primary_is_cleared_within_a_look_of_its_deadline() {
        for lead in [1, 2, 3, 4, 8, 16, 64] {
            for moment in 0..200 {
                let mut show = Show::new(lead);
                show.stalls_ns = 100 * BLOCK_NS + moment * BLOCK_NS / 37;
                let published = show.stalls_ns / BLOCK_NS + 1 + lead;
                let deadline_ns = (published - lead / 2) * BLOCK_NS;
                let cleared_ns = show.until(|action| matches!(action, Action::Clear(_)));
                let late_ns = cleared_ns.checked_sub(deadline_ns).expect("never before");
                assert!(late_ns <= LOOK_NS, "lead {lead}, {moment}: {late_ns} ns late");
            }
        }
    }

    #[test]
    fn a_loop_is_met_at_the_next_look_and_then_looked_at_each_millisecond() {
        for moment in 0..400 {
            let mut show = Show::new(8);
            show.stalls = moment as usize % 2;
            show.stalls_ns = 100 * BLOCK_NS + moment * BLOCK_NS / 37;
            show.caught = Some(Crumb::Render(3));
            let limit_ns = show.monitor.limits.loop_cpu_ns;
            let killed_ns = show.until(|action| matches!(action, Action::Kill { .. }));
            assert!(matches!(
                show.monitor.guests[show.stalls].evidence,
                Some(Evidence::Looping(_))
            ));
            let took_ns = killed_ns - show.stalls_ns;
            let rest_ns = REST_BLOCKS_MAX * BLOCK_NS;
            assert!(took_ns <= rest_ns + LOOK_NS + limit_ns + LOOK_NS, "{moment}: {took_ns} ns");
        }
    }

    #[test]
    fn while_all_is_well_the_monitor_wakes_less_than_once_a_block() {
        for (lead, blocks) in [(2, 1.7), (4, 2.7), (8, 4.0), (64, 4.0)] {
            let mut show = Show::new(lead);
            let began = show.looks;
            while show.now_ns < 10_000 * BLOCK_NS {
                show.look();
            }
            let looks = (show.looks - began) as f64;
            let each = 10_000.0 / looks;
            assert!((blocks..blocks + 0.1).contains(&each), "lead {lead}: each {each} blocks");
        }
    }

    #[test]
    fn while_somebody_is_within_a_block_it_looks_each_millisecond() {
        let mut show = Show::new(4);
        assert!(show.monitor.rest_ns() > LOOK_NS);
        (show.stalls, show.stalls_ns, show.caught) = (1, 0, Some(Crumb::Apply(1)));
        show.look();
        assert_eq!(show.monitor.rest_ns(), LOOK_NS);
    }
}
