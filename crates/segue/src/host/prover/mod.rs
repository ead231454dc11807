//! The prover: a process of its own that plays a plan for a moment before anybody hears it.
//!
//! From the bytes of a plan to an [`Outcome`]: what crashes, loops, turns non-finite or needs more
//! than [`SHARE_PERCENT`] of a block there never reaches a worker. The process is started by
//! whoever may start processes (the supervisor at control's asking, `segue check --prove` itself)
//! and confined as a worker is; [`trial`] decides what came of it, from what was observed alone.

mod child;
mod crossing;
mod outcome;
mod program;
mod trial;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use segue_lockstep::Shape;
use segue_lockstep::memory::plans::Plans;
use segue_lockstep::memory::slot::Slot;
use segue_rack::{BLOCK_FRAMES, Setup};
use segue_sys::event::{Event, wait_readable};
use segue_sys::process::{Child, Spawner};
use segue_sys::{Region, clock};
use serde::{Deserialize, Serialize};

use super::supervisor::sitter::Sitter;
use super::wire;

pub(crate) use child::prover_main;
pub(crate) use outcome::Outcome;
use trial::{Report, Seen, Trial};

/// How much of a block rendering may need, in per cent of the time a block lasts.
pub(crate) const SHARE_PERCENT: u64 = 60;

/// Passes after which a block that was too dear in each is believed to be.
const PASSES: u32 = 5;

/// The generation of who sits at the scratch slot: there is one guest only.
const GENERATION: u64 = 1;

/// How often a prover is looked at while nothing stirs.
const LOOK: Duration = Duration::from_millis(20);

/// What a prover is told.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    /// Who started it.
    parent: u32,
    /// Its build.
    build: u64,
    /// Edition of the plan.
    plan: u64,
    /// What the scratch slot agrees on.
    shape: wire::ShapeWords,
    /// Bytes of the rack's arena.
    state_bytes: u64,
    /// Nanoseconds a block may take; none where there is no clock.
    budget_ns: Option<u64>,
    /// Passes at least.
    passes: u32,
}

/// What is to be proved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// The edition of the plan.
    pub(crate) plan: u64,
    /// What it was compiled for.
    pub(crate) setup: Setup,
    /// Whether a clock waits for each block.
    pub(crate) clock: bool,
    /// Passes at least: one proves, more make the figure steady.
    pub(crate) passes: u32,
}

/// A proof under way.
pub(crate) struct Prover {
    sitter: Sitter,
    hello: Hello,
    plans: Region,
    slot: Slot,
    alarm: Event,
    trial: Trial,
}

impl Prover {
    /// Begins the proof of a plan that is in `plans`.
    pub(crate) fn begin(case: &Case, plans: &Region, spawner: &Spawner) -> io::Result<Self> {
        let Case { plan, setup, clock, passes } = *case;
        let shape = Shape {
            slots: 1,
            channels: usize::from(setup.channels),
            rate: setup.rate,
            // Nobody joins from here.
            state_words: 1,
        };
        let region = Region::shared("segue-scratch", Slot::words(&shape))?;
        let short = || io::Error::other("the scratch slot is smaller than its layout");
        let hello = Hello {
            parent: std::process::id(),
            build: wire::build()?,
            plan,
            shape: (&shape).into(),
            state_bytes: setup.state_bytes as u64,
            budget_ns: clock.then(|| shape.block_ns() * SHARE_PERCENT / 100),
            passes,
        };
        Ok(Self {
            sitter: Sitter::order("prover", GENERATION, spawner),
            hello,
            plans: plans.clone(),
            slot: Slot::new(region, &shape).ok_or_else(short)?,
            alarm: Event::new()?,
            trial: Trial::begin(clock::monotonic_ns()),
        })
    }

    /// What to sleep on.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let socket = self.sitter.child().map(|child| child.socket().as_fd());
        self.sitter.handle().into_iter().chain(socket)
    }

    /// How long ago it began.
    pub(crate) fn age_ns(&self, now_ns: u64) -> u64 {
        self.trial.age_ns(now_ns)
    }

    /// Looks at it; what came of it, once that is known. It is over then.
    pub(crate) fn look(&mut self, now_ns: u64) -> Option<Outcome> {
        let Self { sitter, hello, plans, slot, alarm, trial } = self;
        sitter.receive(|child| greet(child, hello, plans, slot, alarm));
        // Heard first: who has answered may be over a moment later.
        let report = sitter.child().and_then(answered);
        sitter.look(true, &mut |line| tracing::info!(from = "prover", "{line}"));
        let child = sitter.seen(slot.region());
        trial.step(&Seen { now_ns, child, crumb: slot.crumb(), report })
    }
}

fn greet(
    child: &Child,
    hello: &Hello,
    plans: &Region,
    slot: &Slot,
    alarm: &Event,
) -> io::Result<()> {
    let plans = plans.read_only_fd()?;
    let slot = slot.region().fd().ok_or(io::ErrorKind::Unsupported)?;
    child.socket().send(&wire::encode(hello)?, &[plans.as_fd(), slot, alarm.as_fd()])
}

/// What it has answered, if it has. Does not wait.
fn answered(child: &Child) -> Option<Report> {
    let mut ready = Vec::new();
    wait_readable(&[child.socket().as_fd()], Some(Duration::ZERO), &mut ready).ok()?;
    if ready != [true] {
        return None;
    }
    let mut bytes = [0; 256];
    let got = child.socket().receive(&mut bytes).ok()?;
    wire::decode(&bytes[..got.length]).ok()
}

/// Proves a plan here and now, with a spawner of its own; for a process that has no other work.
pub(crate) fn prove(plan: &[u8], setup: &Setup) -> io::Result<Outcome> {
    let spawner = Spawner::start()?;
    let region = Region::shared_on_demand("segue-plans", Plans::words())?;
    let plans = Plans::new(region).ok_or_else(|| io::Error::other("no room for a plan"))?;
    plans.write(0, None, plan).map_err(io::Error::other)?;
    let case = Case { plan: 0, setup: *setup, clock: true, passes: PASSES };
    let mut prover = Prover::begin(&case, plans.region(), &spawner)?;
    let mut ready = Vec::new();
    loop {
        if let Some(outcome) = prover.look(clock::monotonic_ns()) {
            return Ok(outcome);
        }
        let fds: Vec<_> = prover.fds().collect();
        wait_readable(&fds, Some(LOOK), &mut ready)?;
    }
}

/// How long a block lasts, in nanoseconds.
pub(crate) fn block_ns(setup: &Setup) -> u64 {
    BLOCK_FRAMES as u64 * 1_000_000_000 / u64::from(setup.rate)
}
