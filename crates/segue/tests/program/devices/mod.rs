//! Real servers without a sound card: what reaches their far end, held against the replay.
//!
//! Each test starts servers of its own under a private name and ends them. Where none is
//! installed it says so and passes.

mod capture;
mod jack;
mod pipewire;
mod pulse;
mod servers;

use serde_json::Value;

use crate::engine::{Ended, Engine, Start};
use capture::{Capture, Stretch};

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

/// What was played, after the proof that its journal renders to the same.
fn replay(ended: &Ended) -> Capture {
    ended.assert_identical();
    Capture::of_floats(&ended.recording())
}

/// Stretches that follow one another on the timeline: between them silence was heard, but
/// nothing of the music is missing.
fn assert_nothing_missing(stretches: &[Stretch]) {
    for pair in stretches.windows(2) {
        assert_eq!(pair[0].end(), pair[1].from, "{stretches:?}");
    }
}
