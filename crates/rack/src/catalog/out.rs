//! `out`: where a patch ends and is heard.

use crate::catalog::panel::Panel;
use crate::catalog::spec::{InletSpec, ModuleSpec};

/// The panel of `out`.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "out",
    aliases: &[],
    summary: "What is heard: the one module every patch ends in. Voices are summed.",
    inlets: &[
        InletSpec { name: "in", summary: "to both sides" },
        InletSpec { name: "left", summary: "to the left side" },
        InletSpec { name: "right", summary: "to the right side" },
    ],
    outlets: &[],
    params: &[],
    has_gate: false,
};

const IN: usize = 0;
const LEFT: usize = 1;
const RIGHT: usize = 2;

/// One stretch: the two buses the master reads. A mono device hears the mean of both sides.
pub(super) fn render(panel: &mut Panel<'_>) {
    let [left, right] = &mut panel.outlets;
    for (frame, (left, right)) in left.iter_mut().zip(right.iter_mut()).enumerate() {
        let middle = panel.signals[IN].at(frame);
        let (side_left, side_right) =
            (panel.signals[LEFT].at(frame), panel.signals[RIGHT].at(frame));
        if panel.channels == 1 {
            *left = middle + 0.5 * (side_left + side_right);
            *right = 0.0;
        } else {
            *left = middle + side_left;
            *right = middle + side_right;
        }
    }
}
