//! The doctor beside a real server: what it names can be mended by what it says.

use rustix::process::Signal;
use serde_json::Value;

use super::play;
use super::servers::pulse::{Front, PulseAudio, SINK};
use super::servers::until;
use crate::engine::{Engine, segue};

/// The doctor's look at an engine on this server.
fn look(front: &Front, engine: &Engine) -> Value {
    let mut command = segue();
    command.args(["doctor", "--json", "--osc", &engine.port().to_string()]);
    let output = front.with(&mut command).output().expect("the doctor runs");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn stage<'a>(found: &'a Value, check: &str) -> &'a Value {
    let stages = found["engine"].as_array().expect("stages");
    stages.iter().find(|it| it["check"] == check).unwrap_or_else(|| panic!("{check}: {found:#}"))
}

#[test]
fn a_muted_sink_is_found_and_sounds_after_the_cure() {
    let Some(server) = PulseAudio::start() else { return };
    let engine = play(server.front.engine("pulse"));
    server.front.must(&["set-sink-mute", SINK, "1"]);
    let found = until("the doctor sees it", || {
        let found = look(&server.front, &engine);
        (stage(&found, "device")["grade"] == "bad").then_some(found)
    });
    let cure = stage(&found, "device")["cure"][0].as_str().expect("a cure");
    let arguments: Vec<&str> = cure.split(' ').collect();
    assert_eq!(arguments[0], "pactl", "{cure}");
    server.front.must(&arguments[1..]);
    until("it is well again", || {
        let found = look(&server.front, &engine);
        let well = ["device", "patch", "output"].map(|check| stage(&found, check)["grade"] == "ok");
        well.iter().all(|well| *well).then_some(())
    });
    assert_eq!(engine.stop().status.code(), Some(0));
}

#[test]
fn a_server_that_hangs_is_said_and_not_waited_for() {
    let Some(server) = PulseAudio::start() else { return };
    let devices = || {
        let mut command = segue();
        let output = server.front.with(command.args(["devices", "--json"])).output();
        let text = output.expect("it runs").stdout;
        serde_json::from_slice::<Value>(&text).expect("JSON")
    };
    let found = devices();
    assert_eq!(found["auto"], format!("pulse:{SINK}"), "{found:#}");
    server.hurt(Signal::STOP);
    let found = devices();
    server.hurt(Signal::CONT);
    assert_eq!(found["auto"], "null", "{found:#}");
    assert!(found["kinds"].to_string().contains("does not answer within 2 s"), "{found:#}");
}
