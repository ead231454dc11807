//! What plays and what stands where, for a control whose predecessor has died.
//!
//! *Invariant*: it is what the log says, whatever the plan that was written last is for: a commit
//! that was under way may never have come to the log, and then it never will.

use segue_lockstep::memory::orders::{Found, Kind};
use segue_lockstep::memory::origin::Origin;
use segue_lockstep::{BLOCK_FRAMES, Payload};
use segue_rack::{Action, Command, Performer, Plan, Rack, Setup};

use crate::control::desk::mirror::Mirror;
use crate::control::follow::newest_checkpoint;
use crate::host::ControlSeat;
use crate::offline::editions::Written;
use crate::offline::player::Player;

/// What plays, and what stands where.
pub(super) struct Standing {
    /// The edition of what plays.
    pub(super) edition: u32,
    /// What plays.
    pub(super) plan: Plan,
    /// What stands where.
    pub(super) mirror: Mirror,
}

impl Standing {
    /// The newest checkpoint, the log since, and what is still in the inbox.
    pub(super) fn of(seat: &ControlSeat) -> Result<Self, String> {
        let plans = Written(seat.plans.clone());
        let newest = newest_checkpoint(&seat.slots, &seat.orders, u64::MAX);
        let origin = || seat.origin.as_ref().and_then(Origin::read);
        let restored = newest.or_else(origin).and_then(|(mark, state)| {
            Some((Self::restored(&plans, &seat.settings.setup(), &state)?, mark.cursor))
        });
        let cursor = seat.orders.beginning().cursor;
        let (mut standing, cursor) = match restored {
            Some(restored) => restored,
            None => (Self::first(&plans)?, cursor),
        };
        let frame = seat.orders.playhead() * BLOCK_FRAMES as u64;
        let verdicts = seat.orders.verdicts();
        for number in cursor..seat.orders.head() {
            if let Found::Record(record) = seat.orders.record(number)
                && record.kind == Kind::Command
                && !verdicts.is_quarantined(number)
            {
                standing.tell(&record.payload, frame, &plans);
            }
        }
        let taken = seat.orders.taken();
        for number in taken..seat.inbox.next(taken) {
            if let Some(sent) = seat.inbox.take(number) {
                standing.tell(&sent.payload, frame, &plans);
            }
        }
        Ok(standing)
    }

    /// What the timeline began with; where that is not there any more, the newest plan.
    fn first(plans: &Written) -> Result<Self, String> {
        let editions = [plans.0.first(), plans.0.newest()].into_iter().flatten();
        let editions = editions.filter_map(|edition| u32::try_from(edition).ok());
        let mut found = editions.filter_map(|edition| Some((edition, plans.of(edition)?)));
        let (edition, plan) = found.next().ok_or("there is no plan to go on with")?;
        let mirror = Mirror::new(&plan);
        Ok(Self { edition, plan, mirror })
    }

    /// What plays in a state; none where it is no state of the plans that are there.
    fn restored(plans: &Written, setup: &Setup, state: &[u64]) -> Option<Self> {
        let (edition, _) = Rack::editions_of(state).ok()?;
        let mut performer = Performer::new(plans.clone(), edition, setup).ok()?;
        performer.restore(state).ok()?;
        let mirror = Mirror::of_rack(performer.plan(), performer.rack());
        Some(Self { edition, plan: performer.plan().clone(), mirror })
    }

    /// What a player has come to.
    pub(super) fn of_player(player: &Player) -> Self {
        let plan = player.plan().clone();
        let mirror = Mirror::of_rack(&plan, player.rack());
        Self { edition: player.edition(), plan, mirror }
    }

    /// Whether a payload is for this part alone.
    pub(super) fn is_for(&self, payload: &Payload, part: u32) -> bool {
        let command = Command::decode(payload).ok();
        let module = command.and_then(|command| command.module()).map(u32::from);
        Command::edition_of(payload) == self.edition && module == Some(part)
    }

    /// Takes what was sent while `frame` was being played.
    pub(super) fn tell(&mut self, payload: &Payload, frame: u64, plans: &Written) {
        let Ok(command) = Command::decode(payload) else { return };
        if let Action::Adopt { edition, check, .. } = command.action {
            // As the workers take it: forward, and only to what was meant.
            let plan = plans.of(edition).filter(|_| edition > self.edition);
            let plan = plan.filter(|plan| plan.hash() as u32 == check);
            if let Some(plan) = plan {
                self.mirror.adopt(&self.plan, &plan);
                (self.edition, self.plan) = (edition, plan);
            }
        } else if command.module().is_none() || Command::edition_of(payload) == self.edition {
            self.mirror.submit(command, frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use segue_lockstep::memory::plans::Plans;
    use segue_rack::{Action, Command, Patch, Plan, Setup};
    use segue_sys::Region;

    use super::Standing;
    use crate::offline::editions::Written;
    use crate::osc::address::Topic;

    fn plan(freq: u32) -> Plan {
        let text =
            format!("segue = 1\n[osc]\ntype = \"osc\"\nfreq = {freq}\n[out]\nin = \"osc\"\n");
        Plan::compile(&Patch::parse(&text).unwrap(), &Setup::default()).unwrap()
    }

    #[test]
    fn a_plan_plays_when_the_log_has_gone_over_to_it_and_not_when_it_was_written() {
        let plans = Plans::new(Region::heap(Plans::words())).unwrap();
        let editions = [plan(100), plan(200), plan(300)];
        for (edition, plan) in (0_u64..).zip(&editions) {
            plans.write(edition, edition.checked_sub(1), &plan.to_bytes()).unwrap();
        }
        let plans = Written(plans);
        let mut standing = Standing::first(&plans).unwrap();
        assert_eq!(standing.edition, 0);
        let param = editions[0].param(0, "freq").unwrap();
        let knob = |standing: &Standing| standing.mirror.value(Topic::Param { module: 0, param });
        let set = |value| Command::now(Action::Set { module: 0, param, value, ramp_frames: 0 });
        let adopt = |edition: u32, check| {
            Command::now(Action::Adopt { edition, check, fade_frames: 0 }).encode()
        };
        standing.tell(&set(150.0).encode(), 0, &plans);
        standing.tell(&adopt(1, !0), 0, &plans);
        assert_eq!((standing.edition, knob(&standing)), (0, Some(150.0)), "another plan is meant");
        standing.tell(&adopt(1, editions[1].hash() as u32), 0, &plans);
        assert_eq!((standing.edition, knob(&standing)), (1, Some(200.0)));
        standing.tell(&set(150.0).encode_for(0), 0, &plans);
        assert_eq!(knob(&standing), Some(200.0), "of an edition that plays no more");
        standing.tell(&set(150.0).encode_for(1), 0, &plans);
        assert_eq!(knob(&standing), Some(150.0));
        standing.tell(&adopt(0, editions[0].hash() as u32), 0, &plans);
        assert_eq!(standing.edition, 1, "there is no way back");
        assert_eq!(standing.plan.hash(), editions[1].hash());
    }
}
