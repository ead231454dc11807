//! `svf`: a state-variable filter, all of its responses at once.

use segue_dsp::by_stride;
use segue_dsp::filters::Inputs;
use segue_dsp::filters::svf::{ROWS, Svf};

use crate::catalog::filters::{CUTOFF_PARAM, Q_PARAM};
use crate::catalog::kind::Kind;
use crate::catalog::panel::{Panel, split_state, words_for};
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec};

/// The type `svf`.
pub(crate) const KIND: Kind = Kind {
    outlets: |lanes| [lanes.voices; 4],
    state_words: |build| words_for::<f32>(ROWS * build.stride),
    end_block: |build, state| {
        by_stride!(build.stride, W => Svf::<W>(split_state(state).0).settle());
    },
    ..Kind::new(SPEC, render)
};

const SPEC: ModuleSpec = ModuleSpec {
    inlets: &[InletSpec { name: "in", summary: "what is filtered" }],
    outlets: &[
        OutletSpec { name: "low", summary: "what lies below the cutoff" },
        OutletSpec { name: "band", summary: "what lies around it, 1 at the cutoff" },
        OutletSpec { name: "high", summary: "what lies above it" },
        OutletSpec { name: "notch", summary: "all but what lies around it" },
    ],
    params: &[CUTOFF_PARAM, Q_PARAM],
    example: "saw = { type = \"osc\", shape = \"saw\", freq = 110 }
split = { type = \"svf\", in = \"saw\", cutoff = 700, q = 3 }
out = { left = \"split.low * 0.3\", right = \"split.high * 0.3\" }",
    ..ModuleSpec::named("svf", "A two-pole filter with all of its responses at once.")
};

const IN: usize = 0;
const CUTOFF: usize = 1;
const Q: usize = 2;

/// One stretch.
fn render(panel: &mut Panel<'_>) {
    let inputs = Inputs {
        input: panel.signals[IN],
        cutoff: panel.signals[CUTOFF],
        q: panel.signals[Q],
        rate: panel.build.rate,
    };
    by_stride!(panel.build.stride, W => {
        Svf::<W>(split_state(panel.state).0).render(&inputs, &mut panel.outlets);
    });
}
