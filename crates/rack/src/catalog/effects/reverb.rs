//! `reverb`: a room.

use segue_dsp::effects::reverb::{self, Head, Inputs, Room};

use crate::catalog::effects::SIDES;
use crate::catalog::kind::{Build, Kind, Width};
use crate::catalog::panel::{Panel, samples_of, split_state, words_for, words_of};
use crate::catalog::spec::{ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The type `reverb`.
pub(crate) const KIND: Kind = Kind {
    width: |port| if port <= RIGHT { Width::Sum } else { Width::Mono },
    outlets: |_| [1, 1, 0, 0],
    state_words: |build| words_of::<Head>() + words_for::<f32>(room(build).samples()),
    reset: |build, state| {
        state.fill(0);
        *split_state(state).0 = Head::new(room(build));
    },
    end_block: |_, state| split_state::<Head>(state).0.settle(),
    ..Kind::new(SPEC, render)
};

const SPEC: ModuleSpec = ModuleSpec {
    inlets: &SIDES,
    outlets: &[
        OutletSpec { name: "left", summary: "the left side" },
        OutletSpec { name: "right", summary: "the right side" },
    ],
    params: &[
        ParamSpec::number(
            "decay",
            Unit::Milliseconds,
            (100.0, 60_000.0),
            2_000.0,
            "time in which it loses 60 dB, met within 10 % at 500 Hz",
        )
        .logarithmic(),
        ParamSpec::number(
            "damping",
            Unit::Number,
            (0.0, 1.0),
            0.5,
            "how much of the decay the highest frequencies lack",
        ),
        ParamSpec::number(
            "motion",
            Unit::Number,
            (0.0, 1.0),
            0.4,
            "how far the walls move, slowly: at 1 the pitch wavers by 3 ct",
        ),
        ParamSpec::number(
            "mix",
            Unit::Number,
            (0.0, 1.0),
            0.35,
            "0 is what came in, 1 is the room alone",
        ),
        ParamSpec::number(
            "size",
            Unit::Number,
            (0.2, 4.0),
            1.0,
            "1 is a hall, walls 10 to 23 m apart; takes 120 kB of state at 48 kHz",
        )
        .logarithmic()
        .fixed(),
        ParamSpec::number(
            "predelay",
            Unit::Milliseconds,
            (0.0, 500.0),
            10.0,
            "before the room answers",
        )
        .fixed(),
    ],
    example: "saw = { type = \"osc\", shape = \"saw\", freq = 220 }
env = { type = \"adsr\", in = \"saw\", decay = 90, sustain = 0 }
hall = { type = \"reverb\", in = \"env\", decay = \"3s\" }
out = { left = \"hall.left * 0.6\", right = \"hall.right * 0.6\" }",
    ..ModuleSpec::named("reverb", "A room, from a chamber to a cathedral.")
};

const IN: usize = 0;
const LEFT: usize = 1;
const RIGHT: usize = 2;
const DECAY: usize = 3;
const DAMPING: usize = 4;
const MOTION: usize = 5;
const MIX: usize = 6;
const SIZE: usize = 7;
const PREDELAY: usize = 8;

fn room(build: &Build) -> Room {
    Room::new(build.constants[SIZE - DECAY], build.constants[PREDELAY - DECAY], build.rate)
}

/// One stretch.
fn render(panel: &mut Panel<'_>) {
    let inputs = Inputs {
        input: panel.signals[IN],
        left: panel.signals[LEFT],
        right: panel.signals[RIGHT],
        decay: panel.signals[DECAY],
        damping: panel.signals[DAMPING],
        motion: panel.signals[MOTION],
        mix: panel.signals[MIX],
        rate: panel.build.rate,
    };
    let (head, rest) = split_state::<Head>(panel.state);
    let [left, right, ..] = &mut panel.outlets;
    let samples = samples_of(rest, head.samples());
    reverb::render((head, samples), &inputs, [left, right]);
}
