//! How much faster than real time one voice is, and many: `cargo bench --bench voice`.
//!
//! The whole rack is rendered, master and limiter included, on one core, and the processor time
//! of that is taken. Gates open and close twice a second and every envelope is under way all the
//! time. Figures are printed, never asserted; the median of several runs counts, for the best
//! one is luck.

use std::fmt::Write;

use segue_rack::{Action, BLOCK_FRAMES, Command, Patch, Plan, Rack, Setup};
use segue_sys::clock::process_cpu_ns;

const RUNS: usize = 7;
/// Blocks from one stroke of the gates to the next: a quarter of a second at 48 kHz.
const STROKE_BLOCKS: u64 = 188;
const BLOCKS_PER_SECOND: f64 = 750.0;

/// An envelope that never rests while its gate changes four times a second.
const ENVELOPE: &str = "attack = 100, decay = 500, sustain = 0.2, release = 600";

fn main() {
    println!(
        "# one core, 48 kHz, block 64, 2 channels; median, slowest and fastest of {RUNS} runs"
    );
    let columns = ["x real", "slowest", "fastest", "us/block"];
    println!("{:44} {}", "", columns.map(|it| format!("{it:>9}")).join(" "));
    let sine = voice("", "sine", 1, "900");
    report("one voice: sine, adsr, biquad", &with_out(&sine, "filter * 0.1"), 20);
    let moved = voice("", "saw", 1, "900 + env.level * 2oct");
    report("one voice: saw, cutoff moved each sample", &with_out(&moved, "filter * 0.1"), 20);
    for voices in [8, 16] {
        let lanes = voice("", "saw", voices, "900");
        report(&format!("{voices} voices in lanes, saw"), &with_out(&lanes, "filter * 0.01"), 10);
    }
    for voices in [16, 64] {
        let each: Vec<String> =
            (0..voices).map(|n| voice(&n.to_string(), "saw", 1, "900")).collect();
        let sum: Vec<String> = (0..voices).map(|n| format!("filter{n} * 0.01")).collect();
        let patch = with_out(&each.concat(), &sum.join(" + "));
        report(&format!("{voices} voices of their own, saw"), &patch, 5);
    }
    report("the demo", include_str!("../../../patches/demo.toml"), 10);
}

/// The modules of one voice; `n` tells it apart from others.
fn voice(n: &str, shape: &str, voices: usize, cutoff: &str) -> String {
    format!(
        "osc{n} = {{ type = \"osc\", shape = \"{shape}\", freq = 110, voices = {voices}, \
spread = 10 }}
env{n} = {{ type = \"adsr\", in = \"osc{n}\", {ENVELOPE} }}
filter{n} = {{ type = \"biquad\", in = \"env{n}\", cutoff = \"{cutoff}\", q = 4 }}
"
    )
}

fn with_out(modules: &str, sum: &str) -> String {
    let mut patch = format!("segue = 1\n{modules}");
    let _ = writeln!(patch, "out = {{ in = \"{sum}\" }}");
    patch
}

/// Renders so many seconds of the patch several times and prints how fast.
fn report(what: &str, patch: &str, seconds: u64) {
    let setup = Setup::default();
    let Ok(patch) = Patch::parse(patch) else { panic!("{what}: not a patch:\n{patch}") };
    let Ok(plan) = Plan::compile(&patch, &setup) else { panic!("{what}: no plan") };
    let Ok(mut rack) = Rack::new(&plan, &setup) else { panic!("{what}: no rack") };
    let gates: Vec<u16> = (0..plan.modules().len() as u16)
        .filter(|module| plan.modules()[usize::from(*module)].spec().has_gate)
        .collect();
    let mut peak = 0.0_f32;
    let mut times: Vec<f64> =
        (0..RUNS).map(|_| run(&mut rack, &gates, seconds, &mut peak)).collect();
    assert!(peak > 0.001, "{what}: what is measured is silent");
    times.sort_by(f64::total_cmp);
    let factor = |at: usize| seconds as f64 / times[at];
    let block_us = times[RUNS / 2] * 1e6 / (seconds as f64 * BLOCKS_PER_SECOND);
    let [slowest, median, fastest] = [factor(RUNS - 1), factor(RUNS / 2), factor(0)];
    println!("{what:44} {median:9.0} {slowest:9.0} {fastest:9.0} {block_us:9.2}");
}

/// Renders; gives the seconds of processor time it took.
fn run(rack: &mut Rack, gates: &[u16], seconds: u64, peak: &mut f32) -> f64 {
    let mut out = [0.0; BLOCK_FRAMES * 2];
    let now = || process_cpu_ns(std::process::id()).expect("our own clock");
    let began = now();
    for block in 0..seconds * BLOCKS_PER_SECOND as u64 {
        if block % STROKE_BLOCKS == 0 {
            let level = if (block / STROKE_BLOCKS).is_multiple_of(2) { 1.0 } else { 0.0 };
            for module in gates {
                rack.apply(&Command::now(Action::Gate { module: *module, level }));
            }
        }
        rack.render(&mut out, &mut |_| {});
        *peak = out[0].abs().max(*peak);
    }
    (now() - began) as f64 / 1e9
}
