//! What is to be done in the block at hand, and how it comes from the agenda.

use segue_dsp::math::clamp;

use crate::BLOCK_FRAMES;
use crate::catalog::{Note, Told};
use crate::command::{Action, Command, MASTER_GAIN_MAX, OWN_SMOOTHING};
use crate::engine::circuit::Circuit;
use crate::engine::layout::Tally;
use crate::engine::master::{Desk, MASTER_MS, MasterTask, frames};
use crate::engine::module::{self, BYPASS_MS, Event, Task};

/// A block is cut at most so often; what is due at a ninth frame waits for the next block.
const CUTS_MAX: usize = 8;

/// Commands taken up in one block at most; the rest waits for the next.
const EVENTS_MAX: usize = 256;

/// What is to be done in the block at hand, by module. Nothing in it outlives a block.
pub(in crate::engine) struct Schedule {
    pub(super) events: Vec<Event>,
    /// First and last event of each module.
    pub(super) chains: Vec<Option<(u16, u16)>>,
    pub(in crate::engine) master: Vec<(usize, MasterTask)>,
}

impl Schedule {
    /// Room for as much as a block can need. `[control]`
    pub(super) fn new(modules: usize) -> Schedule {
        Schedule {
            events: Vec::with_capacity(EVENTS_MAX + modules),
            chains: vec![None; modules],
            master: Vec::with_capacity(EVENTS_MAX),
        }
    }

    fn clear(&mut self) {
        self.events.clear();
        self.master.clear();
        self.chains.fill(None);
    }

    fn add(&mut self, module: usize, frame: usize, task: Task) {
        // Both rows were made as long as a block can need: this never allocates.
        if self.events.len() == self.events.capacity() {
            return;
        }
        let index = self.events.len() as u16;
        self.events.push(Event { frame, task, next: None });
        self.chains[module] = Some(match self.chains[module] {
            None => (index, index),
            Some((first, last)) => {
                self.events[usize::from(last)].next = Some(index);
                (first, index)
            }
        });
    }
}

/// A time a command gives, or the parameter's own.
fn own(frames: u32, own: u32) -> u32 {
    if frames == OWN_SMOOTHING { own } else { frames }
}

impl Circuit {
    /// Takes from the agenda what is due in the block that begins at frame `start`, in order,
    /// within the bounds of a block. `[audio]`
    pub(in crate::engine) fn collect(
        &mut self,
        arena: &mut [u64],
        desk: &Desk,
        start: u64,
        tally: &mut Tally,
    ) {
        self.schedule.clear();
        let end = start + BLOCK_FRAMES as u64;
        let (mut cuts, mut before, mut taken, mut panicked) = (0, 0, 0, false);
        loop {
            let mut agenda = self.layout.agenda(arena);
            let Some(slot) = agenda.peek().filter(|slot| slot[1] < end && taken < EVENTS_MAX)
            else {
                break;
            };
            let (due, sequence) = (slot[1], slot[3]);
            let command = Command::decode(&[slot[0], slot[1], slot[2], 0]);
            let frame = due.saturating_sub(start) as usize;
            if frame != before {
                if cuts == CUTS_MAX {
                    break;
                }
                cuts += 1;
                before = frame;
            }
            // A panic is told to all modules; there is room for one a block.
            let panics = matches!(command, Ok(Command { action: Action::Panic, .. }));
            if panics && panicked {
                break;
            }
            panicked |= panics;
            taken += 1;
            agenda.pop();
            tally.moved += u64::from(due < start);
            match command {
                Ok(command) => self.plan_for(arena, desk, &command, (frame, sequence)),
                // Only a damaged checkpoint can hold what no command encodes.
                Err(_) => tally.ignored += 1,
            }
        }
    }

    /// Puts one command where it will be met.
    fn plan_for(
        &mut self,
        arena: &mut [u64],
        desk: &Desk,
        command: &Command,
        (frame, sequence): (usize, u64),
    ) {
        let schedule = &mut self.schedule;
        match command.action {
            Action::Set { module, param, value, ramp_frames } => {
                let module = usize::from(module);
                let spec = self.specs.get(module).and_then(|s| s.params.get(usize::from(param)));
                let Some(spec) = spec else { return };
                let smooth = own(ramp_frames, frames(spec.smoothing_ms, desk.rate));
                let steps = !spec.choices.is_empty();
                let frames = if steps { 0 } else { smooth };
                let (param, value) = (usize::from(param), spec.clamp(value));
                schedule.add(module, frame, Task::Set { param, value, frames, steps });
            }
            Action::Gate { module, level } => {
                self.tell(module, frame, Told::Gate { level: clamp(level, 0.0, 1.0) });
            }
            Action::Panic => self.choke(frame),
            Action::Note { module, note, velocity, frames, voice } => {
                let velocity = clamp(velocity, 0.0, 1.0);
                let voice = voice.checked_sub(1).map(usize::from);
                self.tell(module, frame, Told::Note(Note { note, velocity, frames, voice }));
            }
            Action::Voice { module, voice, param, value, ramp_frames } => {
                let param = usize::from(param);
                let spec = self.specs.get(usize::from(module));
                let spec = spec.and_then(|spec| spec.voice_params.get(param));
                let (Some(spec), Some(voice)) = (spec, voice.checked_sub(1)) else { return };
                let frames = own(ramp_frames, frames(spec.smoothing_ms, desk.rate));
                let (voice, value) = (usize::from(voice), spec.clamp(value));
                self.tell(module, frame, Told::Voice { voice, param, value, frames });
            }
            Action::Clear => self.layout.agenda(arena).clear_before(sequence),
            Action::Test => schedule.master.push((frame, MasterTask::Test)),
            Action::MasterGain { gain, ramp_frames } => {
                let frames = own(ramp_frames, frames(MASTER_MS, desk.rate));
                let gain = clamp(gain, 0.0, MASTER_GAIN_MAX);
                schedule.master.push((frame, MasterTask::Gain { gain, frames }));
            }
            Action::MasterMute { on } => {
                schedule.master.push((frame, MasterTask::Mute { on }));
            }
            Action::Fade { frames } => schedule.master.push((frame, MasterTask::Fade { frames })),
            // Verdicts hold for whole blocks.
            Action::Bypass { module } => {
                if let Some(place) = self.layout.modules.get(usize::from(module)) {
                    let decay = frames(BYPASS_MS, desk.rate);
                    module::bypass(place, &mut arena[place.words.clone()], decay);
                }
            }
            Action::Revive { module } => {
                if let Some(place) = self.layout.modules.get(usize::from(module)) {
                    let fade = frames(BYPASS_MS, desk.rate);
                    module::revive(place, &mut arena[place.words.clone()], fade);
                }
            }
            // Never waits in an agenda but in that of a damaged checkpoint.
            Action::Adopt { .. } => {}
        }
    }

    /// Closes whatever can sound by itself, and has the master fade what still rings.
    fn choke(&mut self, frame: usize) {
        for (module, place) in self.layout.modules.iter().enumerate() {
            if place.kind.spec.has_gate || place.kind.spec.has_notes {
                self.schedule.add(module, frame, Task::Told(Told::Choke));
            }
        }
        self.schedule.master.push((frame, MasterTask::Panic));
    }

    /// Lets a module be told something at a frame, if there is such a module.
    fn tell(&mut self, module: u16, frame: usize, told: Told) {
        if usize::from(module) < self.specs.len() {
            self.schedule.add(usize::from(module), frame, Task::Told(told));
        }
    }
}
