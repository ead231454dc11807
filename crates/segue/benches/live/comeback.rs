//! Coming back: all workers killed at once, and the supervisor killed and started with `--resume`.
//!
//! Of the first, what was missing is counted in the blocks that were made up: that is what is
//! heard. Of the second, from the start of the program to its first block.

use std::path::Path;

use segue_lockstep::memory::status::Counter;
use segue_sys::clock;

use crate::engine::{BLOCK_NS, Engine, Place, first_patch};
use crate::table::{self, ms};

const TIMES: u64 = 20;
/// Blocks between two kills: a quarter of a second.
const REST: u64 = 190;
/// Whatever priority is granted, so that figures can be compared.
const LEAD: [&str; 2] = ["--lead", "8"];
const PLACE: Place<'_> = Place { device: "null", variable: ("NO_COLOR", "1") };

pub(crate) fn measure() {
    let demo = first_patch().with_file_name("demo.toml");
    for (name, patch) in [("the first patch", first_patch()), ("the demo", demo)] {
        all_at_once(name, &patch);
        resumed(name, &patch);
    }
}

fn all_at_once(name: &str, patch: &Path) {
    let engine = Engine::start(patch, &LEAD);
    let (mut missing, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let (concealed, deaths) = counts(&engine);
        let killed_ns = engine.kill(0);
        engine.kill(1);
        engine.wait("both are told and healed", |it| {
            it.counter(Counter::Deaths) >= deaths + 2 && it.is_whole()
        });
        whole.push(ms(clock::monotonic_ns() - killed_ns));
        missing.push(ms((counts(&engine).0 - concealed) * BLOCK_NS));
        engine.play_on(REST);
    }
    table::title(&format!("{name}: all workers killed at once, ms"), &table::SPREAD);
    table::spread("  of music that were made up", missing, 1);
    table::spread("  from the kill until all are in lockstep", whole, 1);
    engine.stop();
}

fn counts(engine: &Engine) -> (u64, u64) {
    (engine.counter(Counter::NoneReads), engine.counter(Counter::Deaths))
}

fn resumed(name: &str, patch: &Path) {
    let (mut sound, mut whole) = (Vec::new(), Vec::new());
    let mut engine = Engine::start(patch, &LEAD);
    for _ in 0..TIMES {
        // Long enough for a state to be older than the last.
        engine.play_on(4 * REST);
        let folder = engine.kill_all();
        let began_ns = clock::monotonic_ns();
        engine = Engine::open(&PLACE, patch, &[&LEAD[..], &["--resume"]].concat(), folder);
        engine.wait("its first block was played", |it| it.tap.head() > 0);
        sound.push(ms(clock::monotonic_ns() - began_ns));
        engine.wait("all are in lockstep", Engine::is_whole);
        whole.push(ms(clock::monotonic_ns() - began_ns));
    }
    table::title(&format!("{name}: the supervisor killed, run --resume, ms"), &table::SPREAD);
    table::spread("  from the start to the first block", sound, 1);
    table::spread("  from the start until all are in lockstep", whole, 1);
    engine.stop();
}
