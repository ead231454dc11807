//! Stalls of the server, which are not made up for; and that a death stalls nobody.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use segue_sys::clock;
use serde_json::Value;

use super::{BLOCK, wait_jack, whole_but_for_losses};
use crate::devices::servers::jack::Jackd;
use crate::devices::{SECOND, begin};
use crate::engine::{Engine, playhead, primary};

const MS_NS: u64 = 1_000_000;

/// Frames the server asks for at once.
const PERIOD: u64 = 1024;

/// How far the primary has rendered.
fn rendered(status: &Value) -> u64 {
    status["slots"][primary(status)]["last_block"].as_u64().expect("a block")
}

/// S20, S21, S22: the server's clock is slower than the machine's, by fits and starts. No frame is
/// dropped or played twice for it, the lead is whole again at once, and what the server did not
/// ask for is not made up for.
#[test]
fn stalls_of_the_server_cost_wall_time_and_no_frame() {
    let Some(mut server) = Jackd::start(48_000, PERIOD as u32) else { return };
    let engine = begin(server.engine("jack"));
    let recorder = server.record();
    recorder.wait(SECOND / 4);
    let (from, began_ns) = (playhead(&wait_jack(&engine)), clock::monotonic_ns());
    for stall_ms in [5, 15, 30, 50, 5, 15, 30, 50, 200] {
        server.hurt(Signal::STOP);
        clock::sleep_until_ns(clock::monotonic_ns() + stall_ms * MS_NS);
        server.hurt(Signal::CONT);
        let at = playhead(&engine.status());
        // Two periods and a lead of 32 are more than this.
        let whole = engine.wait("the lead is whole", |status| {
            rendered(status) >= playhead(status) + PERIOD / BLOCK && playhead(status) > at + 50
        });
        assert!(playhead(&whole) < at + SECOND / BLOCK, "within a second: {at}, {whole:#}");
    }
    let status = wait_jack(&engine);
    let wall = (clock::monotonic_ns() - began_ns) * SECOND / 1_000_000_000;
    let played = (playhead(&status) - from) * BLOCK;
    assert!(played <= wall + 4 * PERIOD, "{played} frames in the time of {wall}");
    recorder.wait(SECOND / 4);
    let ended = engine.stop();
    whole_but_for_losses(&recorder.finish(), &ended, &status);
}

/// How often the thread that the server calls went to sleep. The library's threads are named
/// after the one that opened the client; that one sleeps most often.
fn sleeps(engine: &Engine) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", engine.pid())).expect("its threads");
    let tasks = tasks.flatten().map(|task| task.path());
    tasks.filter_map(|task| switches(&task)).max().expect("a thread of the library's")
}

/// How often a thread went to sleep, if it is one of the library's.
fn switches(task: &Path) -> Option<u64> {
    let status = fs::read_to_string(task.join("status")).ok()?;
    let field = |name: &str| Some(status.lines().find_map(|line| line.strip_prefix(name))?.trim());
    (field("Name:")? == "device").then_some(())?;
    field("voluntary_ctxt_switches:")?.parse().ok()
}

/// S23: the thread that the server calls waits for the server once a period. It cleans up after
/// nobody, starts nobody and prints nothing: each would put it to sleep.
#[test]
fn who_plays_sleeps_for_nobody_but_the_server_whoever_is_killed() {
    const DEATHS: u64 = 40;
    let Some(server) = Jackd::start(48_000, PERIOD as u32) else { return };
    let engine = begin(server.engine("jack"));
    let from = playhead(&wait_jack(&engine));
    let before = sleeps(&engine);
    for deaths in 1..=DEATHS {
        engine.hurt(primary(&engine.status()), Signal::KILL);
        engine.wait_whole(deaths);
    }
    let slept = sleeps(&engine) - before;
    let status = wait_jack(&engine);
    let periods = (playhead(&status) - from) * BLOCK / PERIOD;
    assert!(slept <= periods + DEATHS / 4, "{slept} sleeps in {periods} periods: {status:#}");
    assert!(engine.log().matches("in lockstep again").count() as u64 >= DEATHS, "all is told");
    engine.stop();
}
