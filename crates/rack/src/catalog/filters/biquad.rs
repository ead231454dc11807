//! `biquad`: a filter of two poles and two zeros.

use segue_dsp::by_stride;
use segue_dsp::filters::Inputs;
use segue_dsp::filters::biquad::{Biquad, Mode, ROWS};

use crate::catalog::filters::{CUTOFF_PARAM, Q_PARAM};
use crate::catalog::kind::Kind;
use crate::catalog::panel::{Panel, split_state, words_for};
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec, ParamSpec};

/// The type `biquad`.
pub(crate) const KIND: Kind = Kind {
    state_words: |build| words_for::<f32>(ROWS * build.stride),
    end_block: |build, state| {
        by_stride!(build.stride, W => Biquad::<W>(split_state(state).0).settle());
    },
    ..Kind::new(SPEC, render)
};

const SPEC: ModuleSpec = ModuleSpec {
    aliases: &["biquad_filter"],
    inlets: &[InletSpec { name: "in", summary: "what is filtered" }],
    outlets: &[OutletSpec { name: "out", summary: "what the filter lets through" }],
    params: &[
        ParamSpec::choice(
            "mode",
            &["lowpass", "highpass", "bandpass", "notch"],
            "what is let through",
        ),
        CUTOFF_PARAM,
        Q_PARAM,
    ],
    example: "saw = { type = \"osc\", shape = \"saw\", freq = 110 }
dark = { type = \"biquad\", in = \"saw\", cutoff = 400, q = 4 }
out = { in = \"dark * 0.3\" }",
    ..ModuleSpec::named("biquad", "A two-pole filter whose cutoff may move with every sample.")
};

const IN: usize = 0;
const MODE: usize = 1;
const CUTOFF: usize = 2;
const Q: usize = 3;

/// One stretch.
fn render(panel: &mut Panel<'_>) {
    let mode = match panel.signals[MODE].at(0) as u32 {
        0 => Mode::Lowpass,
        1 => Mode::Highpass,
        2 => Mode::Bandpass,
        _ => Mode::Notch,
    };
    let inputs = Inputs {
        input: panel.signals[IN],
        cutoff: panel.signals[CUTOFF],
        q: panel.signals[Q],
        rate: panel.build.rate,
    };
    let out = &mut panel.outlets[0];
    by_stride!(panel.build.stride, W => {
        Biquad::<W>(split_state(panel.state).0).render(mode, &inputs, out);
    });
}
