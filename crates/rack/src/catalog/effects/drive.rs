//! `drive`: a saturator without audible aliasing.

use segue_dsp::by_stride;
use segue_dsp::effects::drive::{Drive, Inputs, ROWS, Shape};

use crate::catalog::kind::Kind;
use crate::catalog::panel::{Panel, split_state, words_for};
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The type `drive`.
pub(crate) const KIND: Kind = Kind {
    state_words: |build| words_for::<f32>(ROWS * build.stride),
    end_block: |build, state| {
        by_stride!(build.stride, W => Drive::<W>(split_state(state).0).settle());
    },
    ..Kind::new(SPEC, render)
};

const SPEC: ModuleSpec = ModuleSpec {
    inlets: &[InletSpec { name: "in", summary: "what is driven" }],
    outlets: &[OutletSpec {
        name: "out",
        summary: "3.15 frames later; -level to level at bias 0, where edges ring up to 1.7 of it",
    }],
    params: &[
        ParamSpec::choice(
            "shape",
            &["soft", "hard", "fold"],
            "bent towards 1, cut at 1, or folded back as a sine folds",
        ),
        ParamSpec::number("drive", Unit::Gain, (0.1, 64.0), 4.0, "gain before the curve")
            .also(&["gain"])
            .logarithmic(),
        ParamSpec::number(
            "bias",
            Unit::Number,
            (-1.0, 1.0),
            0.0,
            "moves the sound to one side of the curve: even partials, and some direct current",
        ),
        ParamSpec::number("mix", Unit::Number, (0.0, 1.0), 1.0, "part of what is driven"),
        ParamSpec::number("level", Unit::Gain, (0.0, 4.0), 1.0, "gain of what comes out"),
    ],
    example: "sine = { type = \"osc\", freq = \"A1\" }
warm = { type = \"drive\", in = \"sine\", drive = \"18dB\", bias = 0.3 }
out = { in = \"warm * 0.3\" }",
    ..ModuleSpec::named("drive", "A saturator, soft, hard or folding, oversampled four times.")
};

const IN: usize = 0;
const SHAPE: usize = 1;
const DRIVE: usize = 2;
const BIAS: usize = 3;
const MIX: usize = 4;
const LEVEL: usize = 5;

/// One stretch.
fn render(panel: &mut Panel<'_>) {
    let shape = match panel.signals[SHAPE].at(0) as u32 {
        0 => Shape::Soft,
        1 => Shape::Hard,
        _ => Shape::Fold,
    };
    let inputs = Inputs {
        input: panel.signals[IN],
        drive: panel.signals[DRIVE],
        bias: panel.signals[BIAS],
        mix: panel.signals[MIX],
        level: panel.signals[LEVEL],
    };
    let out = &mut panel.outlets[0];
    by_stride!(panel.build.stride, W => {
        Drive::<W>(split_state(panel.state).0).render(shape, &inputs, out);
    });
}
