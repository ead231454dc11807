//! What every module of the catalog owes the engine, whatever it sounds like.

mod bench;

use bench::{Bench, bits};
use segue_rack::catalog::ModuleSpec;
use segue_rack::quantity::Unit;
use segue_rack::{Action, Command, Notes, catalog};
use segue_sys::testing::Guard;

#[global_allocator]
static GUARD: Guard = Guard;

/// Patches that put a module into all the surroundings it can be in: constants or cables, one
/// voice or several.
fn surroundings(spec: &ModuleSpec) -> Vec<String> {
    if spec.name == "out" {
        let sums =
            "in = \"a * 0.5 + many * -12dB\"\nleft = \"lfo * 0.2\"\nright = \"a * 0.1 + 0.01\"";
        return vec![format!("{SOURCES}[out]\nin = \"a\"\n"), format!("{SOURCES}[out]\n{sums}\n")];
    }
    let mut patches = Vec::new();
    for source in ["a", "many", "wide"] {
        // A cable into the trigger of `fault` would pull it.
        for cabled in [false, spec.name != "fault"] {
            let mut text = format!("{SOURCES}[m]\ntype = \"{}\"\n", spec.name);
            for inlet in spec.inlets {
                let fed = if inlet.name == "gate" { "lfo" } else { source };
                if inlet.name != "gate" || cabled {
                    text.push_str(&format!("{} = \"{fed}\"\n", inlet.name));
                }
            }
            for param in spec.params.iter().filter(|param| cabled && !param.fixed) {
                let middle = 0.5 * (param.min + param.max);
                let cable = match param.unit {
                    Unit::Choice => continue,
                    Unit::Hertz => format!("{middle} + lfo * 2oct + a * 50Hz"),
                    _ => format!("{middle} + lfo * {}", 0.4 * (param.max - param.min)),
                };
                text.push_str(&format!("{} = \"{cable}\"\n", param.name));
            }
            if spec.param("voices").is_some() && source != "a" {
                text.push_str(&format!("voices = {}\n", if source == "many" { 5 } else { 16 }));
            }
            // What a player gives first is a pitch, which is no sound.
            let outlet = if spec.has_notes { "m.gate" } else { "m" };
            let others = spec.outlets.iter().skip(1).map(|it| format!(" + m.{} * 0.1", it.name));
            let sum = others.collect::<String>();
            text.push_str(&format!("[out]\nin = \"{outlet} * 0.5{sum}\"\n"));
            patches.push(text);
        }
    }
    patches
}

const SOURCES: &str = "segue = 1
a = { type = \"osc\", shape = \"saw\", freq = 331 }
lfo = { type = \"osc\", shape = \"square\", freq = 173 }
many = { type = \"osc\", shape = \"saw\", freq = 97, voices = 5, spread = 20 }
wide = { type = \"osc\", shape = \"square\", freq = 61, voices = 16, spread = 900 }
";

/// All modules in all surroundings; `fault` may stand there as long as nobody triggers it.
fn all(mut test: impl FnMut(&ModuleSpec, &mut Bench)) {
    for spec in catalog() {
        for patch in surroundings(spec) {
            test(spec, &mut Bench::new(&patch));
        }
    }
}

/// The module under test.
fn subject(spec: &ModuleSpec) -> &'static str {
    if spec.name == "out" { "out" } else { "m" }
}

/// Gates and knobs moving as they would on a stage, some of them for later.
fn disturb(bench: &mut Bench, spec: &ModuleSpec, block: u64) {
    let id = subject(spec);
    let start = block * 64;
    let module = bench.module(id);
    if spec.has_gate && block.is_multiple_of(3) {
        let level = if block.is_multiple_of(2) { 0.8 } else { 0.0 };
        bench.tell(Command::at(start + 17, Action::Gate { module, level }));
    }
    if spec.has_notes {
        let (note, velocity) = (40.0 + (block * 7 % 30) as f32, (block % 3) as f32 * 0.5);
        let (frames, voice) = ((block % 5 * 40) as u32, (block % 4) as u8);
        bench.tell(Command::at(start + 29, Action::Note { module, note, velocity, frames, voice }));
    }
    for (param, knob) in spec.voice_params.iter().enumerate() {
        let value = knob.min + (knob.max - knob.min) * (block % 7) as f32 / 6.0;
        let (param, voice, ramp_frames) = (param as u16, (block % 3) as u8 + 1, u32::MAX);
        let action = Action::Voice { module, voice, param, value, ramp_frames };
        bench.tell(Command::at(start + 51, action));
    }
    for (param, knob) in spec.params.iter().enumerate() {
        let due = (block + param as u64).is_multiple_of(5) && !knob.fixed && knob.name != "trigger";
        if due {
            let place = (block * 37 % 11) as f32 / 10.0;
            let value = knob.min + (knob.max - knob.min) * place * place;
            let ramp_frames = [u32::MAX, 0, 100, 1_000][block as usize % 4];
            let action = Action::Set { module, param: param as u16, value, ramp_frames };
            bench.tell(Command::at(start + block * 13 % 90, action));
        }
    }
}

fn perform(bench: &mut Bench, spec: &ModuleSpec, blocks: std::ops::Range<u64>) -> Vec<u32> {
    let mut heard = Vec::new();
    for block in blocks {
        disturb(bench, spec, block);
        heard.extend(bits(bench.block()));
    }
    heard
}

/// Invariant 1: a block cut anywhere has the same bits. A cut is made by setting a knob to where
/// it is.
#[test]
fn a_block_may_be_cut_anywhere() {
    all(|spec, whole| {
        let module = whole.module(subject(spec));
        let settable = spec.params.iter().position(|param| !param.fixed);
        let Some(param) = settable.map(|param| param as u16) else { return };
        let value = whole.rack.param(module, param).unwrap();
        let knob = Action::Set { module, param, value, ramp_frames: 0 };
        let mut cut = Bench::new(&whole.patch);
        for block in 0..126_u64 {
            for bench in [&mut *whole, &mut cut] {
                if spec.has_gate {
                    let level = [0.9, 0.0, 0.4][block as usize % 3];
                    bench
                        .tell(Command::at(block * 64 + block % 60, Action::Gate { module, level }));
                }
                if spec.has_notes {
                    let (note, velocity) = (50.0 + (block % 9) as f32, (block % 2) as f32 * 0.8);
                    let frames = (block % 3 * 30) as u32;
                    let action = Action::Note { module, note, velocity, frames, voice: 0 };
                    bench.tell(Command::at(block * 64 + block % 50, action));
                }
            }
            // One cut at each frame, then several at once.
            let cuts =
                if block < 63 { vec![block + 1] } else { vec![block - 62, 7, 31, 32, 33, 63] };
            for frame in cuts {
                cut.tell(Command::at(block * 64 + frame, knob));
            }
            let (one, two) = (bits(whole.block()), bits(cut.block()));
            assert_eq!(one, two, "block {block} of\n{}", whole.patch);
        }
        assert_eq!(cut.rack.notes().moved, 0, "the cuts were really made");
    });
}

#[test]
fn a_reset_rack_replays_the_same_bits() {
    all(|spec, bench| {
        let before = bench.rack.state().to_vec();
        let first = perform(bench, spec, 0..60);
        assert!(first.iter().any(|sample| *sample != 0), "nothing was heard of\n{}", bench.patch);
        bench.rack.restore(&before).unwrap();
        assert_eq!(first, perform(bench, spec, 0..60), "{}", bench.patch);
        let mut fresh = Bench::new(&bench.patch);
        assert_eq!(first, perform(&mut fresh, spec, 0..60), "{}", bench.patch);
    });
}

/// S7, S8: whatever the moment, a rack restored there goes on with the same bits.
#[test]
fn a_checkpoint_at_any_moment_goes_on_bit_for_bit() {
    all(|spec, bench| {
        let mut other = Bench::new(&bench.patch);
        perform(&mut other, spec, 0..7);
        for part in 0..12 {
            let blocks = part * 5..part * 5 + 5;
            other.rack.restore(bench.rack.state()).unwrap();
            let one = perform(bench, spec, blocks.clone());
            assert_eq!(one, perform(&mut other, spec, blocks), "from part {part}\n{}", bench.patch);
            assert_eq!(bench.rack.state(), other.rack.state(), "state\n{}", bench.patch);
        }
    });
}

/// All corners of a panel with so many knobs, a bit a knob; of large panels some of them, spread
/// over all.
fn corners(knobs: usize) -> impl Iterator<Item = u32> {
    let all = 1_u64 << knobs;
    let (count, stride) = if all > 1_024 { (256, 0x9e37_79b1) } else { (all, 1) };
    // An odd stride meets no corner twice; from the far one on, so that this is met as well.
    (1..=count).map(move |n| ((all - 1 + n * stride - stride) % all) as u32)
}

#[test]
fn every_corner_of_the_panel_is_finite_and_bounded() {
    all(|spec, bench| {
        let module = bench.module(subject(spec));
        let knobs: Vec<usize> = (0..spec.params.len())
            .filter(|param| !spec.params[*param].fixed && spec.name != "fault")
            .collect();
        for corner in corners(knobs.len()) {
            for (bit, param) in knobs.iter().enumerate() {
                let knob = &spec.params[*param];
                let value = if corner >> bit & 1 == 1 { knob.max } else { knob.min };
                let set =
                    Action::Set { module, param: *param as u16, value, ramp_frames: u32::MAX };
                bench.tell(Command::now(set));
            }
            if spec.has_gate {
                let level = (corner % 2) as f32;
                bench.tell(Command::now(Action::Gate { module, level }));
            }
            for _ in 0..12 {
                let out = bench.block();
                assert!(out.iter().all(|sample| sample.abs() <= 1.0), "corner {corner}");
            }
        }
        assert_eq!(bench.rack.notes().resets, 0, "{}", bench.patch);
    });
}

/// What makes a module forget within a few milliseconds, where it would remember for seconds.
fn forgetful(spec: &ModuleSpec) -> &'static str {
    match spec.name {
        "delay" => "time = 5\nfeedback = 0.1\n",
        "reverb" => "decay = 100\nmotion = 0\n",
        _ => "",
    }
}

/// S29: what is too large for numbers at an inlet, and no number at all behind it, is gone from
/// every smoother and filter as soon as it is gone from the inlet.
#[test]
fn what_is_no_number_sticks_nowhere() {
    for spec in catalog().iter().filter(|spec| !["out", "fault"].contains(&spec.name)) {
        for inlet in spec.inlets {
            let text = format!(
                "{SOURCES}[env]\ntype = \"adsr\"\nattack = 0\nrelease = 1\n[m]\ntype = \"{}\"\n\
                 {}{} = \"a * 0.5 + env * 3e38 + env * 3e38\"\n[out]\nin = \"m * 0.5\"\n",
                spec.name,
                forgetful(spec),
                inlet.name
            );
            let [mut hurt, mut spared] = [Bench::new(&text), Bench::new(&text)];
            hurt.gate("env", 1.0);
            let heard = [hurt.left(100), spared.left(100)];
            assert!(heard[0].iter().all(|sample| sample.is_finite()), "{text}");
            hurt.gate("env", 0.0);
            for bench in [&mut hurt, &mut spared] {
                bench.left(400);
            }
            let resets = hurt.rack.notes().resets;
            let after = [hurt.left(200), spared.left(200)];
            assert_eq!(hurt.rack.notes().resets, resets, "{text}");
            let close = after[0].iter().zip(&after[1]).all(|(a, b)| (a - b).abs() < 1e-3);
            assert!(close, "it sounds as if nothing had been: {text}");
        }
    }
}

/// Invariant 2.
#[test]
fn rendering_and_applying_allocate_nothing() {
    all(|spec, bench| {
        let mut out = [0.0; 128];
        for block in 0..40 {
            disturb(bench, spec, block);
            let panic = Command::at(block * 64 + 3, Action::Panic);
            let rack = &mut bench.rack;
            segue_sys::testing::assert_no_alloc(|| {
                rack.apply(&panic);
                rack.render(&mut out, &mut |_| {});
            });
        }
    });
}

#[test]
fn nothing_of_an_ordinary_evening_is_counted_as_trouble() {
    all(|spec, bench| {
        perform(bench, spec, 0..60);
        let notes = Notes { limited: 0, ..bench.rack.notes() };
        assert_eq!(notes, Notes::default(), "{}", bench.patch);
    });
}
