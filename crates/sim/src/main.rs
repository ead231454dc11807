//! `segue-sim SEED` lives one life and tells what came of it, with `--tell` also how it goes;
//! `segue-sim --minutes N` lives as many as there is time for, on all processors, and reports.

use std::collections::BTreeMap;
use std::panic;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use segue_sim::life::{self, Report};

const USAGE: &str = "usage: segue-sim SEED [--tell] | segue-sim --minutes N [--from SEED]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--minutes", minutes] => campaign(minutes, "0"),
        ["--minutes", minutes, "--from", seed] => campaign(minutes, seed),
        [seed] => one(seed, |seed| life::live(seed, None)),
        [seed, "--tell"] => one(seed, life::tell),
        _ => usage(),
    }
}

fn one(seed: &str, live: impl Fn(u64) -> Report) -> ExitCode {
    let Ok(seed) = seed.parse() else { return usage() };
    println!("{}", live(seed));
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(64)
}

/// What all lives came to.
#[derive(Default)]
struct Sum {
    lives: u64,
    lived_ns: u64,
    blocks: u64,
    concealed: u64,
    deaths: u64,
    verdicts: usize,
    faults: BTreeMap<&'static str, u64>,
    failed: Vec<u64>,
}

impl Sum {
    fn add(&mut self, report: Report) {
        self.lives += 1;
        self.lived_ns += report.lived_ns;
        self.blocks += report.blocks;
        self.concealed += report.concealed;
        self.deaths += report.deaths;
        self.verdicts += report.verdicts;
        for (kind, count) in report.faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }
}

fn campaign(minutes: &str, from: &str) -> ExitCode {
    let (Ok(minutes), Ok(from)) = (minutes.parse::<f64>(), from.parse::<u64>()) else {
        return usage();
    };
    // What fails is told with its seed; a life is lived again to see where.
    panic::set_hook(Box::new(|_| {}));
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(minutes.max(0.0) * 60.0);
    let (next, sum) = (AtomicU64::new(from), Mutex::new(Sum::default()));
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                while Instant::now() < until {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let lived = panic::catch_unwind(|| life::live(seed, None));
                    let mut sum = sum.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    match lived {
                        Ok(report) => sum.add(report),
                        Err(_) => sum.failed.push(seed),
                    }
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    report(&sum, began.elapsed())
}

fn report(sum: &Sum, took: Duration) -> ExitCode {
    let faults: u64 = sum.faults.values().sum();
    let lived = sum.lived_ns as f64 / 1e9;
    println!("{} lives, {:.1} hours of audio, {} blocks", sum.lives, lived / 3600.0, sum.blocks);
    println!("{:.0} times real time, {:.0} s", lived / took.as_secs_f64(), took.as_secs_f64());
    println!("{faults} faults, {} deaths, {} verdicts", sum.deaths, sum.verdicts);
    for (kind, count) in &sum.faults {
        println!("{count:>9} {kind}");
    }
    println!("{} blocks concealed, every one of them counted", sum.concealed);
    if sum.failed.is_empty() {
        println!("not one byte wrong");
        return ExitCode::SUCCESS;
    }
    println!("failed: {:?}; live one again with `segue-sim SEED --tell`", sum.failed);
    ExitCode::FAILURE
}
