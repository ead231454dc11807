//! `fault`: a module that misbehaves when told to; only in builds that test the rest.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use segue_dsp::by_stride;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::catalog::kind::Kind;
use crate::catalog::panel::{Panel, state_of, words_of};
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The type `fault`.
pub(super) const KIND: Kind = Kind {
    state_words: |_| STATE_WORDS,
    reset: |_, state| *state_of::<Harm>(state) = Harm { stain: 0, blocks: 0 },
    end_block: |_, state| state_of::<Harm>(state).blocks += 1,
    bridged: false,
    ..Kind::new(SPEC, render)
};

const SPEC: ModuleSpec = ModuleSpec {
    inlets: &[InletSpec { name: "in", summary: "what is passed on" }],
    outlets: &[OutletSpec { name: "out", summary: "the same" }],
    params: &[
        ParamSpec::choice(
            "mode",
            &[
                "panic", "abort", "exit", "loop", "slow", "hold", "nan", "diverge", "infinite",
                "overflow", "allocate", "wild",
            ],
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
        ParamSpec::number("slot", Unit::Number, (-1.0, 7.0), -1.0, "who: this slot, or -1 for all")
            .at_once(),
        ParamSpec::number("guest", Unit::Number, (0.0, 1e6), 0.0, "which guest of it; 0 for any")
            .at_once(),
        ParamSpec::number(
            "after",
            Unit::Number,
            (0.0, 1e6),
            0.0,
            "at which state: blocks it must have rendered before",
        )
        .at_once(),
    ],
    example: "osc = { type = \"osc\" }
harm = { type = \"fault\", in = \"osc\" }
out = { in = \"harm * 0.2\" }",
    ..ModuleSpec::named(
        "fault",
        "Passes its inlet on, and does harm when triggered. For tests of the engine.",
    )
};

/// What the module remembers.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Harm {
    /// What a replica adds to its own state, so that it differs from the others.
    stain: u64,
    /// Blocks it has rendered.
    blocks: u64,
}

/// Words of state.
const STATE_WORDS: usize = words_of::<Harm>();

const IN: usize = 0;
const MODE: usize = 1;
const PHASE: usize = 2;
const MS: usize = 3;
const TRIGGER: usize = 4;
const SLOT: usize = 5;
const GUEST: usize = 6;
const AFTER: usize = 7;

/// Who this process is: its slot plus one, and which guest of it; no part of any state, so that
/// one of several replicas can be hurt.
static REPLICA: (AtomicU32, AtomicU32) = (AtomicU32::new(0), AtomicU32::new(0));

/// Says which guest of which slot this process is. `[control]`
pub fn sit(slot: u32, guest: u32) {
    REPLICA.0.store(slot + 1, Ordering::Relaxed);
    REPLICA.1.store(guest, Ordering::Relaxed);
}

/// Whether this process is meant by the parameters.
fn is_meant(slot: f32, guest: f32) -> bool {
    let (own_slot, own_guest) =
        (REPLICA.0.load(Ordering::Relaxed) as f32 - 1.0, REPLICA.1.load(Ordering::Relaxed) as f32);
    (slot < 0.0 || slot == own_slot) && (guest <= 0.0 || guest == own_guest)
}

/// The trigger's index among the parameters.
pub(crate) const TRIGGER_PARAM: u16 = TRIGGER as u16 - 1;

/// What writes where it should not: rack alone has nothing it could reach.
static WILD: OnceLock<Box<dyn Fn() + Send + Sync>> = OnceLock::new();

/// Says how this process writes wildly. `[control]`
pub fn run_wild_by(write: impl Fn() + Send + Sync + 'static) {
    // Told once, by the process itself; a second telling would be the same.
    let _ = WILD.set(Box::new(write));
}

/// The harm done as a command is applied, where it is asked for; `params` are the parameters'
/// values. A replica that is to differ has its state stained then, which nobody hears.
pub(crate) fn strike_in_apply(params: &[f32], state: &mut [u64]) {
    let at = |place: usize| params[place - 1];
    let harm = state_of::<Harm>(state);
    let meant = is_meant(at(SLOT), at(GUEST)) && harm.blocks as f32 >= at(AFTER);
    match at(MODE) as u32 {
        _ if at(PHASE) != 1.0 || !meant => {}
        DIVERGE => harm.stain = u64::from(std::process::id()),
        mode => strike(mode, at(MS)),
    }
}

/// One stretch, and the harm if it is asked for in render.
fn render(panel: &mut Panel<'_>) {
    let input = panel.signals[IN];
    let out = &mut panel.outlets[0];
    by_stride!(panel.build.stride, W => {
        for (frame, lanes) in out.as_chunks_mut::<W>().0.iter_mut().enumerate() {
            *lanes = input.lanes::<W>(frame);
        }
    });
    if panel.signals[TRIGGER].at(0) <= 0.0 || panel.signals[PHASE].at(0) != 0.0 {
        return;
    }
    if !is_meant(panel.signals[SLOT].at(0), panel.signals[GUEST].at(0)) {
        return;
    }
    if (state_of::<Harm>(panel.state).blocks as f32) < panel.signals[AFTER].at(0) {
        return;
    }
    match panel.signals[MODE].at(0) as u32 {
        NAN => panel.outlets[0].fill(f32::NAN),
        INFINITE => panel.outlets[0].fill(f32::INFINITY),
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
const INFINITE: u32 = 8;
const OVERFLOW: u32 = 9;
const ALLOCATE: u32 = 10;
const WILD_WRITES: u32 = 11;

/// Bytes taken at once by the mode that takes all there is.
const PIECE_BYTES: usize = 64 << 20;

/// Calls itself until there is no stack left.
fn descend(depth: u64) -> u64 {
    if std::hint::black_box(depth) == u64::MAX {
        return 0;
    }
    std::hint::black_box(descend(depth + 1)) + 1
}

/// Does the harm. Breaks every rule of the audio path, which is what it is for.
fn strike(mode: u32, ms: f32) {
    match mode {
        PANIC => panic!("the fault module was told to panic"),
        ABORT => std::process::abort(),
        EXIT => std::process::exit(0),
        LOOP => loop {
            std::hint::black_box(mode);
        },
        SLOW => {
            let begin = std::time::Instant::now();
            while begin.elapsed().as_secs_f32() * 1_000.0 < ms {
                std::hint::black_box(ms);
            }
        }
        OVERFLOW => assert!(descend(0) > 0, "nobody comes back from there"),
        ALLOCATE => loop {
            // Reserved and kept, not touched: a bound is met before the machine is hurt.
            std::mem::forget(Vec::<u8>::with_capacity(std::hint::black_box(PIECE_BYTES)));
        },
        WILD_WRITES => WILD.get().into_iter().for_each(|write| write()),
        HOLD => loop {
            std::thread::park();
        },
        _ => {}
    }
}
