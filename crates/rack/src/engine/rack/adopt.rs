//! Going over to another plan, and the fade to it.

use multiversion::multiversion;

use crate::BLOCK_FRAMES;
use crate::engine::StateError;
use crate::engine::circuit::Circuit;
use crate::engine::layout::{Header, MAGIC};
use crate::engine::rack::Rack;
use crate::engine::successor::{Before, Successor};
use crate::plan::Plan;

impl Rack {
    /// Goes over to the next plan with the next block: what is in both goes on, what played
    /// before is faded from over `fade_frames`, in a straight line; 0 is a cut. Gives back what is
    /// to be dropped elsewhere: the circuit and arena of before, or what is no successor of this
    /// rack. A fade that still lasts ends with it. Where there was no room to prepare a fade it is
    /// a cut. `[audio]`
    pub fn adopt(
        &mut self,
        mut next: Box<Successor>,
        fade_frames: u32,
    ) -> Result<Box<Successor>, Box<Successor>> {
        if !next.follows(&self.circuit) {
            return Err(next);
        }
        next.inherit(&self.circuit, &mut self.arena);
        let fade = if next.crosses() { fade_frames } else { 0 };
        let from = u64::from(self.circuit.edition) + 1;
        let Successor { circuit, before, arena, .. } = &mut *next;
        if let Some(before) = before.as_ref().filter(|_| fade > 0) {
            let words = before.circuit.layout.range();
            arena[words].copy_from_slice(&self.arena[self.circuit.layout.range()]);
        }
        let header = circuit.layout.header(arena);
        header.before = if fade > 0 { from } else { 0 };
        (header.fade_left, header.fade_frames) = (fade, fade);
        std::mem::swap(&mut self.circuit, circuit);
        std::mem::swap(&mut self.before, before);
        std::mem::swap(&mut self.arena, arena);
        Ok(next)
    }

    /// Number of the plan that plays. `[any]`
    pub fn edition(&self) -> u32 {
        self.circuit.edition
    }

    /// The plan that plays. `[any]`
    pub fn plan(&self) -> &Plan {
        &self.circuit.plan
    }

    /// Number of the plan that is still faded from. `[any]`
    pub fn fading(&self) -> Option<u32> {
        self.faded_from().map(|before| before.circuit.edition)
    }

    /// Which module a crumb, a reset or a bypass names: edition of its plan, and index in there.
    /// `[any]`
    pub fn part(&self, part: u32) -> Option<(u32, u16)> {
        let modules = self.circuit.specs.len() as u32;
        let (circuit, module) = match part.checked_sub(modules) {
            None => (&self.circuit, part),
            Some(module) => (&self.faded_from()?.circuit, module),
        };
        let known = (module as usize) < circuit.specs.len();
        known.then_some((circuit.edition, module as u16))
    }

    /// The edition of the plan a state is of, and of the one it is fading from. `[any]`
    pub fn editions_of(state: &[u64]) -> Result<(u32, Option<u32>), StateError> {
        let header = Header::of(state).filter(|header| header.magic == MAGIC);
        let header = header.ok_or(StateError::Layout)?;
        let number = |number: u64| {
            u32::try_from(number).map_err(|_| StateError::Wild { what: "an edition out of range" })
        };
        let before = header.before.checked_sub(1).map(number).transpose()?;
        Ok((number(header.edition)?, before))
    }

    /// What is still faded from.
    pub(super) fn faded_from(&self) -> Option<&Before> {
        let header = Header::of(&self.arena)?;
        self.before.as_ref().filter(|before| before.is_named(header.before))
    }

    /// Whether it can play a state of these editions. `[any]`
    pub(in crate::engine) fn plays(&self, edition: u32, before: Option<u32>) -> bool {
        let known = self.before.as_ref().map(|before| before.circuit.edition);
        self.circuit.edition == edition && (before.is_none() || before == known)
    }
}

/// Mixes what went before beneath what plays now, and counts the fade down. `[audio]`
pub(super) fn cross(circuit: &mut Circuit, before: &mut Before, arena: &mut [u64]) {
    let header = circuit.layout.header(arena);
    let (left, total) = (header.fade_left, header.fade_frames);
    header.fade_left = left.saturating_sub(BLOCK_FRAMES as u32);
    if header.fade_left == 0 {
        (header.before, header.fade_frames) = (0, 0);
    }
    let done = total.saturating_sub(left);
    let frames = (left as usize).min(BLOCK_FRAMES);
    let mut shares = [0.0_f32; BLOCK_FRAMES];
    for (share, frame) in shares.iter_mut().zip(1..) {
        *share = done.saturating_add(frame) as f32 / total.max(1) as f32;
    }
    let (left, right) = before.circuit.buses();
    for (side, old) in [left, right].into_iter().enumerate() {
        let new = &mut circuit.bus_mut(side)[..frames];
        mix(&shares[..frames], &old[..frames], new);
    }
}

/// Old and new in the shares of a fade: where they are alike, exactly what both are.
#[multiversion(targets("x86_64+avx2"))]
fn mix(shares: &[f32], old: &[f32], new: &mut [f32]) {
    for ((new, old), share) in new.iter_mut().zip(old).zip(shares) {
        *new = old + (*new - old) * share;
    }
}
