//! What else a rack costs: the commands of a block, and its state.

use segue_rack::{Action, BLOCK_FRAMES, Command, OWN_SMOOTHING, Patch, Plan, Rack, Setup};
use segue_sys::clock::thread_cpu_ns;

/// Commands one block takes up.
pub(crate) const MOST: usize = 256;

fn build(patch: &str) -> (Plan, Rack) {
    let setup = Setup { state_bytes: 16 << 20, ..Setup::default() };
    let Ok(parsed) = Patch::parse(patch) else { panic!("not a patch:\n{patch}") };
    let Ok(plan) = Plan::compile(&parsed, &setup) else { panic!("no plan:\n{patch}") };
    let Ok(rack) = Rack::new(&plan, &setup) else { panic!("no rack:\n{patch}") };
    (plan, rack)
}

/// Bytes of state of a patch: what a standby copies and hashes.
pub(crate) fn state_bytes(patch: &str) -> usize {
    build(patch).1.state().len() * 8
}

/// A block of the rack of `patch` that takes up `count` commands due at `frames` different frames,
/// in microseconds: the middle of many.
pub(crate) fn block_us(patch: &str, count: usize, frames: usize) -> f64 {
    let (plan, mut rack) = build(patch);
    let knobs: Vec<(u16, u16)> = (0..plan.modules().len() as u16)
        .flat_map(|module| (0..8).map(move |param| (module, param)))
        .filter(|(module, param)| {
            let spec = plan.modules()[usize::from(*module)].spec().params.get(usize::from(*param));
            spec.is_some_and(|spec| !spec.fixed && spec.choices.is_empty())
        })
        .collect();
    let mut out = [0.0; BLOCK_FRAMES * 2];
    let mut took: Vec<u64> = (0..600)
        .map(|block| {
            let began = thread_cpu_ns();
            for at in 0..count {
                let (module, param) = knobs[at % knobs.len()];
                let value = rack.param(module, param).unwrap_or(0.0) * 1.000_1;
                let due = block * BLOCK_FRAMES as u64 + (at * frames / count * 7) as u64;
                let action = Action::Set { module, param, value, ramp_frames: OWN_SMOOTHING };
                rack.apply(&Command::at(due, action));
            }
            rack.render(&mut out, &mut |_| {});
            thread_cpu_ns() - began
        })
        .collect();
    took.sort_unstable();
    took[took.len() / 2] as f64 / 1e3
}
