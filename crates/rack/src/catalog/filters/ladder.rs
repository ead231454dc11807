//! `ladder`: four poles that saturate, and sing by themselves.

use segue_dsp::by_stride;
use segue_dsp::filters::ladder::{Inputs, Ladder, ROWS};

use crate::catalog::kind::Kind;
use crate::catalog::panel::{Panel, split_state, words_for};
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The type `ladder`.
pub(crate) const KIND: Kind = Kind {
    outlets: |lanes| [lanes.voices, lanes.voices, 0, 0],
    state_words: |build| words_for::<f32>(ROWS * build.stride),
    end_block: |build, state| {
        by_stride!(build.stride, W => Ladder::<W>(split_state(state).0).settle());
    },
    ..Kind::new(SPEC, render)
};

const SPEC: ModuleSpec = ModuleSpec {
    inlets: &[InletSpec { name: "in", summary: "what is filtered" }],
    outlets: &[
        OutletSpec { name: "out", summary: "what lies below the cutoff, -24 dB an octave above" },
        OutletSpec { name: "low12", summary: "the same behind two stages of four, -12 dB" },
    ],
    params: &[
        ParamSpec::number("cutoff", Unit::Hertz, (10.0, 20_000.0), 1_000.0, "corner")
            .also(&["freq", "frequency"])
            .logarithmic(),
        ParamSpec::number(
            "resonance",
            Unit::Number,
            (0.0, 1.2),
            0.3,
            "the lows fall as it rises; above 1 it sings at the cutoff by itself, up to 0.52",
        )
        .also(&["res"]),
        ParamSpec::number(
            "drive",
            Unit::Gain,
            (0.1, 16.0),
            1.0,
            "gain of the input; a peak above 0.5 begins to saturate, none passes 2",
        )
        .logarithmic(),
    ],
    example: "saw = { type = \"osc\", shape = \"saw\", freq = \"F1\", voices = 3, spread = 9 }
bass = { type = \"ladder\", in = \"saw\", cutoff = 500, resonance = 0.7, drive = \"6dB\" }
out = { in = \"bass * 0.3\" }",
    ..ModuleSpec::named("ladder", "A four-pole low-pass that saturates, up to singing by itself.")
};

const IN: usize = 0;
const CUTOFF: usize = 1;
const RESONANCE: usize = 2;
const DRIVE: usize = 3;

/// One stretch.
fn render(panel: &mut Panel<'_>) {
    let inputs = Inputs {
        input: panel.signals[IN],
        cutoff: panel.signals[CUTOFF],
        resonance: panel.signals[RESONANCE],
        drive: panel.signals[DRIVE],
        rate: panel.build.rate,
    };
    let [out, low12, ..] = &mut panel.outlets;
    by_stride!(panel.build.stride, W => {
        Ladder::<W>(split_state(panel.state).0).render(&inputs, out, low12);
    });
}
