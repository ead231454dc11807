//! What it costs to be ready and to be redundant: processor time of every kind of thread, of a rack
//! at rest and of a full one, without a standby, with one and with two.
//!
//! Supervision is all that would not be there if one process rendered and wrote to the device. Most
//! of it is the kernel's way into sleep and out of it, so the same sleeps alone are measured too.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use segue_lockstep::Shape;
use segue_lockstep::memory::block;
use segue_lockstep::memory::slot::Slot;
use segue_sys::process::priority::{self, Urgency};
use segue_sys::{Region, clock, futex, hash};
use tempfile::TempDir;

use crate::engine::{BLOCK_NS, Engine, Role, first_patch};
use crate::table;

/// Ten seconds.
const BLOCKS: u64 = 7500;
/// What starting leaves behind is over by then.
const SETTLED: u64 = 750;
/// Groups of sixteen voices: 256.
const GROUPS: usize = 16;
/// Kinds of threads, as they are told; the first four are supervision.
const KINDS: [&str; 6] =
    ["playout", "monitor", "door, log and others", "control", "primary", "standbys"];
const SUPERVISION: usize = 4;
/// Blocks between two hashes of the whole state.
const WHOLE_BLOCKS: f64 = 16.0;

pub(crate) fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let full = full_patch(&folder);
    let racks: [(&str, &Path); 2] = [("at rest", &first_patch()), ("full", &full)];
    let mut columns = Vec::new();
    for (rack, patch) in racks {
        for standbys in ["0", "1", "2"] {
            columns.push((format!("{rack}, {standbys}"), run(patch, standbys)));
        }
    }
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let row = |name: &str, of: &dyn Fn(&Cost) -> f64, digits| {
        let values: Vec<f64> = columns.iter().map(|(_, cost)| of(cost)).collect();
        table::row(name, &values, digits);
    };
    table::title("percent of a core; rack, standbys", &names);
    for (kind, name) in KINDS.iter().enumerate() {
        row(&format!("  {name}"), &|cost| cost.percent[kind], 2);
    }
    row("supervision (the first four)", &Cost::supervision, 2);
    row("rendering by one of them", &|cost| cost.rendering, 2);
    row("supervision, percent of the rendering", &|it| 100.0 * it.supervision() / it.rendering, 0);
    table::title("wake-ups a block; rack, standbys", &names);
    for (kind, name) in KINDS.iter().enumerate() {
        row(&format!("  {name}"), &|cost| cost.wakes[kind], 2);
    }
    sleeps();
    let words = columns.last().map_or(0, |(_, cost)| cost.state_words);
    hashing(words, columns.last().map_or(0.0, |(_, cost)| cost.rendering));
}

/// What an engine costs.
struct Cost {
    /// Percent of a core, by kind.
    percent: [f64; KINDS.len()],
    /// Wake-ups a block, by kind.
    wakes: [f64; KINDS.len()],
    /// Percent of a core that the blocks of one worker take.
    rendering: f64,
    state_words: usize,
}

impl Cost {
    fn supervision(&self) -> f64 {
        self.percent[..SUPERVISION].iter().sum()
    }
}

fn run(patch: &Path, standbys: &str) -> Cost {
    let engine = Engine::start(patch, &["--lead", "4", "--standbys", standbys]);
    engine.play_on(SETTLED);
    let (from, before) = (clock::monotonic_ns(), threads(&engine));
    engine.play_on(BLOCKS);
    let (to, after) = (clock::monotonic_ns(), threads(&engine));
    let blocks = (to - from) as f64 / BLOCK_NS as f64;
    let (mut percent, mut wakes) = ([0.0; KINDS.len()], [0.0; KINDS.len()]);
    for (thread, (kind, [cpu_ns, count])) in after {
        let [cpu_before, count_before] = before.get(&thread).map_or([0, 0], |it| it.1);
        percent[kind] += 100.0 * (cpu_ns - cpu_before) as f64 / (to - from) as f64;
        wakes[kind] += (count - count_before) as f64 / blocks;
    }
    let rendering = 100.0 * engine.render_ns() as f64 / BLOCK_NS as f64;
    Cost { percent, wakes, rendering, state_words: engine.state_words() }
}

/// Every thread of the engine: its kind, the processor time it has used and how often it slept.
fn threads(engine: &Engine) -> BTreeMap<String, (usize, [u64; 2])> {
    let primary = engine.primary();
    let mut found = BTreeMap::new();
    for (pid, whose) in engine.processes() {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a process of ours");
        for task in tasks.flatten() {
            let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let first = task.file_name().to_str() == Some(&pid.to_string());
            let kind = match whose {
                Role::Supervisor if read("comm").trim() == "playout" => 0,
                Role::Supervisor if first => 1,
                Role::Supervisor => 2,
                Role::Control => 3,
                Role::Worker(slot) => 4 + usize::from(slot != primary),
            };
            let cpu_ns = read("schedstat").split(' ').next().and_then(|it| it.parse().ok());
            let status = read("status");
            let slept = status.lines().find_map(|it| it.strip_prefix("voluntary_ctxt_switches:"));
            let slept = slept.and_then(|it| it.trim().parse().ok());
            let name = task.path().display().to_string();
            found.insert(name, (kind, [cpu_ns.unwrap_or(0), slept.unwrap_or(0)]));
        }
    }
    found
}

/// What the sleeps of playout alone cost: a thread that sleeps to each block and wakes another.
fn sleeps() {
    let columns = ["cpu %"];
    table::title("for comparison, each block", &columns);
    for (name, wakes) in
        [("  a thread sleeps", false), ("  a thread sleeps and wakes another", true)]
    {
        let (bell, over) = (AtomicU32::new(0), AtomicBool::new(false));
        let spent = std::thread::scope(|scope| {
            if wakes {
                scope.spawn(|| {
                    let _ = priority::ask_realtime(Urgency::Primary);
                    while !over.load(Ordering::Acquire) {
                        futex::wait(&bell, bell.load(Ordering::Acquire), Duration::from_millis(50));
                    }
                });
            }
            let sleeper = scope.spawn(|| {
                let _ = priority::ask_realtime(Urgency::Playout);
                let (began_ns, cpu_ns) = (clock::monotonic_ns(), clock::thread_cpu_ns());
                for turn in 1..=BLOCKS / 2 {
                    clock::sleep_until_ns(began_ns + turn * BLOCK_NS);
                    if wakes {
                        futex::ring(&bell);
                    }
                }
                over.store(true, Ordering::Release);
                let cpu_ns = (clock::thread_cpu_ns() - cpu_ns) as f64;
                cpu_ns / (clock::monotonic_ns() - began_ns) as f64
            });
            sleeper.join().expect("it comes to its end")
        });
        table::row(name, &[100.0 * spent], 2);
    }
}

/// What is hashed for each block, the cheapest of several passes: by the worker, and again by each
/// who reads it.
fn hashing(state_words: usize, rendering: f64) {
    let shape = Shape { slots: 1, channels: 2, rate: 48_000, state_words: 1 };
    let slot = Slot::new(Region::heap(Slot::words(&shape)), &shape).expect("a slot of its size");
    let samples = vec![0.25_f32; shape.block_samples()];
    let mut entry = vec![0; block::words(&shape)];
    let state: Vec<u64> = (0..state_words.max(64) as u64).collect();
    let part = &state[..state.len() / 64];
    let mut number = 0;
    let render_ns = rendering / 100.0 * BLOCK_NS as f64;
    println!(
        "\na state of {} KiB, a block of the full rack {:.1} us",
        state.len() / 128,
        render_ns / 1e3
    );
    table::title("hashing, a block", &["ns", "% of it"]);
    let tell = |name: &str, ns: f64| table::row(name, &[ns, 100.0 * ns / render_ns], 2);
    let output = cheapest(|| block::pack(&samples, &mut entry));
    tell("  the output", output);
    let ring = cheapest(|| {
        number += 1;
        slot.write(number, 1, &entry);
    });
    tell("  the entry of the ring, written and hashed", ring);
    let digest = cheapest(|| hash::words(7, part));
    tell("  the digest of a 64th of the state", digest);
    let whole = cheapest(|| hash::words(7, &state)) / WHOLE_BLOCKS;
    tell("  all of the state, each 16th block", whole);
    tell("  together", output + ring + digest + whole);
}

/// Nanoseconds of a call.
fn cheapest<T>(mut call: impl FnMut() -> T) -> f64 {
    const CALLS: u32 = 2000;
    let mut pass = || {
        let began = Instant::now();
        (0..CALLS).for_each(|_| drop(std::hint::black_box(call())));
        began.elapsed().as_nanos() as f64 / f64::from(CALLS)
    };
    (0..20).map(|_| pass()).fold(f64::INFINITY, f64::min)
}

/// 256 voices: saw, svf, adsr in groups of sixteen, all gates opened and closed four times a second
/// by an oscillator of the patch's own, so that nobody has to send anything.
fn full_patch(folder: &TempDir) -> PathBuf {
    let mut text = "segue = 1\ngate = { type = 'lfo', shape = 'square', rate = 4 }\n".to_owned();
    let mut sum = Vec::new();
    for group in 0..GROUPS {
        let saws = format!("shape = 'saw', freq = {}, voices = 16, spread = 9", 60 + 7 * group);
        let envelope = "gate = 'gate.up', attack = 100, decay = 500, sustain = 0.2, release = 600";
        writeln!(text, "saw{group} = {{ type = 'osc', {saws} }}").expect("a string takes it");
        writeln!(text, "svf{group} = {{ type = 'svf', in = 'saw{group}', cutoff = 900, q = 2 }}")
            .expect("a string takes it");
        writeln!(text, "amp{group} = {{ type = 'adsr', in = 'svf{group}', {envelope} }}")
            .expect("a string takes it");
        sum.push(format!("amp{group} * 0.002"));
    }
    write!(text, "[out]\nin = \"{}\"\n", sum.join(" + ")).expect("a string takes it");
    let path = folder.path().join("full.toml");
    fs::write(&path, text).expect("a patch is written");
    path
}
