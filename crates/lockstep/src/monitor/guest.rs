//! One slot's guest as a table of state × what is seen.
//!
//! | state | seen | then |
//! |---|---|---|
//! | empty | its time has come | spawn the next generation: starting |
//! | starting, joining, lockstep | another phase under its generation | that state |
//! | the same | note, stop, loop, bad block, overwritten, starved, wrong build | kill: leaving |
//! | any with a child | the kernel says it is over | told and buried: empty, or given up |
//! | given up | revive | empty |

use super::cause::Evidence;
use super::observe::{Process, SlotSeen};
use super::respawn;
use crate::memory::slot::{Crumb, Phase};

/// The state of a slot, as status tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nobody sits there; the next guest comes at its time.
    #[default]
    Empty,
    /// A child was started and loads.
    Starting,
    /// It replays the log.
    Joining,
    /// It renders what the others render.
    Lockstep,
    /// It is being ended.
    Leaving,
    /// Nobody more is sent.
    GivenUp,
}

impl State {
    /// The state as a number for the status page.
    #[must_use]
    pub fn to_word(self) -> u64 {
        self as u64
    }

    /// The state of a number; what is none reads as empty.
    #[must_use]
    pub fn from_word(word: u64) -> Self {
        match word {
            1 => Self::Starting,
            2 => Self::Joining,
            3 => Self::Lockstep,
            4 => Self::Leaving,
            5 => Self::GivenUp,
            _ => Self::Empty,
        }
    }
}

/// Limits on a guest that does not move.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Processor time at one breadcrumb that makes a loop, in nanoseconds.
    pub loop_cpu_ns: u64,
    /// Time without progress, work at hand, after which a guest in lockstep is replaced.
    pub starved_ns: u64,
}

impl Limits {
    /// Four blocks of processor time are the design's figure. A stolen slice of a shared machine
    /// can be charged to the guest, so without a deadline there is no hurry to call it a loop.
    pub(super) const fn new(block_ns: u64, freewheel: bool) -> Self {
        let loop_cpu_ns = if freewheel { 64 * block_ns } else { 4 * block_ns };
        Self { loop_cpu_ns, starved_ns: 2_000_000_000 }
    }
}

/// A slot and who sits there.
#[derive(Clone, Debug, Default)]
pub(super) struct Guest {
    /// Which guest: counts from 1.
    pub generation: u64,
    /// How it stands.
    pub state: State,
    /// When this guest was asked for.
    pub born_ns: u64,
    /// When the state began.
    pub since_ns: u64,
    /// When it came into lockstep.
    pub lockstep_ns: Option<u64>,
    /// When the next one may come, while the place is empty.
    pub retry_ns: u64,
    /// Why it must go, while it is leaving.
    pub evidence: Option<Evidence>,
    /// What is remembered of all guests here.
    pub record: respawn::Record,
    /// The numbers of the deaths here since the last guest that came into lockstep.
    pub mourned: Vec<u64>,
    /// Whether it was the primary when its end began.
    pub was_primary: bool,
    /// Whether its end has led to a verdict.
    pub judged: bool,
    /// Whether the last comparison with the primary agreed.
    pub agrees: bool,
    /// How far it had rendered when it was last seen to get on, and when that was.
    pub moved: (u64, u64),
    watch: Watch,
}

/// What is remembered between ticks to see that a guest does not move.
#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    crumb: Option<(Crumb, u64)>,
    /// Its processor clock at the tick after the crumb was first seen: clock and crumb are not
    /// read at one instant, and what it did between the two must not count.
    cpu_ns: Option<u64>,
    reached: u64,
    moved_ns: u64,
}

impl Guest {
    /// Whether a child is there or asked for.
    #[must_use]
    pub(super) fn is_present(&self) -> bool {
        !matches!(self.state, State::Empty | State::GivenUp)
    }

    /// Goes over into a state. `[any]`
    pub(super) fn enter(&mut self, state: State, now_ns: u64) {
        if self.state != state {
            self.state = state;
            self.since_ns = now_ns;
        }
        if state == State::Lockstep && self.lockstep_ns.is_none() {
            self.lockstep_ns = Some(now_ns);
        }
    }

    /// A new guest was asked for. `[any]`
    pub(super) fn invite(&mut self, now_ns: u64) {
        self.generation += 1;
        self.born_ns = now_ns;
        self.lockstep_ns = None;
        self.evidence = None;
        self.agrees = true;
        self.was_primary = false;
        self.judged = false;
        self.watch = Watch::default();
        self.moved = (0, now_ns);
        self.enter(State::Starting, now_ns);
    }

    /// Remembers when it last got on, for the status. `[any]`
    pub(super) fn note_progress(&mut self, seen: &SlotSeen, now_ns: u64) {
        if seen.generation == self.generation && seen.reached != self.moved.0 {
            self.moved = (seen.reached, now_ns);
        }
    }

    /// Starts all clocks again: the monitor itself was away. `[any]`
    pub(super) fn forgive(&mut self) {
        self.watch = Watch::default();
    }

    /// Why this guest must go, if it must. `[any]`
    pub(super) fn judge(
        &mut self,
        seen: &SlotSeen,
        has_work: bool,
        now_ns: u64,
        limits: &Limits,
        build: u64,
    ) -> Option<Evidence> {
        if seen.process == Process::Stopped {
            return Some(Evidence::Stopped);
        }
        if seen.generation != self.generation {
            // Before it sits down that is as it should be; later somebody has written over it.
            return (self.state != State::Starting).then_some(Evidence::Overwritten);
        }
        // It never goes back by itself.
        let was = match self.state {
            State::Lockstep => Phase::Lockstep,
            State::Joining => Phase::Joining,
            _ => Phase::Starting,
        };
        if (seen.phase as u64) < was as u64 {
            return Some(Evidence::Overwritten);
        }
        if let Some(note) = &seen.note {
            return Some(Evidence::Note(note.clone()));
        }
        if seen.build != build {
            return Some(Evidence::Build(seen.build));
        }
        if seen.suspect == self.generation {
            return Some(Evidence::BadBlock);
        }
        let Process::Running { cpu_ns } = seen.process else { return None };
        self.stands_still(seen, cpu_ns, has_work, now_ns, limits)
    }

    fn stands_still(
        &mut self,
        seen: &SlotSeen,
        cpu_ns: u64,
        has_work: bool,
        now_ns: u64,
        limits: &Limits,
    ) -> Option<Evidence> {
        let watch = &mut self.watch;
        let busy = matches!(seen.crumb.0, Crumb::Apply(_) | Crumb::Render(_));
        if watch.crumb != Some(seen.crumb) || watch.reached != seen.reached || !busy {
            watch.crumb = Some(seen.crumb);
            watch.cpu_ns = None;
        } else if watch.cpu_ns.is_none() {
            watch.cpu_ns = Some(cpu_ns);
        }
        // Who is within a block has work, whoever goes first: a verdict may wait for it.
        let idle = !has_work && !busy;
        if watch.reached != seen.reached || idle || watch.moved_ns == 0 {
            watch.reached = seen.reached;
            watch.moved_ns = now_ns;
        }
        if seen.phase == Phase::Starting {
            return None;
        }
        let spent = watch.cpu_ns.map_or(0, |since| cpu_ns.saturating_sub(since));
        if busy && spent >= limits.loop_cpu_ns {
            return Some(Evidence::Looping(spent));
        }
        let stood_ns = now_ns.saturating_sub(watch.moved_ns);
        (seen.phase == Phase::Lockstep && stood_ns >= limits.starved_ns)
            .then_some(Evidence::Starved(stood_ns))
    }
}
