//! Going over from the plan that plays, as workers will: prepared, adopted, and faded to.
//!
//! *Invariant*: what is at fault there is told as what the new plan does; what the other one does,
//! it does already.

use segue_lockstep::memory::plans::Plans;
use segue_lockstep::memory::slot::{Crumb, Slot};
use segue_rack::{Action, BLOCK_FRAMES, Command, Performer, Plan, Setup};

use super::program::{self, Act};
use super::trial::Report;
use crate::offline::editions::Written;

/// Blocks of the fade: twice that of a commit that does not say.
const FADE_BLOCKS: u32 = 15;

/// Goes over to an edition from the one it follows; what is wrong with that.
pub(super) fn cross(plans: &Plans, to: u64, setup: &Setup, slot: &Slot) -> Option<Report> {
    let written = Written(plans.clone());
    let base = plans.read(to)?.base?;
    let ends = |edition: u64| {
        let edition = u32::try_from(edition).ok()?;
        Some((edition, written.of(edition)?))
    };
    // Where it is not there any more nobody else can go over from it either.
    let (from, to) = (ends(base)?, ends(to)?);
    match Performer::new(written, from.0, setup) {
        Ok(performer) => Crossing { performer, slot, played: 0 }.play(&from, &to),
        Err(error) => Some(Report::Unfit(format!("what plays cannot be gone over from: {error}"))),
    }
}

struct Crossing<'a> {
    performer: Performer<Written>,
    slot: &'a Slot,
    /// Blocks so far.
    played: u64,
}

impl Crossing<'_> {
    fn play(&mut self, from: &(u32, Plan), to: &(u32, Plan)) -> Option<Report> {
        for command in program::gates(&from.1, 1.0) {
            self.performer.apply(&command.encode_for(from.0));
        }
        self.block();
        let check = to.1.hash() as u32;
        let fade_frames = FADE_BLOCKS * BLOCK_FRAMES as u32;
        let adopt = Action::Adopt { edition: to.0, check, fade_frames };
        self.performer.apply(&Command::now(adopt).encode_for(from.0));
        if self.performer.edition() != to.0 {
            return Some(Report::Unfit("it cannot be gone over to".into()));
        }
        let resets = self.performer.rack().notes().resets;
        for command in program::gates(&to.1, 1.0) {
            self.performer.apply(&command.encode_for(to.0));
        }
        // One more behind the fade: the plan before is let go of.
        for _ in 0..=FADE_BLOCKS {
            self.block();
            let notes = self.performer.rack().notes();
            let part = notes.reset_module.saturating_sub(1) as u32;
            if notes.resets > resets && (part as usize) < to.1.modules().len() {
                return Some(Report::NonFinite { part, act: Act::Over });
            }
        }
        None
    }

    fn block(&mut self) {
        self.played += 1;
        let (slot, number) = (self.slot, self.played);
        let mut samples =
            vec![0.0; BLOCK_FRAMES * usize::from(self.performer.plan().setup().channels)];
        self.performer.render(&mut samples, &mut |part| {
            slot.set_crumb(Crumb::Render(part), number);
        });
        slot.set_crumb(Crumb::Idle, number);
    }
}

#[cfg(test)]
mod tests {
    use segue_lockstep::Shape;
    use segue_lockstep::memory::plans::Plans;
    use segue_lockstep::memory::slot::{Crumb, Slot};
    use segue_rack::{Patch, Plan, Setup};
    use segue_sys::Region;

    use super::{FADE_BLOCKS, cross};

    #[test]
    fn a_plan_is_gone_over_to_from_the_one_it_follows() {
        let setup = Setup::default();
        let plan = |text: &str| Plan::compile(&Patch::parse(text).unwrap(), &setup).unwrap();
        let plans = Plans::new(Region::heap(Plans::words())).unwrap();
        let before = plan("segue = 1\n[osc]\ntype = \"osc\"\n[out]\nin = \"osc\"\n");
        plans.write(4, None, &before.to_bytes()).unwrap();
        let after = plan("segue = 1\n[osc]\ntype = \"osc\"\nfreq = 100\n[out]\nin = \"osc\"\n");
        plans.write(5, Some(4), &after.to_bytes()).unwrap();
        let shape = Shape { slots: 1, channels: 2, rate: 48_000, state_words: 1 };
        let slot = Slot::new(Region::heap(Slot::words(&shape)), &shape).unwrap();
        assert_eq!(cross(&plans, 4, &setup, &slot), None, "it follows none");
        assert_eq!(slot.crumb().1, 0, "and none was played");
        assert_eq!(cross(&plans, 5, &setup, &slot), None);
        assert_eq!(slot.crumb(), (Crumb::Idle, u64::from(FADE_BLOCKS) + 2));
    }
}
