//! What can be seen of a rack between two blocks.

use zerocopy::{FromBytes, IntoBytes};

use crate::catalog::words_of;
use crate::command::Command;
use crate::engine::layout::{Header, Master};
use crate::engine::rack::Rack;
use crate::engine::{Notes, module};

impl Rack {
    /// Index of the next block to render. `[any]`
    pub fn block(&self) -> u64 {
        self.header().map_or(0, |header| header.block)
    }

    /// The constant a parameter has or is on its way to: what was set last. A command that waits
    /// is not yet seen; see [`Rack::pending`]. `[any]`
    pub fn param(&self, module: u16, param: u16) -> Option<f32> {
        let place = self.circuit.layout.modules.get(usize::from(module))?;
        module::ramp(place, &self.arena, usize::from(param)).map(|ramp| ramp.target())
    }

    /// What the gate of a module was told last; `None` where there is no gate. `[any]`
    pub fn gate(&self, module: u16) -> Option<f32> {
        let place = self.circuit.layout.modules.get(usize::from(module));
        let place = place.filter(|place| place.kind.spec.has_gate)?;
        module::head(place, &self.arena).map(|head| head.gate())
    }

    /// What a parameter of a voice (from 1) of a player was set to. `[control]`
    pub fn voice_param(&self, module: u16, voice: u8, param: u16) -> Option<f32> {
        let place = self.circuit.layout.modules.get(usize::from(module))?;
        let voice = usize::from(voice.checked_sub(1)?);
        module::voice_param(place, &self.arena, voice, usize::from(param))
    }

    /// Whether a module is bypassed. `[any]`
    pub fn is_bypassed(&self, module: u16) -> bool {
        let place = self.circuit.layout.modules.get(usize::from(module));
        let head = place.and_then(|place| module::head(place, &self.arena));
        head.is_some_and(|head| head.bypassed != 0)
    }

    /// The largest magnitude a module's outlets had in the block rendered last, before the
    /// master; `None` for no module. Of a rack that is not probed only `out` is known. `[any]`
    pub fn peak(&self, module: u16) -> Option<f32> {
        let place = self.circuit.layout.modules.get(usize::from(module))?;
        let samples = place.outlets.iter().flat_map(|outlet| self.circuit.cables.outlet(outlet));
        let louder = |most, sample: &f32| if sample.abs() > most { sample.abs() } else { most };
        Some(samples.fold(0.0, louder))
    }

    /// What an outlet gave in the block rendered last, `[frame][lane]`, and how many lanes a
    /// frame has and how many of them mean something; `None` for no such outlet. Of a rack that
    /// is not probed the samples may be another module's. `[any]`
    pub fn outlet(&self, module: u16, outlet: usize) -> Option<(&[f32], usize, usize)> {
        let place = self.circuit.layout.modules.get(usize::from(module))?;
        let outlet = place.outlets.get(outlet).filter(|outlet| outlet.page.is_some())?;
        Some((self.circuit.cables.outlet(outlet), outlet.stride, outlet.lanes))
    }

    /// The master gain (linear) set last, and whether muted. `[any]`
    pub fn master(&self) -> (f32, bool) {
        let words = &self.arena[words_of::<Header>()..][..words_of::<Master>()];
        Master::ref_from_bytes(words.as_bytes())
            .map_or((1.0, false), |master| (master.gain.target(), master.muted != 0))
    }

    /// How many commands wait. `[any]`
    pub fn agenda_len(&self) -> usize {
        self.header().map_or(0, |header| header.agenda_len as usize)
    }

    /// The commands that wait, each with its frame, in no particular order. `[any]`
    pub fn pending(&self) -> impl Iterator<Item = Command> + '_ {
        let (slots, _) = self.arena[self.circuit.layout.agenda.clone()].as_chunks::<4>();
        let waiting = slots.iter().take(self.agenda_len());
        waiting.filter_map(|slot| Command::decode(&[slot[0], slot[1], slot[2], 0]).ok())
    }

    /// What was counted so far. `[any]`
    pub fn notes(&self) -> Notes {
        let tally = self.header().map(|header| header.notes).unwrap_or_default();
        Notes {
            moved: tally.moved,
            resets: tally.resets,
            reset_module: tally.reset_module,
            ignored: tally.ignored,
            skipped: tally.skipped,
            refused: tally.refused,
            merged: tally.merged,
            limited: tally.limited,
        }
    }

    fn header(&self) -> Option<&Header> {
        Header::of(&self.arena)
    }
}
