//! The preparer: has ready, on a thread of its own, what going over to another plan needs.
//!
//! *Invariant*: the thread that renders never waits for it. What is ready is taken if it is there,
//! what is done with is handed back to be dropped here.
//!
//! | plan in force | newest plan | done |
//! |---|---|---|
//! | not known yet | any | nothing |
//! | n | n | said to be prepared |
//! | n | follows n | prepared, once, and said |
//! | n | follows another | nothing: the log leads there first |

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use segue_lockstep::memory::plans::Plans;
use segue_lockstep::memory::slot::Slot;
use segue_rack::{Library, Plan, Setup, Successor};
use segue_sys::futex;
use segue_sys::process::priority;

/// What may be on its way from one thread to the other: commits come one after the other.
const ON_THE_WAY: usize = 4;

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
    ready: Receiver<Box<Successor>>,
    /// One that was met before its time.
    later: Option<Box<Successor>>,
    retired: SyncSender<Box<Successor>>,
}

impl Library for Shelf {
    fn plan(&mut self, edition: u32) -> Option<Plan> {
        Plan::from_bytes(&self.plans.read(edition.into())?.bytes).ok()
    }

    fn ready(&mut self, edition: u32) -> Option<Box<Successor>> {
        loop {
            let next = self.later.take().or_else(|| self.ready.try_recv().ok())?;
            if next.edition() == edition {
                return Some(next);
            }
            if next.edition() > edition {
                self.later = Some(next);
                return None;
            }
            // Of a commit that came to nothing.
            self.retire(next);
        }
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
    ready: SyncSender<Box<Successor>>,
    retired: Receiver<Box<Successor>>,
    /// What was last tried: from which edition to which.
    tried: Option<(u64, u64)>,
}

/// A preparer, and the shelf where the thread that renders finds its work.
pub(super) fn pair(
    plans: &Plans,
    setup: &Setup,
    place: &Slot,
    turn: &Arc<Turn>,
) -> (Preparer, Shelf) {
    let (prepared, ready) = sync_channel(ON_THE_WAY);
    let (retired, done) = sync_channel(ON_THE_WAY);
    let shelf = Shelf { plans: plans.clone(), ready, later: None, retired };
    let preparer = Preparer {
        plans: plans.clone(),
        setup: *setup,
        place: place.clone(),
        turn: turn.clone(),
        ready: prepared,
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
        if newest == current {
            self.place.set_prepared(current);
            return Ok(());
        }
        if self.tried == Some((current, newest)) {
            return Ok(());
        }
        // One that is being written rings once more.
        let Some(next) = self.plans.read(newest) else { return Ok(()) };
        if next.base != Some(current) {
            return Ok(());
        }
        self.tried = Some((current, newest));
        let next = self.prepare(current, newest, &next.bytes)?;
        if self.ready.try_send(next).is_err() {
            return Err(format!("edition {newest} has no room among those that were not taken"));
        }
        self.place.set_prepared(newest);
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

    #[test]
    fn a_commit_that_came_to_nothing_is_handed_back_when_the_next_is_taken() {
        let mut bench = Bench::new();
        bench.write(0, None);
        bench.turn.take(0);
        for edition in 1..=3 {
            bench.write(edition, Some(0));
            assert_eq!(bench.look(), Some(edition));
        }
        assert_eq!(bench.shelf.ready(2).unwrap().edition(), 2);
        assert_eq!(bench.preparer.retired.try_recv().unwrap().edition(), 1);
        assert!(bench.shelf.ready(2).is_none(), "it was taken");
        assert_eq!(bench.shelf.ready(3).unwrap().edition(), 3);
    }

    #[test]
    fn a_plan_that_is_none_is_told_and_not_said_to_be_prepared() {
        let mut bench = Bench::new();
        bench.write(0, None);
        bench.turn.take(0);
        bench.look();
        bench.plans.write(1, Some(0), b"no plan").unwrap();
        let why = bench.preparer.look().unwrap_err();
        assert!(why.starts_with("edition 1: "), "{why}");
        assert_eq!(bench.look(), Some(0), "told once");
    }
}
