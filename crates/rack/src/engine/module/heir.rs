//! What a module of a new plan takes over from the one it stands for in the plan before.

use crate::catalog::Told;
use crate::engine::layout::{ModuleHead, Place};
use crate::engine::master::frames;
use crate::engine::module::{Parts, head, parts, ramp, set, tell};

/// Goes on where the other was, in every word; constants that are others now are gone to as if
/// they had been set. The layouts of both are alike. `[audio]`
pub(in crate::engine) fn follow(
    place: &Place,
    arena: &mut [u64],
    (old_place, old): (&Place, &[u64]),
) {
    let words = &mut arena[place.words.clone()];
    words.copy_from_slice(&old[old_place.words.clone()]);
    let mut parts = parts(place, words);
    for (param, spec) in place.kind.spec.params.iter().enumerate() {
        if changes(place, old_place, param) {
            let steps = !spec.choices.is_empty();
            let glide = frames(spec.smoothing_ms, place.build.rate as u32);
            let value = place.build.constants[param];
            set(place, &mut parts, param, value, if steps { 0 } else { glide }, steps);
        }
    }
    // Nobody listened to these, so what is kept of them is older than the last block.
    let mut first = 0;
    for (at, outlet) in place.outlets().iter().enumerate() {
        if old_place.unheard >> at & 1 == 1 {
            parts.last[first..first + outlet.stride].fill(0.0);
        }
        first += outlet.stride;
    }
}

/// Begins as new, set as the other was where the plans do not differ; an open gate is opened.
/// `[audio]`
pub(in crate::engine) fn resume(
    place: &Place,
    arena: &mut [u64],
    (old_place, old): (&Place, &[u64]),
) {
    let mut parts = parts(place, &mut arena[place.words.clone()]);
    for (param, spec) in place.kind.spec.params.iter().enumerate() {
        let same = !spec.fixed && !changes(place, old_place, param);
        if let Some(known) = ramp(old_place, old, param).filter(|_| same) {
            parts.ramps[param] = *known;
        }
    }
    if let Some(before) = head(old_place, old).filter(|_| place.kind.spec.has_gate) {
        open(place, &mut parts, before);
    }
}

/// Opens the gate if the other's was, or was to be.
fn open(place: &Place, parts: &mut Parts<'_>, before: &ModuleHead) {
    let level = before.gate();
    parts.head.level = level;
    parts.head.next_gate = before.next_gate;
    if level > 0.0 {
        tell(place, parts, Told::Gate { level });
    }
}

/// Whether the plans give a parameter other constants.
fn changes(place: &Place, old_place: &Place, param: usize) -> bool {
    let bits = |place: &Place| place.build.constants.get(param).map(|value| value.to_bits());
    bits(place) != bits(old_place)
}
