//! JACK: kill workers, kill the server, stop it, change its rate, its period and its wires.

mod clock;
mod end;
mod loss;
mod stalls;
mod wires;

use rustix::process::Signal;
use serde_json::Value;

use super::capture::{Capture, Stretch};
use super::servers::jack::Jackd;
use super::{SECOND, begin, drives, replay};
use crate::engine::{Ended, Engine, counter, primary};

/// Frames of a block.
const BLOCK: u64 = 64;

/// The device, `jack` or the timer's `null`.
fn device(status: &Value) -> &str {
    status["engine"]["device"].as_str().expect("a device")
}

/// Waits until JACK has the token.
fn wait_jack(engine: &Engine) -> Value {
    engine.wait("it plays on JACK", |status| device(status) == "jack" && drives(status))
}

/// All problems in one line.
fn problems(status: &Value) -> String {
    status["problems"].to_string()
}

/// What was heard, in the order of the timeline; it has holes only where the device was lost, as
/// a server that is kept from running for long may be.
fn whole_but_for_losses(heard: &Capture, ended: &Ended, status: &Value) -> Vec<Stretch> {
    let stretches = heard.stretches_of(&replay(ended));
    let losses = counter(status, "device_losses") as usize;
    assert!(stretches.len() <= losses + 1, "{losses} losses: {stretches:?}");
    assert!(stretches.windows(2).all(|two| two[0].end() < two[1].from), "{stretches:?}");
    stretches
}

/// Records half a second of JACK's, ends the engine, and finds that in the replay.
fn hear(server: &mut Jackd, engine: Engine) {
    let recorder = server.record();
    recorder.wait(SECOND / 2);
    let status = wait_jack(&engine);
    let ended = engine.stop();
    whole_but_for_losses(&recorder.finish(), &ended, &status);
}

#[test]
fn what_reaches_the_far_end_is_the_replay_whoever_is_killed() {
    let Some(mut server) = Jackd::start(48_000, 1024) else { return };
    let engine = begin(server.engine("jack"));
    let recorder = server.record();
    for deaths in 1..=5 {
        engine.hurt(primary(&engine.status()), Signal::KILL);
        engine.wait_whole(deaths);
    }
    recorder.wait(SECOND / 2);
    let status = wait_jack(&engine);
    let ended = engine.stop();
    let heard = recorder.finish();
    let stretches = whole_but_for_losses(&heard, &ended, &status);
    let heard: usize = stretches.iter().map(|it| it.heard.len()).sum();
    assert!(heard as u64 > SECOND / 2, "{stretches:?}");
}
