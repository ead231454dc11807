//! JACK: kill workers, kill the server, stop it, change its rate, its period and its wires.

mod clock;
mod loss;
mod wires;

use rustix::process::Signal;
use serde_json::Value;

use super::servers::jack::Jackd;
use super::{SECOND, begin, drives, replay};
use crate::engine::{Engine, counter, primary};

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

/// Nothing was concealed, by a machine that is busy or otherwise.
fn assert_unconcealed(status: &Value) {
    assert_eq!(counter(status, "none_reads"), 0, "{status:#}");
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
    assert_unconcealed(&status);
    assert_eq!(counter(&status, "device_losses"), 0);
    let stretch = heard.one_stretch_of(&replay(&ended));
    assert!(stretch.heard.len() as u64 > SECOND / 2, "{stretch:?}");
}
