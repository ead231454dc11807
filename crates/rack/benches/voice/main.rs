//! How much faster than real time voices are, beside what others reach in the same run:
//! `cargo bench --bench voice`; `-- moved` for rows of that name.
//!
//! The whole rack is rendered, master and limiter included, on one core, and the processor time
//! of that is taken. Gates change four times a second and every envelope is under way all the
//! time. What is to be compared is measured in turn, round by round, and the best round of each
//! counts: on shared processors the worse ones tell of the neighbours. Figures are printed, never
//! asserted.

mod costs;
mod fundsp;
mod fused;
mod ours;
mod scsynth;

use fundsp::Graphs;
use fused::Fused;
use ours::{Played, one_voice, players, with_out};
use segue_sys::clock::process_cpu_ns;

const ROUNDS: usize = 7;
const BLOCKS_PER_SECOND: u64 = 750;

/// One thing to measure: how it is called, and what renders so many seconds in how many.
struct Row<'a> {
    name: String,
    voices: usize,
    speed: Box<dyn FnMut() -> Option<f64> + 'a>,
}

fn main() {
    let only = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    println!("# one core, 48 kHz, block 64; best of {ROUNDS} rounds, all rows of a table in turn");
    table("one voice: sine, adsr, biquad", one(), &only);
    table("256 voices: saw, svf, adsr; fixed cutoff", many("fixed", false), &only);
    table("256 voices: saw, svf, adsr; cutoff moved each sample", many("moved", true), &only);
    let linear = [16, 64, 256, 1_024].map(|voices| ours(voices, false));
    table("fixed cutoff, by number of voices", linear.into(), &only);
    memory(&only);
    let others = vec![
        patch("osc with 16 voices, one envelope", 16, &unison()),
        patch("the demo", 1, include_str!("../../../../patches/demo.toml")),
    ];
    table("other racks", others, &only);
    knobs(&only);
}

/// How much state there is, which is what a standby copies and hashes.
fn memory(only: &str) {
    let title = "state, by number of voices";
    if !title.contains(only) {
        return;
    }
    println!("\n{title:56} {:>9} {:>9}", "bytes", "a voice");
    for voices in [16, 64, 256, 1_024] {
        let bytes = costs::state_bytes(&players(voices, false));
        println!("{:56} {bytes:9} {:9}", format!("{voices} voices"), bytes / voices);
    }
}

/// What a block costs that takes up commands, knobs still gliding from those before it.
fn knobs(only: &str) {
    let title = "commands in every block, 256 voices";
    if !title.contains(only) {
        return;
    }
    println!("\n{title:56} {:>9} {:>9} {:>9}", "us", "more", "of a block");
    let patch = players(256, false);
    let block_us = 1e6 / BLOCKS_PER_SECOND as f64;
    let quiet = costs::block_us(&patch, 0, 1);
    for (count, frames) in [(0, 1), (64, 1), (costs::MOST, 1), (costs::MOST, 8)] {
        let us = costs::block_us(&patch, count, frames);
        let name = format!("{count} due at {frames} different frames");
        let share = (us - quiet) / block_us * 100.0;
        println!("{name:56} {us:9.1} {:9.1} {share:8.1} %", us - quiet);
    }
}

/// Measures the rows in turn and prints what each came to, the first against the others.
fn table(title: &str, rows: Vec<Row<'_>>, only: &str) {
    if !title.contains(only) {
        return;
    }
    println!("\n{title:56} {:>9} {:>9} {:>9}", "x real", "voices", "first is");
    let mut rows: Vec<(Row<'_>, f64)> = rows.into_iter().map(|row| (row, 0.0)).collect();
    for _ in 0..ROUNDS {
        for (row, best) in &mut rows {
            *best = (row.speed)().unwrap_or(0.0).max(*best);
        }
    }
    let first = rows.first().map_or(0.0, |(row, best)| best * row.voices as f64);
    for (row, best) in &rows {
        let (name, reached) = (&row.name, best * row.voices as f64);
        match reached {
            0.0 => println!("{name:56} not installed"),
            _ => println!("{name:56} {best:9.1} {reached:9.0} {:8.2}x", first / reached),
        }
    }
}

/// The seconds of processor time that rendering so many seconds of sound took.
fn took(seconds: f64, render: impl FnOnce(u64)) -> f64 {
    let now = || process_cpu_ns(std::process::id()).expect("our own clock");
    let began = now();
    render((seconds * BLOCKS_PER_SECOND as f64) as u64);
    (now() - began) as f64 / 1e9
}

fn patch<'a>(name: &str, voices: usize, text: &str) -> Row<'a> {
    let mut played = Played::new(text);
    played.render(BLOCKS_PER_SECOND / 2);
    let seconds = if voices == 1 { 20.0 } else { 40.0 / voices as f64 };
    let name = name.to_string();
    let speed = Box::new(move || {
        let took = took(seconds, |blocks| played.render(blocks));
        assert!(played.peak > 1e-3, "what is measured is silent");
        Some(seconds / took)
    });
    Row { name, voices, speed }
}

fn ours<'a>(voices: usize, moved: bool) -> Row<'a> {
    patch(&format!("segue, {voices} voices"), voices, &players(voices, moved))
}

fn peers<'a>(voices: usize, moved: bool, definitions: &'a [&'static str]) -> Vec<Row<'a>> {
    let seconds = if voices == 1 { 400.0 } else { 4.0 };
    let mut rows: Vec<Row<'_>> = definitions
        .iter()
        .map(|what| Row {
            name: format!("scsynth, {what}"),
            voices,
            speed: Box::new(move || scsynth::speed(what, voices, seconds)),
        })
        .collect();
    let mut graphs = Graphs::new(voices, moved);
    graphs.render(BLOCKS_PER_SECOND / 2);
    let seconds = if voices == 1 { 20.0 } else { 0.5 };
    let speed = Box::new(move || {
        let took = took(seconds, |blocks| graphs.render(blocks));
        assert!(graphs.peak > 0.0, "what is measured is silent");
        Some(seconds / took)
    });
    rows.push(Row { name: "fundsp, a graph a voice".to_string(), voices, speed });
    rows
}

fn one<'a>() -> Vec<Row<'a>> {
    let mut rows = vec![patch("segue", 1, &one_voice())];
    rows.extend(peers(1, false, &["sine kr", "sine ar"]));
    rows
}

/// What the machine could do at most.
fn limit<'a>(voices: usize, moved: bool) -> Row<'a> {
    let mut fused = Fused::new(voices, moved);
    fused.render(BLOCKS_PER_SECOND / 2);
    let seconds = 0.5;
    let speed = Box::new(move || {
        let took = took(seconds, |blocks| fused.render(blocks));
        assert!(fused.peak > 1e-3, "what is measured is silent");
        Some(seconds / took)
    });
    Row { name: "one loop by hand, no cables".to_string(), voices, speed }
}

fn many<'a>(what: &str, moved: bool) -> Vec<Row<'a>> {
    let mut rows = vec![ours(256, moved), limit(256, moved)];
    rows.extend(match what {
        "moved" => peers(256, moved, &["moved kr", "moved ar"]),
        _ => peers(256, moved, &["fixed kr", "fixed ar"]),
    });
    rows
}

/// Sixteen detuned voices behind one envelope.
fn unison() -> String {
    let voice = format!(
        "osc = {{ type = \"osc\", shape = \"saw\", freq = 110, voices = 16, spread = 10 }}
env = {{ type = \"adsr\", in = \"osc\", {} }}
filter = {{ type = \"svf\", in = \"env\", cutoff = 900, q = 4 }}
",
        ours::ENVELOPE
    );
    with_out(&voice, "filter * 0.01")
}
