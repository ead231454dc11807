//! A guest as a process: ordered, greeted, looked at, and what is known of it when it is dead.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::mpsc::{Receiver, TryRecvError};

use segue_lockstep::memory::slot::NOTE_AT;
use segue_lockstep::monitor::{self, Process};
use segue_sys::Region;
use segue_sys::fatal::{self, Cause};
use segue_sys::process::{Change, Child, Order, Spawner};

use super::words::Words;

/// Who sits, or is to sit, at a place that was made for it.
#[derive(Default)]
pub(in crate::host) struct Sitter {
    generation: u64,
    ordered: Option<Receiver<io::Result<Child>>>,
    child: Option<Child>,
    process: Process,
    words: Words,
    failure: Option<String>,
}

impl Sitter {
    /// One that is ordered: this program's `verb`; it is greeted when it is there.
    pub(in crate::host) fn order(verb: &str, generation: u64, spawner: &Spawner) -> Self {
        let order = Order { arguments: vec![verb.into()], environment: Vec::new() };
        Self { generation, ordered: Some(spawner.order(order)), ..Self::default() }
    }

    /// Which guest of its place it is; 0 for nobody.
    pub(in crate::host) fn generation(&self) -> u64 {
        self.generation
    }

    /// Readable as soon as it has ended; none before it is there and after it is over.
    pub(in crate::host) fn handle(&self) -> Option<BorrowedFd<'_>> {
        self.child.as_ref().filter(|_| !self.process.is_over()).map(Child::handle)
    }

    /// The process, once it is there.
    pub(in crate::host) fn child(&self) -> Option<&Child> {
        self.child.as_ref()
    }

    /// Greets it by `greet` if it was ordered and has come.
    pub(in crate::host) fn receive(&mut self, greet: impl FnOnce(&Child) -> io::Result<()>) {
        let Some(ordered) = &self.ordered else { return };
        let come = match ordered.try_recv() {
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => Err(io::Error::other("the spawner has ended")),
            Ok(come) => come,
        };
        self.ordered = None;
        match come.and_then(|child| greet(&child).map(|()| child)) {
            Ok(child) => {
                self.child = Some(child);
                self.process = Process::Running { cpu_ns: 0 };
            }
            Err(error) => {
                self.failure = Some(format!("could not be started: {error}"));
                self.process = Process::Failed;
            }
        }
    }

    /// Looks at it; what it prints is handed to `say`, line by line. The kernel is asked for more
    /// than its processor time only when something was `stirred`.
    pub(in crate::host) fn look(&mut self, stirred: bool, say: &mut dyn FnMut(&str)) {
        let Some(child) = &mut self.child else { return };
        if stirred {
            while let Ok(Some(change)) = child.change() {
                self.process = match change {
                    Change::Exited { code } => Process::Exited { code: code as u8 },
                    Change::Killed { signal } => Process::Killed { signal },
                    Change::Stopped { .. } => Process::Stopped,
                    Change::Continued => Process::Running { cpu_ns: 0 },
                };
            }
            self.words.listen(child.stderr(), say);
            if self.process.is_over() {
                self.words.finish(say);
            }
        }
        // Its processor time shows a loop.
        if let Process::Running { cpu_ns } = &mut self.process {
            *cpu_ns = child.cpu_ns().unwrap_or(*cpu_ns);
        }
    }

    /// What is known of it, with the note it left in `region`.
    pub(in crate::host) fn seen(&self, region: &Region) -> monitor::Child {
        let note = fatal::read(region, NOTE_AT, self.generation).map(translated);
        monitor::Child {
            process: self.process.clone(),
            pid: self.child.as_ref().map_or(0, Child::pid),
            last_words: self.failure.clone().unwrap_or_else(|| self.words.last()),
            note: note.filter(|_| self.generation > 0),
        }
    }
}

fn translated(note: fatal::Note) -> monitor::Note {
    let (signal, si_code, address) = match note.cause {
        Cause::Signal { signal, code, address } => (signal, code, address),
        Cause::Panic => (0, 0, 0),
    };
    monitor::Note { signal, si_code, address, text: note.text }
}
