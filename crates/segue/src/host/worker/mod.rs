//! The worker process: sits down in its slot and renders until it is killed.
//!
//! What runs before `ready` is small on purpose: a message, some mappings, the plan. The first
//! thread renders; a second one holds the socket, and a third prepares what comes next.

mod played;
mod preparer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Acquire;
use std::thread;
use std::time::Duration;

use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::origin::Origin;
use segue_lockstep::memory::plans::Plans;
use segue_lockstep::memory::slot::{NOTE_AT, Slot};
use segue_lockstep::worker::{Parts, Step, Worker};
use segue_lockstep::{Instrument, Shape};
use segue_rack::{Performer, Rack, Setup};
use segue_sys::event::Event;
use segue_sys::process::confine;
use segue_sys::process::priority::{self, Urgency};
use segue_sys::socket::Seqpacket;
use segue_sys::{Access, clock, fatal, futex, process};
use serde::{Deserialize, Serialize};

use self::played::Played;
use self::preparer::{Preparer, Shelf, Turn};
use super::wire::{self, MESSAGE_BYTES_MAX, Regions};
use crate::exit::{Exit, Failure};

/// How long a worker waits for a bell before it looks anyway: a bell can only be lost with the
/// process that should have rung it.
const WAIT_MAX: Duration = Duration::from_millis(10);

/// How much a worker may grow once it renders, in bytes. It should not at all, but each of its
/// threads may still be given a heap of its own, and those are reserved 128 MiB at a time.
pub(super) const GROWTH_BYTES: u64 = 512 << 20;

/// States for which there must be room beside the one it begins with: one that is prepared, one
/// that is done with, and one that is built at the last moment.
const STATES_MORE: u64 = 3;

/// What a worker is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    /// The supervisor.
    pub(super) parent: u32,
    /// Its build.
    pub(super) build: u64,
    /// Which slot is meant.
    pub(super) slot: u32,
    /// Which guest of it.
    pub(super) generation: u64,
    /// What the regions agree on.
    pub(super) shape: wire::ShapeWords,
    /// Bytes of the rack's arena.
    pub(super) state_bytes: u64,
    /// Whether the state may be another one than the plan's own.
    pub(super) origin: bool,
}

/// Runs a worker; comes back only if it cannot go on.
pub(crate) fn worker_main() -> Exit {
    match work() {
        Ok(never) => match never {},
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit
        }
    }
}

fn work() -> Result<std::convert::Infallible, Failure> {
    let bug = |error: io::Error| Failure::new(Exit::Bug, format!("cannot sit down: {error}"));
    let socket = Seqpacket::from_stdin().map_err(bug)?;
    let mut bytes = vec![0; MESSAGE_BYTES_MAX];
    let got = socket.receive(&mut bytes).map_err(bug)?;
    let hello: Hello = wire::decode(&bytes[..got.length]).map_err(bug)?;
    super::settle(hello.parent, hello.build, &format!("segue slot {}", hello.slot)).map_err(bug)?;
    let shape = Shape::from(hello.shape);
    let mut regions = Regions(got.fds.into_iter());
    let (loads, parts) = take_place(&hello, &shape, &mut regions).map_err(bug)?;
    process::priority::no_core_dumps().map_err(bug)?;
    #[cfg(feature = "fault")]
    super::fault::at_start(&parts.slots[parts.slot], hello.slot, hello.generation);
    #[cfg(feature = "fault")]
    {
        segue_rack::name_replica(hello.slot, hello.generation as u32);
        super::fault::know_wildness(parts.slots[parts.slot].clone());
    }

    let place = &parts.slots[parts.slot];
    let Loaded { played, preparer, is_fresh } = load(&loads, &shape, hello.state_bytes, place)?;
    place.touch(played.state().len()).map_err(bug)?;
    let worker = Worker::sit(played, shape, parts.clone(), hello.build);
    let worker = if is_fresh { worker } else { worker.without_beginning() };
    let named = |name: &str| thread::Builder::new().name(name.into());
    named("socket").stack_size(64 * 1024).spawn(move || hold(&socket)).map_err(bug)?;
    named("preparer").spawn(move || preparer.run()).map_err(bug)?;
    // Its own pages stay; without the privilege it goes on.
    let _ = priority::lock_memory();
    // From here on it only computes. A kernel that cannot refuse does not keep it from that.
    let growth_bytes = GROWTH_BYTES + STATES_MORE * hello.state_bytes;
    if let Err(error) = confine::limit_growth(growth_bytes).and_then(|()| confine::confine()) {
        eprintln!("this worker is not confined: {error}");
    }
    #[cfg(feature = "fault")]
    super::fault::when_confined(hello.slot);
    Err(go_round(worker, &parts))
}

/// What a rack is made from.
struct Loads {
    plans: Plans,
    origin: Option<Origin>,
}

/// Maps the regions, sits down in the slot, and from then on leaves a note when it dies.
fn take_place(hello: &Hello, shape: &Shape, regions: &mut Regions) -> io::Result<(Loads, Parts)> {
    let plans = regions.laid_on_demand(Access::Read, Plans::new)?;
    let orders = regions.laid(Access::Read, Orders::new)?;
    let bell = Event::adopt(regions.fd()?);
    let slot = hello.slot as usize;
    let mut slots = Vec::new();
    for at in 0..shape.slots {
        let access = if at == slot { Access::Write } else { Access::Read };
        let place = regions.laid_on_demand(access, |it| Slot::new(it, shape))?;
        // Its own room for checkpoints follows when the plan says how long a state is.
        place.touch(0)?;
        slots.push(place);
    }
    let own = slots.get(slot).ok_or_else(|| io::Error::other("there is no such slot"))?;
    own.sit(hello.generation, hello.build);
    fatal::install(own.region().clone(), NOTE_AT, hello.generation, bell)?;
    let origin = match hello.origin {
        true => Some(regions.laid_on_demand(Access::Read, |it| Origin::new(it, shape))?),
        false => None,
    };
    Ok((Loads { plans, origin }, Parts { orders, slots, slot, generation: hello.generation }))
}

/// What a worker begins with.
struct Loaded {
    played: Played,
    preparer: Preparer,
    /// Whether its state is that before the first block.
    is_fresh: bool,
}

/// The plan the timeline began with, in its first state; where that is not there any more the
/// newest one, to be given a state.
fn load(loads: &Loads, shape: &Shape, state_bytes: u64, place: &Slot) -> Result<Loaded, Failure> {
    let bad = |text: String| Failure::new(Exit::Bug, text);
    let Loads { plans, origin } = loads;
    let setup = Setup {
        rate: shape.rate,
        channels: shape.channels as u16,
        state_bytes: state_bytes as usize,
    };
    let is_there = |edition: &u64| plans.read(*edition).is_some();
    let first = plans.first().filter(is_there);
    let edition = first.or_else(|| plans.newest().filter(is_there));
    let edition = edition.ok_or_else(|| bad("there is no whole plan".into()))?;
    let turn = Arc::<Turn>::default();
    let (preparer, shelf) = preparer::pair(plans, &setup, place, &turn);
    let mut performer = Performer::new(shelf, edition as u32, &setup)
        .map_err(|error| bad(format!("the plan cannot be played: {error}")))?;
    let mut is_fresh = first.is_some();
    if let Some(origin) = origin.as_ref().filter(|origin| origin.mark().is_some()) {
        is_fresh = restore(&mut performer, plans, origin)?;
    }
    Ok(Loaded { played: Played::new(performer, place.clone(), turn), preparer, is_fresh })
}

/// Goes on with the state of a show, if its plans are still there.
fn restore(
    performer: &mut Performer<Shelf>,
    plans: &Plans,
    origin: &Origin,
) -> Result<bool, Failure> {
    let bad = |text: String| Failure::new(Exit::Bug, format!("the state to go on from {text}"));
    let (_, state) = origin.read().ok_or_else(|| bad("is damaged".into()))?;
    let wrong = |error: segue_rack::StateError| bad(format!("is none: {error}"));
    let (edition, fading) = Rack::editions_of(&state).map_err(wrong)?;
    let mut needed = fading.into_iter().chain([edition]);
    if !needed.all(|edition| plans.read(edition.into()).is_some()) {
        return Ok(false);
    }
    performer.restore(&state).map_err(wrong)?;
    Ok(true)
}

/// Renders for ever; what comes back is why not.
fn go_round(mut worker: Worker<Played>, parts: &Parts) -> Failure {
    let own = &parts.slots[parts.slot];
    let mut urgency = None;
    loop {
        // Loaded before the step, and before the role: what changes from here on ends the wait
        // at once.
        let urged = listen(parts.orders.urge());
        let primary = parts.orders.primary();
        // Without a clock there is no hurry, and two workers in one would starve the machine.
        if !parts.orders.freewheel() {
            take_urgency(&mut urgency, primary == Some(parts.slot));
        }
        // A standby sleeps through the sealing and wakes once a block, when the primary has it.
        let ahead =
            primary.filter(|slot| *slot != parts.slot).and_then(|slot| parts.slots.get(slot));
        let bells = [urged, listen(ahead.map_or(parts.orders.bell(), Slot::bell))];
        match worker.step(&mut clock::monotonic_ns) {
            Step::Rendered => futex::wake(own.bell()),
            Step::Wait => {
                futex::wait_any(&bells, WAIT_MAX);
            }
            Step::Leave(leave) => return Failure::new(Exit::TryAgain, leave.to_string()),
        }
    }
}

/// A bell, and what it stands at.
fn listen(bell: &AtomicU32) -> (&AtomicU32, u32) {
    (bell, bell.load(Acquire))
}

/// Roles change; the priority follows. Not granted is said in the status by the supervisor.
fn take_urgency(now: &mut Option<Urgency>, primary: bool) {
    let wanted = if primary { Urgency::Primary } else { Urgency::Standby };
    if *now != Some(wanted) {
        *now = Some(wanted);
        let _ = priority::ask_realtime(wanted);
    }
}

/// Holds the socket: its end is the supervisor's. Descriptors of samples will come this way.
fn hold(socket: &Seqpacket) {
    let _ = fatal::own_stack();
    let mut bytes = [0; 16];
    while socket.receive(&mut bytes).is_ok_and(|got| got.length > 0) {}
    // The kernel's death signal has most likely been faster.
    std::process::exit(i32::from(Exit::TryAgain.code()));
}

#[cfg(test)]
mod tests {
    use segue_lockstep::memory::checkpoint::Mark;
    use segue_lockstep::memory::orders::{Found, Record};
    use segue_lockstep::memory::origin::Origin;
    use segue_lockstep::memory::plans::{PLANS_KEPT, Plans};
    use segue_lockstep::memory::slot::Phase;
    use segue_lockstep::memory::verdicts::Verdict;
    use segue_lockstep::playout::{self, Pace, Playout};
    use segue_lockstep::worker::{Parts, Step, Worker};
    use segue_lockstep::{Instrument, Shape};
    use segue_rack::{Action, Patch, Plan, Setup};
    use segue_sys::{Region, hash};

    use super::{Loaded, Loads, Played, Preparer, load};
    use crate::files::journal::{Bypass, Command};
    use crate::offline::player::{COMMAND, Player};

    const SHAPE: Shape = Shape { slots: 3, channels: 1, rate: 8000, state_words: 1 << 16 };
    const SETUP: Setup = Setup { rate: 8000, channels: 1, state_bytes: 8 << 16 };

    fn plan(edition: u64) -> Plan {
        let text = format!(
            "segue = 1\n[osc]\ntype = \"osc\"\nfreq = {}\n[out]\nin = \"osc\"\n",
            100 + 50 * edition
        );
        Plan::compile(&Patch::parse(&text).unwrap(), &SETUP).unwrap()
    }

    /// An engine without processes: whoever plays is stepped by hand.
    struct Engine {
        loads: Loads,
        parts: playout::Parts,
        playout: Playout,
        guests: Vec<(Worker<Played>, Preparer)>,
        /// Plays by hand what the others play, as a journal is rendered.
        reference: Player,
        /// The next record of the log for it.
        record: u64,
    }

    impl Engine {
        fn new(slots: usize) -> Self {
            let plans = Plans::new(Region::heap(Plans::words())).unwrap();
            plans.write(0, None, &plan(0).to_bytes()).unwrap();
            let parts = playout::Parts::on_heap(&SHAPE).unwrap();
            let pace = Pace { lead: 1, freewheel: true, period: 64 };
            let mut engine = Self {
                loads: Loads { plans, origin: None },
                playout: Playout::new(SHAPE, parts.clone(), pace),
                parts,
                guests: Vec::new(),
                reference: Player::new(&plan(0), &SETUP).unwrap(),
                record: 0,
            };
            (0..slots).for_each(|_| engine.sit());
            engine.parts.orders.set_primary(Some(0));
            engine
        }

        /// One more guest.
        fn sit(&mut self) {
            let slot = self.guests.len();
            let place = &self.parts.slots[slot];
            let bytes = SETUP.state_bytes as u64;
            let Loaded { played, preparer, .. } = load(&self.loads, &SHAPE, bytes, place).unwrap();
            self.parts.orders.set_generation(slot, 1);
            let (orders, slots) = (self.parts.orders.clone(), self.parts.slots.clone());
            let parts = Parts { orders, slots, slot, generation: 1 };
            let mut worker = Worker::sit(played, SHAPE, parts, 1);
            assert_eq!(worker.step(&mut || 0), Step::Rendered, "it has chosen where to begin");
            self.guests.push((worker, preparer));
        }

        fn tell(&mut self, payload: [u64; 4]) {
            let taken = self.parts.orders.taken();
            assert!(self.parts.inbox.send(taken, 1, &[payload]).is_some());
        }

        /// Plays so many blocks; every block of every guest is what the reference plays.
        fn play(&mut self, blocks: u64) {
            let mut samples = [0.0; 64];
            for _ in 0..blocks {
                self.playout.seal();
                for (worker, _) in &mut self.guests {
                    while worker.step(&mut || 0) == Step::Rendered {}
                }
                let block = self.parts.orders.playhead();
                while let Found::Record(record) = self.parts.orders.record(self.record)
                    && record.block == block
                {
                    let Record { payload, more, .. } = record;
                    let (number, kind) = (self.record, COMMAND);
                    let command = Command { number, block, kind, payload, origin: 1, more };
                    self.reference.push(command);
                    self.record += 1;
                }
                let (_, hash) = self.reference.render();
                for (slot, place) in self.parts.slots.iter().enumerate().take(self.guests.len()) {
                    let mut entry = vec![0; place.entry_words()];
                    let found = place.read(block, 1, &mut entry).map(|facts| facts.hash);
                    assert_eq!(found, Some(hash), "block {block} of slot {slot}");
                    let hashes = place.state_hashes().into_iter().flatten();
                    for (_, found) in hashes.filter(|(at, _)| *at == block + 1) {
                        let state = hash::words(block + 1, self.reference.state());
                        assert_eq!(found, state, "the state behind block {block} of slot {slot}");
                    }
                }
                assert_eq!(self.playout.play(&mut samples), 64);
            }
        }

        fn write(&mut self, edition: u64) -> [u64; 4] {
            let next = plan(edition);
            self.reference.learn(edition as u32, next.clone());
            self.loads.plans.write(edition, Some(edition - 1), &next.to_bytes()).unwrap();
            self.loads.plans.set_proved(edition as u32, next.hash() as u32);
            let check = next.hash() as u32;
            let adopt = Action::Adopt { edition: edition as u32, check, fade_frames: 64 * 40 };
            segue_rack::Command::now(adopt).encode_for(edition as u32 - 1)
        }

        fn prepared(&mut self, slot: usize) -> Option<u64> {
            self.guests[slot].1.look().unwrap();
            self.parts.slots[slot].prepared()
        }
    }

    #[test]
    fn who_is_prepared_plays_the_same_as_who_is_not_and_who_comes_within_the_fade() {
        let mut engine = Engine::new(2);
        engine.play(20);
        assert_eq!([0, 1].map(|slot| engine.prepared(slot)), [Some(0); 2]);
        let adopt = engine.write(1);
        assert_eq!(engine.prepared(0), Some(1));
        assert_eq!(engine.parts.slots[1].prepared(), Some(0), "slot 1 has not looked");
        engine.tell(adopt);
        engine.play(20);
        let set = Action::Set { module: 0, param: 1, value: 77.0, ramp_frames: 0 };
        engine.tell(segue_rack::Command::now(set).encode_for(1));
        engine.play(1);
        engine.sit();
        assert_eq!(engine.guests[2].0.phase(), Phase::Joining);
        engine.play(5);
        assert_eq!(engine.prepared(2), Some(1));
        let adopt = engine.write(2);
        assert_eq!([0, 1, 2].map(|slot| engine.prepared(slot)), [Some(2); 3]);
        engine.tell(adopt);
        engine.play(60);
        assert!(engine.guests.iter().all(|(worker, _)| worker.phase() == Phase::Lockstep));
        assert_eq!((engine.reference.edition(), engine.reference.rack().fading()), (2, None));
    }

    /// The parts of a block are those of the plan that renders it, which a command of the block may
    /// have gone over to.
    #[test]
    fn a_part_that_is_taken_out_where_a_plan_is_gone_over_to_is_one_of_that_plan() {
        let mut engine = Engine::new(2);
        engine.play(20);
        let adopt = engine.write(1);
        // One plan has two parts, so this is the oscillator of the one that is faded from.
        for (part, number) in [(2, 1), (0, 2)] {
            let adopt = if number == 1 { adopt } else { engine.write(number) };
            let set = Action::Set { module: 0, param: 1, value: 900.0, ramp_frames: 0 };
            engine.tell(segue_rack::Command::now(set).encode_for(number as u32 - 1));
            engine.tell(adopt);
            let block = engine.parts.orders.sealed();
            let verdict = Verdict::Bypass { part, block };
            assert!(engine.parts.orders.verdicts().pass(verdict, &engine.parts.slots, |_| 1));
            engine.reference.bypass(Bypass { part, block });
            engine.play(4);
            assert_eq!(engine.reference.edition(), number as u32);
            let out = number == 2;
            assert_eq!(engine.reference.rack().is_bypassed(0), out, "edition {number}");
        }
        engine.play(60);
    }

    #[test]
    fn without_the_plan_it_began_with_a_worker_is_there_to_be_given_a_state() {
        let mut engine = Engine::new(1);
        let place = engine.parts.slots[1].clone();
        let bytes = SETUP.state_bytes as u64;
        let load = |engine: &Engine| load(&engine.loads, &SHAPE, bytes, &place).unwrap();
        assert!(load(&engine).is_fresh);
        for edition in 1..=PLANS_KEPT as u64 {
            let adopt = engine.write(edition);
            engine.tell(adopt);
            engine.play(1);
        }
        let Loaded { mut played, is_fresh, .. } = load(&engine);
        assert!(!is_fresh);
        played.restore(engine.reference.state()).unwrap();
        assert_eq!(played.state(), engine.reference.state());
    }

    #[test]
    fn a_show_that_is_gone_on_with_within_a_fade_begins_with_both_plans() {
        let mut engine = Engine::new(1);
        let adopt = engine.write(1);
        engine.tell(adopt);
        engine.play(3);
        let origin = Region::heap(Origin::words(&SHAPE));
        let origin = Origin::new(origin, &SHAPE).unwrap();
        let state = engine.reference.state().to_vec();
        assert!(origin.write(Mark { block: 3, cursor: 1 }, &state));
        engine.loads.origin = Some(origin);
        let place = engine.parts.slots[1].clone();
        let bytes = SETUP.state_bytes as u64;
        let Loaded { played, is_fresh, .. } = load(&engine.loads, &SHAPE, bytes, &place).unwrap();
        assert!(is_fresh);
        assert_eq!(played.state(), state);
        // Once a plan of it is gone, only a checkpoint helps.
        for edition in 2..=PLANS_KEPT as u64 {
            engine.write(edition);
        }
        assert!(!load(&engine.loads, &SHAPE, bytes, &place).unwrap().is_fresh);
    }
}
