//! `ballast`: half a MiB of state that changes all the time; only in builds that test the rest.
//!
//! A delay line of a fixed length: what joining costs with a large state is measured with rows of
//! it, for everything in it is heard, hashed and copied as any state is.

use segue_dsp::by_stride;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::catalog::kind::Kind;
use crate::catalog::panel::{Panel, state_of, words_of};
use crate::catalog::spec::{InletSpec, ModuleSpec, OutletSpec};

/// The type `ballast`.
pub(super) const KIND: Kind = Kind { state_words: |_| STATE_WORDS, ..Kind::new(SPEC, render) };

const SPEC: ModuleSpec = ModuleSpec {
    inlets: &[InletSpec { name: "in", summary: "what is passed on" }],
    outlets: &[OutletSpec { name: "out", summary: "the same, and a tenth of what it was" }],
    example: "osc = { type = \"osc\" }
line = { type = \"ballast\", in = \"osc\" }
out = { in = \"line * 0.2\" }",
    ..ModuleSpec::named(
        "ballast",
        "Passes its inlet on, with what that was 131,070 frames ago. For tests of the engine.",
    )
};

/// Frames remembered: with the place of the newest, 512 KiB.
const FRAMES: usize = (1 << 17) - 2;

/// What the module remembers.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Line {
    /// Where the next frame goes; it holds the oldest.
    at: u64,
    frames: [f32; FRAMES],
}

/// Words of state.
const STATE_WORDS: usize = words_of::<Line>();

const _: () = assert!(STATE_WORDS * 8 == 512 << 10);

const IN: usize = 0;

/// One stretch; of several lanes the first is remembered.
fn render(panel: &mut Panel<'_>) {
    let input = panel.signals[IN];
    let out = &mut panel.outlets[0];
    let line = state_of::<Line>(panel.state);
    by_stride!(panel.build.stride, W => {
        for (frame, lanes) in out.as_chunks_mut::<W>().0.iter_mut().enumerate() {
            let at = line.at as usize % FRAMES;
            let old = 0.1 * line.frames[at];
            *lanes = input.lanes::<W>(frame);
            line.frames[at] = lanes[0];
            lanes.iter_mut().for_each(|lane| *lane += old);
            line.at = ((at + 1) % FRAMES) as u64;
        }
    });
}
