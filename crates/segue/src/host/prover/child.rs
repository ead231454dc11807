//! The prover's own side: plays the program, measures, answers, and is gone.
//!
//! A block costs what it costs in the cheapest of several passes: the same state and commands are
//! the same work, and whatever a busy machine adds (cold caches, stolen time) only adds. So one
//! pass within the budget is proof; only what is beyond it is played again.

use std::io;

use segue_lockstep::Shape;
use segue_lockstep::memory::plans::Plans;
use segue_lockstep::memory::slot::{Crumb, NOTE_AT, Slot};
use segue_rack::{BLOCK_FRAMES, Plan, Rack, Setup};
use segue_sys::event::Event;
use segue_sys::process::{confine, priority};
use segue_sys::socket::Seqpacket;
use segue_sys::{Access, clock, fatal, process};

use super::crossing;
use super::outcome::Cost;
use super::program::{self, Block};
use super::trial::Report;
use super::{GENERATION, Hello, PASSES};
use crate::exit::{Exit, Failure};
use crate::host::wire::{self, MESSAGE_BYTES_MAX, Regions};
use crate::host::worker::GROWTH_BYTES;

/// A pass ends at a block beyond the budget by so much: the rest would only take longer.
const HOPELESS: u64 = 8;

/// Runs a prover; its answer goes to who started it.
pub(crate) fn prover_main() -> Exit {
    match prove() {
        Ok(()) => Exit::Done,
        Err(error) => {
            eprintln!("{}", Failure::new(Exit::Bug, format!("the prover: {error}")));
            Exit::Bug
        }
    }
}

fn prove() -> io::Result<()> {
    let socket = Seqpacket::from_stdin()?;
    let mut bytes = vec![0; MESSAGE_BYTES_MAX];
    let got = socket.receive(&mut bytes)?;
    let hello: Hello = wire::decode(&bytes[..got.length])?;
    crate::host::settle(hello.parent, hello.build, "segue prover")?;
    let shape = Shape::from(hello.shape);
    let mut regions = Regions(got.fds.into_iter());
    let plans = regions.laid_on_demand(Access::Read, Plans::new)?;
    let slot = regions.laid(Access::Write, |it| Slot::new(it, &shape))?;
    let alarm = Event::adopt(regions.fd()?);
    process::priority::no_core_dumps()?;
    slot.sit(GENERATION, hello.build);
    fatal::install(slot.region().clone(), NOTE_AT, GENERATION, alarm)?;
    // The music goes before it.
    priority::be_ordinary();
    if let Err(error) = confine::limit_growth(GROWTH_BYTES).and_then(|()| confine::confine()) {
        eprintln!("this prover is not confined: {error}");
    }
    let report = match stand(&plans, &shape, &hello) {
        Ok(stand) => {
            let setup = stand.setup;
            match stand.prove(&slot, hello.budget_ns, hello.passes) {
                played @ Report::Played { within: true, .. } => {
                    crossing::cross(&plans, hello.plan, &setup, &slot).unwrap_or(played)
                }
                refused => refused,
            }
        }
        Err(why) => Report::Unfit(why),
    };
    socket.send(&wire::encode(&report)?, &[])
}

fn stand(plans: &Plans, shape: &Shape, hello: &Hello) -> Result<Stand, String> {
    let edition = plans.read(hello.plan).ok_or("there is no whole plan")?;
    let plan = Plan::from_bytes(&edition.bytes).map_err(|error| format!("the plan: {error}"))?;
    let setup = Setup {
        rate: shape.rate,
        channels: shape.channels as u16,
        state_bytes: hello.state_bytes as usize,
    };
    let rack = Rack::new(&plan, &setup).map_err(|error| format!("it cannot play: {error}"))?;
    let samples = vec![0.0; BLOCK_FRAMES * shape.channels];
    Ok(Stand {
        setup,
        first: rack.state().to_vec(),
        rack,
        program: program::of(&plan),
        samples,
        played: 0,
    })
}

/// A rack on trial.
struct Stand {
    setup: Setup,
    rack: Rack,
    /// The state it began with.
    first: Vec<u64>,
    program: Vec<Block>,
    samples: Vec<f32>,
    /// Blocks so far, over all passes: each has a number of its own.
    played: u64,
}

impl Stand {
    /// Plays the program until it is known what to answer.
    fn prove(mut self, slot: &Slot, budget_ns: Option<u64>, least: u32) -> Report {
        let budget_ns = budget_ns.unwrap_or(u64::MAX);
        let mut costs = vec![u64::MAX; self.program.len()];
        for pass in 1..=PASSES {
            if let Some(bad) = self.pass(slot, budget_ns, &mut costs) {
                return bad;
            }
            if pass >= least && costs.iter().all(|cost| *cost <= budget_ns) {
                break;
            }
        }
        // Behind a block that is hopeless nothing was played.
        let played = costs.iter().copied().enumerate().filter(|(_, cost)| *cost < u64::MAX);
        let (dearest, block_ns) = played.max_by_key(|(_, cost)| *cost).unwrap_or((0, 0));
        let (part, part_ns) = self.dearest_module(slot, dearest);
        let within = block_ns <= budget_ns;
        let act = self.program[dearest].act;
        Report::Played { cost: Cost { block_ns, act, part, part_ns }, within }
    }

    /// One pass, from the beginning; lowers what each block costs.
    fn pass(&mut self, slot: &Slot, budget_ns: u64, costs: &mut [u64]) -> Option<Report> {
        self.begin_again();
        let resets = self.rack.notes().resets;
        for (block, least) in costs.iter_mut().enumerate() {
            let began = clock::thread_cpu_ns();
            self.block(block, &mut |part, number| slot.set_crumb(Crumb::Render(part), number));
            let cost = clock::thread_cpu_ns().saturating_sub(began);
            slot.set_crumb(Crumb::Idle, self.played);
            let notes = self.rack.notes();
            if notes.resets > resets {
                let part = notes.reset_module.saturating_sub(1) as u32;
                return Some(Report::NonFinite { part, act: self.program[block].act });
            }
            *least = cost.min(*least);
            if cost > budget_ns.saturating_mul(HOPELESS) {
                break;
            }
        }
        None
    }

    /// The module that takes most of a block, and how much.
    fn dearest_module(&mut self, slot: &Slot, dearest: usize) -> (u32, u64) {
        self.begin_again();
        for block in 0..dearest {
            self.block(block, &mut |part, number| slot.set_crumb(Crumb::Render(part), number));
        }
        let mut begun: Vec<(u32, u64)> = Vec::new();
        self.block(dearest, &mut |part, number| {
            slot.set_crumb(Crumb::Render(part), number);
            begun.push((part, clock::thread_cpu_ns()));
        });
        begun.push((u32::MAX, clock::thread_cpu_ns()));
        let took = begun.windows(2).map(|pair| (pair[0].0, pair[1].1.saturating_sub(pair[0].1)));
        took.max_by_key(|(_, took)| *took).unwrap_or((0, 0))
    }

    fn begin_again(&mut self) {
        // Taken from this very rack.
        self.rack.restore(&self.first).expect("a rack takes its own state back");
    }

    fn block(&mut self, block: usize, crumb: &mut dyn FnMut(u32, u64)) {
        self.played += 1;
        let number = self.played;
        for command in &self.program[block].commands {
            self.rack.apply(command);
        }
        self.rack.render(&mut self.samples, &mut |part| crumb(part, number));
    }
}
