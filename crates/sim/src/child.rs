//! A made-up worker process: the real worker, stepped on a processor of its own.

use std::any::Any;
use std::mem::{Discriminant, discriminant};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering::Acquire;

use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::slot::{Crumb, Slot};
use segue_lockstep::monitor::{Child as Kernel, Note, Process};
use segue_lockstep::worker::{Step, Worker};

use crate::player::Player;
use crate::toy::Agony;

/// What ails a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// Nothing.
    None,
    /// It runs in a circle: its processor clock goes on, it does not.
    Looping,
    /// It waits within a block for what never comes: its processor clock stands as well.
    Hung,
    /// It runs in a circle where it was poisoned: its breadcrumb stands.
    Caught,
    /// Everything takes this many times as long.
    Slow(u64),
    /// It exits with this code before it is ready.
    ExitsAtStart(u8),
}

/// How long a worker sleeps when no bell rings, as the product's does.
const WAIT_MAX_NS: u64 = 10_000_000;

/// One process in so many is woken for no reason all the time, as kernels may do.
const RESTLESS: u32 = 4;

/// A processor and what a process on it can see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine<'a> {
    /// Virtual time.
    pub now_ns: u64,
    /// How much of it passes at once.
    pub tick_ns: u64,
    /// What a block costs.
    pub render_ns: u64,
    /// The orders.
    pub orders: &'a Orders,
    /// All slots.
    pub slots: &'a [Slot],
    /// The process's own.
    pub slot: usize,
}

impl Machine<'_> {
    /// What a worker waits for: the urge, and the primary's bell or the orders'.
    fn bells(&self) -> [(Option<usize>, u32); 2] {
        let primary = self.orders.primary().filter(|first| *first != self.slot);
        let ahead = primary.and_then(|first| Some((first, self.slots.get(first)?)));
        let other = ahead.map_or((None, self.orders.bell()), |(at, it)| (Some(at), it.bell()));
        let urge = (None, self.orders.urge().load(Acquire));
        [urge, (other.0, other.1.load(Acquire))]
    }
}

/// A worker that waits in the kernel.
#[derive(Clone, Copy, Debug)]
struct Asleep {
    bells: [(Option<usize>, u32); 2],
    until_ns: u64,
}

impl Asleep {
    fn wakes(&self, on: &Machine<'_>, deaf: bool) -> bool {
        let [(_, urge), (ahead, other)] = self.bells;
        let bell = match ahead {
            Some(first) => on.slots[first].bell(),
            None => on.orders.bell(),
        };
        let rung = on.orders.urge().load(Acquire) != urge || bell.load(Acquire) != other;
        rung && !deaf || on.now_ns >= self.until_ns
    }
}

/// A process in a slot.
#[derive(Debug)]
pub struct Child {
    /// Which guest it is.
    pub generation: u64,
    /// How the kernel sees it.
    pub process: Process,
    /// What ails it.
    pub ailment: Ailment,
    /// The note it left.
    pub note: Option<Note>,
    /// Until then no bell wakes it.
    pub deaf_until_ns: u64,
    /// How it was when the monitor saw it last: its process, and whether it had left a note.
    seen: (Discriminant<Process>, bool),
    asleep: Option<Asleep>,
    /// Whether its breadcrumb is one of what ailed it.
    astray: bool,
    pid: u32,
    ready_ns: u64,
    free_ns: u64,
    cpu_ns: u64,
    worker: Option<Worker<Player>>,
    last_words: String,
}

impl Child {
    /// A process that will be ready at `ready_ns`.
    #[must_use]
    pub fn new(pid: u32, generation: u64, ready_ns: u64, ailment: Ailment) -> Self {
        Self {
            generation,
            process: Process::Running { cpu_ns: 0 },
            ailment,
            note: None,
            deaf_until_ns: 0,
            seen: (discriminant(&Process::Absent), false),
            asleep: None,
            astray: false,
            pid,
            ready_ns,
            free_ns: ready_ns,
            cpu_ns: 0,
            worker: None,
            last_words: String::new(),
        }
    }

    /// What the kernel tells of it.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        Kernel {
            process: match self.process {
                Process::Running { .. } => Process::Running { cpu_ns: self.cpu_ns },
                ref other => other.clone(),
            },
            pid: self.pid,
            last_words: self.last_words.clone(),
            note: self.note.clone(),
        }
    }

    /// Whether the monitor is woken: it has ended, stopped, gone on or left a note.
    pub(crate) fn stirs(&self) -> bool {
        self.seen != (discriminant(&self.process), self.note.is_some())
    }

    /// The monitor looks at it.
    pub(crate) fn be_seen(&mut self) {
        self.seen = (discriminant(&self.process), self.note.is_some());
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it runs at all.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.process, Process::Running { .. })
    }

    /// Ends it by a signal.
    pub fn kill(&mut self, signal: i32) {
        if !self.process.is_over() {
            self.process = Process::Killed { signal };
            self.worker = None;
        }
    }

    /// Lets it run until now; `sit` makes its worker when it has started.
    pub(crate) fn run(&mut self, on: &Machine<'_>, sit: impl FnOnce(u64) -> Worker<Player>) {
        let Machine { now_ns, tick_ns, render_ns, .. } = *on;
        if !self.is_running() || now_ns < self.ready_ns {
            return;
        }
        if let Ailment::ExitsAtStart(code) = self.ailment {
            self.process = Process::Exited { code };
            self.last_words = "no such file: missing.toml".to_owned();
            return;
        }
        let place = &on.slots[on.slot];
        if matches!(self.ailment, Ailment::Looping | Ailment::Caught | Ailment::Hung) {
            self.cpu_ns += if self.ailment == Ailment::Hung { 0 } else { tick_ns };
            if self.ailment != Ailment::Caught {
                place.set_crumb(Crumb::Render(0), place.reached());
                self.astray = true;
            }
            return;
        }
        if std::mem::take(&mut self.astray) {
            place.set_crumb(Crumb::Idle, place.reached());
        }
        let deaf = now_ns < self.deaf_until_ns;
        let restless = self.pid.is_multiple_of(RESTLESS);
        if !restless && self.asleep.is_some_and(|asleep| !asleep.wakes(on, deaf)) {
            self.free_ns = now_ns;
            return;
        }
        self.asleep = None;
        let generation = self.generation;
        let worker = self.worker.get_or_insert_with(|| sit(generation));
        let cost = match self.ailment {
            Ailment::Slow(times) => render_ns * times,
            _ => render_ns,
        };
        while self.free_ns <= now_ns {
            // Before the step: what rings from here on ends the wait at once.
            let bells = on.bells();
            let step = std::panic::catch_unwind(AssertUnwindSafe(|| worker.step(&mut || now_ns)));
            let step = match step {
                Ok(step) => step,
                Err(agony) => return self.suffer(agony),
            };
            match step {
                Step::Rendered => {
                    self.free_ns = self.free_ns.max(now_ns.saturating_sub(tick_ns)) + cost;
                    self.cpu_ns += cost;
                }
                Step::Wait => {
                    self.free_ns = now_ns;
                    self.asleep = Some(Asleep { bells, until_ns: now_ns + WAIT_MAX_NS });
                    break;
                }
                Step::Leave(leave) => {
                    self.process = Process::Exited { code: 1 };
                    self.last_words = leave.to_string();
                    self.worker = None;
                    return;
                }
            }
        }
    }

    /// What poison does to a process; any other panic is a test's and goes on.
    fn suffer(&mut self, agony: Box<dyn Any + Send>) {
        self.worker = None;
        match agony.downcast_ref() {
            Some(Agony::Loop) => self.ailment = Ailment::Caught,
            Some(Agony::Crash) => {
                let text = "poisoned".to_owned();
                self.note = Some(Note { signal: 11, si_code: 1, address: 8, text });
                self.process = Process::Killed { signal: 11 };
            }
            None => std::panic::resume_unwind(agony),
        }
    }
}
