//! The worker process: sits down in its slot and renders until it is killed.
//!
//! What runs before `ready` is small on purpose: a message, some mappings, the plan. The first
//! thread renders; a second one holds the socket.

use std::io;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Acquire;
use std::thread;
use std::time::Duration;

use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::origin::Origin;
use segue_lockstep::memory::plans::Plans;
use segue_lockstep::memory::slot::{NOTE_AT, Slot};
use segue_lockstep::worker::{Parts, Step, Worker};
use segue_lockstep::{Instrument, Payload, Shape, Unfit};
use segue_rack::{Action, Command, Plan, Rack, Setup};
use segue_sys::event::Event;
use segue_sys::process::confine;
use segue_sys::process::priority::{self, Urgency};
use segue_sys::socket::Seqpacket;
use segue_sys::{Access, clock, fatal, futex, process};
use serde::{Deserialize, Serialize};

use super::wire::{self, MESSAGE_BYTES_MAX, Regions};
use crate::exit::{Exit, Failure};

/// How long a worker waits for a bell before it looks anyway: a bell can only be lost with the
/// process that should have rung it.
const WAIT_MAX: Duration = Duration::from_millis(10);

/// How much a worker may grow once it renders, in bytes. It should not at all, but each of its
/// threads may still be given a heap of its own, and those are reserved 128 MiB at a time.
pub(super) const GROWTH_BYTES: u64 = 512 << 20;

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

/// The rack as the lockstep knows it.
struct Played(Rack);

impl Instrument for Played {
    fn apply(&mut self, payload: &Payload) {
        // Checked when it was sent; what does not decode is passed over, the same on all.
        if let Ok(command) = Command::decode(payload) {
            self.0.apply(&command);
        }
    }

    fn render(&mut self, out: &mut [f32], crumb: &mut dyn FnMut(u32)) {
        self.0.render(out, crumb);
    }

    fn bypass(&mut self, part: u32) {
        if let Ok(module) = u16::try_from(part) {
            self.0.apply(&Command::now(Action::Bypass { module }));
        }
    }

    fn is_for(&self, payload: &Payload, part: u32) -> bool {
        let module = Command::decode(payload).ok().and_then(|command| command.module());
        module.is_some_and(|module| u32::from(module) == part)
    }

    fn resets(&self) -> (u64, u32) {
        let notes = self.0.notes();
        (notes.resets, notes.reset_module.saturating_sub(1) as u32)
    }

    fn state(&self) -> &[u64] {
        self.0.state()
    }

    fn restore(&mut self, state: &[u64]) -> Result<(), Unfit> {
        self.0.restore(state).map_err(|error| Unfit { reason: error.to_string() })
    }
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

    let rack = load(&loads, &shape, hello.state_bytes)?;
    parts.slots[parts.slot].touch(rack.state().len()).map_err(bug)?;
    let worker = Worker::sit(Played(rack), shape, parts.clone(), hello.build);
    thread::Builder::new()
        .name("socket".into())
        .stack_size(64 * 1024)
        .spawn(move || hold(&socket))
        .map_err(bug)?;
    // Its own pages stay; without the privilege it goes on.
    let _ = priority::lock_memory();
    // From here on it only computes. A kernel that cannot refuse does not keep it from that.
    if let Err(error) = confine::limit_growth(GROWTH_BYTES).and_then(|()| confine::confine()) {
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
    let plans = regions.laid(Access::Read, Plans::new)?;
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

fn load(loads: &Loads, shape: &Shape, state_bytes: u64) -> Result<Rack, Failure> {
    let bad = |text: String| Failure::new(Exit::Bug, text);
    let Loads { plans, origin } = loads;
    let newest = plans.newest().and_then(|number| plans.read(number));
    let bytes = newest.ok_or_else(|| bad("there is no whole plan".into()))?;
    let plan = Plan::from_bytes(&bytes).map_err(|error| bad(format!("the plan: {error}")))?;
    let setup = Setup {
        rate: shape.rate,
        channels: shape.channels as u16,
        state_bytes: state_bytes as usize,
    };
    let mut rack = Rack::new(&plan, &setup)
        .map_err(|error| bad(format!("the plan cannot be played: {error}")))?;
    if let Some(origin) = origin.as_ref().filter(|origin| origin.mark().is_some()) {
        let whole = origin.read().ok_or_else(|| bad("the state to go on from is damaged".into()));
        rack.restore(&whole?.1)
            .map_err(|error| bad(format!("the state to go on from: {error}")))?;
    }
    Ok(rack)
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
