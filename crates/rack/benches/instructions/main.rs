//! How many instructions a block takes, counted by valgrind and held against what is kept:
//! `cargo bench --bench instructions`; after an intended change with `SEGUE_BLESS=1`, and look.
//!
//! Unlike a time, a count is the same on a busy machine, so that this one may fail. Each rack is
//! rendered in a process of its own, once for no block and once for [`BLOCKS`]: the difference
//! is what rendering took. Counted is what runs with AVX2.

#[path = "../voice/ours.rs"]
mod ours;

use std::fmt::Write;
use std::process::{Command, ExitCode};

use ours::{Played, one_voice, players};

/// Two whole turns of the gates.
const BLOCKS: u64 = 376;
/// More than this much above what is kept is a regression; as much below wants to be kept.
const TOLERANCE_PERCENT: f64 = 5.0;
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/kept.txt");
const RACKS: [&str; 4] = ["one", "fixed", "moved", "demo"];

fn patch(rack: &str) -> String {
    match rack {
        "one" => one_voice(),
        "fixed" => players(256, false),
        "moved" => players(256, true),
        "demo" => include_str!("../../../../patches/demo.toml").to_string(),
        _ => panic!("no rack of the name {rack:?}; there are {RACKS:?}"),
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if let [_, count, rack, blocks] = &words[..]
        && count == "count"
    {
        let mut played = Played::new(&patch(rack));
        let blocks = blocks.parse().expect("a number of blocks");
        played.render(blocks);
        assert!(blocks == 0 || played.peak > 1e-3, "what is counted is silent");
        return ExitCode::SUCCESS;
    }
    if !has_avx2() {
        println!("skipped: what is kept was counted with AVX2, which this processor has not");
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: valgrind is not installed");
        return ExitCode::SUCCESS;
    }
    let counts = RACKS.map(|rack| (rack, (counted(rack, BLOCKS) - counted(rack, 0)) / BLOCKS));
    if std::env::var_os("SEGUE_BLESS").is_some() {
        let mut text = format!("# Instructions a block, by {}\n", compiler());
        for (rack, count) in counts {
            let _ = writeln!(text, "{rack} {count}");
        }
        std::fs::write(KEPT, text).expect("the file of what is kept");
    }
    compare(&counts)
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

/// The instructions of a process that renders so many blocks.
fn counted(rack: &str, blocks: u64) -> u64 {
    let ran = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(std::env::current_exe().expect("our own path"))
        .args(["count", rack, &blocks.to_string()])
        .output()
        .expect("valgrind");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "valgrind on {rack}: {}\n{said}", ran.status);
    let line = said.lines().find_map(|line| line.split_once(" refs:"));
    let count = line.and_then(|(_, count)| count.trim().replace(',', "").parse().ok());
    count.unwrap_or_else(|| panic!("no count from valgrind:\n{said}"))
}

/// The compiler's name and version: with another one counts differ.
fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let said = Command::new(rustc).arg("--version").output().expect("the compiler");
    String::from_utf8_lossy(&said.stdout).trim().to_string()
}

/// Prints the counts beside what is kept; a failure when one is too far above.
fn compare(counts: &[(&str, u64)]) -> ExitCode {
    let kept = std::fs::read_to_string(KEPT).unwrap_or_default();
    println!("# instructions a block, over {BLOCKS} blocks");
    println!("{:12} {:>12} {:>12} {:>8}", "", "counted", "kept", "change");
    let mut worse = false;
    for (rack, count) in counts {
        let of_rack = kept.lines().find_map(|line| line.strip_prefix(rack)?.trim().parse().ok());
        let Some(before): Option<u64> = of_rack else {
            println!("{rack:12} {count:>12} is not in {KEPT}: SEGUE_BLESS=1 keeps it");
            worse = true;
            continue;
        };
        let change = (*count as f64 / before as f64 - 1.0) * 100.0;
        let word = match change {
            _ if change > TOLERANCE_PERCENT => "TOO MANY",
            _ if change < -TOLERANCE_PERCENT => "fewer: SEGUE_BLESS=1 keeps it",
            _ => "",
        };
        println!("{rack:12} {count:>12} {before:>12} {change:>+7.2}% {word}");
        worse |= change > TOLERANCE_PERCENT;
    }
    if worse {
        let before = kept.lines().next().unwrap_or("# nothing is kept");
        println!("{before}; now by {}", compiler());
        println!("`valgrind --tool=callgrind THIS_BENCH count RACK {BLOCKS}` shows where");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
