//! The monitor: finds out why a worker is gone, says it, names the primary, fills the slot.
//!
//! A step is a function of what was seen: [`Observation`] in, [`Action`]s out. *Invariant*: one
//! failover for each death, stop or loop of a primary; a death is told once, with its cause; a
//! slot gets its next guest only after the last one was buried.

mod act;
mod blame;
mod cause;
mod divergence;
mod driver;
mod guest;
mod keep;
mod observe;
mod primary;
mod respawn;
#[cfg(test)]
mod table;

pub use act::{Action, perform};
pub use cause::{Evidence, signal_name};
pub use driver::{DriverWatch, Loss, Move, StreamSeen, TIMER, Within};
pub use guest::{Limits, State};
pub use observe::{Child, Note, Observation, Process, SlotSeen, Tick, control_beat, observe};

use crate::Shape;
use crate::memory::slot::{Crumb, Phase};
use crate::memory::status::{Counter, Death, SlotFacts};
use crate::memory::verdicts::Verdict;
use guest::Guest;
use respawn::{Doing, Refill};

/// A tick that comes this much after the last found everybody overdue for no fault of theirs.
const AWAY_NS: u64 = 200_000_000;

/// How long a worker may take to die of what it noted, before it is killed.
const DYING_NS: u64 = 500_000_000;

/// What the monitor is set to.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Shape of the engine.
    pub shape: Shape,
    /// Which build guests must be of.
    pub build: u64,
    /// Blocks sealed beyond a period.
    pub lead: u64,
}

/// The monitor.
#[derive(Debug)]
pub struct Monitor {
    config: Config,
    limits: Limits,
    guests: Vec<Guest>,
    primary: Option<usize>,
    begun: bool,
    cleared: u64,
    pending: u64,
    keep_from: u64,
    deaths: Vec<Death>,
    death_count: u64,
    changed_at: u64,
    last_ns: Option<u64>,
    /// The playhead and when it came there, nanoseconds of the monotonic clock.
    moved: (u64, u64),
    /// Blocks below this somebody in lockstep has published.
    published: u64,
    /// Blocks below this were compared.
    compared: u64,
    /// How long it may rest, in nanoseconds.
    rest_ns: u64,
    /// Who of two is wrong is not known yet.
    dispute: Option<divergence::Dispute>,
    /// Verdicts that wait for somebody who is within their block.
    suspected: Vec<Verdict>,
    /// Verdicts that one loop suggests.
    caught: Vec<Verdict>,
    /// Verdicts that were passed, and not withdrawn for coming too late.
    verdicts: Vec<Verdict>,
}

impl Monitor {
    /// A monitor of empty slots; its first step asks for guests. `[control]`
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            limits: Limits::new(config.shape.block_ns(), false),
            guests: vec![Guest::default(); config.shape.slots],
            config,
            primary: None,
            begun: false,
            cleared: 0,
            pending: 0,
            keep_from: 0,
            deaths: Vec::new(),
            death_count: 0,
            changed_at: 0,
            last_ns: None,
            moved: (0, 0),
            published: 0,
            compared: 0,
            rest_ns: primary::LOOK_NS,
            dispute: None,
            suspected: Vec::new(),
            caught: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    /// Whether every slot is in lockstep or given up: block 0 may come. `[any]`
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.guests.iter().all(|guest| matches!(guest.state, State::Lockstep | State::GivenUp))
            && self.primary.is_some()
    }

    /// Whether nobody is left and nobody more will come. `[any]`
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.guests.iter().all(|guest| guest.state == State::GivenUp)
    }

    /// The state of a slot. `[any]`
    #[must_use]
    pub fn state(&self, slot: usize) -> State {
        self.guests[slot].state
    }

    /// Blocks below this were compared: the next look need not read them. `[any]`
    #[must_use]
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// How long it may rest after the last step, in nanoseconds, if nobody ends, stops or leaves a
    /// note meanwhile: that wakes it at once. `[any]`
    #[must_use]
    pub fn rest_ns(&self) -> u64 {
        self.rest_ns
    }

    /// One tick. `[control]`
    #[must_use]
    pub fn step(&mut self, seen: &Observation) -> Vec<Action> {
        let mut actions = Vec::new();
        let away = self.last_ns.is_some_and(|last| seen.now_ns.saturating_sub(last) > AWAY_NS);
        self.last_ns = Some(seen.now_ns);
        self.limits = Limits::new(self.config.shape.block_ns(), seen.freewheel);
        if seen.playhead != self.moved.0 {
            self.moved = (seen.playhead, seen.now_ns);
        }
        if away {
            self.guests.iter_mut().for_each(Guest::forgive);
        }
        self.note_published(seen);
        self.verdicts.retain(|verdict| seen.verdicts.contains(verdict));
        for slot in 0..self.guests.len() {
            self.step_slot(slot, seen, &mut actions);
        }
        self.judge_suspects(seen, &mut actions);
        self.step_primary(seen, &mut actions);
        self.compare(seen, &mut actions);
        self.step_clear(seen, &mut actions);
        self.step_keep(seen, &mut actions);
        self.tell_slots(seen, &mut actions);
        self.rest_ns = self.rest(seen);
        actions
    }

    fn step_slot(&mut self, slot: usize, seen: &Observation, actions: &mut Vec<Action>) {
        let at = &seen.slots[slot];
        match self.guests[slot].state {
            State::Empty if seen.now_ns >= self.guests[slot].retry_ns => {
                self.guests[slot].invite(seen.now_ns);
                let generation = self.guests[slot].generation;
                actions.push(Action::Generation { slot, generation });
                actions.push(Action::Spawn { slot, generation });
            }
            State::Empty if seen.revive >> slot & 1 != 0 => {
                self.guests[slot].retry_ns = seen.now_ns;
            }
            State::Empty => {}
            State::GivenUp if seen.revive >> slot & 1 != 0 => {
                self.guests[slot].record = respawn::Record::default();
                self.guests[slot].retry_ns = seen.now_ns;
                self.guests[slot].enter(State::Empty, seen.now_ns);
            }
            State::GivenUp => {}
            _ if at.process.is_over() => self.bury(slot, seen, actions),
            State::Leaving => {
                let since_ns = self.guests[slot].since_ns;
                if seen.now_ns.saturating_sub(since_ns) > DYING_NS {
                    let generation = self.guests[slot].generation;
                    self.guests[slot].since_ns = seen.now_ns;
                    actions.push(Action::Kill { slot, generation });
                }
            }
            State::Starting | State::Joining | State::Lockstep => {
                let has_work = self.has_work(slot, seen);
                let guest = &mut self.guests[slot];
                let (limits, build) = (&self.limits, self.config.build);
                if let Some(evidence) = guest.judge(at, has_work, seen.now_ns, limits, build) {
                    self.condemn(slot, evidence, seen, actions);
                } else if at.generation == guest.generation {
                    self.follow_phase(slot, at.phase, seen, actions);
                }
            }
        }
    }

    /// A guest must go: its role first, so that nobody waits for the kernel.
    fn condemn(
        &mut self,
        slot: usize,
        evidence: Evidence,
        seen: &Observation,
        actions: &mut Vec<Action>,
    ) {
        // Who left a note is dying already; a kill would blur what it dies of.
        if !matches!(evidence, Evidence::Note(_)) {
            let generation = self.guests[slot].generation;
            actions.push(Action::Kill { slot, generation });
        }
        if matches!(evidence, Evidence::Diverged(_) | Evidence::Overruled(_)) {
            actions.push(Action::Count(Counter::Divergences));
        }
        self.guests[slot].evidence = Some(evidence.clone());
        self.guests[slot].enter(State::Leaving, seen.now_ns);
        // The verdict before the role: whoever goes first now must know it.
        self.blame(slot, &evidence, seen, actions);
        if self.primary == Some(slot) {
            let cause = evidence.text(&seen.slots[slot].process);
            self.fail_over(slot, &cause, seen, actions);
        }
    }

    fn follow_phase(
        &mut self,
        slot: usize,
        phase: Phase,
        seen: &Observation,
        actions: &mut Vec<Action>,
    ) {
        let state = match phase {
            Phase::Starting => State::Starting,
            Phase::Joining => State::Joining,
            Phase::Lockstep => State::Lockstep,
        };
        let arrived = state == State::Lockstep && self.guests[slot].state != State::Lockstep;
        self.guests[slot].enter(state, seen.now_ns);
        if !arrived {
            return;
        }
        // The deaths that made room for this guest are told again, with how long it took.
        for number in std::mem::take(&mut self.guests[slot].mourned) {
            if let Some(death) = self.deaths.iter_mut().find(|death| death.number == number) {
                death.lockstep_again_ns = seen.now_ns.saturating_sub(death.at_ns).max(1);
                actions.push(Action::Death(Box::new(death.clone())));
            }
        }
    }

    /// The kernel says a guest is over: tell it, bury it, decide about the next.
    fn bury(&mut self, slot: usize, seen: &Observation, actions: &mut Vec<Action>) {
        let at = &seen.slots[slot];
        let found = at.note.clone().filter(|_| at.generation == self.guests[slot].generation);
        let evidence = self.guests[slot]
            .evidence
            .take()
            .or(found.map(Evidence::Note))
            .unwrap_or(Evidence::Over);
        let cause = evidence.text(&at.process);
        if self.guests[slot].state != State::Leaving {
            self.guests[slot].enter(State::Leaving, seen.now_ns);
            self.blame(slot, &evidence, seen, actions);
        }
        if self.primary == Some(slot) {
            self.fail_over(slot, &cause, seen, actions);
        }
        let doing = self.doing(slot, &evidence, &at.process);
        let guest = &mut self.guests[slot];
        let lived = guest.lockstep_ns.map(|since| seen.now_ns.saturating_sub(since));
        let refill = guest.record.bury(doing, lived);
        let mut death = self.death(slot, at, &evidence, cause, seen.now_ns);
        death.done = match refill {
            Refill::After(0) => "replaced at once".to_owned(),
            Refill::After(delay_ns) => format!("replaced after {} ms", delay_ns / 1_000_000),
            Refill::GiveUp(failures) => format!("slot given up after {failures} failures"),
        };
        if self.guests[slot].judged {
            death.done += match at.crumb.0 {
                Crumb::Apply(_) => "; its command quarantined",
                _ => "; the part it rendered bypassed",
            };
        }
        actions.push(Action::Count(Counter::Deaths));
        actions.push(Action::Death(Box::new(death.clone())));
        actions.push(Action::Bury { slot });
        let guest = &mut self.guests[slot];
        guest.mourned.push(death.number);
        self.deaths.push(death);
        if self.deaths.len() > crate::memory::status::KEPT {
            self.deaths.remove(0);
        }
        match refill {
            Refill::After(delay_ns) => {
                guest.retry_ns = seen.now_ns + delay_ns;
                guest.enter(State::Empty, seen.now_ns);
            }
            Refill::GiveUp(_) => guest.enter(State::GivenUp, seen.now_ns),
        }
    }

    /// Whose doing the end of a guest was.
    fn doing(&self, slot: usize, evidence: &Evidence, process: &Process) -> Doing {
        let guest = &self.guests[slot];
        let was_ready = guest.lockstep_ns.is_some();
        match evidence {
            // Of two that differ one had to go; with more the majority has said who is wrong.
            Evidence::Diverged(_) if was_ready && self.in_lockstep().count() < 2 => Doing::Disputed,
            // What a verdict has remedied will not happen to the next one.
            _ if evidence.is_own_fault(process) && !guest.judged => Doing::Own,
            _ => Doing::Outside,
        }
    }

    fn death(
        &mut self,
        slot: usize,
        at: &SlotSeen,
        evidence: &Evidence,
        cause: String,
        now_ns: u64,
    ) -> Death {
        let guest = &self.guests[slot];
        let sat = at.generation == guest.generation;
        let note = match evidence {
            Evidence::Note(note) => note.text.clone(),
            _ => String::new(),
        };
        let number = self.death_count;
        self.death_count += 1;
        Death {
            number,
            slot: slot as u64,
            pid: u64::from(at.pid),
            generation: guest.generation,
            at_ns: now_ns,
            lived_ns: now_ns.saturating_sub(guest.born_ns),
            block: if sat { at.published } else { 0 },
            signal: match (evidence, &at.process) {
                (Evidence::Note(note), _) if note.signal != 0 => note.signal as u64,
                (_, Process::Killed { signal }) => *signal as u64,
                _ => 0,
            },
            exit_code: match at.process {
                Process::Exited { code } => Some(code),
                _ => None,
            },
            crumb: if sat { at.crumb.0 } else { Crumb::Load }.to_numbers(),
            crumb_block: if sat { at.crumb.1 } else { 0 },
            was_primary: guest.was_primary,
            lockstep_again_ns: 0,
            cause,
            done: String::new(),
            last_words: if note.is_empty() { at.last_words.clone() } else { note },
        }
    }

    fn tell_slots(&mut self, seen: &Observation, actions: &mut Vec<Action>) {
        let mut pending = 0;
        for (slot, guest) in self.guests.iter_mut().enumerate() {
            guest.note_progress(&seen.slots[slot], seen.now_ns);
            // While the last guest is being ended the place counts as taken: freewheel waits.
            let on_the_way = !matches!(guest.state, State::Lockstep | State::GivenUp);
            pending |= u64::from(on_the_way) << slot;
            let facts = SlotFacts {
                pid: if guest.is_present() { u64::from(seen.slots[slot].pid) } else { 0 },
                generation: guest.generation,
                state: guest.state.to_word(),
                since_ns: guest.since_ns,
                restarts: guest.generation.saturating_sub(1),
                agrees: u64::from(guest.agrees),
                retry_ns: if guest.state == State::Empty { guest.retry_ns } else { 0 },
                born_ns: guest.born_ns,
                moved_ns: guest.moved.1,
            };
            actions.push(Action::Slot(slot, facts));
        }
        if pending != self.pending {
            self.pending = pending;
            actions.push(Action::Pending(pending));
        }
    }
}
