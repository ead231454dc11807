//! The workers as processes: started, looked at, killed and buried when the monitor says so.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, TryRecvError};

use segue_lockstep::Shape;
use segue_lockstep::memory::slot::NOTE_AT;
use segue_lockstep::monitor::{self, Process};
use segue_sys::event::Event;
use segue_sys::fatal::{self, Cause};
use segue_sys::process::{Change, Child, Order, Spawner};

use super::regions::Regions;
use super::words::Words;
use crate::host::wire;
use crate::host::worker::Hello;

/// The guests of all slots.
pub(super) struct Guests {
    shape: Shape,
    regions: Regions,
    /// Raised by a guest that dies with a note.
    alarm: Event,
    build: u64,
    state_bytes: u64,
    seats: Vec<Seat>,
}

/// One slot's guest as a process.
#[derive(Default)]
struct Seat {
    generation: u64,
    ordered: Option<Receiver<io::Result<Child>>>,
    child: Option<Child>,
    process: Process,
    words: Words,
    failure: Option<String>,
}

impl Guests {
    /// Nobody yet.
    pub(super) fn new(shape: Shape, regions: Regions, state_bytes: u64) -> io::Result<Self> {
        let seats = (0..shape.slots).map(|_| Seat::default()).collect();
        let (alarm, build) = (Event::new()?, wire::build()?);
        Ok(Self { shape, regions, alarm, build, state_bytes, seats })
    }

    /// The build all guests must be of.
    pub(super) fn build(&self) -> u64 {
        self.build
    }

    /// What to sleep on: the alarm, and the end of each guest.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let children = self.seats.iter().filter(|seat| !seat.process.is_over());
        let handles = children.filter_map(|seat| seat.child.as_ref()).map(Child::handle);
        std::iter::once(self.alarm.as_fd()).chain(handles)
    }

    /// Orders a guest; it is greeted when it is there.
    pub(super) fn spawn(&mut self, slot: usize, generation: u64, spawner: &Spawner) {
        let order = Order { arguments: vec!["worker".into()], environment: Vec::new() };
        let ordered = Some(spawner.order(order));
        self.seats[slot] = Seat { generation, ordered, ..Seat::default() };
    }

    /// Kills this guest of a slot, and no other.
    pub(super) fn kill(&self, slot: usize, generation: u64) {
        let seat = &self.seats[slot];
        if let Some(child) = seat.child.as_ref().filter(|_| seat.generation == generation) {
            child.kill();
        }
    }

    /// Forgets a guest that is dead and told.
    pub(super) fn bury(&mut self, slot: usize) {
        self.seats[slot] = Seat::default();
    }

    /// Looks at all of them, in order. What they print goes into the log. The kernel is asked
    /// for more than their processor time only when something was `stirred`.
    pub(super) fn look(&mut self, stirred: bool) -> Vec<monitor::Child> {
        if stirred {
            self.alarm.take();
        }
        (0..self.seats.len()).map(|slot| self.look_at(slot, stirred)).collect()
    }

    fn look_at(&mut self, slot: usize, stirred: bool) -> monitor::Child {
        self.receive(slot);
        let region = self.regions.slots[slot].region();
        let seat = &mut self.seats[slot];
        if stirred {
            seat.follow();
            seat.listen(slot);
        }
        seat.measure();
        let note = fatal::read(region, NOTE_AT, seat.generation).map(translated);
        monitor::Child {
            process: seat.process.clone(),
            pid: seat.child.as_ref().map_or(0, Child::pid),
            last_words: seat.failure.clone().unwrap_or_else(|| seat.words.last()),
            note: note.filter(|_| seat.generation > 0),
        }
    }

    /// Greets a guest that was ordered and has come.
    fn receive(&mut self, slot: usize) {
        let Some(ordered) = &self.seats[slot].ordered else { return };
        let come = match ordered.try_recv() {
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => Err(io::Error::other("the spawner has ended")),
            Ok(come) => come,
        };
        let greeted = come.and_then(|child| self.greet(slot, &child).map(|()| child));
        let seat = &mut self.seats[slot];
        seat.ordered = None;
        match greeted {
            Ok(child) => {
                seat.child = Some(child);
                seat.process = Process::Running { cpu_ns: 0 };
            }
            Err(error) => {
                seat.failure = Some(format!("could not be started: {error}"));
                seat.process = Process::Failed;
            }
        }
    }

    fn greet(&self, slot: usize, child: &Child) -> io::Result<()> {
        let hello = Hello {
            parent: std::process::id(),
            build: self.build,
            slot: slot as u32,
            generation: self.seats[slot].generation,
            shape: (&self.shape).into(),
            state_bytes: self.state_bytes,
        };
        let Regions { plans, orders, slots, .. } = &self.regions;
        let read_only: Vec<OwnedFd> = [plans.region(), orders.region()]
            .into_iter()
            .chain(slots.iter().map(segue_lockstep::memory::slot::Slot::region))
            .map(segue_sys::Region::read_only_fd)
            .collect::<io::Result<_>>()?;
        let mut fds: Vec<BorrowedFd<'_>> = read_only.iter().map(AsFd::as_fd).collect();
        fds[2 + slot] = slots[slot].region().fd().ok_or(io::ErrorKind::Unsupported)?;
        fds.insert(2, self.alarm.as_fd());
        child.socket().send(&wire::encode(&hello)?, &fds)
    }
}

impl Seat {
    /// What the kernel has to tell.
    fn follow(&mut self) {
        let Some(child) = &mut self.child else { return };
        while let Ok(Some(change)) = child.change() {
            self.process = match change {
                Change::Exited { code } => Process::Exited { code: code as u8 },
                Change::Killed { signal } => Process::Killed { signal },
                Change::Stopped { .. } => Process::Stopped,
                Change::Continued => Process::Running { cpu_ns: 0 },
            };
        }
    }

    /// Its processor time, which shows a loop.
    fn measure(&mut self) {
        let Some(child) = &self.child else { return };
        if let Process::Running { cpu_ns } = &mut self.process {
            *cpu_ns = child.cpu_ns().unwrap_or(*cpu_ns);
        }
    }

    fn listen(&mut self, slot: usize) {
        let Some(child) = &self.child else { return };
        let mut say = |line: &str| tracing::info!(slot, "{line}");
        self.words.listen(child.stderr(), &mut say);
        if self.process.is_over() {
            self.words.finish(&mut say);
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
