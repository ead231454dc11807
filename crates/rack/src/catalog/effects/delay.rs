//! `delay`: an echo whose time may move.

use segue_dsp::effects::delay::{self, Head, Inputs, Route};

use crate::catalog::effects::SIDES;
use crate::catalog::kind::{Build, Kind, Width};
use crate::catalog::panel::{Panel, samples_of, split_state, words_for, words_of};
use crate::catalog::spec::{ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The type `delay`.
pub(crate) const KIND: Kind = Kind {
    width: |port| if port <= RIGHT { Width::Sum } else { Width::Mono },
    outlets: |_| [1, 1, 0, 0],
    state_words: |build| words_of::<Head>() + words_for::<f32>(samples(build)),
    // What stands in the lines is not heard once the head is as new.
    reset: |_, state| *split_state::<Head>(state).0 = Head::default(),
    end_block: |_, state| delay::rest(split_state(state).0),
    ..Kind::new(SPEC, render)
};

const SPEC: ModuleSpec = ModuleSpec {
    inlets: &SIDES,
    outlets: &[
        OutletSpec { name: "left", summary: "the left side; where it is mono, all of it" },
        OutletSpec { name: "right", summary: "the right side" },
    ],
    params: &[
        ParamSpec::number(
            "time",
            Unit::Milliseconds,
            (0.0, 60_000.0),
            375.0,
            "from a sound to its echo, two frames at least; glides like a tape where it jumps",
        )
        .up_to("max")
        .at_once(),
        ParamSpec::number(
            "feedback",
            Unit::Gain,
            (-1.0, 1.0),
            0.4,
            "how much of an echo comes again; the loop is bounded at 1 as well",
        ),
        ParamSpec::number(
            "damp",
            Unit::Hertz,
            (20.0, 20_000.0),
            6_000.0,
            "corner of the low-pass in the loop: each echo is darker",
        )
        .logarithmic(),
        ParamSpec::number(
            "mix",
            Unit::Number,
            (0.0, 1.0),
            0.5,
            "0 is what came in, 1 is the echo alone",
        ),
        ParamSpec::number(
            "max",
            Unit::Milliseconds,
            (1.0, 60_000.0),
            2_000.0,
            "the longest time; a second takes 192 kB of state at 48 kHz, twice that with two sides",
        )
        .fixed(),
        ParamSpec::choice(
            "mode",
            &["mono", "stereo", "pingpong"],
            "one line, one a side, or two that lead into each other",
        )
        .fixed(),
    ],
    example: "saw = { type = \"osc\", shape = \"saw\", freq = 220 }
env = { type = \"adsr\", in = \"saw\", decay = 90, sustain = 0 }
echo = { type = \"delay\", in = \"env\", time = 300, max = 400, mode = \"pingpong\" }
out = { left = \"echo.left * 0.5\", right = \"echo.right * 0.5\" }",
    ..ModuleSpec::named("delay", "An echo, mono, stereo or from side to side, with a tape's time.")
};

const IN: usize = 0;
const LEFT: usize = 1;
const RIGHT: usize = 2;
const TIME: usize = 3;
const FEEDBACK: usize = 4;
const DAMP: usize = 5;
const MIX: usize = 6;
const MAX: usize = 7;
const MODE: usize = 8;

fn route(build: &Build) -> Route {
    match build.constants[MODE - TIME] as u32 {
        0 => Route::Mono,
        1 => Route::Stereo,
        _ => Route::PingPong,
    }
}

/// Samples of all lines.
fn samples(build: &Build) -> usize {
    delay::samples_for(build.constants[MAX - TIME], build.rate) * route(build).lines()
}

/// One stretch.
fn render(panel: &mut Panel<'_>) {
    let inputs = Inputs {
        input: panel.signals[IN],
        left: panel.signals[LEFT],
        right: panel.signals[RIGHT],
        time: panel.signals[TIME],
        feedback: panel.signals[FEEDBACK],
        damp: panel.signals[DAMP],
        mix: panel.signals[MIX],
        rate: panel.build.rate,
    };
    let route = route(panel.build);
    let (head, rest) = split_state(panel.state);
    let lines = samples_of(rest, samples(panel.build));
    let [left, right, ..] = &mut panel.outlets;
    delay::render(route, (head, lines), &inputs, [left, right]);
}
