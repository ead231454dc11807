//! What the house patches sound like, in numbers a diff can show.
//!
//! The same on every machine: a hash that differs on another architecture is a bug of ours. After
//! an intended change of sound: `SEGUE_BLESS=1 cargo test -p segue-rack --test golden`, and look.

mod bench;

use std::fmt::Write;

use bench::{Bench, peak};
use segue_rack::{Action, Command, Successor};

/// One line for each quarter of a second: peak, rms, and a hash of every bit.
fn portrait(name: &str, bench: &mut Bench, quarters: usize) -> String {
    let mut text = format!("{name}\n");
    for quarter in 0..quarters {
        let mut heard = Vec::new();
        for _ in 0..188 {
            heard.extend_from_slice(bench.block());
        }
        let power: f64 = heard.iter().map(|sample| f64::from(sample * sample)).sum();
        let rms = (power / heard.len() as f64).sqrt();
        let hash = heard.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, sample| {
            (hash ^ u64::from(sample.to_bits())).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let loudest = peak(&heard);
        let _ = writeln!(text, "  {quarter:2} peak {loudest:.4} rms {rms:.4} hash {hash:016x}");
    }
    text
}

/// Modules of the catalog that no house patch has, in all of their shapes.
fn catalog_portraits() -> String {
    let mut colors = Bench::new(
        "segue = 1
white = { type = \"noise\", voices = 9 }
pink = { type = \"noise\", color = \"pink\", seed = 7 }
brown = { type = \"noise\", color = \"brown\", voices = 16 }
[out]
left = \"white * 0.02 + brown * 0.03\"
right = \"pink\"
",
    );
    let mut text = portrait("three colours of noise", &mut colors, 2);
    let mut slow = Bench::new(
        "segue = 1
a = { type = \"osc\", freq = 200, voices = 3, spread = 100 }
sine = { type = \"lfo\", rate = \"9 + a * 3\", phase = 0.3 }
triangle = { type = \"lfo\", shape = \"triangle\", rate = 17, reset = \"sine\" }
saw = { type = \"lfo\", shape = \"saw\", rate = \"11 + triangle.up * 1oct\" }
square = { type = \"lfo\", shape = \"square\", rate = 23 }
random = { type = \"lfo\", shape = \"random\", rate = 100, reset = \"square\" }
smooth = { type = \"lfo\", shape = \"smooth\", rate = 30, seed = 5 }
[out]
left = \"sine * 0.1 + triangle * 0.1 + saw * 0.05\"
right = \"square * 0.1 + random * 0.2 + smooth * 0.2\"
",
    );
    text += &portrait("slow waves of six shapes", &mut slow, 2);
    let mut ladders = Bench::new(
        "segue = 1
saw = { type = \"osc\", shape = \"saw\", freq = \"F1\", voices = 9, spread = 20 }
wobble = { type = \"lfo\", rate = 6 }
still = { type = \"ladder\", in = \"saw * 0.3\", cutoff = 600, resonance = 0.8 }
mono = { type = \"ladder\", in = \"saw\", cutoff = \"900 + wobble * 2oct\", drive = 5 }
lanes = { type = \"ladder\", in = \"saw\", cutoff = \"400 + saw * 1oct\", resonance = 1.1 }
alone = { type = \"ladder\", cutoff = \"A4\", resonance = 1.2 }
[out]
left = \"still * 0.1 + mono * 0.03\"
right = \"lanes * 0.05 + lanes.low12 * 0.05 + alone * 0.1\"
",
    );
    text += &portrait("ladders that stand, move, and sing", &mut ladders, 2);
    let mut drives = Bench::new(
        "segue = 1
saw = { type = \"osc\", shape = \"saw\", freq = \"A2\", voices = 9, spread = 20 }
wobble = { type = \"lfo\", rate = 3 }
soft = { type = \"drive\", in = \"saw\", drive = \"12dB\", bias = \"0.2 + wobble * 0.2\" }
hard = { type = \"drive\", shape = \"hard\", in = \"saw\", drive = \"6 + wobble * 3\", mix = 0.7 }
fold = { type = \"drive\", shape = \"fold\", in = \"saw * 0.5\", drive = 9, level = 0.5 }
[out]
left = \"soft * 0.05 + hard * 0.03\"
right = \"fold * 0.1\"
",
    );
    text += &portrait("nine voices driven soft, hard and folded", &mut drives, 2);
    text
}

/// What brings signals together, and what is added behind them.
fn mixed_and_echoed() -> String {
    let mut text = String::new();
    let mut desk = Bench::new(
        "segue = 1
saw = { type = \"osc\", shape = \"saw\", freq = \"A2\", voices = 3, spread = 20 }
high = { type = \"osc\", freq = 660 }
slow = { type = \"osc\", freq = 1.5 }
place = { type = \"pan\", in = \"saw\", position = \"slow\" }
[desk]
type = \"mixer\"
a = \"place.left\"
pan_a = -1
b = \"place.right\"
pan_b = 1
f = \"high\"
pan_f = \"slow * -0.5\"
level_f = \"-12dB\"
level = 0.2
[out]
in = \"desk * 0.1\"
left = \"desk.left\"
right = \"desk.right\"
",
    );
    text += &portrait("three voices and one, placed and mixed", &mut desk, 4);
    let mut echo = Bench::new(
        "segue = 1
saw = { type = \"osc\", shape = \"saw\", freq = \"A2\" }
env = { type = \"adsr\", in = \"saw\", decay = 60, sustain = 0 }
slow = { type = \"osc\", freq = 1.5 }
[echo]
type = \"delay\"
mode = \"pingpong\"
in = \"env\"
time = \"140.3 + slow * 3ms\"
feedback = -0.8
max = 500
[out]
left = \"echo.left * 0.5\"
right = \"echo.right * 0.5\"
",
    );
    echo.gate("env", 1.0);
    echo.set_at(24_000, "echo", "time", 480.0);
    text += &portrait("a stroke from side to side, the time moved at 24,000", &mut echo, 4);
    let mut hall = Bench::new(
        "segue = 1
saw = { type = \"osc\", shape = \"saw\", freq = \"A3\" }
env = { type = \"adsr\", in = \"saw\", decay = 60, sustain = 0 }
[hall]
type = \"reverb\"
in = \"env * 0.5\"
left = \"env * 0.2\"
decay = 1200
mix = 0.8
motion = 1
[out]
left = \"hall.left\"
right = \"hall.right\"
",
    );
    hall.gate("env", 1.0);
    hall.set_at(24_000, "hall", "damping", 0.9);
    text += &portrait("a stroke in a hall that is hung with cloth at 24,000", &mut hall, 4);
    text
}

/// A patch that is edited while it plays: cables, voices, constants and modules others.
fn gone_over() -> String {
    let before = "segue = 1
saw = { type = \"osc\", shape = \"saw\", freq = \"E2\", drift = 4 }
env = { type = \"adsr\", in = \"saw\", attack = 90 }
low = { type = \"svf\", in = \"env\", cutoff = 900, q = 5 }
echo = { type = \"delay\", in = \"low\", time = 130, max = 200 }
out = { in = \"echo * 0.3\" }
";
    let after = before
        .replace("E2\", drift", "B2\", voices = 6, spread = 14, drift")
        .replace("cutoff = 900", "cutoff = \"500 + slow * 2oct\"")
        .replace("echo * 0.3", "echo * 0.1 + hall.left * 0.1")
        + "slow = { type = \"lfo\", rate = 5 }\nhall = { type = \"reverb\", in = \"low\" }\n";
    let mut bench = Bench::new(before);
    bench.gate("env", 0.9);
    bench.left(60);
    let (old, new) = ((&bench.plan, 0), (&Bench::new(&after).plan, 1));
    let next = Successor::prepare(old, new, old.0.setup()).expect("plans of one setup");
    assert!(next.crosses());
    assert!(bench.rack.adopt(next, 9_000).is_ok());
    portrait("a patch gone over to another in 9,000 frames", &mut bench, 3)
}

#[test]
fn the_house_patches_sound_as_they_did() {
    let mut text = String::new();
    let mut first = Bench::new(include_str!("../../../patches/first.toml"));
    first.gate("env", 0.8);
    first.set_at(20_000, "filter", "cutoff", 300.0);
    let module = first.module("env");
    first.tell(Command::at(24_000, Action::Gate { module, level: 0.0 }));
    text +=
        &portrait("first.toml, a note of half a second, filter closed at 20,000", &mut first, 4);
    let mut demo = Bench::new(include_str!("../../../patches/demo.toml"));
    for env in ["bass_env", "pad_env", "pluck_env", "lead_env", "kick_env", "hat_env"] {
        demo.gate(env, 1.0);
    }
    text += &portrait("demo.toml, all gates opened at once", &mut demo, 8);
    let mut modes = Bench::new(
        "segue = 1
osc = { type = \"osc\", shape = \"square\", freq = \"A2\", width = 0.3, voices = 9, spread = 31 }
low = { type = \"biquad\", in = \"osc\", cutoff = \"800 + osc * 1oct\", q = 12 }
high = { type = \"biquad\", in = \"low\", mode = \"highpass\", cutoff = 120 }
band = { type = \"biquad\", in = \"low\", mode = \"bandpass\", cutoff = \"2kHz\", q = 3 }
notch = { type = \"biquad\", in = \"band\", mode = \"notch\", cutoff = 2100, q = 9 }
[out]
left = \"high * -18dB\"
right = \"notch * 0.2 - high * 0.05\"
",
    );
    text += &portrait("nine voices through every mode of the filter", &mut modes, 4);
    text += &catalog_portraits();
    text += &mixed_and_echoed();
    text += &gone_over();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt");
    if std::env::var_os("SEGUE_BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    for (line, (golden, heard)) in golden.lines().zip(text.lines()).enumerate() {
        assert_eq!(golden, heard, "line {} of tests/golden.txt", line + 1);
    }
    assert_eq!(golden.lines().count(), text.lines().count());
}

/// What is compiled twice, for AVX2 and for processors without it, sounds the same: all of the
/// above again on an emulated processor of the year 2008.
#[test]
#[cfg(target_arch = "x86_64")]
fn the_same_without_avx2() {
    if std::env::var_os("SEGUE_BLESS").is_some() {
        eprintln!("skipped: what it compares with is being written");
        return;
    }
    let ourselves = std::env::current_exe().unwrap();
    let emulator = std::process::Command::new("qemu-x86_64-static")
        .args(["-cpu", "Nehalem"])
        .arg(ourselves)
        .args(["--exact", "the_house_patches_sound_as_they_did"])
        .output();
    let Ok(ran) = emulator else {
        eprintln!("skipped: qemu-x86_64-static is not installed");
        return;
    };
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && out.contains("1 passed"), "{}:\n{err}\n{out}", ran.status);
}
