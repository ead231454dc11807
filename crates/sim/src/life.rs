//! A life: a world drawn from one seed, faults for a while, then none until all is whole again.
//!
//! *Verified* at every block by the checker: continuity, identity with a reference that refused
//! what was judged, order of commands. *Verified* at the end: every command heard of once, exact
//! counts of concealment and deaths, every death explained, one primary, full strength again in
//! a bounded time. *Not verified*: timing of real processes.

use std::collections::BTreeMap;
use std::fmt;

use segue_lockstep::memory::status::Counter;
use segue_lockstep::monitor::{Process, State};

use crate::child::Ailment;
use crate::toy::{Poison, poison};
use crate::{Config, World};

const MS: u64 = 1_000_000;

/// How long the world may take to be whole again when nothing hurts it any more.
const HEAL_NS: u64 = 20_000 * MS;

/// Blocks that may be heard wrong when a primary's state goes wrong and one other is there.
const JUDGED_BLOCKS: u64 = 300;

/// What a life was and what came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// How it began.
    pub config: Config,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Blocks that were heard.
    pub blocks: u64,
    /// Virtual time, in nanoseconds.
    pub lived_ns: u64,
    /// Blocks that were made up.
    pub concealed: u64,
    /// Blocks that were heard wrong before a divergence was judged.
    pub wrong: u64,
    /// Deaths.
    pub deaths: u64,
    /// Verdicts.
    pub verdicts: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> =
            self.faults.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        write!(
            f,
            "seed {}: {:.1} s, {} blocks, {} concealed, {} wrong before judged, {} deaths, {} \
             verdicts; faults: {}",
            self.seed,
            self.lived_ns as f64 / 1e9,
            self.blocks,
            self.concealed,
            self.wrong,
            self.deaths,
            self.verdicts,
            faults.join(", ")
        )
    }
}

/// Lives the life of a seed. Panics where it is not as it should be.
#[must_use]
pub fn live(seed: u64, freewheel: Option<bool>) -> Report {
    Life::begin(seed, freewheel, false).whole()
}

/// Lives the same life and prints it as it goes: each fault, and what the monitor does.
#[must_use]
pub fn tell(seed: u64) -> Report {
    Life::begin(seed, None, true).whole()
}

struct Life {
    world: World,
    report: Report,
    /// Deaths that are certain.
    deaths: u64,
}

impl Life {
    fn whole(mut self) -> Report {
        let acts = 40 + self.world.chance.below(40);
        for _ in 0..acts {
            self.act();
        }
        self.heal();
        self.check()
    }

    fn begin(seed: u64, freewheel: Option<bool>, tells: bool) -> Self {
        // The world's own chance is for what happens in it.
        let mut chance = crate::Chance::new(!seed);
        let freewheel = freewheel.unwrap_or(chance.one_in(4));
        let periods = [(64, 64), (1, 200), (256, 256), (16, 1024), (441, 441), (4096, 4096)];
        let config = Config {
            slots: [1, 2, 2, 2, 3, 4, 8][chance.below(7) as usize],
            lead: [2, 4, 4, 8, 16][chance.below(5) as usize],
            freewheel,
            period: periods[chance.below(6) as usize],
            start_ns: [1, 3, 20, 300][chance.below(4) as usize] * MS,
            render_ns: [20_000, 100_000, 300_000][chance.below(3) as usize],
            drift_ppm: chance.below(401) as i64 - 200,
            device: !freewheel && chance.one_in(2),
        };
        let mut world = World::new(seed, config);
        world.tells = tells;
        if tells {
            println!("{config:?}");
        }
        world.settle();
        world.run(8);
        Self { world, report: Report { seed, config, ..Report::default() }, deaths: 0 }
    }

    /// Something happens, and then some time passes.
    fn act(&mut self) {
        match self.world.chance.below(12) {
            0..=4 => self.hurt_worker(),
            5 => self.hurt_all(),
            6 => self.poison(),
            7 => self.stain(),
            8 => self.flip(),
            9 => self.hurt_driver(),
            10 => self.suspend(),
            _ => self.burst(),
        }
        let ns = self.world.chance.below(120) * MS;
        self.world.run_ns(ns);
        self.world.monitor_suspended = false;
    }

    fn note(&mut self, kind: &'static str) {
        if self.world.tells {
            println!("block {}: {kind}", self.world.orders.playhead());
        }
        *self.report.faults.entry(kind).or_default() += 1;
    }

    fn is_running(&mut self, slot: usize) -> bool {
        self.world.child(slot).is_some_and(|child| child.is_running())
    }

    fn hurt_worker(&mut self) {
        let slot = self.world.chance.below(self.report.config.slots as u64) as usize;
        let kind = self.world.chance.below(6);
        let certain = self.world.state(slot) == State::Lockstep;
        if !self.is_running(slot) {
            return;
        }
        let Some(child) = self.world.child(slot) else { return };
        let kind = match kind {
            0 | 1 => {
                child.kill(9);
                "kill"
            }
            2 => {
                child.process = Process::Stopped;
                "stop"
            }
            3 => {
                child.ailment = Ailment::Looping;
                "loop"
            }
            4 => {
                child.ailment = Ailment::Slow(6);
                "slowness"
            }
            _ => {
                self.world.ailments[slot] = Ailment::ExitsAtStart(3);
                self.world.kill(slot);
                "exit at start"
            }
        };
        // One that was on its way out already dies only once.
        self.deaths += u64::from(certain && matches!(kind, "kill" | "stop" | "exit at start"));
        self.note(kind);
        let ns = self.world.chance.below(60) * MS;
        self.world.run_ns(ns);
        self.world.ailments[slot] = Ailment::None;
    }

    fn hurt_all(&mut self) {
        for slot in 0..self.report.config.slots {
            if self.is_running(slot) {
                self.world.kill(slot);
            }
        }
        self.note("all at once");
    }

    fn poison(&mut self) {
        let kinds = [
            Poison::CrashInApply,
            Poison::LoopInApply,
            Poison::CrashInRender,
            Poison::LoopInRender,
        ];
        let how = kinds[self.world.chance.below(4) as usize];
        let part = self.world.chance.below(3) as u32;
        let word = self.world.chance.bits();
        if self.world.send(&[[word; 4], poison(how, part), [word ^ 1; 4]]) {
            self.note("poison");
        }
    }

    /// A state goes wrong silently; where nobody can compare it, nobody could find out.
    fn stain(&mut self) {
        let slots = self.report.config.slots;
        let whole = (0..slots).all(|slot| self.world.state(slot) == State::Lockstep);
        if slots < 2 || !whole {
            return;
        }
        self.world.run(40);
        let slot = self.world.chance.below(slots as u64) as usize;
        let Some(pid) = self.world.child(slot).map(|child| child.pid()) else { return };
        // Two cannot tell who is wrong before a third has started and replayed; more can vote,
        // unless they are late and there is no waiting.
        let Config { start_ns, freewheel, period, .. } = self.report.config;
        let period_blocks = period.1.div_ceil(64) as u64;
        self.world.checker.tolerated += match (slots, freewheel) {
            (2, _) => JUDGED_BLOCKS + start_ns / 1_000_000 + 3 * period_blocks,
            (_, true) => 0,
            (_, false) => JUDGED_BLOCKS + 3 * period_blocks,
        };
        if self.world.send(&[poison(Poison::Stain, pid)]) {
            self.note("silent corruption");
        }
        self.world.run_ns(200 * MS);
    }

    /// A bit flips in what a worker has written for others to read.
    fn flip(&mut self) {
        let slot = self.world.chance.below(self.report.config.slots as u64) as usize;
        self.world.flip(slot);
        self.note("bit flip");
    }

    fn hurt_driver(&mut self) {
        let ns = self.world.chance.below(300) * MS;
        if !self.report.config.device {
            self.world.stall_device(ns / 3);
            self.note("device stall");
            return;
        }
        match self.world.chance.below(4) {
            0 => {
                self.world.silence_device(ns);
                self.note("silent device");
            }
            1 => {
                self.world.lose_device();
                self.note("lost device");
            }
            2 => {
                // As much at once as a device without a clock asks for, within the tap.
                let period = self.report.config.period.1 as u64;
                self.world.hasten_device((38_400 / period).max(2));
                self.note("device without a clock");
            }
            _ => {
                self.world.stall_device(ns);
                self.note("device stall");
            }
        }
    }

    fn suspend(&mut self) {
        if self.world.chance.one_in(2) {
            self.world.suspend(5_000 * MS);
            self.note("suspension");
        } else {
            self.world.monitor_suspended = true;
            self.note("suspended monitor");
        }
    }

    fn burst(&mut self) {
        for _ in 0..self.world.chance.below(40) {
            let word = self.world.chance.bits();
            let count = 1 + word as usize % 64;
            // A full inbox refuses, and says so.
            let _ = self.world.send(&vec![[word, 1, 2, 3]; count]);
        }
        self.note("burst");
    }

    /// Nothing hurts any more; everybody given up is brought back.
    fn heal(&mut self) {
        for slot in 0..self.report.config.slots {
            if let Some(child) = self.world.child(slot)
                && child.is_running()
                && child.ailment != Ailment::Caught
            {
                child.ailment = Ailment::None;
            }
        }
        let began = self.world.now_ns();
        self.world.run_ns(3_000 * MS);
        self.world.revive = u64::MAX;
        self.world.settle();
        let healed = self.world.now_ns() - began;
        assert!(healed < HEAL_NS, "whole again only after {} ms", healed / MS);
        self.world.run(100);
    }

    fn check(mut self) -> Report {
        let world = &self.world;
        let seed = self.report.seed;
        assert!(world.checker.is_all_applied(), "seed {seed}: a command was lost");
        let counted = |counter| world.counter(counter);
        assert_eq!(counted(Counter::NoneReads), world.checker.concealed, "seed {seed}");
        assert!(counted(Counter::Deaths) >= self.deaths, "seed {seed}: a death was not told");
        assert!(counted(Counter::Failovers) <= counted(Counter::Deaths), "seed {seed}");
        let told = world.status.deaths();
        assert!(told.iter().all(|death| !death.cause.is_empty()), "seed {seed}: unexplained");
        if self.report.config.freewheel {
            assert_eq!(counted(Counter::NoneReads), 0, "seed {seed}");
        }
        self.report.blocks = world.orders.playhead();
        self.report.lived_ns = world.now_ns();
        self.report.concealed = world.checker.concealed;
        self.report.wrong = world.checker.wrong;
        self.report.deaths = counted(Counter::Deaths);
        self.report.verdicts = world.orders.verdicts().all().count();
        self.report
    }
}
