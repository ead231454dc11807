//! A JACK server at short periods, processors kept busy, a worker killed each second: what
//! reached the far end, held against the replay.
//!
//! `cargo bench --bench live -- jack --minutes 60 --period 64 --lead 2`. The server is `jackd` with
//! its dummy driver, real-time, in step with its clients; the recorder at its far end is JACK's
//! own. The lead is what is asked for beyond one period.

mod compare;
mod server;
mod stalls;
pub(crate) mod watch;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use segue_lockstep::memory::status::{Counter, Fact};
use segue_sys::clock;
use segue_sys::process::priority;

use crate::engine::{Engine, Place};
use crate::table;
use server::Jackd;
use stalls::Stalls;
use watch::Watch;

/// A dozen saws through moving filters, so that a block costs what one of a piece does, and two
/// sines of their own, so that no second is like another.
pub(crate) const PATCH: &str = "segue = 1
drift_a = { type = \"osc\", freq = 0.1371 }
drift_b = { type = \"osc\", freq = 0.0917 }
saw_a   = { type = \"osc\", shape = \"saw\", freq = 110.31, voices = 3, spread = 9 }
saw_b   = { type = \"osc\", shape = \"saw\", freq = 138.77, voices = 3, spread = 8 }
saw_c   = { type = \"osc\", shape = \"saw\", freq = 164.91, voices = 3, spread = 7 }
saw_d   = { type = \"osc\", shape = \"saw\", freq = 220.13, voices = 3, spread = 10 }
low_a   = { type = \"biquad\", in = \"saw_a + saw_b\", cutoff = \"600 + drift_a * 1.5oct\" }
low_b   = { type = \"biquad\", in = \"saw_c + saw_d\", cutoff = \"900 + drift_b * 1.5oct\" }
sine_a  = { type = \"osc\", freq = 441.371 }
sine_b  = { type = \"osc\", freq = 113.0907 }
[out]
left  = \"low_a * 0.04 + sine_a * 0.2\"
right = \"low_b * 0.04 + sine_b * 0.2\"
";

/// Between two kills.
const KILL_NS: u64 = 1_000_000_000;

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) length: Duration,
    pub(crate) period: u32,
    pub(crate) lead: u32,
}

pub(crate) fn measure(wish: Wish) {
    let Some(mut server) = Jackd::start(wish.period) else {
        println!("\nskipped: jackd is not installed, or does not get real-time priority");
        return;
    };
    let patch = server.folder().join("patch.toml");
    std::fs::write(&patch, PATCH).expect("a patch is written");
    let journal = server.folder().join("show.journal");
    let (lead, kept) = (wish.lead.to_string(), journal.to_str().expect("a name"));
    let arguments = ["--lead", &lead, "--journal", kept];
    let place = Place { device: "jack", variable: ("JACK_DEFAULT_SERVER", server.name()) };
    let engine = Engine::start_on(&place, &patch, &arguments);
    let recorder = server.record();
    let busy = Busy::begin();
    let (watch, stalls) = (Watch::begin(&engine), Stalls::begin());
    let kills = kill_for(&engine, wish.length);
    let latency = watch.finish();
    drop(busy);
    report(&engine, wish, kills);
    table::title("  from sealing a block to its first copy, us", &watch::COLUMNS);
    table::row("", &latency.values(), 0);
    stalls.report();
    // The last that is played gets to the far end.
    engine.play_on(750);
    let heard = recorder.finish();
    engine.stop();
    compare(&heard, &journal);
}

fn report(engine: &Engine, wish: Wish, kills: u64) {
    let priority = match engine.status.fact(Fact::Realtime) {
        0 => "WITHOUT real-time priority",
        _ => "real-time priority granted",
    };
    println!(
        "\njackd -S -d dummy, period {}, lead {}, {:?}, {} busy loops, {kills} kills, {priority}",
        wish.period,
        wish.lead,
        wish.length,
        priority::processors(),
    );
    let columns = ["played", "concealed", "late", "xruns", "losses", "roles", "failovers"];
    table::title("  blocks and events", &columns);
    let counted = [
        Counter::NoneReads,
        Counter::Late,
        Counter::Xruns,
        Counter::DeviceLosses,
        Counter::RoleChanges,
        Counter::Failovers,
    ];
    let mut values = vec![engine.orders.playhead() as f64];
    values.extend(counted.map(|counter| engine.counter(counter) as f64));
    table::row("", &values, 0);
}

fn compare(heard: &Path, journal: &Path) {
    let again = journal.with_file_name("again.wav");
    let mut render = Command::new(env!("CARGO_BIN_EXE_segue"));
    let done = render.arg("render").arg(journal).arg("-o").arg(&again).stderr(Stdio::null());
    let done = done.status().expect("the program runs");
    println!("  the journal is rendered: {done}");
    let verdict = compare::compare(heard, &again);
    table::title(
        "  the far end against the replay",
        &["frames", "differ", "silent", "holes", "missing"],
    );
    let values = [verdict.frames, verdict.differ, verdict.silent, verdict.holes, verdict.missing];
    table::row("", &values.map(|value| value as f64), 0);
}

/// Kills the primary and the standby in turn each second; waits for the guest to be replaced
/// where that takes longer. Gives how many.
fn kill_for(engine: &Engine, length: Duration) -> u64 {
    let end_ns = clock::monotonic_ns() + u64::try_from(length.as_nanos()).expect("some years");
    let (mut kills, mut next_ns) = (0, clock::monotonic_ns());
    loop {
        next_ns += KILL_NS;
        if next_ns > end_ns {
            return kills;
        }
        clock::sleep_until_ns(next_ns);
        if engine.is_whole() {
            let primary = engine.primary();
            engine.kill(if kills % 2 == 0 { primary } else { 1 - primary });
            kills += 1;
        }
    }
}

/// A loop for each processor, polite and endless.
pub(crate) struct Busy(Vec<Child>);

impl Busy {
    pub(crate) fn begin() -> Self {
        let begin = |_| {
            let mut command = Command::new("nice");
            command.args(["sh", "-c", "while :; do :; done"]).spawn().expect("a shell")
        };
        Self((0..priority::processors()).map(begin).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
