//! `fault`: a module that misbehaves when told to; only in builds that test the rest.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::catalog::panel::{Panel, state_of, words_of};
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The panel of `fault`.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "fault",
    aliases: &[],
    summary: "Passes its inlet on, and does harm when triggered. For tests of the engine.",
    inlets: &[InletSpec { name: "in", summary: "what is passed on" }],
    outlets: &[OutletSpec { name: "out", summary: "the same" }],
    params: &[
        ParamSpec::choice(
            "mode",
            &["panic", "abort", "exit", "loop", "slow", "hold", "nan", "diverge"],
            "the harm done",
        ),
        ParamSpec::choice(
            "phase",
            &["render", "apply"],
            "when: in render, or as the command is applied",
        ),
        ParamSpec::number(
            "ms",
            Unit::Milliseconds,
            (0.0, 60_000.0),
            5.0,
            "how long slow takes a block",
        )
        .at_once(),
        ParamSpec::number("trigger", Unit::Number, (0.0, 1.0), 0.0, "above 0: now").at_once(),
    ],
    has_gate: false,
};

/// What a replica adds to its own state, so that it differs from the others.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Harm {
    stain: u64,
}

/// Words of state.
pub(super) const STATE_WORDS: usize = words_of::<Harm>();

const IN: usize = 0;
const MODE: usize = 1;
const PHASE: usize = 2;
const MS: usize = 3;
const TRIGGER: usize = 4;

/// Index of the parameters among the params.
pub(crate) const MODE_PARAM: u16 = MODE as u16 - 1;
/// The phase parameter.
pub(crate) const PHASE_PARAM: u16 = PHASE as u16 - 1;
/// The trigger.
pub(crate) const TRIGGER_PARAM: u16 = TRIGGER as u16 - 1;

/// Harmless.
pub(super) fn reset(state: &mut [u64]) {
    state_of::<Harm>(state).stain = 0;
}

/// One stretch, and the harm if it is asked for in render.
pub(super) fn render(panel: &mut Panel<'_>) {
    let input = panel.signals[IN];
    for (frame, lanes) in panel.outlets[0].chunks_exact_mut(panel.stride).enumerate() {
        for (lane, out) in lanes.iter_mut().enumerate() {
            *out = match panel.stride {
                1 => input.at(frame),
                8 => input.lanes::<8>(frame)[lane],
                _ => input.lanes::<16>(frame)[lane],
            };
        }
    }
    if panel.signals[TRIGGER].at(0) <= 0.0 || panel.signals[PHASE].at(0) != 0.0 {
        return;
    }
    match panel.signals[MODE].at(0) as u32 {
        NAN => panel.outlets[0].fill(f32::NAN),
        DIVERGE => {
            let harm = state_of::<Harm>(panel.state);
            harm.stain = harm.stain.wrapping_mul(31).wrapping_add(u64::from(std::process::id()));
            let stain = (harm.stain % 1_000) as f32 * 1e-6;
            panel.outlets[0].iter_mut().for_each(|sample| *sample += stain);
        }
        mode => strike(mode, panel.signals[MS].at(0)),
    }
}

const PANIC: u32 = 0;
const ABORT: u32 = 1;
const EXIT: u32 = 2;
const LOOP: u32 = 3;
const SLOW: u32 = 4;
const HOLD: u32 = 5;
const NAN: u32 = 6;
const DIVERGE: u32 = 7;

/// Does the harm. Breaks every rule of the audio path, which is what it is for.
pub(crate) fn strike(mode: u32, ms: f32) {
    match mode {
        PANIC => panic!("the fault module was told to panic"),
        ABORT => std::process::abort(),
        EXIT => std::process::exit(3),
        LOOP => loop {
            std::hint::black_box(mode);
        },
        SLOW => {
            let begin = std::time::Instant::now();
            while begin.elapsed().as_secs_f32() * 1_000.0 < ms {
                std::hint::black_box(ms);
            }
        }
        HOLD => loop {
            std::thread::park();
        },
        _ => {}
    }
}
