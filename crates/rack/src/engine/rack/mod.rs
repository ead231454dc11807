//! A plan and its state: commands in, blocks out.

mod adopt;
mod look;

use segue_dsp::math::all_finite;

use crate::BLOCK_FRAMES;
use crate::command::{Action, Command};
use crate::engine::StateError;
use crate::engine::circuit::{Block, Circuit};
use crate::engine::layout::{Header, Tally};
use crate::engine::master::Desk;
use crate::engine::successor::{Before, Successor};
use crate::plan::{Plan, PlanError, Setup};

/// An instrument: a plan and its state; while that fades to another, both plans.
pub struct Rack {
    circuit: Circuit,
    /// The plan before, as long as it fades; then it only waits to be taken away.
    before: Option<Before>,
    desk: Desk,
    /// State of the circuit, then of that before.
    arena: Vec<u64>,
}

impl Rack {
    /// Builds the rack of a plan, which is edition 0: arena allocated and touched, state initial.
    /// `[control]`
    pub fn new(plan: &Plan, setup: &Setup) -> Result<Rack, PlanError> {
        Rack::build((plan, 0), setup, false)
    }

    /// The same, with every outlet to be looked at between blocks: see [`Rack::outlet`] and
    /// [`Rack::peak`]. The sound is the same, for a little more memory and time. `[control]`
    pub fn probed(plan: &Plan, setup: &Setup) -> Result<Rack, PlanError> {
        Rack::build((plan, 0), setup, true)
    }

    /// The rack of a plan of any edition. `[control]`
    pub(super) fn build(
        (plan, edition): (&Plan, u32),
        setup: &Setup,
        probed: bool,
    ) -> Result<Rack, PlanError> {
        let circuit = fitting(Circuit::new(check(plan, setup)?, edition, (0, probed)), setup)?;
        let mut arena = touched(circuit.layout.words);
        circuit.begin(&mut arena);
        let desk = Desk::new(setup.rate, usize::from(setup.channels));
        Ok(Rack { circuit, before: None, desk, arena })
    }

    /// A rack that could be anywhere in the fade from one plan to the next. `[control]`
    pub(super) fn crossing(
        from: (&Plan, u32),
        to: (&Plan, u32),
        setup: &Setup,
        probed: bool,
    ) -> Result<Rack, PlanError> {
        let Successor { circuit, before, arena, .. } = Successor::build(from, to, setup, probed)?;
        let desk = Desk::new(setup.rate, usize::from(setup.channels));
        Ok(Rack { circuit, before, desk, arena })
    }

    /// Takes a command, relative to the next block to render: what is due by then is due at its
    /// frame 0. Commands due at one frame are done in the order they were taken. What makes no
    /// sense is counted and ignored. What a module is told is told to it in the plan that is
    /// faded from as well. `[audio]`
    pub fn apply(&mut self, command: &Command) {
        if !self.circuit.takes(command) {
            self.ignore();
            return;
        }
        #[cfg(feature = "fault")]
        self.strike(command);
        let (slot, later) = self.numbered(command);
        let Rack { circuit, before, arena, .. } = self;
        if !circuit.layout.agenda(arena).push(slot, later) {
            circuit.layout.header(arena).notes.refused += 1;
        }
        if let Some(before) = fading(circuit, before, arena)
            && let Some(head) = before.head_for(command, slot[0])
        {
            // If there is no room, what goes down anyway goes down without it.
            before.circuit.layout.agenda(arena).push([head, slot[1], slot[2], slot[3]], later);
        }
    }

    /// Takes a part out of the rendering from the next block on: a module of the plan, or of the
    /// one that is faded from, by the number it has in [`Rack::render`]'s crumbs. `[audio]`
    pub fn bypass(&mut self, part: u32) {
        let modules = self.circuit.specs.len() as u32;
        let command = |module: u32| {
            let module = u16::try_from(module).unwrap_or(u16::MAX);
            Command::now(Action::Bypass { module })
        };
        let Some(part_before) = part.checked_sub(modules) else {
            return self.apply(&command(part));
        };
        let (slot, later) = self.numbered(&command(part_before));
        let Rack { circuit, before, arena, .. } = self;
        match fading(circuit, before, arena) {
            Some(before) if before.circuit.takes(&command(part_before)) => {
                before.circuit.layout.agenda(arena).push(slot, later);
            }
            _ => self.ignore(),
        }
    }

    /// Counts a command that means nothing here. `[audio]`
    pub(super) fn ignore(&mut self) {
        self.circuit.layout.header(&mut self.arena).notes.ignored += 1;
    }

    /// A command as it waits in the agenda, and whether it is for later than the next block.
    fn numbered(&mut self, command: &Command) -> ([u64; 4], bool) {
        let header = self.circuit.layout.header(&mut self.arena);
        let start = header.block * BLOCK_FRAMES as u64;
        header.sequence += 1;
        let [head, due, body, _] = command.encode();
        ([head, due.max(start), body, header.sequence], due > start)
    }

    /// The harm a fault module does while a command is applied.
    #[cfg(feature = "fault")]
    fn strike(&mut self, command: &Command) {
        use crate::catalog::PORTS_MAX;
        use crate::catalog::fault::{TRIGGER_PARAM, strike_in_apply};
        if let Action::Set { module, param: TRIGGER_PARAM, value, .. } = command.action
            && self.circuit.specs[usize::from(module)].name == "fault"
            && value > 0.0
        {
            let params: [f32; PORTS_MAX] =
                std::array::from_fn(|at| self.param(module, at as u16).unwrap_or(0.0));
            let place = &self.circuit.layout.modules[usize::from(module)];
            strike_in_apply(&params, super::module::state(place, &mut self.arena));
        }
    }

    /// Renders the next block: 64 frames, interleaved. `crumb` is called with the index of each
    /// module before it renders; those of a plan that is faded from come last, and count on.
    ///
    /// Panics if `out` is not 64 frames long. `[audio]`
    pub fn render(&mut self, out: &mut [f32], crumb: &mut dyn FnMut(u32)) {
        let Rack { circuit, before, desk, arena, .. } = self;
        assert_eq!(out.len(), BLOCK_FRAMES * desk.channels, "a block is 64 frames");
        let header = circuit.layout.header(arena);
        let (number, mut tally) = (header.block, header.notes);
        let start = number * BLOCK_FRAMES as u64;
        let block = Block { start, resets: tally.resets, first: 0 };
        let mut before = fading(circuit, before, arena);
        circuit.collect(arena, desk, start, &mut tally);
        if let Some(before) = &mut before {
            // What waits in both agendas was counted by now.
            before.circuit.collect(arena, desk, start, &mut Tally::default());
        }
        if circuit.layout.master(arena).has_ducked(desk) {
            circuit.silence(arena);
            if let Some(before) = &before {
                before.circuit.silence(arena);
            }
        }
        circuit.render(arena, desk, block, crumb, &mut tally);
        if let Some(before) = before {
            let block = Block { first: circuit.specs.len(), ..block };
            let mut aside = tally;
            before.circuit.render(arena, desk, block, crumb, &mut aside);
            (tally.resets, tally.reset_module) = (aside.resets, aside.reset_module);
            adopt::cross(circuit, before, arena);
        }
        let (limited, sound) = master_block(circuit, desk, arena, out);
        tally.limited += u64::from(limited);
        if !sound {
            tally.reset(circuit.layout.out, block.resets);
        }
        let header = circuit.layout.header(arena);
        header.notes = tally;
        header.block = number + 1;
    }

    /// All state: what is copied, hashed, and given back to [`Rack::restore`]. While a plan fades
    /// to the next it is longer. `[audio]`
    pub fn state(&self) -> &[u64] {
        let words = self.circuit.layout.words;
        match self.faded_from() {
            Some(before) => &self.arena[..words + before.circuit.layout.words],
            None => &self.arena[..words],
        }
    }

    /// Goes on from a state taken from a rack of the same plan and edition; where that was fading
    /// this one must be able to, from the same. On an error nothing changed. `[any]`
    pub fn restore(&mut self, state: &[u64]) -> Result<(), StateError> {
        let alone = self.circuit.layout.words;
        let length = |wanted| StateError::Length { found: state.len(), wanted };
        let header = Header::of(state).ok_or(length(alone))?;
        let before = self.before.as_ref().filter(|before| before.is_named(header.before));
        let wanted = alone + before.map_or(0, |before| before.circuit.layout.words);
        if state.len() != wanted {
            return Err(match Rack::editions_of(state) {
                Ok((_, Some(_))) if before.is_none() => StateError::OtherPlan,
                _ => length(wanted),
            });
        }
        self.circuit.check(state)?;
        match before {
            Some(before) => before.circuit.check(state)?,
            None if header.before > 0 => return Err(StateError::OtherPlan),
            None => {}
        }
        self.arena[..wanted].copy_from_slice(state);
        self.circuit.cables.settled.fill(false);
        if let Some(before) = &mut self.before {
            before.circuit.cables.settled.fill(false);
        }
        Ok(())
    }
}

/// What is still faded from.
fn fading<'a>(
    circuit: &Circuit,
    before: &'a mut Option<Before>,
    arena: &mut [u64],
) -> Option<&'a mut Before> {
    let header = circuit.layout.header(arena);
    before.as_mut().filter(|before| before.is_named(header.before))
}

/// A plan that is for this setup.
pub(super) fn check<'a>(plan: &'a Plan, setup: &Setup) -> Result<&'a Plan, PlanError> {
    setup.check()?;
    if plan.setup() == setup { Ok(plan) } else { Err(PlanError::Setup) }
}

/// A circuit whose state there is room for.
pub(super) fn fitting(circuit: Circuit, setup: &Setup) -> Result<Circuit, PlanError> {
    if circuit.layout.words * 8 > setup.state_bytes {
        return Err(PlanError::Wild { what: "more state than there is room" });
    }
    Ok(circuit)
}

/// Words that were written, not only reserved: the first render must not fault pages in.
pub(super) fn touched(words: usize) -> Vec<u64> {
    let mut arena = vec![u64::MAX; words];
    arena.fill(0);
    arena
}

/// The master's part of a block; frames the limiter held down, and whether it was finite.
fn master_block(circuit: &Circuit, desk: &Desk, arena: &mut [u64], out: &mut [f32]) -> (u32, bool) {
    let (left, right) = circuit.buses();
    let master = circuit.layout.master(arena);
    let channels = desk.channels;
    let (mut at, mut next, mut limited) = (0, 0, 0);
    let tasks = circuit.master_tasks();
    while at < BLOCK_FRAMES {
        while let Some((_, task)) = tasks.get(next).filter(|(frame, _)| *frame <= at) {
            master.perform(desk, *task);
            next += 1;
        }
        let to = tasks.get(next).map_or(BLOCK_FRAMES, |(frame, _)| *frame);
        let sides = (&left[at..to], &right[at..to]);
        limited += master.render(desk, sides, &mut out[at * channels..to * channels]);
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
