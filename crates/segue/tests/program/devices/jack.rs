//! JACK: kill workers, kill the server, stop it, change its rate and its period.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use super::capture::Capture;
use super::servers::jack::Jackd;
use crate::engine::{Ended, Engine, Start, counter, playhead, primary};

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

fn device(status: &Value) -> &str {
    status["engine"]["device"].as_str().expect("a device")
}

/// Waits until it plays on JACK.
fn wait_jack(engine: &Engine) -> Value {
    engine.wait("it plays on JACK", |status| device(status) == "jack")
}

fn replay(ended: &Ended) -> Capture {
    ended.assert_identical();
    Capture::of_floats(&ended.recording())
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
    let status = engine.status();
    let ended = engine.stop();
    let heard = recorder.finish();
    assert_eq!(device(&status), "jack");
    assert_eq!(counter(&status, "none_reads"), 0, "{status:#}");
    let stretch = heard.one_stretch_of(&replay(&ended));
    assert!(stretch.heard.len() as u64 > SECOND / 2, "{stretch:?}");
}
