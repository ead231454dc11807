//! A plan and its state: commands in, blocks out.

mod look;

use segue_dsp::math::all_finite;
use zerocopy::{FromBytes, IntoBytes};

use crate::BLOCK_FRAMES;
use crate::catalog::{ModuleSpec, Note, Told, state_of, words_of};
use crate::command::{Action, Command, MASTER_GAIN_MAX, OWN_SMOOTHING};
use crate::engine::StateError;
use crate::engine::agenda::{AGENDA_CAPACITY, Agenda};
use crate::engine::cables::{Cables, Outlets};
use crate::engine::layout::{Header, Layout, MAGIC, Master, QUEUE, Tally};
use crate::engine::master::{Desk, MASTER_MS, MasterTask, frames};
use crate::engine::module::{self, BRIDGE_MS, BYPASS_MS, Event, Scene, Task};
use crate::plan::{Plan, PlanError, Setup};

/// A block is cut at most so often; what is due at a ninth frame waits for the next block.
const CUTS_MAX: usize = 8;

/// Commands taken up in one block at most; the rest waits for the next.
const EVENTS_MAX: usize = 256;

/// An instrument: a plan and its state.
pub struct Rack {
    layout: Layout,
    specs: Vec<&'static ModuleSpec>,
    desk: Desk,
    plan: u64,
    arena: Vec<u64>,
    cables: Cables,
    /// Nothing between two modules.
    outlets: Outlets,
    schedule: Schedule,
}

/// What is to be done in the block at hand, by module. Nothing in it outlives a block.
struct Schedule {
    events: Vec<Event>,
    /// First and last event of each module.
    chains: Vec<Option<(u16, u16)>>,
    master: Vec<(usize, MasterTask)>,
}

impl Schedule {
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

impl Rack {
    /// Builds the rack of a plan: arena allocated and touched, state initial. `[control]`
    pub fn new(plan: &Plan, setup: &Setup) -> Result<Rack, PlanError> {
        Rack::build(plan, setup, false)
    }

    /// The same, with every outlet to be looked at between blocks: see [`Rack::outlet`] and
    /// [`Rack::peak`]. The sound is the same, for a little more memory and time. `[control]`
    pub fn probed(plan: &Plan, setup: &Setup) -> Result<Rack, PlanError> {
        Rack::build(plan, setup, true)
    }

    fn build(plan: &Plan, setup: &Setup, probed: bool) -> Result<Rack, PlanError> {
        setup.check()?;
        if plan.setup() != setup {
            return Err(PlanError::Setup);
        }
        let layout = Layout::with(plan, probed);
        if layout.words * 8 > setup.state_bytes {
            return Err(PlanError::Wild { what: "more state than there is room" });
        }
        let modules = layout.modules.len();
        let mut rack = Rack {
            specs: plan.modules().iter().map(|module| module.spec()).collect(),
            desk: Desk::new(setup.rate, usize::from(setup.channels)),
            plan: plan.hash(),
            // Written, not only reserved: the first render must not fault pages in.
            arena: vec![u64::MAX; layout.words],
            cables: Cables::new(&layout),
            outlets: Outlets::default(),
            schedule: Schedule {
                events: Vec::with_capacity(EVENTS_MAX + modules),
                chains: vec![None; modules],
                master: Vec::with_capacity(EVENTS_MAX),
            },
            layout,
        };
        rack.arena.fill(0);
        *header(&mut rack.arena) = Header {
            magic: MAGIC,
            plan: rack.plan,
            block: 0,
            sequence: 0,
            agenda_len: 0,
            notes: Tally::default(),
        };
        *master(&mut rack.arena) = Master::new();
        for (place, module) in rack.layout.modules.iter().zip(plan.modules()) {
            let params = module.spec().params.len() as u16;
            let constants: Vec<f32> =
                (0..params).map(|param| module.constant(param).unwrap_or(0.0)).collect();
            let words = &mut rack.arena[place.words.clone()];
            module::initialise(place, module.spec(), &constants, words);
        }
        Ok(rack)
    }

    /// Takes a command, relative to the next block to render: what is due by then is due at its
    /// frame 0. Commands due at one frame are done in the order they were taken. What makes no
    /// sense is counted and ignored. `[audio]`
    pub fn apply(&mut self, command: &Command) {
        if !self.makes_sense(command) {
            header(&mut self.arena).notes.ignored += 1;
            return;
        }
        #[cfg(feature = "fault")]
        self.strike(command);
        let header = header(&mut self.arena);
        let start = header.block * BLOCK_FRAMES as u64;
        let later = command.due > start;
        let command = Command { due: command.due.max(start), action: command.action };
        header.sequence += 1;
        let sequence = header.sequence;
        if !agenda(&mut self.arena, &self.layout).push(&command, sequence, later) {
            self::header(&mut self.arena).notes.refused += 1;
        }
    }

    fn makes_sense(&self, command: &Command) -> bool {
        let module = command.module().map(|module| self.specs.get(usize::from(module)));
        match (command.action, module.flatten()) {
            (Action::Set { param, value, .. }, Some(spec)) => {
                let param = spec.params.get(usize::from(param));
                value.is_finite() && param.is_some_and(|param| !param.fixed)
            }
            (Action::Gate { level, .. }, Some(spec)) => spec.has_gate && level.is_finite(),
            (Action::Note { note, velocity, .. }, Some(spec)) => {
                spec.has_notes && note.is_finite() && velocity.is_finite()
            }
            (Action::Voice { param, value, .. }, Some(spec)) => {
                usize::from(param) < spec.voice_params.len() && value.is_finite()
            }
            (Action::MasterGain { gain, .. }, _) => gain.is_finite(),
            (_, known) => known.is_some() || module.is_none(),
        }
    }

    /// The harm a fault module does while a command is applied.
    #[cfg(feature = "fault")]
    fn strike(&mut self, command: &Command) {
        use crate::catalog::PORTS_MAX;
        use crate::catalog::fault::{TRIGGER_PARAM, strike_in_apply};
        if let Action::Set { module, param: TRIGGER_PARAM, value, .. } = command.action
            && self.specs[usize::from(module)].name == "fault"
            && value > 0.0
        {
            let params: [f32; PORTS_MAX] =
                std::array::from_fn(|at| self.param(module, at as u16).unwrap_or(0.0));
            let place = &self.layout.modules[usize::from(module)];
            strike_in_apply(&params, module::state(place, &mut self.arena));
        }
    }

    /// Renders the next block: 64 frames, interleaved. `crumb` is called with the index of each
    /// module before it renders.
    ///
    /// Panics if `out` is not 64 frames long. `[audio]`
    pub fn render(&mut self, out: &mut [f32], crumb: &mut dyn FnMut(u32)) {
        assert_eq!(out.len(), BLOCK_FRAMES * self.desk.channels, "a block is 64 frames");
        self.collect();
        if master(&mut self.arena).has_ducked(&self.desk) {
            for place in &self.layout.modules {
                module::silence(place, &mut self.arena[place.words.clone()]);
            }
            for delay in &self.layout.delays {
                self.arena[delay.words.clone()].fill(0);
            }
        }
        for delay in &self.layout.delays {
            let kept = self.arena[delay.words.clone()].as_bytes();
            self.cables.pages[delay.page].as_mut_bytes().copy_from_slice(kept);
        }
        let header = header(&mut self.arena);
        let mut tally = header.notes;
        let before = tally.resets;
        let scene = Scene {
            start: header.block * BLOCK_FRAMES as u64,
            channels: self.desk.channels,
            gate_gap: u64::from(self.desk.rate).div_ceil(1_000),
            bypass_frames: frames(BYPASS_MS, self.desk.rate),
            bridge_frames: frames(BRIDGE_MS, self.desk.rate),
            events: &self.schedule.events,
        };
        for (index, place) in self.layout.modules.iter().enumerate() {
            crumb(index as u32);
            let words = &mut self.arena[place.words.clone()];
            let first = self.schedule.chains[index].map(|(first, _)| first);
            let desk = (&mut self.cables, &mut self.outlets);
            let sound = module::play(place, words, desk, &scene, first, &mut tally);
            if !sound {
                tally.reset(index, before);
            }
        }
        for delay in &self.layout.delays {
            let heard = self.cables.pages[delay.from].as_bytes();
            self.arena[delay.words.clone()].as_mut_bytes().copy_from_slice(heard);
        }
        let (limited, sound) = self.master_block(out);
        tally.limited += u64::from(limited);
        if !sound {
            tally.reset(self.layout.out, before);
        }
        let header = self::header(&mut self.arena);
        header.notes = tally;
        header.block += 1;
    }

    /// The master's part of a block; frames the limiter held down, and whether it was finite.
    fn master_block(&mut self, out: &mut [f32]) -> (u32, bool) {
        let place = &self.layout.modules[self.layout.out];
        let [left, right, ..] = &place.outlets;
        let (left, right) = (self.cables.outlet(left), self.cables.outlet(right));
        let master = master(&mut self.arena);
        let channels = self.desk.channels;
        let (mut at, mut next, mut limited) = (0, 0, 0);
        let tasks = &self.schedule.master;
        while at < BLOCK_FRAMES {
            while let Some((_, task)) = tasks.get(next).filter(|(frame, _)| *frame <= at) {
                master.perform(&self.desk, *task);
                next += 1;
            }
            let to = tasks.get(next).map_or(BLOCK_FRAMES, |(frame, _)| *frame);
            let sides = (&left[at..to], &right[at..to]);
            limited += master.render(&self.desk, sides, &mut out[at * channels..to * channels]);
            at = to;
        }
        // Every module is finite by now, so this is a damaged checkpoint.
        let sound = all_finite(out);
        if !sound {
            master.mend();
            out.fill(0.0);
        }
        (limited, sound)
    }

    /// Takes from the agenda what is due in this block, in order, within the bounds of a block.
    fn collect(&mut self) {
        self.schedule.clear();
        let start = header(&mut self.arena).block * BLOCK_FRAMES as u64;
        let end = start + BLOCK_FRAMES as u64;
        let (mut cuts, mut before, mut taken, mut panicked) = (0, 0, 0, false);
        loop {
            let agenda = agenda(&mut self.arena, &self.layout);
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
            let mut agenda = agenda;
            agenda.pop();
            let notes = &mut header(&mut self.arena).notes;
            notes.moved += u64::from(due < start);
            match command {
                Ok(command) => self.schedule(&command, frame, sequence),
                // Only a damaged checkpoint can hold what no command encodes.
                Err(_) => notes.ignored += 1,
            }
        }
    }

    /// Puts one command where it will be met.
    fn schedule(&mut self, command: &Command, frame: usize, sequence: u64) {
        let own = |frames: u32, own: u32| if frames == OWN_SMOOTHING { own } else { frames };
        let clamp = segue_dsp::math::clamp;
        let schedule = &mut self.schedule;
        match command.action {
            Action::Set { module, param, value, ramp_frames } => {
                let module = usize::from(module);
                let spec = self.specs.get(module).and_then(|s| s.params.get(usize::from(param)));
                let Some(spec) = spec else { return };
                let smooth = own(ramp_frames, frames(spec.smoothing_ms, self.desk.rate));
                let steps = !spec.choices.is_empty();
                let frames = if steps { 0 } else { smooth };
                let (param, value) = (usize::from(param), spec.clamp(value));
                schedule.add(module, frame, Task::Set { param, value, frames, steps });
            }
            Action::Gate { module, level } => {
                self.tell(module, frame, Told::Gate { level: clamp(level, 0.0, 1.0) });
            }
            Action::Panic => {
                for (module, place) in self.layout.modules.iter().enumerate() {
                    if place.kind.spec.has_gate || place.kind.spec.has_notes {
                        schedule.add(module, frame, Task::Told(Told::Choke));
                    }
                }
                schedule.master.push((frame, MasterTask::Panic));
            }
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
                let frames = own(ramp_frames, frames(spec.smoothing_ms, self.desk.rate));
                let (voice, value) = (usize::from(voice), spec.clamp(value));
                self.tell(module, frame, Told::Voice { voice, param, value, frames });
            }
            Action::Clear => agenda(&mut self.arena, &self.layout).clear_before(sequence),
            Action::Test => schedule.master.push((frame, MasterTask::Test)),
            Action::MasterGain { gain, ramp_frames } => {
                let frames = own(ramp_frames, frames(MASTER_MS, self.desk.rate));
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
                    let decay = frames(BYPASS_MS, self.desk.rate);
                    module::bypass(place, &mut self.arena[place.words.clone()], decay);
                }
            }
            Action::Revive { module } => {
                if let Some(place) = self.layout.modules.get(usize::from(module)) {
                    let fade = frames(BYPASS_MS, self.desk.rate);
                    module::revive(place, &mut self.arena[place.words.clone()], fade);
                }
            }
        }
    }

    /// Lets a module be told something at a frame, if there is such a module.
    fn tell(&mut self, module: u16, frame: usize, told: Told) {
        if usize::from(module) < self.specs.len() {
            self.schedule.add(usize::from(module), frame, Task::Told(told));
        }
    }

    /// All state: what is copied, hashed, and given back to [`Rack::restore`]. `[audio]`
    pub fn state(&self) -> &[u64] {
        &self.arena
    }

    /// Goes on from a state taken from a rack of the same plan. On an error nothing changed.
    /// `[any]`
    pub fn restore(&mut self, state: &[u64]) -> Result<(), StateError> {
        let wanted = self.arena.len();
        if state.len() != wanted {
            return Err(StateError::Length { found: state.len(), wanted });
        }
        let words = &state[..words_of::<Header>()];
        let header = Header::ref_from_bytes(words.as_bytes()).map_err(|_| StateError::Layout)?;
        if header.magic != MAGIC {
            return Err(StateError::Layout);
        }
        if header.plan != self.plan {
            return Err(StateError::OtherPlan);
        }
        let wild = |what| Err(StateError::Wild { what });
        if header.agenda_len > AGENDA_CAPACITY as u64 {
            return wild("an agenda longer than there is room");
        }
        // Far from any real number, and near enough to the end that frames would overflow.
        if header.block > u64::MAX / 256 || header.sequence > u64::MAX / 2 {
            return wild("a time beyond all times");
        }
        for place in &self.layout.modules {
            match module::head(place, state) {
                Some(head) if head.waiting as usize <= QUEUE => {}
                _ => return wild("more gates waiting than there is room"),
            }
        }
        self.arena.copy_from_slice(state);
        self.cables.settled.fill(false);
        Ok(())
    }
}

fn header(arena: &mut [u64]) -> &mut Header {
    state_of(&mut arena[..words_of::<Header>()])
}

fn master(arena: &mut [u64]) -> &mut Master {
    state_of(&mut arena[words_of::<Header>()..][..words_of::<Master>()])
}

fn agenda<'a>(arena: &'a mut [u64], layout: &Layout) -> Agenda<'a> {
    let (before, rest) = arena.split_at_mut(layout.agenda.start);
    let len = &mut header(before).agenda_len;
    let (slots, _) = rest.as_chunks_mut::<4>();
    Agenda { slots, len }
}
