//! The preparer: has ready, on a thread of its own, what going over to another plan needs.
//!
//! *Invariant*: the thread that renders never waits for it. What is ready is taken if it is there
//! and nobody is putting it there just then; what is done with is handed back to be dropped here.
//!
//! | plan in force | newest plan | done |
//! |---|---|---|
//! | not known yet | any | nothing |
//! | n | n | said to be prepared |
//! | n | not proved yet | nothing: who prepares it might not outlive that |
//! | n | follows n | prepared, once, and said; what was ready before for nothing goes |
//! | n | follows another | nothing: the log leads there first |

use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use segue_lockstep::memory::plans::Plans;
use segue_lockstep::memory::slot::Slot;
use segue_rack::{Library, Plan, Setup, Successor};
use segue_sys::futex;
use segue_sys::process::priority;

/// What may be on its way back: commits come one after the other.
const RETIRED_MAX: usize = 4;

/// What is ready for the next commit. Who renders only ever tries the lock.
type Ready = Arc<Mutex<Option<Box<Successor>>>>;

/// How long the preparer waits for a bell before it looks anyway: a bell can only be lost with the
/// process that should have rung it.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// What the thread that renders says to the preparer.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// The edition in force, plus one; 0 before that is known.
    edition: AtomicU64,
    bell: AtomicU32,
}

impl Turn {
    /// Says which edition is in force from now on. `[audio]`
    pub(super) fn take(&self, edition: u64) {
        self.edition.store(edition + 1, Release);
        futex::ring(&self.bell);
    }

    fn edition(&self) -> Option<u64> {
        self.edition.load(Acquire).checked_sub(1)
    }
}

/// The plans as the thread that renders has them.
pub(super) struct Shelf {
    plans: Plans,
    ready: Ready,
    retired: SyncSender<Box<Successor>>,
}

impl Library for Shelf {
    fn plan(&mut self, edition: u32) -> Option<Plan> {
        Plan::from_bytes(&self.plans.read(edition.into())?.bytes).ok()
    }

    fn ready(&mut self, edition: u32) -> Option<Box<Successor>> {
        let mut ready = self.ready.try_lock().ok()?;
        // One that is met before its time stays; one of a commit that came to nothing goes later.
        ready.take_if(|next| next.edition() == edition)
    }

    fn retire(&mut self, old: Box<Successor>) {
        // Dropped here where so many wait that the other thread must be stuck.
        let _ = self.retired.try_send(old);
    }
}

/// The thread.
pub(super) struct Preparer {
    plans: Plans,
    setup: Setup,
    place: Slot,
    turn: Arc<Turn>,
    ready: Ready,
    retired: Receiver<Box<Successor>>,
    /// What was last tried: from which edition to which, and which plan that was.
    tried: Option<(u64, u64, u32)>,
}

/// A preparer, and the shelf where the thread that renders finds its work.
pub(super) fn pair(
    plans: &Plans,
    setup: &Setup,
    place: &Slot,
    turn: &Arc<Turn>,
) -> (Preparer, Shelf) {
    let ready = Ready::default();
    let (retired, done) = sync_channel(RETIRED_MAX);
    let shelf = Shelf { plans: plans.clone(), ready: ready.clone(), retired };
    let preparer = Preparer {
        plans: plans.clone(),
        setup: *setup,
        place: place.clone(),
        turn: turn.clone(),
        ready,
        retired: done,
        tried: None,
    };
    (preparer, shelf)
}

impl Preparer {
    /// The thread's body.
    pub(super) fn run(mut self) {
        priority::be_ordinary();
        loop {
            // Loaded before the look: what changes from here on ends the wait at once.
            let rung = self.plans.bell().load(Acquire);
            let turned = self.turn.bell.load(Acquire);
            if let Err(why) = self.look() {
                eprintln!("what going over to another plan needs is not ready: {why}");
            }
            let bells = [(self.plans.bell(), rung), (&self.turn.bell, turned)];
            futex::wait_any(&bells, WAIT_MAX);
        }
    }

    /// Drops what is done with, and prepares the newest plan where that is the next.
    pub(super) fn look(&mut self) -> Result<(), String> {
        while self.retired.try_recv().is_ok() {}
        let (Some(newest), Some(current)) = (self.plans.newest(), self.turn.edition()) else {
            return Ok(());
        };
        // One that is being written rings once more.
        let Some(next) = self.plans.read(newest) else { return Ok(()) };
        let (edition, check) = (newest as u32, Plan::hash_of(&next.bytes) as u32);
        if newest == current {
            self.place.set_prepared(edition, check);
            return Ok(());
        }
        let follows = next.base == Some(current) && self.plans.is_proved(edition, check);
        if !follows || self.tried == Some((current, newest, check)) {
            return Ok(());
        }
        self.tried = Some((current, newest, check));
        let next = self.prepare(current, newest, &next.bytes)?;
        let former = self.ready.lock().unwrap_or_else(PoisonError::into_inner).replace(next);
        // Behind the lock: it may take a while.
        drop(former);
        self.place.set_prepared(edition, check);
        Ok(())
    }

    fn prepare(&self, from: u64, to: u64, bytes: &[u8]) -> Result<Box<Successor>, String> {
        let told = |edition: u64, why: &dyn std::fmt::Display| format!("edition {edition}: {why}");
        let gone = || told(from, &"it is not there any more");
        let before = self.plans.read(from).ok_or_else(gone)?;
        let before = Plan::from_bytes(&before.bytes).map_err(|error| told(from, &error))?;
        let after = Plan::from_bytes(bytes).map_err(|error| told(to, &error))?;
        let (old, new) = ((&before, from as u32), (&after, to as u32));
        let next = Successor::prepare(old, new, &self.setup).map_err(|error| told(to, &error))?;
        self.place.touch(next.state_words()).map_err(|error| told(to, &error))?;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use segue_lockstep::Shape;
    use segue_lockstep::memory::plans::Plans;
    use segue_lockstep::memory::slot::Slot;
    use segue_rack::{Library, Patch, Plan, Setup};
    use segue_sys::Region;

    use super::{Preparer, Shelf, Turn, pair};

    const SETUP: Setup = Setup { rate: 8000, channels: 1, state_bytes: 1 << 19 };

    struct Bench {
        plans: Plans,
        slot: Slot,
        turn: Arc<Turn>,
        preparer: Preparer,
        shelf: Shelf,
    }

    impl Bench {
        fn new() -> Self {
            let shape = Shape { slots: 1, channels: 1, rate: 8000, state_words: 1 << 16 };
            let slot = Slot::new(Region::heap(Slot::words(&shape)), &shape).unwrap();
            let plans = Plans::new(Region::heap(Plans::words())).unwrap();
            let turn = Arc::default();
            let (preparer, shelf) = pair(&plans, &SETUP, &slot, &turn);
            slot.sit(1, 1);
            Self { plans, slot, turn, preparer, shelf }
        }

        /// Writes an edition whose oscillator has that frequency.
        fn write(&self, edition: u64, base: Option<u64>) {
            let text = format!(
                "segue = 1\n[osc]\ntype = \"osc\"\nfreq = {}\n[out]\nin = \"osc\"\n",
                100 + edition
            );
            let plan = Plan::compile(&Patch::parse(&text).unwrap(), &SETUP).unwrap();
            self.plans.write(edition, base, &plan.to_bytes()).unwrap();
            self.plans.set_proved(edition as u32, plan.hash() as u32);
        }

        fn look(&mut self) -> Option<u64> {
            self.preparer.look().unwrap();
            self.slot.prepared()
        }
    }

    #[test]
    fn what_follows_the_plan_in_force_is_prepared_and_said() {
        let mut bench = Bench::new();
        bench.write(0, None);
        bench.write(1, Some(0));
        assert_eq!(bench.look(), None, "what is in force is not known yet");
        bench.turn.take(0);
        assert_eq!(bench.look(), Some(1));
        assert_eq!(bench.look(), Some(1), "once");
        let next = bench.shelf.ready(1).unwrap();
        assert_eq!((next.edition(), next.base()), (1, 0));
        assert!(bench.shelf.ready(1).is_none());
        bench.shelf.retire(next);
        bench.turn.take(1);
        assert_eq!(bench.look(), Some(1));
        assert!(bench.preparer.retired.try_recv().is_err(), "what is done with is dropped there");
    }

    /// A standby that is a block behind learns of a further plan before it has gone over to the
    /// one before.
    #[test]
    fn what_follows_another_plan_waits_until_that_is_in_force() {
        let mut bench = Bench::new();
        bench.write(0, None);
        bench.turn.take(0);
        assert_eq!(bench.look(), Some(0));
        bench.write(1, Some(0));
        bench.write(2, Some(1));
        assert_eq!(bench.look(), Some(0));
        assert!(bench.shelf.ready(1).is_none(), "that is for the last resort");
        bench.turn.take(1);
        assert_eq!(bench.look(), Some(2));
        assert_eq!(bench.shelf.ready(2).unwrap().base(), 1);
    }

    /// Also when the next one is written under the same number.
    #[test]
    fn what_was_ready_for_a_commit_that_came_to_nothing_makes_room_for_the_next() {
        let mut bench = Bench::new();
        bench.write(0, None);
        bench.turn.take(0);
        for edition in [1, 2, 2, 2, 3] {
            bench.write(edition, Some(0));
            assert_eq!(bench.look(), Some(edition));
        }
        assert!(bench.shelf.ready(2).is_none());
        assert_eq!(bench.shelf.ready(3).unwrap().edition(), 3);
        assert!(bench.shelf.ready(3).is_none(), "it was taken");
        let text = "segue = 1\n[out]\n";
        let plan = Plan::compile(&Patch::parse(text).unwrap(), &SETUP).unwrap();
        bench.plans.write(3, Some(0), &plan.to_bytes()).unwrap();
        bench.look();
        assert!(!bench.slot.is_prepared(3, plan.hash() as u32), "it is not proved");
        bench.plans.set_proved(3, plan.hash() as u32);
        assert_eq!(bench.look(), Some(3));
        assert!(bench.slot.is_prepared(3, plan.hash() as u32));
        assert_eq!(bench.shelf.ready(3).unwrap().check(), plan.hash() as u32);
    }

    #[test]
    fn a_plan_that_is_none_is_told_and_not_said_to_be_prepared() {
        let mut bench = Bench::new();
        bench.write(0, None);
        bench.turn.take(0);
        bench.look();
        bench.plans.write(1, Some(0), b"no plan").unwrap();
        bench.plans.set_proved(1, Plan::hash_of(b"no plan") as u32);
        let why = bench.preparer.look().unwrap_err();
        assert!(why.starts_with("edition 1: "), "{why}");
        assert_eq!(bench.look(), Some(0), "told once");
    }
}
