//! `keys`: a player of one to sixteen voices.

use segue_dsp::by_stride;
use segue_dsp::control::keys::{COUNT_ROWS, Hand, Keys, Mode, REAL_ROWS, Steal, Touch};

use crate::catalog::kind::{Bounded, Build, Kind, Told, Width};
use crate::catalog::panel::{Panel, split_state, words_for};
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The type `keys`.
pub(crate) const KIND: Kind = Kind {
    width: |port| if port == LEVEL { Width::Voices } else { Width::Mono },
    outlets: |lanes| [lanes.voices; 4],
    state_words: |build| {
        words_for::<Hand>(1)
            + words_for::<f32>(REAL_ROWS * build.stride)
            + words_for::<u32>(COUNT_ROWS * build.stride)
    },
    reset: |build, state| by_stride!(build.stride, W => keys::<W>(state).reset()),
    tell,
    voice_param: |build, state, voice, param| {
        by_stride!(build.stride, W => {
            keys::<W>(state).shaped(voice, param)
        })
    },
    bridged: false,
    bounded: Bounded::Always,
    ..Kind::new(SPEC, render)
};

const SPEC: ModuleSpec = ModuleSpec {
    inlets: &[InletSpec {
        name: "level",
        summary: "what each voice sounds at, as delayed(env.level); for steal = quietest",
    }],
    outlets: &[
        OutletSpec { name: "pitch", summary: "Hz, a lane a voice" },
        OutletSpec {
            name: "gate",
            summary: "open while the note is held, as high as its velocity",
        },
        OutletSpec { name: "pressure", summary: "0 to 1, from /voice" },
        OutletSpec { name: "timbre", summary: "0 to 1, from /voice" },
    ],
    params: &[
        ParamSpec::number("voices", Unit::Number, (1.0, 16.0), 8.0, "how many voices")
            .fixed_count(),
        ParamSpec::choice(
            "mode",
            &["poly", "legato", "unison"],
            "a voice a note, one voice whose notes go over into each other, or all on one note",
        ),
        ParamSpec::choice("steal", &["oldest", "quietest"], "who gives way when all voices sound"),
        ParamSpec::number(
            "glide",
            Unit::Milliseconds,
            (0.0, 10_000.0),
            0.0,
            "time from one note of a voice to its next",
        )
        .at_once(),
        ParamSpec::number(
            "detune",
            Unit::Cents,
            (0.0, 100.0),
            12.0,
            "how far the outermost voices lie from the note in unison",
        )
        .at_once(),
    ],
    has_notes: true,
    voice_params: &[
        ParamSpec::number("bend", Unit::Cents, (-4_800.0, 4_800.0), 0.0, "away from the note"),
        ParamSpec::number("pressure", Unit::Gain, (0.0, 1.0), 0.0, "to the outlet pressure"),
        ParamSpec::number("timbre", Unit::Gain, (0.0, 1.0), 0.0, "to the outlet timbre"),
    ],
    example: "hands = { type = \"keys\", voices = 4 }
saw = { type = \"osc\", shape = \"saw\", freq = \"hands.pitch\" }
env = { type = \"adsr\", in = \"saw\", gate = \"hands.gate\" }
out = { in = \"env * 0.2\" }",
    ..ModuleSpec::named("keys", "A player: notes in, pitch and gate of one to sixteen voices out.")
};

const LEVEL: usize = 0;
const MODE: usize = 1;
const STEAL: usize = 2;
const GLIDE: usize = 3;
const DETUNE: usize = 4;

fn keys<const W: usize>(state: &mut [u64]) -> Keys<'_, W> {
    let (hand, rest) = split_state(state);
    let (reals, rest) = split_state(rest);
    Keys { hand, reals, counts: split_state(rest).0 }
}

fn tell(build: &Build, state: &mut [u64], told: Told, params: &[f32]) {
    let frames = |ms: f32| segue_dsp::math::round(ms * build.rate / 1_000.0) as u32;
    let touch = Touch {
        mode: match params[MODE] as u32 {
            0 => Mode::Poly,
            1 => Mode::Legato,
            _ => Mode::Unison,
        },
        steal: if params[STEAL] == 0.0 { Steal::Oldest } else { Steal::Quietest },
        glide: frames(params[GLIDE]),
        detune: params[DETUNE],
        gap: frames(1.0),
        voices: build.lanes.voices,
    };
    by_stride!(build.stride, W => {
        let mut keys = keys::<W>(state);
        match told {
            Told::Note(it) if it.velocity > 0.0 => {
                keys.strike(&touch, it.note, it.velocity, it.frames, it.voice);
            }
            Told::Note(it) => keys.release(&touch, it.note, it.voice),
            Told::Voice { voice, param, value, frames } => keys.shape(voice, param, value, frames),
            Told::Choke => keys.choke(),
            Told::Gate { .. } => {}
        }
    });
}

/// One stretch.
fn render(panel: &mut Panel<'_>) {
    let level = panel.is_connected(LEVEL).then_some(panel.signals[LEVEL]);
    panel.still = by_stride!(panel.build.stride, W => {
        keys::<W>(panel.state).render(level, &mut panel.outlets)
    });
}
