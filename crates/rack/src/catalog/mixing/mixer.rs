//! `mixer`: a desk of six channels.

use segue_dsp::mixing::mixer::{self, Channel};
use segue_dsp::signal::Signal;

use crate::catalog::kind::{Kind, Width};
use crate::catalog::panel::Panel;
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec, ParamSpec};
use crate::quantity::Unit;

/// The type `mixer`.
pub(crate) const KIND: Kind = Kind {
    width: |port| if port < CHANNELS { Width::Sum } else { Width::Mono },
    outlets: |_| [1, 1, 1, 0],
    ..Kind::new(SPEC, render)
};

/// Channels of a mixer: with level, pan and the master they fill a panel.
const CHANNELS: usize = 6;

const SPEC: ModuleSpec = ModuleSpec {
    inlets: &[
        InletSpec { name: "a", summary: "channel a; voices are summed" },
        InletSpec { name: "b", summary: "channel b; voices are summed" },
        InletSpec { name: "c", summary: "channel c; voices are summed" },
        InletSpec { name: "d", summary: "channel d; voices are summed" },
        InletSpec { name: "e", summary: "channel e; voices are summed" },
        InletSpec { name: "f", summary: "channel f; voices are summed" },
    ],
    outlets: &[
        OutletSpec { name: "out", summary: "the sum of all channels, not panned" },
        OutletSpec { name: "left", summary: "the left side, 3 dB down in the middle" },
        OutletSpec { name: "right", summary: "the right side, 3 dB down in the middle" },
    ],
    params: &[
        level("level_a", "gain of channel a"),
        level("level_b", "gain of channel b"),
        level("level_c", "gain of channel c"),
        level("level_d", "gain of channel d"),
        level("level_e", "gain of channel e"),
        level("level_f", "gain of channel f"),
        place("pan_a", "place of channel a: -1 is left, 1 is right"),
        place("pan_b", "place of channel b: -1 is left, 1 is right"),
        place("pan_c", "place of channel c: -1 is left, 1 is right"),
        place("pan_d", "place of channel d: -1 is left, 1 is right"),
        place("pan_e", "place of channel e: -1 is left, 1 is right"),
        place("pan_f", "place of channel f: -1 is left, 1 is right"),
        level("level", "gain of the whole").also(&["master"]),
    ],
    example: "low = { type = \"osc\", freq = 110 }
high = { type = \"osc\", freq = 550 }
desk = { type = \"mixer\", a = \"low\", pan_a = -0.5, b = \"high\", level_b = \"-12dB\" }
out = { left = \"desk.left * 0.3\", right = \"desk.right * 0.3\" }",
    ..ModuleSpec::named("mixer", "A desk: six channels with level and pan, and a master.")
};

const fn level(name: &'static str, summary: &'static str) -> ParamSpec {
    ParamSpec::number(name, Unit::Gain, (-8.0, 8.0), 1.0, summary)
}

const fn place(name: &'static str, summary: &'static str) -> ParamSpec {
    ParamSpec::number(name, Unit::Number, (-1.0, 1.0), 0.0, summary)
}

/// One stretch.
fn render(panel: &mut Panel<'_>) {
    let signals = panel.signals;
    let silent = Signal::constant(&0.0);
    let mut channels = [Channel { input: silent, level: silent, pan: silent }; CHANNELS];
    let mut used = 0;
    let master = signals[3 * CHANNELS];
    let mut still = master.is_still();
    for at in (0..CHANNELS).filter(|at| panel.is_connected(*at)) {
        let (input, level) = (signals[at], signals[CHANNELS + at]);
        let channel = Channel { input, level, pan: signals[2 * CHANNELS + at] };
        still &= input.is_still() && level.is_still() && channel.pan.is_still();
        channels[used] = channel;
        used += 1;
    }
    let [out, left, right, _] = &mut panel.outlets;
    mixer::render(&channels[..used], master, &mut [out, left, right]);
    if still {
        panel.still = 0b111;
    }
}
