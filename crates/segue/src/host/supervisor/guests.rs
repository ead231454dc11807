//! The workers as processes: started, looked at, killed and buried when the monitor says so.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use segue_lockstep::Shape;
use segue_lockstep::memory::origin::Origin;
use segue_lockstep::memory::slot::Slot;
use segue_lockstep::monitor;
use segue_sys::event::Event;
use segue_sys::process::{Child, Spawner};

use super::regions::Regions;
use super::sitter::Sitter;
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
    seats: Vec<Sitter>,
}

impl Guests {
    /// Nobody yet.
    pub(super) fn new(shape: Shape, regions: Regions, state_bytes: u64) -> io::Result<Self> {
        let seats = (0..shape.slots).map(|_| Sitter::default()).collect();
        let (alarm, build) = (Event::new()?, wire::build()?);
        Ok(Self { shape, regions, alarm, build, state_bytes, seats })
    }

    /// The build all guests must be of.
    pub(super) fn build(&self) -> u64 {
        self.build
    }

    /// What to sleep on: the alarm. The end or stop of a guest is a signal to the supervisor.
    pub(super) fn alarm(&self) -> BorrowedFd<'_> {
        self.alarm.as_fd()
    }

    /// Orders a guest; it is greeted when it is there.
    pub(super) fn spawn(&mut self, slot: usize, generation: u64, spawner: &Spawner) {
        self.seats[slot] = Sitter::order("worker", generation, spawner);
    }

    /// Kills this guest of a slot, and no other.
    pub(super) fn kill(&self, slot: usize, generation: u64) {
        let seat = &self.seats[slot];
        if let Some(child) = seat.child().filter(|_| seat.generation() == generation) {
            child.kill();
        }
    }

    /// Forgets a guest that is dead and told.
    pub(super) fn bury(&mut self, slot: usize) {
        self.seats[slot] = Sitter::default();
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
        let mut seat = std::mem::take(&mut self.seats[slot]);
        let generation = seat.generation();
        seat.receive(|child| self.greet(slot, generation, child));
        seat.look(stirred, &mut |line| tracing::info!(slot, "{line}"));
        let seen = seat.seen(self.regions.slots[slot].region());
        self.seats[slot] = seat;
        seen
    }

    fn greet(&self, slot: usize, generation: u64, child: &Child) -> io::Result<()> {
        let hello = Hello {
            parent: std::process::id(),
            build: self.build,
            slot: slot as u32,
            generation,
            shape: (&self.shape).into(),
            state_bytes: self.state_bytes,
            origin: self.regions.origin.is_some(),
        };
        let Regions { plans, orders, slots, origin, .. } = &self.regions;
        let read_only: Vec<OwnedFd> = [plans.region(), orders.region()]
            .into_iter()
            .chain(slots.iter().map(Slot::region))
            .chain(origin.iter().map(Origin::region))
            .map(segue_sys::Region::read_only_fd)
            .collect::<io::Result<_>>()?;
        let mut fds: Vec<BorrowedFd<'_>> = read_only.iter().map(AsFd::as_fd).collect();
        fds[2 + slot] = slots[slot].region().fd().ok_or(io::ErrorKind::Unsupported)?;
        fds.insert(2, self.alarm.as_fd());
        child.socket().send(&wire::encode(&hello)?, &fds)
    }
}
