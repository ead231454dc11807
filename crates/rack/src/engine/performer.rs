//! Whoever plays a show: a rack, and the plans it goes over to.

use std::collections::BTreeMap;

use crate::command::{Action, Command};
use crate::engine::StateError;
use crate::engine::rack::Rack;
use crate::engine::successor::Successor;
use crate::plan::{Plan, PlanError, Setup};

/// Where the plans of a show are kept.
pub trait Library {
    /// The plan of an edition. `[control]`, and on the audio path where nothing was prepared.
    fn plan(&mut self, edition: u32) -> Option<Plan>;

    /// A successor that was prepared to go over to an edition. `[audio]`
    fn ready(&mut self, edition: u32) -> Option<Box<Successor>> {
        let _ = edition;
        None
    }

    /// Takes what is to be dropped elsewhere. `[audio]`
    fn retire(&mut self, old: Box<Successor>) {
        drop(old);
    }
}

impl Library for BTreeMap<u32, Plan> {
    fn plan(&mut self, edition: u32) -> Option<Plan> {
        self.get(&edition).cloned()
    }
}

/// A rack that knows where plans are: what the log says, from the words of its records to blocks.
pub struct Performer<L> {
    rack: Rack,
    setup: Setup,
    probed: bool,
    library: L,
}

impl<L: Library> Performer<L> {
    /// The rack of an edition, which the library has, with its state initial. `[control]`
    pub fn new(library: L, edition: u32, setup: &Setup) -> Result<Self, PlanError> {
        Self::begin(library, edition, setup, false)
    }

    /// The same, whose modules can be listened to one by one: see
    /// [`Rack::probed`]. `[control]`
    pub fn probed(library: L, edition: u32, setup: &Setup) -> Result<Self, PlanError> {
        Self::begin(library, edition, setup, true)
    }

    fn begin(mut library: L, edition: u32, setup: &Setup, probed: bool) -> Result<Self, PlanError> {
        let plan = library.plan(edition);
        let plan = plan.ok_or(PlanError::Wild { what: "an edition without a plan" })?;
        let rack = Rack::build((&plan, edition), setup, probed)?;
        Ok(Performer { rack, setup: *setup, probed, library })
    }

    /// Does what the payload of a record says. What is no command, or is for a module of another
    /// edition, is counted and ignored, the same on all. `[audio]`, but for an edition nobody
    /// prepared a successor for.
    pub fn apply(&mut self, payload: &[u64; 4]) {
        let Ok(command) = Command::decode(payload) else { return self.rack.ignore() };
        if let Action::Adopt { edition, check, fade_frames } = command.action {
            return self.adopt(edition, check, fade_frames);
        }
        if command.module().is_some() && Command::edition_of(payload) != self.rack.edition() {
            return self.rack.ignore();
        }
        self.rack.apply(&command);
    }

    /// Goes over to another plan; if that is another than was meant, or none, nothing happens.
    fn adopt(&mut self, edition: u32, check: u32, fade_frames: u32) {
        let ready = if self.probed { None } else { self.library.ready(edition) };
        let mut next = match ready {
            Some(next) if (next.edition(), next.check()) == (edition, check) => Some(next),
            Some(other) => {
                self.library.retire(other);
                None
            }
            None => None,
        };
        for _ in 0..2 {
            let Some(successor) = next.or_else(|| self.successor(edition, check)) else { break };
            match self.rack.adopt(successor, fade_frames) {
                Ok(old) => return self.library.retire(old),
                Err(misfit) => self.library.retire(misfit),
            }
            next = None;
        }
        self.rack.ignore();
    }

    /// A successor made on the spot.
    fn successor(&mut self, edition: u32, check: u32) -> Option<Box<Successor>> {
        let plan = self.library.plan(edition).filter(|plan| plan.hash() as u32 == check)?;
        let from = (self.rack.plan(), self.rack.edition());
        Successor::build(from, (&plan, edition), &self.setup, self.probed).ok().map(Box::new)
    }

    /// Takes a part out of the rendering, by its number in the crumbs: see [`Rack::bypass`].
    /// `[audio]`
    pub fn bypass(&mut self, part: u32) {
        self.rack.bypass(part);
    }

    /// Whether a payload is for the module that is this part. `[audio]`
    pub fn is_for(&self, payload: &[u64; 4], part: u32) -> bool {
        let module = Command::decode(payload).ok().and_then(|command| command.module());
        let here = Command::edition_of(payload) == self.rack.edition();
        here && module.is_some_and(|module| u32::from(module) == part)
    }

    /// Renders the next block: see [`Rack::render`]. `[audio]`
    pub fn render(&mut self, out: &mut [f32], crumb: &mut dyn FnMut(u32)) {
        self.rack.render(out, crumb);
    }

    /// How often a part was reset, and which was the last, as crumbs number it. `[audio]`
    pub fn resets(&self) -> (u64, u32) {
        let notes = self.rack.notes();
        (notes.resets, notes.reset_module.saturating_sub(1) as u32)
    }

    /// All state: see [`Rack::state`]. `[audio]`
    pub fn state(&self) -> &[u64] {
        self.rack.state()
    }

    /// Goes on from a state of any edition whose plans the library has; on an error nothing
    /// changed. `[control]`, but `[audio]` where the rack could play that state as it is.
    pub fn restore(&mut self, state: &[u64]) -> Result<(), StateError> {
        let (edition, before) = Rack::editions_of(state)?;
        if self.rack.plays(edition, before) {
            return self.rack.restore(state);
        }
        let mut plan = |edition| self.library.plan(edition).ok_or(StateError::OtherPlan);
        let to = plan(edition)?;
        let rack = match before {
            None => Rack::build((&to, edition), &self.setup, self.probed),
            Some(before) => {
                let from = plan(before)?;
                Rack::crossing((&from, before), (&to, edition), &self.setup, self.probed)
            }
        };
        // A plan that cannot be played here is not the one the state was made with.
        let mut rack = rack.map_err(|_| StateError::OtherPlan)?;
        rack.restore(state)?;
        self.rack = rack;
        Ok(())
    }

    /// The rack as it stands. `[any]`
    pub fn rack(&self) -> &Rack {
        &self.rack
    }

    /// The plan that plays. `[any]`
    pub fn plan(&self) -> &Plan {
        self.rack.plan()
    }

    /// Number of the plan that plays. `[any]`
    pub fn edition(&self) -> u32 {
        self.rack.edition()
    }

    /// Where the plans are. `[any]`
    pub fn library(&mut self) -> &mut L {
        &mut self.library
    }
}
