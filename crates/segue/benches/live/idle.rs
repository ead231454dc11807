//! What it costs to be ready: wake-ups and processor time of each process while nobody plays.

use std::fs;

use segue_sys::clock;

use crate::engine::{BLOCK_NS, Engine, first_patch};
use crate::table;

/// Ten seconds.
const BLOCKS: u64 = 7500;

pub(crate) fn measure() {
    let engine = Engine::start(&first_patch(), &["--lead", "4"]);
    // What starting leaves behind is over by then.
    engine.play_on(750);
    let processes = engine.processes();
    let look = || {
        processes.map(|(_, pid)| {
            let cpu_ns = clock::process_cpu_ns(pid).expect("a process of ours");
            let [wakes, preemptions] = switches(pid);
            [wakes, preemptions, cpu_ns]
        })
    };
    let (from, before) = (engine.orders.playhead(), look());
    engine.play_on(BLOCKS);
    let (to, after) = (engine.orders.playhead(), look());
    let blocks = (to - from) as f64;
    let columns = ["wakes", "preempted", "us", "cpu %"];
    table::title("an idle engine with one standby, a block", &columns);
    for (at, (name, _)) in processes.iter().enumerate() {
        let of = |what: usize| (after[at][what] - before[at][what]) as f64 / blocks;
        let percent = of(2) / BLOCK_NS as f64 * 100.0;
        table::row(&format!("  {name}"), &[of(0), of(1), of(2) / 1000.0, percent], 2);
    }
}

/// Voluntary and involuntary context switches of a process, all threads together.
fn switches(pid: u32) -> [u64; 2] {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a process of ours");
    let texts: Vec<String> = tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("status")).ok())
        .collect();
    ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"].map(|name| {
        let lines = texts.iter().flat_map(|text| text.lines());
        lines.filter_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()).sum()
    })
}
