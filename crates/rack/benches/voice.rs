//! How much faster than real time one voice is, and many, and the demo: a plain timing loop.
//!
//! Run with `cargo bench -p segue-rack --bench voice`. Figures go into reports, never into tests.

use std::time::Instant;

use segue_rack::{Action, BLOCK_FRAMES, Command, Patch, Plan, Rack, Setup};

/// Seconds of sound rendered in one measurement; the best of several counts, for what disturbs
/// only ever slows.
const SECONDS: u64 = 20;
const ROUNDS: usize = 5;

fn main() {
    println!("x real time, best of {ROUNDS} runs of {SECONDS} s, one core, 48 kHz, block 64");
    let voice = |shape: &str, voices: usize, cutoff: &str| {
        format!(
            "segue = 1
osc = {{ type = \"osc\", shape = \"{shape}\", freq = 110, voices = {voices}, spread = 10 }}
env = {{ type = \"adsr\", in = \"osc\" }}
filter = {{ type = \"biquad\", in = \"env\", cutoff = \"{cutoff}\", q = 4 }}
out = {{ in = \"filter * 0.1\" }}
"
        )
    };
    report("one voice, sine -> adsr -> biquad", &voice("sine", 1, "900"));
    report(
        "one voice, saw, cutoff moved each sample",
        &voice("saw", 1, "900 + env.level * 2oct").replace("in = \"env\"", "in = \"osc\""),
    );
    report("eight voices in lanes, saw", &voice("saw", 8, "900"));
    report("sixteen voices in lanes, saw", &voice("saw", 16, "900"));
    let mut many = "segue = 1\n".to_string();
    for n in 0..64 {
        let one = voice("saw", 1, "900");
        for line in one.lines().skip(1).take(3) {
            let line = line.replace("osc = ", &format!("osc{n} = "));
            let line = line
                .replace("env = ", &format!("env{n} = "))
                .replace("\"env\"", &format!("\"env{n}\""));
            let line = line.replace("filter = ", &format!("filter{n} = "));
            many.push_str(&line.replace("in = \"osc\"", &format!("in = \"osc{n}\"")));
            many.push('\n');
        }
    }
    let sum: Vec<String> = (0..64).map(|n| format!("filter{n} * 0.01")).collect();
    many.push_str(&format!("out = {{ in = \"{}\" }}\n", sum.join(" + ")));
    report("64 voices of their own, saw", &many);
    report("the demo", include_str!("../../../patches/demo.toml"));
}

/// Renders the patch, its gates struck twice a second, and prints how fast.
fn report(what: &str, patch: &str) {
    let setup = Setup::default();
    let Ok(patch) = Patch::parse(patch) else { panic!("{what}: not a patch:\n{patch}") };
    let Ok(plan) = Plan::compile(&patch, &setup) else { panic!("{what}: no plan") };
    let Ok(mut rack) = Rack::new(&plan, &setup) else { panic!("{what}: no rack") };
    let gates: Vec<u16> = (0..plan.modules().len() as u16)
        .filter(|module| plan.modules()[usize::from(*module)].spec().has_gate)
        .collect();
    let mut out = [0.0; BLOCK_FRAMES * 2];
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        for block in 0..SECONDS * 750 {
            if block % 188 == 0 {
                let level = if block / 188 % 2 == 0 { 1.0 } else { 0.0 };
                for module in &gates {
                    rack.apply(&Command::now(Action::Gate { module: *module, level }));
                }
            }
            rack.render(&mut out, &mut |_| {});
            std::hint::black_box(&mut out);
        }
        best = best.min(begin.elapsed().as_secs_f64());
    }
    println!("{what:44} {:9.0}", SECONDS as f64 / best);
}
