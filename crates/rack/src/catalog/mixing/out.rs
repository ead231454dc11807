//! `out`: where a patch ends and is heard.

use crate::catalog::kind::{Kind, Width};
use crate::catalog::panel::Panel;
use crate::catalog::spec::{InletSpec, ModuleSpec};

/// The type `out`.
pub(crate) const KIND: Kind = Kind {
    width: |_| Width::Sum,
    // Not outlets anybody can plug into: the buses the master reads.
    outlets: |_| [1, 1, 0, 0],
    always: |_| 0b11,
    ..Kind::new(SPEC, render)
};

const SPEC: ModuleSpec = ModuleSpec {
    inlets: &[
        InletSpec { name: "in", summary: "to both sides" },
        InletSpec { name: "left", summary: "to the left side" },
        InletSpec { name: "right", summary: "to the right side" },
    ],
    outlets: &[],
    example: "low = { type = \"osc\", freq = 110 }
out = { in = \"low * 0.2\", left = \"low * 0.2\" }",
    ..ModuleSpec::named(
        "out",
        "What is heard: the one module every patch ends in. Voices are summed.",
    )
};

const IN: usize = 0;
const LEFT: usize = 1;
const RIGHT: usize = 2;

/// One stretch: the two buses the master reads. A mono device hears the mean of both sides.
fn render(panel: &mut Panel<'_>) {
    let signals = panel.signals;
    let [left, right, ..] = &mut panel.outlets;
    if !(panel.connected >> LEFT & 1 == 1 || panel.connected >> RIGHT & 1 == 1) {
        match signals[IN].frames::<1>(left.len()) {
            Some(middle) => left.copy_from_slice(middle.as_flattened()),
            None => left.fill(signals[IN].at(0)),
        }
        if panel.channels == 1 {
            right.fill(0.0);
        } else {
            right.copy_from_slice(left);
        }
        return;
    }
    for (frame, (left, right)) in left.iter_mut().zip(right.iter_mut()).enumerate() {
        let middle = signals[IN].at(frame);
        let (side_left, side_right) = (signals[LEFT].at(frame), signals[RIGHT].at(frame));
        if panel.channels == 1 {
            *left = middle + 0.5 * (side_left + side_right);
            *right = 0.0;
        } else {
            *left = middle + side_left;
            *right = middle + side_right;
        }
    }
}
