//! `segue-sim SEED` lives one life and tells what came of it, with `--tell` also how it goes;
//! `segue-sim --minutes N` lives as many as there is time for, on all processors, and reports;
//! `segue-sim --lives N` lives so many, and ends at the first that fails.

use std::collections::BTreeMap;
use std::panic;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use segue_sim::life::{self, COUNTED, Report};

const USAGE: &str = "usage: segue-sim SEED [--tell] | segue-sim --minutes N [--from SEED] | \
                     segue-sim --lives N [--from SEED]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--minutes", minutes] => campaign(Bound::minutes(minutes), "0"),
        ["--minutes", minutes, "--from", seed] => campaign(Bound::minutes(minutes), seed),
        ["--lives", lives] => campaign(Bound::lives(lives), "0"),
        ["--lives", lives, "--from", seed] => campaign(Bound::lives(lives), seed),
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

/// Lives that failed and are told one by one.
const FAILED_TOLD: usize = 20;

/// What all lives came to.
#[derive(Default)]
struct Sum {
    /// The lowest and the highest seed.
    seeds: (u64, u64),
    racks: u64,
    lives: u64,
    blocks: u64,
    concealed: u64,
    deaths: u64,
    wrong: u64,
    healed: u64,
    verdicts: usize,
    within: [u64; 2],
    counted: [u64; COUNTED.len()],
    faults: BTreeMap<&'static str, u64>,
    failed: Vec<(u64, String)>,
}

impl Sum {
    fn add(&mut self, report: Report) {
        let first = if self.lives == 0 { report.seed } else { self.seeds.0.min(report.seed) };
        self.seeds = (first, self.seeds.1.max(report.seed));
        self.racks += u64::from(report.config.rack.is_some());
        self.lives += 1;
        self.blocks += report.blocks;
        self.concealed += report.concealed;
        self.deaths += report.deaths;
        self.verdicts += report.verdicts;
        self.wrong += report.wrong;
        self.healed = self.healed.max(report.healed);
        self.within.iter_mut().zip(report.within).for_each(|(sum, it)| *sum += it);
        self.counted.iter_mut().zip(report.counted).for_each(|(sum, it)| *sum += it);
        for (kind, count) in report.faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }
}

/// How far a campaign goes.
#[derive(Clone, Copy)]
enum Bound {
    Until(Instant),
    Lives(u64),
}

impl Bound {
    fn minutes(text: &str) -> Option<Self> {
        let minutes = text.parse::<f64>().ok()?.max(0.0);
        Some(Self::Until(Instant::now() + Duration::from_secs_f64(minutes * 60.0)))
    }

    fn lives(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::Lives)
    }

    fn holds(self, lives: u64, failed: bool) -> bool {
        match self {
            Self::Until(end) => Instant::now() < end,
            Self::Lives(most) => lives < most && !failed,
        }
    }
}

fn campaign(bound: Option<Bound>, from: &str) -> ExitCode {
    let (Some(bound), Ok(from)) = (bound, from.parse::<u64>()) else { return usage() };
    // What fails is told with its seed; a life is lived again to see where.
    panic::set_hook(Box::new(|_| {}));
    let began = Instant::now();
    let (next, sum) = (AtomicU64::new(from), Mutex::new(Sum::default()));
    let failed = AtomicBool::new(false);
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !bound.holds(seed - from, failed.load(Ordering::Relaxed)) {
                        break;
                    }
                    let lived = panic::catch_unwind(|| life::live(seed, None));
                    let mut sum = sum.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    match lived {
                        Ok(report) => sum.add(report),
                        Err(why) => {
                            failed.store(true, Ordering::Relaxed);
                            let why = words(&*why);
                            eprintln!("life {seed} failed: {why}");
                            sum.failed.push((seed, why));
                        }
                    }
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    report(&sum, began.elapsed())
}

/// What a life ended with.
fn words(why: &(dyn std::any::Any + Send)) -> String {
    let text = why.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| why.downcast_ref::<&str>().copied());
    text.unwrap_or("an assertion").lines().next().unwrap_or_default().to_owned()
}

fn report(sum: &Sum, took: Duration) -> ExitCode {
    let faults: u64 = sum.faults.values().sum();
    // Time in which the machine slept is not audio.
    let audio = sum.blocks as f64 * 64.0 / 48_000.0;
    let (hours, seconds) = (audio / 3600.0, took.as_secs_f64());
    let (first, last) = sum.seeds;
    println!("{} lives, seeds {first} to {last}, {} of them of a rack", sum.lives, sum.racks);
    println!("{hours:.1} hours of audio, {} blocks", sum.blocks);
    println!("{:.0} times real time, {seconds:.0} s", audio / seconds);
    println!("{faults} faults, {:.0} a second", faults as f64 / seconds);
    for (kind, count) in &sum.faults {
        println!("{count:>9} {kind}");
    }
    let [joining, nobody] = sum.within;
    println!("{joining} of them while somebody joined, {nobody} while nobody was in lockstep");
    for ((what, _), count) in COUNTED.iter().zip(sum.counted) {
        println!("{count:>9} {what}, exactly");
    }
    println!("{} deaths, every one explained; {} verdicts", sum.deaths, sum.verdicts);
    println!("{} blocks concealed, every one counted", sum.concealed);
    println!("{} blocks wrong before a divergence was judged", sum.wrong);
    println!("back to full strength within {} blocks", sum.healed);
    if sum.failed.is_empty() {
        println!("not one byte wrong");
        return ExitCode::SUCCESS;
    }
    println!("{} lives failed", sum.failed.len());
    for (seed, why) in sum.failed.iter().take(FAILED_TOLD) {
        println!("life {seed} failed: {why}; `segue-sim {seed} --tell` shows it");
    }
    ExitCode::FAILURE
}
