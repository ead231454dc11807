//! A life: a world drawn from one seed, faults for a while, then none until all is whole again.
//!
//! Two acts. In the first, forty to eighty faults, as often as not one within another, while
//! somebody joins or replays; it must be *safe*. In the second nothing hurts any more, and it
//! must be *whole* again within a bounded time: everybody in lockstep, the device driving, all
//! that was sent applied and heard.
//!
//! | who | verifies |
//! |---|---|
//! | [`crate::check`] | continuity; identity with a reference that refused what was judged; order |
//! | `world/tally` | every death explained by what was done; one primary; one driver; no stand |
//! | `world/drivers` | whose block is played; no frame lost or twice; bounded work |
//! | this module | counters, by accounts of its own; no verdict twice; whole again; freewheel |
//!
//! A guest that is long buried writes into its place: identity shows that nobody hears it.
//! *Not verified*: timing of real processes, stores of two threads in one moment (the tests of
//! `sys` and `lockstep` end writers between any two), states too big for a block, a wild head of
//! the inbox (`tests/commands.rs`), which of two harms at once has killed, and what no design
//! could promise, two faults that together destroy what one alone may:
//!
//! - both of the checkpoints that whoever is alone could begin from;
//! - a state that goes wrong while those in lockstep are not level or have not lately agreed, or
//!   whose only witness stays away until what both agreed on is too old to be preferred. Once all
//!   are level a state goes wrong silently in lives, also while one of three or more joins; then
//!   one or two may be killed, looped or damaged, all others may die at once, or all;
//! - a device without a clock that is given more than ten seconds of sound while the monitor,
//!   who would close it, gets no time at all: the tap holds thirty.

mod acts;
mod wrong;

use std::collections::BTreeMap;
use std::fmt;

use segue_lockstep::memory::status::Counter;
use segue_lockstep::memory::verdicts::Verdict;

use crate::child::Ailment;
use crate::{Config, World};

const MS: u64 = 1_000_000;

/// How long the world may take to be whole again when nothing hurts it any more, and no poison
/// lies between what can be begun from and the playhead.
const HEAL_NS: u64 = 20_000 * MS;

/// What is counted in a life and held against what was seen from outside.
pub const COUNTED: [(&str, Counter); 6] = [
    ("failovers", Counter::Failovers),
    ("changes of a primary that was late", Counter::RoleChanges),
    ("blocks late", Counter::Late),
    ("divergences", Counter::Divergences),
    ("devices lost", Counter::DeviceLosses),
    ("commands applied", Counter::Applied),
];

/// What a life was and what came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// How it began.
    pub config: Config,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Faults while somebody joined, and while nobody was in lockstep.
    pub within: [u64; 2],
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
    /// What was counted, in the order of [`COUNTED`].
    pub counted: [u64; COUNTED.len()],
    /// Blocks from the last fault to full strength.
    pub healed: u64,
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
    /// The block at which a checkpoint was damaged last.
    checkpoint_hurt: u64,
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
            rack: chance.one_in(8).then(|| chance.bits()),
        };
        let mut world = World::new(seed, config);
        world.tells = tells;
        if tells {
            println!("{config:?}");
        }
        world.settle();
        world.run(8);
        world.be_strict();
        Self {
            world,
            report: Report { seed, config, ..Report::default() },
            deaths: 0,
            checkpoint_hurt: 0,
        }
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
        let (began, from) = (self.world.now_ns(), self.world.orders.playhead());
        let patience_ns = HEAL_NS + self.replays_ns();
        // Who was given up is brought back once its place is known to be good again.
        self.world.run_ns(100 * MS);
        while !self.world.is_whole() && self.world.now_ns() - began < patience_ns {
            self.world.revive = u64::MAX;
            self.world.run_ns(100 * MS);
        }
        if self.report.config.device {
            self.world.run_until("the device drives", World::device_drives);
        }
        self.report.healed = self.world.orders.playhead() - from;
        let healed = self.world.now_ns() - began;
        let stands = || self.world.describe();
        assert!(healed < patience_ns, "whole again only after {} ms\n{}", healed / MS, stands());
        // Two agree again, so that whoever joins next has something to begin from.
        if self.report.config.slots > 1 {
            let level = self.world.orders.sealed();
            self.world.run_until("two agree on a state", |world| {
                world.orders.trusted().is_some_and(|(block, _)| block >= level)
            });
        }
        // What is still on its way slides into the log, 64 a block.
        self.world.run_until("all is taken", |it| it.orders.taken() == it.inbox.head());
        let sealed = self.world.orders.sealed() + 100;
        self.world.run_until("all is heard", |world| {
            let heard = world.checker.heard();
            heard >= sealed && heard == world.orders.playhead()
        });
    }

    /// What poison may cost that nobody has met yet: each kills whoever replays it, twice if it
    /// loops, and the next guest starts and replays from the same state as the last.
    fn replays_ns(&self) -> u64 {
        let Config { start_ns, render_ns, .. } = self.report.config;
        let orders = &self.world.orders;
        let from = orders.trusted().map_or(0, |(block, _)| block);
        let blocks = orders.sealed().saturating_sub(from);
        2 * self.world.poisons_unjudged() * (start_ns + blocks * render_ns)
    }

    fn check(mut self) -> Report {
        let world = &self.world;
        let seed = self.report.seed;
        let counted = |counter| world.counter(counter);
        let damaged = counted(Counter::Damaged);
        assert_eq!(damaged, world.damaged(), "seed {seed}: damaged");
        assert!(world.checker.is_all_applied_but(damaged), "seed {seed}: a command was lost");
        assert_eq!(counted(Counter::NoneReads), world.checker.concealed, "seed {seed}");
        let [buried, told, failed_over, passed_on] = world.tallied();
        assert_eq!((counted(Counter::Deaths), told), (buried, buried), "seed {seed}: deaths");
        let changes = (counted(Counter::Failovers), counted(Counter::RoleChanges));
        assert_eq!(changes, (failed_over, passed_on), "seed {seed}: failovers, changes");
        assert_eq!(counted(Counter::DeviceLosses), world.device_losses(), "seed {seed}: devices");
        assert!(buried >= self.deaths, "seed {seed}: a death was not told");
        assert_eq!(counted(Counter::Divergences), world.differed(), "seed {seed}: divergences");
        let all = || world.orders.verdicts().all();
        let twice = all().enumerate().any(|(at, it)| all().take(at).any(|other| other == it));
        assert!(!twice, "seed {seed}: judged twice");
        let judged = all().filter(|it| matches!(it, Verdict::Quarantine { .. })).count() as u64;
        let bypassed = all().count() as u64 - judged;
        let counts = (counted(Counter::Quarantined), counted(Counter::Bypassed));
        assert_eq!(counts, (judged, bypassed), "seed {seed}: verdicts");
        assert_eq!(counted(Counter::Applied), world.checker.applied(), "seed {seed}: applied");
        if self.report.config.freewheel {
            assert_eq!(counted(Counter::NoneReads), 0, "seed {seed}");
        }
        self.report.blocks = world.orders.playhead();
        self.report.lived_ns = world.now_ns();
        self.report.concealed = world.checker.concealed;
        self.report.wrong = world.checker.wrong;
        self.report.deaths = buried;
        self.report.verdicts = all().count();
        self.report.counted = COUNTED.map(|(_, counter)| counted(counter));
        self.report
    }
}
