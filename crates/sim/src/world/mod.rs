//! The world: a device, a monitor and some processes around the real step functions.

mod drivers;
mod harm;
mod tally;

pub use harm::Place;

use std::collections::BTreeSet;

use segue_lockstep::memory::inbox::{Inbox, Sent};
use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::slot::Slot;
use segue_lockstep::memory::status::{Counter, Death, Status};
use segue_lockstep::memory::tap::Tap;
use segue_lockstep::monitor::{self, Action, Monitor, Process, State, Tick, observe, perform};
use segue_lockstep::playout::{self, Pace, Playout};
use segue_lockstep::worker::{self, Worker};
use segue_lockstep::{Instrument, Payload, Shape};
use segue_sys::Region;

use crate::chance::Chance;
use crate::check::Checker;
use crate::child::{Ailment, Child, Machine};
use crate::player::Player;
use drivers::Drivers;
use tally::Tally;

const BUILD: u64 = 1;

/// More blocks than are ever asked for in one tick.
const ONCE_BLOCKS: u64 = 2048;

/// Virtual time beyond which a wait has failed.
const FOR_EVER_NS: u64 = 120_000_000_000;

/// How a world begins.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Slots.
    pub slots: usize,
    /// Blocks sealed beyond a period.
    pub lead: u64,
    /// No clock.
    pub freewheel: bool,
    /// Shortest and longest period, drawn anew each call, in frames.
    pub period: (usize, usize),
    /// From spawn to ready, in nanoseconds.
    pub start_ns: u64,
    /// What a block costs, in nanoseconds.
    pub render_ns: u64,
    /// How much faster the device's clock is than the monitor's, in millionths.
    pub drift_ppm: i64,
    /// Whether there is a device beside the timer.
    pub device: bool,
    /// Who plays: the rack with the patch of this seed, or the toy.
    pub rack: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            slots: 2,
            lead: 4,
            freewheel: false,
            period: (64, 64),
            start_ns: 3_000_000,
            render_ns: 100_000,
            drift_ppm: 0,
            device: false,
            rack: None,
        }
    }
}

/// A world.
#[derive(Debug)]
pub struct World {
    /// Chance of this life.
    pub chance: Chance,
    /// The orders and the log.
    pub orders: Orders,
    /// The slots.
    pub slots: Vec<Slot>,
    /// The status page.
    pub status: Status,
    /// The inbox.
    pub inbox: Inbox,
    /// What was heard.
    pub checker: Checker,
    /// The playing side.
    pub playout: Playout,
    /// What ails the next guest of each slot.
    pub ailments: Vec<Ailment>,
    /// How many times longer the next guests of each slot take to start.
    pub late_starts: Vec<u64>,
    /// Whether the monitor gets no processor time.
    pub monitor_suspended: bool,
    /// Whether what the monitor does is printed as it is done.
    pub tells: bool,
    /// Slots to be brought back at the next tick of the monitor.
    pub revive: u64,
    pub(crate) config: Config,
    pub(crate) shape: Shape,
    /// Words of the state of whoever plays.
    pub(crate) state_words: usize,
    pub(crate) tap: Tap,
    pub(crate) drivers: Drivers,
    tally: Tally,
    /// The states of the slots that were printed.
    told: Vec<State>,
    pub(crate) stalled_until_ns: u64,
    /// The numbers of the commands that were damaged on their way.
    damaged: BTreeSet<u64>,
    monitor: Monitor,
    children: Vec<Option<Child>>,
    now_ns: u64,
    tick_ns: u64,
    monitor_ns: u64,
    begun: bool,
    driving: bool,
    /// Blocks below this somebody has published.
    published: u64,
    entry: Vec<u64>,
    pids: u32,
}

impl World {
    /// A world at its beginning, with a chance of its own.
    #[must_use]
    pub fn new(seed: u64, config: Config) -> Self {
        let player = Player::new(&config, 2, 0);
        let (state_words, longest) = (player.state().len(), player.state_words_max());
        let shape = Shape { slots: config.slots, channels: 2, rate: 48_000, state_words: longest };
        let fits = "a region of its own size";
        let orders = Orders::new(Region::heap(Orders::words())).expect(fits);
        let slots: Vec<Slot> = (0..config.slots)
            .map(|_| Slot::new(Region::heap(Slot::words(&shape)), &shape).expect(fits))
            .collect();
        let status = Status::new(Region::heap(Status::words())).expect(fits);
        let inbox = Inbox::new(Region::heap(Inbox::words())).expect(fits);
        let tap = Tap::new(Region::heap(Tap::words(&shape)), &shape).expect(fits);
        let parts = playout::Parts {
            orders: orders.clone(),
            slots: slots.clone(),
            inbox: inbox.clone(),
            tap: tap.clone(),
            status: status.clone(),
        };
        let Config { lead, freewheel, period, .. } = config;
        let pace = Pace { lead, freewheel, period: period.0 };
        // The bell starts just below its wrap (S62).
        orders.set_bell(u32::MAX - 100);
        Self {
            chance: Chance::new(seed),
            playout: Playout::new(shape, parts, pace),
            monitor: Monitor::new(monitor::Config { shape, build: BUILD, lead }),
            checker: Checker::new(&shape, &config),
            children: (0..config.slots).map(|_| None).collect(),
            ailments: vec![Ailment::None; config.slots],
            late_starts: vec![1; config.slots],
            tally: Tally::new(config.slots),
            told: vec![State::Empty; config.slots],
            monitor_suspended: false,
            tells: false,
            revive: 0,
            drivers: Drivers::new(shape, config.device),
            now_ns: 1,
            tick_ns: shape.block_ns() / 4,
            monitor_ns: 0,
            begun: false,
            driving: false,
            published: 0,
            entry: vec![0; slots.first().map_or(0, Slot::entry_words)],
            stalled_until_ns: 0,
            damaged: BTreeSet::new(),
            pids: 100,
            orders,
            slots,
            status,
            inbox,
            tap,
            config,
            shape,
            state_words,
        }
    }

    /// Virtual time, in nanoseconds.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// The state of a slot, as the monitor has it.
    #[must_use]
    pub fn state(&self, slot: usize) -> State {
        self.monitor.state(slot)
    }

    /// A counter.
    #[must_use]
    pub fn counter(&self, counter: Counter) -> u64 {
        self.status.counter(counter)
    }

    /// The process in a slot.
    pub fn child(&mut self, slot: usize) -> Option<&mut Child> {
        self.children[slot].as_mut()
    }

    /// Sends a bundle, if there is room for it.
    pub fn send(&mut self, bundle: &[Payload]) -> bool {
        let sent = self.inbox.send(self.orders.taken(), 1, bundle).is_some();
        if sent {
            for payload in bundle {
                self.checker.sent(Sent { origin: 1, more: 0, payload: *payload });
            }
        }
        sent
    }

    /// Kills the process in a slot, from outside.
    pub fn kill(&mut self, slot: usize) {
        self.harm(slot, "killed by SIGKILL");
        self.child(slot).expect("somebody sits there").kill(9);
    }

    /// Stops the process in a slot.
    pub fn stop(&mut self, slot: usize) {
        self.harm(slot, "stopped from outside");
        self.child(slot).expect("somebody sits there").process = Process::Stopped;
    }

    /// The device calls nobody for this long.
    pub fn stall_device(&mut self, ns: u64) {
        self.stalled_until_ns = self.now_ns + ns;
        self.harm_drivers(self.stalled_until_ns);
    }

    /// The whole machine sleeps: no process runs, and the clock goes on.
    pub fn suspend(&mut self, ns: u64) {
        self.now_ns += ns;
        self.tally_sleep(ns);
    }

    /// Runs until everybody is in lockstep; panics when that never is.
    pub fn settle(&mut self) {
        self.run_until("everybody is in lockstep", Self::is_whole);
    }

    /// Whether everybody is in lockstep.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        (0..self.config.slots).all(|slot| self.state(slot) == State::Lockstep)
    }

    /// Runs until so many more blocks were played.
    pub fn run(&mut self, blocks: u64) {
        let until = self.playout.playhead() + blocks;
        // In steps: a long play is no long wait.
        let mut next = self.playout.playhead();
        while next < until {
            next = (next + 10_000).min(until);
            self.run_until("the blocks are played", |world| world.playout.playhead() >= next);
        }
    }

    /// Runs until something is so; panics when it never is.
    pub fn run_until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let began = self.now_ns;
        while !so(self) {
            self.tick();
            let waited = self.now_ns - began;
            assert!(waited < FOR_EVER_NS, "for ever, and still not: {what}\n{}", self.describe());
        }
    }

    /// How everything stands, for the message of a failed wait.
    #[must_use]
    pub fn describe(&self) -> String {
        let orders = &self.orders;
        let mut text = format!(
            "playhead {} sealed {} primary {:?} cleared {} pending {:b} head {} kept from {}\n",
            orders.playhead(),
            orders.sealed(),
            orders.primary(),
            orders.cleared(),
            orders.pending(),
            orders.head(),
            orders.keep_from()
        );
        for (slot, place) in self.slots.iter().enumerate() {
            text += &format!(
                "slot {slot}: {:?} guest {} of {} {:?} reached {} published {} {:?} at {:?}\n",
                self.state(slot),
                place.generation(),
                orders.generation(slot),
                place.phase(),
                place.reached(),
                place.published(),
                self.children[slot].as_ref().map(|child| &child.process),
                place.crumb(),
            );
        }
        for (slot, place) in self.slots.iter().enumerate() {
            let marks = place.areas().clone().map(|area| area.claim());
            text += &format!("slot {slot}: cursor {} checkpoints {marks:?}\n", place.cursor());
        }
        for death in self.status.deaths().iter().rev().take(8) {
            let (slot, lived_ms) = (death.slot, death.lived_ns / 1_000_000);
            text +=
                &format!("slot {slot} after {lived_ms} ms: {} {}\n", death.cause, death.last_words);
        }
        text
    }

    /// Runs for a time.
    pub fn run_ns(&mut self, ns: u64) {
        let until = self.now_ns + ns;
        while self.now_ns < until {
            self.tick();
        }
    }

    /// A quarter of a block passes.
    pub fn tick(&mut self) {
        self.now_ns += self.tick_ns;
        let first = self.chance.below(self.config.slots as u64) as usize;
        for turn in 0..self.config.slots {
            self.run_child((first + turn) % self.config.slots);
        }
        if (self.now_ns >= self.monitor_ns || self.stirs()) && !self.monitor_suspended {
            self.watch();
            self.monitor_ns = self.now_ns + self.monitor.rest_ns();
            if self.driving {
                self.watch_drivers();
            }
        }
        let before = self.orders.position();
        self.begun |= self.monitor.is_ready();
        if self.begun && !self.driving {
            self.prime();
        } else if self.driving {
            self.drive();
        }
        self.tally_time(self.orders.position() != before);
        self.note_published();
        // What nobody publishes for long is followed before the tap forgets it, but not before:
        // it may still be judged.
        let kept = Tap::depth(&self.shape) as u64 - ONCE_BLOCKS;
        let old = self.tap.head().saturating_sub(kept);
        self.checker.follow(&self.orders, &mut self.tap, self.published.max(old));
        self.inbox.set_tap_cursor(self.checker.heard());
        self.inbox.set_log_cursor(self.orders.head());
    }

    /// How far somebody has published: what is below has its verdicts.
    fn note_published(&mut self) {
        for (slot, place) in self.slots.iter().enumerate() {
            let published = place.published();
            if published <= self.published {
                continue;
            }
            // The word alone may be damaged: the block has to be there.
            let generation = self.orders.generation(slot);
            if place.read(published - 1, generation, &mut self.entry).is_some() {
                self.published = published;
            }
        }
    }

    fn run_child(&mut self, slot: usize) {
        let Some(child) = &mut self.children[slot] else { return };
        let (orders, slots) = (&self.orders, &self.slots);
        let (shape, config, pid) = (self.shape, self.config, child.pid());
        let sit = |generation| {
            let parts =
                worker::Parts { orders: orders.clone(), slots: slots.clone(), slot, generation };
            Worker::sit(Player::new(&config, shape.channels, pid), shape, parts, BUILD)
        };
        let (tick_ns, render_ns) = (self.tick_ns, self.config.render_ns);
        let on = Machine { now_ns: self.now_ns, tick_ns, render_ns, orders, slots, slot };
        child.run(&on, sit);
    }

    /// Whether there is something that wakes the monitor: a request, or a child that has left a
    /// note, ended, stopped or gone on since the last look.
    fn stirs(&self) -> bool {
        let stirring = |child: &Option<Child>| child.as_ref().is_some_and(Child::stirs);
        self.revive != 0 || self.children.iter().any(stirring)
    }

    fn watch(&mut self) {
        self.children.iter_mut().flatten().for_each(Child::be_seen);
        let children =
            self.children.iter().map(|child| child.as_ref().map(Child::kernel).unwrap_or_default());
        let revive = std::mem::take(&mut self.revive);
        let children = children.collect();
        let now_ns = self.now_ns;
        let compared = self.monitor.compared();
        let tick = Tick { now_ns, children, revive, compared };
        let seen = observe(tick, &self.orders, &self.status, &self.slots);
        let actions = self.monitor.step(&seen);
        perform(&actions, &self.orders, &self.status, &self.slots);
        if self.tells {
            self.tell(&actions);
        }
        self.tally_actions(&actions);
        for action in actions {
            match action {
                Action::Spawn { slot, generation } => {
                    assert!(self.children[slot].is_none(), "a guest before the last is buried");
                    self.pids += 1;
                    let ready = self.now_ns + self.config.start_ns * self.late_starts[slot];
                    let ailment = self.ailments[slot];
                    self.children[slot] = Some(Child::new(self.pids, generation, ready, ailment));
                }
                Action::Kill { slot, generation } => {
                    if let Some(child) = &mut self.children[slot] {
                        assert_eq!(child.generation, generation, "the wrong guest is killed");
                        child.kill(9);
                    }
                }
                Action::Bury { slot } => self.children[slot] = None,
                _ => {}
            }
        }
    }

    /// Prints what the monitor has decided, but for what it says at every tick.
    fn tell(&mut self, actions: &[Action]) {
        let block = self.orders.playhead();
        for action in actions {
            match action {
                Action::Death(death) if death.lockstep_again_ns == 0 => {
                    let Death { slot, cause, last_words, .. } = &**death;
                    println!("block {block}: slot {slot} dies: {cause} {last_words}");
                }
                Action::Spawn { .. }
                | Action::Kill { .. }
                | Action::Verdict(_)
                | Action::Trust { .. }
                | Action::Primary(_) => println!("block {block}: {action:?}"),
                _ => {}
            }
        }
        for slot in 0..self.config.slots {
            let (state, place) = (self.state(slot), &self.slots[slot]);
            if std::mem::replace(&mut self.told[slot], state) != state {
                let (next, trusted) = (place.reached(), place.begun_from());
                println!("block {block}: slot {slot} {state:?} at {next}, trusting {trusted:?}");
            }
        }
    }

    /// Block 0 is asked for once the primary has rendered all that is sealed.
    fn prime(&mut self) {
        self.playout.seal();
        let primary = self.orders.primary().map(|slot| self.slots[slot].published());
        if primary >= Some(self.orders.sealed()) {
            self.driving = true;
            self.drivers.begin(self.now_ns);
        }
    }

    /// What playout works on.
    pub(crate) fn parts(&self) -> playout::Parts {
        playout::Parts {
            orders: self.orders.clone(),
            slots: self.slots.clone(),
            inbox: self.inbox.clone(),
            tap: self.tap.clone(),
            status: self.status.clone(),
        }
    }

    /// How far ahead it works.
    pub(crate) fn pace(&self) -> Pace {
        let Config { lead, freewheel, period, .. } = self.config;
        Pace { lead, freewheel, period: period.0 }
    }
}
