//! How long a big state takes to join: workers killed one at a time, at a third of a block's time.
//!
//! The room for the state is one thing, the state of the patch another: slots are made for the
//! room, the patch alone decides what is copied and hashed. So there is a patch of each kind.

use std::fmt::Write;
use std::path::PathBuf;

use segue_lockstep::memory::status::Counter;
use tempfile::TempDir;

use crate::engine::{BLOCK_NS, Engine};
use crate::failover::mourned;
use crate::table::{self, ms};

/// Of each, standby and primary.
const TIMES: u64 = 12;
/// Blocks between two kills: half a second.
const REST: u64 = 375;
/// Groups of sixteen voices that take about a third of a block to render.
const GROUPS: usize = 50;
/// The same beside a large state, which takes its share of a block to hash.
const GROUPS_BESIDE: usize = 20;
/// Modules of half a MiB of state each, which fill 64 MiB but for what the voices need.
const BALLAST: usize = 127;
/// Blocks until there is sound in all of their state.
const FULL: u64 = 2100;

pub(crate) fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let many = patch(&folder, GROUPS, 0);
    for room in ["1MiB", "64MiB"] {
        kill(&format!("{} voices, room for {room}", GROUPS * 16), &many, room);
    }
    let full = patch(&folder, GROUPS_BESIDE, BALLAST);
    kill(&format!("{} voices and {BALLAST} ballasts", GROUPS_BESIDE * 16), &full, "64MiB");
}

fn kill(name: &str, patch: &std::path::Path, room: &str) {
    let engine = Engine::start(patch, &["--lead", "4", "--state", room]);
    engine.play_on(FULL);
    let counters = [Counter::NoneReads, Counter::Late, Counter::RoleChanges, Counter::Anchors];
    let before = counters.map(|it| engine.counter(it));
    let mut again = [Vec::new(), Vec::new()];
    for number in 0..2 * TIMES {
        let of_primary = number >= TIMES;
        let primary = engine.primary();
        let killed_ns = engine.kill(if of_primary { primary } else { 1 - primary });
        let death = mourned(&engine, number);
        let whole_ns = death.at_ns + death.lockstep_again_ns;
        again[usize::from(of_primary)].push(ms(whole_ns.saturating_sub(killed_ns)));
        engine.play_on(REST);
    }
    let after = counters.map(|it| engine.counter(it));
    let (words, load) = state_and_load(&engine);
    println!("\n{name}: its state {} KiB, a block takes {load:.1} % of its time", words / 128);
    table::title("  ms from the kill until all are in lockstep", &table::SPREAD);
    let [of_standby, of_primary] = again;
    table::spread("  standby killed", of_standby, 1);
    table::spread("  primary killed", of_primary, 1);
    table::title("  meanwhile", &["concealed", "late", "roles", "anchors", "of"]);
    let mut values: Vec<f64> = after.iter().zip(before).map(|(a, b)| (a - b) as f64).collect();
    values.push(engine.orders.playhead() as f64);
    table::row("  blocks", &values, 0);
    engine.stop();
}

/// Words of the state in the newest checkpoint, and what the primary takes for a block in the
/// middle, of a hundred.
fn state_and_load(engine: &Engine) -> (usize, f64) {
    let place = &engine.slots[engine.primary()];
    let (published, generation) = (place.published(), place.generation());
    let mut entry = vec![0; place.entry_words()];
    let mut times: Vec<u64> = (published.saturating_sub(200)..published)
        .filter_map(|block| place.read(block, generation, &mut entry))
        .map(|facts| facts.render_ns)
        .collect();
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or(0);
    let areas = engine.slots.iter().flat_map(|slot| slot.areas());
    let words = areas.filter_map(|area| area.read()).map(|(_, state)| state.len()).max();
    (words.unwrap_or(0), 100.0 * middle as f64 / BLOCK_NS as f64)
}

/// Saws in groups of sixteen, each group with a filter that a saw moves, and a row of ballast.
fn patch(folder: &TempDir, groups: usize, ballast: usize) -> PathBuf {
    let mut text = "segue = 1\n".to_owned();
    let mut sum = Vec::new();
    for group in 0..groups {
        let saws = format!("shape = 'saw', freq = {}, voices = 16, spread = 9", 60 + 7 * group);
        let filter = format!("in = 'o{group}', cutoff = '900 + o0 * 0.1oct'");
        writeln!(text, "o{group} = {{ type = 'osc', {saws} }}").expect("a string takes it");
        writeln!(text, "f{group} = {{ type = 'biquad', {filter} }}").expect("a string takes it");
        sum.push(format!("f{group} * 0.005"));
    }
    for number in 0..ballast {
        let line = format!("type = 'ballast', in = 'f{}'", number % groups);
        writeln!(text, "b{number} = {{ {line} }}").expect("a string takes it");
        sum.push(format!("b{number} * 0.0005"));
    }
    write!(text, "[out]\nin = \"{}\"\n", sum.join(" + ")).expect("a string takes it");
    let path = folder.path().join(format!("{groups}-{ballast}.toml"));
    std::fs::write(&path, text).expect("a patch is written");
    path
}
