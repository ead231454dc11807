//! A made-up worker process: the real worker, stepped on a processor of its own.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use segue_lockstep::memory::slot::{Crumb, Slot};
use segue_lockstep::monitor::{Child as Kernel, Note, Process};
use segue_lockstep::worker::{Step, Worker};

use crate::toy::{Agony, Toy};

/// What ails a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// Nothing.
    None,
    /// It runs in a circle: its processor clock goes on, it does not.
    Looping,
    /// The same where it was poisoned: its breadcrumb stands.
    Caught,
    /// Everything takes this many times as long.
    Slow(u64),
    /// It exits with this code before it is ready.
    ExitsAtStart(u8),
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
    pid: u32,
    ready_ns: u64,
    free_ns: u64,
    cpu_ns: u64,
    worker: Option<Worker<Toy>>,
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

    /// Lets it run until `now_ns`; `sit` makes its worker when it has started.
    pub fn run(
        &mut self,
        now_ns: u64,
        tick_ns: u64,
        render_ns: u64,
        place: &Slot,
        sit: impl FnOnce(u64) -> Worker<Toy>,
    ) {
        if !self.is_running() || now_ns < self.ready_ns {
            return;
        }
        if let Ailment::ExitsAtStart(code) = self.ailment {
            self.process = Process::Exited { code };
            self.last_words = "no such file: missing.toml".to_owned();
            return;
        }
        if matches!(self.ailment, Ailment::Looping | Ailment::Caught) {
            self.cpu_ns += tick_ns;
            if self.ailment == Ailment::Looping {
                place.set_crumb(Crumb::Render(0), place.reached());
            }
            return;
        }
        let generation = self.generation;
        let worker = self.worker.get_or_insert_with(|| sit(generation));
        let cost = match self.ailment {
            Ailment::Slow(times) => render_ns * times,
            _ => render_ns,
        };
        while self.free_ns <= now_ns {
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
