//! `lfo`: a slow wave that moves other sounds.

use segue_dsp::by_stride;
use segue_dsp::control::lfo::{Inputs, Lfo, ROWS, Shape};

use crate::catalog::kind::Kind;
use crate::catalog::panel::{Panel, split_state, words_for};
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The type `lfo`.
pub(crate) const KIND: Kind = Kind {
    outlets: |lanes| [lanes.voices, lanes.voices, 0, 0],
    state_words: |build| words_for::<u32>(ROWS * build.stride),
    reset: |build, state| {
        let seed = build.seed.wrapping_add(build.constants[SEED - INLETS] as u64);
        by_stride!(build.stride, W => Lfo::<W>(split_state(state).0).reset(seed));
    },
    ..Kind::new(SPEC, render)
};

const SPEC: ModuleSpec = ModuleSpec {
    inlets: &[InletSpec { name: "reset", summary: "begins the next turn as it rises through 0" }],
    outlets: &[
        OutletSpec { name: "out", summary: "the wave, -1 to 1" },
        OutletSpec { name: "up", summary: "the same, 0 to 1" },
    ],
    params: &[
        ParamSpec::choice(
            "shape",
            &["sine", "triangle", "saw", "square", "random", "smooth"],
            "wave form; random holds another level each turn, smooth glides between such levels",
        ),
        ParamSpec::number("rate", Unit::Hertz, (0.001, 200.0), 1.0, "turns a second")
            .also(&["freq", "frequency"])
            .logarithmic(),
        ParamSpec::number("phase", Unit::Number, (0.0, 1.0), 0.0, "turns the wave is ahead"),
        ParamSpec::number("seed", Unit::Number, (0.0, 65_535.0), 0.0, "another chance")
            .fixed_count(),
    ],
    example: "wobble = { type = \"lfo\", rate = 6.2, shape = \"triangle\" }
saw = { type = \"osc\", shape = \"saw\", freq = \"A1\" }
bass = { type = \"svf\", in = \"saw\", cutoff = \"300 + wobble * 2oct\", q = 3 }
out = { in = \"bass * 0.3\" }",
    ..ModuleSpec::named("lfo", "A slow wave for cutoffs, pitches and levels; one a voice.")
};

const INLETS: usize = 1;
const RESET: usize = 0;
const SHAPE: usize = 1;
const RATE: usize = 2;
const PHASE: usize = 3;
const SEED: usize = 4;

/// One stretch.
fn render(panel: &mut Panel<'_>) {
    let shape = match panel.signals[SHAPE].at(0) as u32 {
        0 => Shape::Sine,
        1 => Shape::Triangle,
        2 => Shape::Saw,
        3 => Shape::Square,
        4 => Shape::Random,
        _ => Shape::Smooth,
    };
    let inputs = Inputs {
        rate: panel.signals[RATE],
        phase: panel.signals[PHASE],
        reset: panel.is_connected(RESET).then_some(panel.signals[RESET]),
        frame_rate: panel.build.rate,
    };
    let [out, up, ..] = &mut panel.outlets;
    let still = by_stride!(panel.build.stride, W => {
        Lfo::<W>(split_state(panel.state).0).render(shape, &inputs, out, up)
    });
    panel.still = if still { 0b11 } else { 0 };
}
