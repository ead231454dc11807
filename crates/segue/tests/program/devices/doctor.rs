//! The doctor beside a real server: what it names can be mended by what it says.

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::play;
use super::servers::pulse::{Front, PulseAudio, SINK};
use super::servers::until;
use crate::engine::{Engine, segue};

/// What the list of devices says where the surroundings are changed.
fn devices(change: impl FnOnce(&mut Command)) -> Value {
    let mut command = segue();
    change(command.args(["devices", "--json"]));
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Why a kind has no devices, as the list says it.
fn why_not<'a>(found: &'a Value, kind: &str) -> &'a str {
    let mut kinds = found["kinds"].as_array().expect("kinds").iter();
    let kind = kinds.find(|it| it["kind"] == kind).expect("every kind is there");
    kind["why_not"].as_str().expect("a reason")
}

#[test]
fn a_library_of_jack_that_is_none_is_said_and_the_rest_is_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("libjack.so.0"), "no library").expect("written");
    let found = devices(|command| {
        command.env("LD_LIBRARY_PATH", folder.path());
    });
    let said = why_not(&found, "jack");
    assert!(said.starts_with("the JACK library is not installed ("), "{said}");
    assert!(said.contains("libjack.so.0"), "{said}");
    assert!(why_not(&found, "pulse").starts_with("no PulseAudio server listens"), "{found:#}");
}

#[test]
fn variables_that_name_no_server_are_said_and_harm_nobody() {
    // More than JACK's library has room for: it would end the process.
    let endless = "x".repeat(5000);
    for (variable, kind, value, expected) in [
        ("JACK_DEFAULT_SERVER", "jack", endless.as_str(), "JACK_DEFAULT_SERVER has 5000 bytes"),
        ("JACK_DEFAULT_SERVER", "jack", "../..", "no JACK server named '../..' is running"),
        ("PULSE_SERVER", "pulse", "garbage", "PULSE_SERVER names no socket of this machine"),
        ("PULSE_SERVER", "pulse", endless.as_str(), "PULSE_SERVER names no socket"),
        ("PULSE_SERVER", "pulse", "unix:/etc/passwd", "/etc/passwd"),
    ] {
        let found = devices(|command| {
            command.env_remove("XDG_RUNTIME_DIR").env_remove("HOME").env(variable, value);
        });
        // Without a library there is nothing that could be harmed.
        let said = why_not(&found, kind);
        let known = said.contains(expected) || said.contains("library is not installed");
        assert!(known, "{variable}: {said}");
    }
}

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
    let look = || {
        devices(|command| {
            server.front.with(command);
        })
    };
    let found = look();
    assert_eq!(found["auto"], format!("pulse:{SINK}"), "{found:#}");
    server.hurt(Signal::STOP);
    let found = look();
    server.hurt(Signal::CONT);
    assert_eq!(found["auto"], "null", "{found:#}");
    assert!(found["kinds"].to_string().contains("its server does not answer"), "{found:#}");
}
