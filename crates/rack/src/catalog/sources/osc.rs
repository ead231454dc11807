//! `osc`: an oscillator of one to sixteen voices.

use segue_dsp::by_stride;
use segue_dsp::sources::osc::{Inputs, Osc, Shape, TURNING_ROWS, WAVE_ROWS};

use crate::catalog::kind::{Bounded, Build, Kind};
use crate::catalog::panel::{Panel, split_state, words_for};
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The type `osc`.
pub(crate) const KIND: Kind = Kind {
    state_words: |build| {
        words_for::<u32>(TURNING_ROWS * build.stride) + words_for::<f32>(WAVE_ROWS * build.stride)
    },
    reset: |build, state| {
        let seed = build.seed.wrapping_add(build.constants[SEED - INLETS] as u64);
        by_stride!(build.stride, W => osc::<W>(state).reset(seed));
    },
    end_block: |build, state| by_stride!(build.stride, W => osc::<W>(state).end_block()),
    bounded: Bounded::Always,
    ..Kind::new(SPEC, render)
};

const SPEC: ModuleSpec = ModuleSpec {
    aliases: &["simple_sine"],
    inlets: &[InletSpec { name: "sync", summary: "begins the wave anew as it rises through 0" }],
    outlets: &[OutletSpec {
        name: "out",
        summary: "the wave, -1 to 1 (a narrow square up to 1.9)",
    }],
    params: &[
        ParamSpec::choice("shape", &["sine", "saw", "square", "triangle"], "wave form"),
        ParamSpec::number("freq", Unit::Hertz, (0.01, 20_000.0), 440.0, "pitch")
            .also(&["frequency"])
            .logarithmic(),
        ParamSpec::number("width", Unit::Number, (0.05, 0.95), 0.5, "high part of the square"),
        ParamSpec::number(
            "spread",
            Unit::Cents,
            (0.0, 1_200.0),
            0.0,
            "voices lie evenly from this far below the pitch to this far above",
        ),
        ParamSpec::number(
            "drift",
            Unit::Cents,
            (0.0, 100.0),
            0.0,
            "each voice wanders this far from its pitch, slowly",
        ),
        ParamSpec::number("voices", Unit::Number, (1.0, 16.0), 1.0, "how many voices")
            .fixed_count(),
        ParamSpec::number("seed", Unit::Number, (0.0, 65_535.0), 0.0, "another way to drift")
            .fixed_count(),
    ],
    example: "saw = { type = \"osc\", shape = \"saw\", freq = \"A2\", voices = 5, spread = 12 }
out = { in = \"saw * 0.1\" }",
    ..ModuleSpec::named(
        "osc",
        "An oscillator: sine, saw, square or triangle, of one to sixteen voices.",
    )
};

const INLETS: usize = 1;
const SYNC: usize = 0;
const SHAPE: usize = 1;
const FREQ: usize = 2;
const WIDTH: usize = 3;
const SPREAD: usize = 4;
const DRIFT: usize = 5;
const SEED: usize = 7;

fn osc<const W: usize>(state: &mut [u64]) -> Osc<'_, W> {
    let (turning, rest) = split_state(state);
    Osc { turning, wave: split_state(rest).0 }
}

/// One stretch.
fn render(panel: &mut Panel<'_>) {
    let shape = match panel.signals[SHAPE].at(0) as u32 {
        0 => Shape::Sine,
        1 => Shape::Saw,
        2 => Shape::Square,
        _ => Shape::Triangle,
    };
    let build: &Build = panel.build;
    let inputs = Inputs {
        freq: panel.signals[FREQ],
        width: panel.signals[WIDTH],
        spread: panel.signals[SPREAD],
        drift: panel.signals[DRIFT],
        sync: panel.is_connected(SYNC).then_some(panel.signals[SYNC]),
        voices: build.lanes.voices,
        rate: build.rate,
    };
    let out = &mut panel.outlets[0];
    by_stride!(build.stride, W => osc::<W>(panel.state).render(shape, &inputs, out));
}
