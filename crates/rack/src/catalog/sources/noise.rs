//! `noise`: white, pink or brown, of one to sixteen voices.

use segue_dsp::by_stride;
use segue_dsp::sources::noise::{CHANCE_ROWS, COLOR_ROWS, Color, Noise};

use crate::catalog::kind::Kind;
use crate::catalog::panel::{Panel, split_state, words_for};
use crate::catalog::spec::{ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The type `noise`.
pub(crate) const KIND: Kind = Kind {
    state_words: |build| {
        words_for::<u32>(CHANCE_ROWS * build.stride) + words_for::<f32>(COLOR_ROWS * build.stride)
    },
    reset: |build, state| {
        let seed = build.seed.wrapping_add(build.constants[SEED] as u64);
        by_stride!(build.stride, W => noise::<W>(state).reset(seed));
    },
    ..Kind::new(SPEC, render)
};

const SPEC: ModuleSpec = ModuleSpec {
    outlets: &[OutletSpec {
        name: "out",
        summary: "white -1 to 1 (rms 0.58); pink of rms 0.16, brown of 0.25 and within -1 to 1",
    }],
    params: &[
        ParamSpec::choice(
            "color",
            &["white", "pink", "brown"],
            "even over hertz, even over octaves (-3 dB an octave), or -6 dB an octave",
        )
        .also(&["colour"]),
        ParamSpec::number("voices", Unit::Number, (1.0, 16.0), 1.0, "how many voices")
            .fixed_count(),
        ParamSpec::number("seed", Unit::Number, (0.0, 65_535.0), 0.0, "another noise")
            .fixed_count(),
    ],
    example: "wind = { type = \"noise\", color = \"pink\", voices = 2 }
air = { type = \"svf\", in = \"wind\", cutoff = 900, q = 6 }
out = { in = \"air.band * 0.4\" }",
    ..ModuleSpec::named("noise", "Noise: white, pink or brown, of one to sixteen voices.")
};

const COLOR: usize = 0;
const SEED: usize = 2;

fn noise<const W: usize>(state: &mut [u64]) -> Noise<'_, W> {
    let (chance, rest) = split_state(state);
    Noise { chance, color: split_state(rest).0 }
}

/// One stretch.
fn render(panel: &mut Panel<'_>) {
    let color = match panel.signals[COLOR].at(0) as u32 {
        0 => Color::White,
        1 => Color::Pink,
        _ => Color::Brown,
    };
    let rate = panel.build.rate;
    let out = &mut panel.outlets[0];
    by_stride!(panel.build.stride, W => noise::<W>(panel.state).render(color, rate, out));
}
