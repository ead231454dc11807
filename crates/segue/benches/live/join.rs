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
/// The same with a large state: a standby writes a checkpoint of it each 1,024 blocks.
const REST_LARGE: u64 = 2048;
/// Groups of sixteen voices that take about a third of a block to render.
const GROUPS: usize = 44;
/// The same beside a large state, which takes its share of a block to read and to hash.
const GROUPS_BESIDE: usize = 40;
/// Modules of half a MiB of state each, which fill 64 MiB but for what the voices need.
const BALLAST: usize = 127;
/// Blocks that are watched before anybody is hurt: ten seconds.
const QUIET: u64 = 7500;
/// Blocks until there is sound in all of their state.
const FULL: u64 = 2100;

pub(crate) fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let many = patch(&folder, GROUPS, 0);
    for room in ["1MiB", "64MiB"] {
        kill(&format!("{} voices, room for {room}", GROUPS * 16), &many, room, REST);
    }
}

/// The same with a state that fills its room.
pub(crate) fn measure_large() {
    let folder = tempfile::tempdir().expect("a folder");
    let full = patch(&folder, GROUPS_BESIDE, BALLAST);
    let name = format!("{} voices and {BALLAST} ballasts", GROUPS_BESIDE * 16);
    kill(&name, &full, "64MiB", REST_LARGE);
}

const COUNTERS: [Counter; 4] =
    [Counter::NoneReads, Counter::Late, Counter::RoleChanges, Counter::Anchors];

/// What was counted in some stretches of the show, and how many blocks they had.
#[derive(Default)]
struct Stretch([u64; COUNTERS.len() + 1]);

impl Stretch {
    /// Adds what is counted meanwhile.
    fn during<T>(&mut self, engine: &Engine, what: impl FnOnce() -> T) -> T {
        let look = || COUNTERS.map(|it| engine.counter(it));
        let (before, from) = (look(), engine.orders.playhead());
        let done = what();
        let (after, to) = (look(), engine.orders.playhead());
        self.0.iter_mut().zip(after).zip(before).for_each(|((sum, a), b)| *sum += a - b);
        self.0[COUNTERS.len()] += to - from;
        done
    }
}

fn kill(name: &str, patch: &std::path::Path, room: &str, rest: u64) {
    let engine = Engine::start(patch, &["--lead", "4", "--state", room]);
    engine.play_on(FULL);
    let (mut quiet, mut between) = (Stretch::default(), Stretch::default());
    let mut joins = [Stretch::default(), Stretch::default()];
    quiet.during(&engine, || engine.play_on(QUIET));
    let mut again = [Vec::new(), Vec::new()];
    for number in 0..2 * TIMES {
        let of_primary = usize::from(number >= TIMES);
        let primary = engine.primary();
        let whole_ms = joins[of_primary].during(&engine, || {
            let killed_ns = engine.kill(if of_primary == 1 { primary } else { 1 - primary });
            let death = mourned(&engine, number);
            ms((death.at_ns + death.lockstep_again_ns).saturating_sub(killed_ns))
        });
        again[of_primary].push(whole_ms);
        between.during(&engine, || engine.play_on(rest));
    }
    let load = 100.0 * engine.render_ns() as f64 / BLOCK_NS as f64;
    let words = engine.state_words();
    println!("\n{name}: its state {} KiB, a block takes {load:.1} % of its time", words / 128);
    table::title("  ms from the kill until all are in lockstep", &table::SPREAD);
    let [of_standby, of_primary] = again;
    table::spread("  standby killed", of_standby, 1);
    table::spread("  primary killed", of_primary, 1);
    table::title("  blocks", &["concealed", "late", "roles", "anchors", "of"]);
    let [of_standby, of_primary] = joins;
    for (name, stretch) in [
        ("  before anybody is hurt", quiet),
        ("  while a standby joins, the standby killed", of_standby),
        ("  while a standby joins, the primary killed", of_primary),
        ("  between", between),
    ] {
        table::row(name, &stretch.0.map(|count| count as f64), 0);
    }
    engine.stop();
}

/// Noise driven in groups of sixteen voices, which costs the same however a knob stands, and a
/// row of ballast.
fn patch(folder: &TempDir, groups: usize, ballast: usize) -> PathBuf {
    let mut text = "segue = 1\nnoise = { type = 'noise', voices = 16 }\n".to_owned();
    let mut sum = Vec::new();
    for group in 0..groups {
        writeln!(text, "f{group} = {{ type = 'drive', in = 'noise' }}").expect("a string takes it");
        sum.push(format!("f{group} * 0.0005"));
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
