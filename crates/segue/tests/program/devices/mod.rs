//! Real servers without a sound card: what reaches their far end, held against the replay.
//!
//! Each test starts servers of its own under a private name and ends them. Where none is
//! installed it says so and passes.

mod auto;
mod capture;
#[cfg(any(feature = "alsa", feature = "pipewire"))]
mod cpal;
mod doctor;
mod jack;
mod pipewire;
mod pulse;
pub(crate) mod servers;

use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use crate::engine::{Ended, Engine, Start, counter, playhead, primary};
use capture::{Capture, Stretch};
use servers::pulse::{Front, SINK};

/// Two sides that never repeat within a test, so that any stretch has one place.
const ENDLESS: &str = "segue = 1
[a]
type = \"osc\"
freq = 441.371
[b]
type = \"osc\"
freq = 113.0907
[out]
left = \"a * 0.4 + b * 0.3\"
right = \"a * 0.3 + b * -0.4\"
";

/// A second of frames.
const SECOND: u64 = 48_000;

/// Plays the endless patch, with room for a machine that is busy with other tests.
fn begin(start: Start) -> Engine {
    let engine = start.arg("--lead").arg("32").patch(ENDLESS).play();
    engine.wait_whole(0);
    engine
}

/// Whether a device drives, and not a timer in its place.
fn drives(status: &Value) -> bool {
    status["engine"]["device_drives"].as_bool().expect("a device or none")
}

/// Plays with a long period, for a machine that is busy with other tests, until a device drives.
fn play(start: Start) -> Engine {
    let engine = begin(start.arg("--period").arg("1024"));
    engine.wait("a device drives", drives);
    engine
}

/// Does something to the device, and waits until it is counted as lost and the timer keeps the
/// time. It may have been lost before, on a machine that was too busy.
fn lose<T>(engine: &Engine, hurt: impl FnOnce() -> T) {
    let losses = |status: &Value| counter(status, "device_losses");
    let before = losses(&engine.status());
    hurt();
    let status =
        engine.wait("a timer keeps the time", |status| !drives(status) && losses(status) > before);
    let from = playhead(&status);
    engine.wait("the music goes on", |status| playhead(status) > from + 20);
}

/// Waits until a device drives again, and says how long that took.
fn wait_back(engine: &Engine, after: &str) {
    let began = Instant::now();
    engine.wait("a device drives again", drives);
    eprintln!("{after}: plays again {} ms later", began.elapsed().as_millis());
}

/// What was heard, all of it of the replay.
struct Heard {
    stretches: Vec<Stretch>,
    /// How often the device was lost meanwhile, for nothing of the test's doing: a server may be
    /// kept from running by a machine that is busy with other tests.
    losses: u64,
}

fn losses(engine: &Engine) -> u64 {
    counter(&engine.status(), "device_losses")
}

/// Records half a second, ends the engine, and gives what was heard.
fn hear(front: &Front, sink: &str, engine: Engine) -> Heard {
    let before = losses(&engine);
    let recorder = front.record(sink);
    recorder.wait_sound();
    recorder.wait(SECOND / 2);
    let losses = losses(&engine) - before;
    let ended = engine.stop();
    Heard { stretches: recorder.finish().stretches_of(&replay(&ended)), losses }
}

/// Kills the primary five times and gives what was heard.
fn hear_deaths(front: &Front, start: Start) -> Heard {
    let recorder = front.record(SINK);
    let engine = play(start);
    for deaths in 1..=5 {
        engine.hurt(primary(&engine.status()), Signal::KILL);
        engine.wait_whole(deaths);
    }
    recorder.wait(SECOND / 2);
    let losses = losses(&engine);
    let ended = engine.stop();
    let heard = recorder.finish();
    let stretches = heard.stretches_of(&replay(&ended));
    assert!(stretches.iter().map(|it| it.heard.len() as u64).sum::<u64>() > SECOND / 2);
    Heard { stretches, losses }
}

/// What was played, after the proof that its journal renders to the same, but for blocks that
/// were counted as made up: a machine that is busy with other tests may be late for a device, and
/// not often.
fn replay(ended: &Ended) -> Capture {
    let played = Capture::of_floats(&ended.assert_identical_but_concealed());
    let (concealed, blocks) = (ended.concealed(), played.len() / 64);
    assert!(concealed <= blocks / 10, "{concealed} of {blocks} were made up\n{}", ended.log);
    played
}

/// Stretches that follow one another on the timeline: between them silence was heard, but
/// nothing of the music is missing, save what a timer played while the device was lost.
fn assert_nothing_missing(heard: &Heard) {
    assert_in_order(heard);
    let Heard { stretches, losses } = heard;
    let holes = stretches.windows(2).filter(|pair| pair[0].end() < pair[1].from).count();
    assert!(holes as u64 <= *losses, "{losses} losses: {stretches:?}");
}

/// Stretches in the order of the timeline: PipeWire drops what comes too late for its cycle,
/// which a busy machine may bring about.
fn assert_in_order(Heard { stretches, .. }: &Heard) {
    for pair in stretches.windows(2) {
        assert!(pair[0].end() <= pair[1].from, "{stretches:?}");
    }
}
