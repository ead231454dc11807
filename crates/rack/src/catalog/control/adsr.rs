//! `adsr`: an envelope, and the amplifier it opens.

use segue_dsp::by_stride;
use segue_dsp::control::adsr::{Adsr, COURSE_ROWS, Inputs, LEVEL_ROWS, STAGE_ROWS};
use segue_dsp::signal::{Signal, multiply};

use crate::catalog::kind::{Bounded, Build, Kind, Told, Width};
use crate::catalog::panel::{Panel, split_state, words_for};
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The type `adsr`. Its envelopes are as many as what moves them, whatever they let through.
pub(crate) const KIND: Kind = Kind {
    width: |port| if port == IN { Width::Voices } else { Width::Control },
    outlets: |lanes| [lanes.voices, lanes.control, 0, 0],
    // What comes in has to be multiplied by something.
    always: |connected| if connected >> IN & 1 == 1 { 0b11 } else { 0b1 },
    state_words: |build| {
        let lanes = build.control_stride;
        COURSE_ROWS * lanes
            + words_for::<f32>(LEVEL_ROWS * lanes)
            + words_for::<u32>(STAGE_ROWS * lanes)
    },
    reset: |build, state| by_stride!(build.control_stride, W => adsr::<W>(state).reset()),
    tell,
    bounded: Bounded::ByInlets,
    ..Kind::new(SPEC, render)
};

const SPEC: ModuleSpec = ModuleSpec {
    inlets: &[
        InletSpec { name: "in", summary: "what the envelope lets through" },
        InletSpec { name: "gate", summary: "open while above 0; its height is the velocity" },
    ],
    outlets: &[
        OutletSpec { name: "out", summary: "in x level; without a cable at in, the level" },
        OutletSpec { name: "level", summary: "the level, 0 to 1" },
    ],
    params: &[
        ParamSpec::number(
            "attack",
            Unit::Milliseconds,
            (0.0, 60_000.0),
            5.0,
            "time of the straight rise to the velocity, from whatever level",
        )
        .logarithmic()
        .at_once(),
        ParamSpec::number(
            "decay",
            Unit::Milliseconds,
            (0.0, 60_000.0),
            100.0,
            "time of the exponential fall to the sustain level",
        )
        .logarithmic()
        .at_once(),
        ParamSpec::number("sustain", Unit::Gain, (0.0, 1.0), 0.7, "level held, of the velocity"),
        ParamSpec::number(
            "release",
            Unit::Milliseconds,
            (0.0, 60_000.0),
            200.0,
            "time of the exponential fall to silence, from whatever level",
        )
        .logarithmic()
        .at_once(),
    ],
    has_gate: true,
    example: "osc = { type = \"osc\", freq = 220 }
env = { type = \"adsr\", in = \"osc\", attack = 5, release = 300 }
out = { in = \"env * 0.3\" }",
    ..ModuleSpec::named(
        "adsr",
        "An envelope: attack, decay, sustain, release, as high as its gate's velocity.",
    )
};

const IN: usize = 0;
const GATE: usize = 1;
const ATTACK: usize = 2;
const DECAY: usize = 3;
const SUSTAIN: usize = 4;
const RELEASE: usize = 5;

fn adsr<const W: usize>(state: &mut [u64]) -> Adsr<'_, W> {
    let (course, rest) = split_state(state);
    let (level, rest) = split_state(rest);
    Adsr { course, level, stage: split_state(rest).0 }
}

fn tell(build: &Build, state: &mut [u64], told: Told, _: &[f32]) {
    by_stride!(build.control_stride, W => match told {
        Told::Gate { level } => adsr::<W>(state).gate(level),
        Told::Choke => adsr::<W>(state).choke(),
        Told::Note(_) | Told::Voice { .. } => {}
    });
}

/// One stretch.
fn render(panel: &mut Panel<'_>) {
    let build = panel.build;
    let inputs = Inputs {
        gate: panel.is_connected(GATE).then_some(panel.signals[GATE]),
        attack: panel.signals[ATTACK],
        decay: panel.signals[DECAY],
        sustain: panel.signals[SUSTAIN],
        release: panel.signals[RELEASE],
        rate: build.rate,
    };
    let plugged = panel.is_connected(IN);
    let [out, level, ..] = &mut panel.outlets;
    let envelope = if plugged { &mut **level } else { &mut **out };
    let still =
        by_stride!(build.control_stride, W => adsr::<W>(panel.state).render(&inputs, envelope));
    if plugged {
        let envelope = match still {
            true => Signal::still(level, build.control_stride),
            false => Signal::cable(level, build.control_stride),
        };
        multiply(build.stride, panel.signals[IN], envelope, out);
        panel.still = if still { 0b10 } else { 0 };
    } else {
        // Nothing comes in, so there are as many voices as envelopes.
        if !level.is_empty() {
            let written = if still { build.control_stride } else { out.len() };
            level[..written].copy_from_slice(&out[..written]);
        }
        panel.still = if still { 0b11 } else { 0 };
    }
}
