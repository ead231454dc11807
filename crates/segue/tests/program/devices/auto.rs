//! `auto`: which device it takes, and what the demo and the list of devices say about it.

use std::path::Path;

use serde_json::Value;

use super::servers::jack::Jackd;
use super::servers::pulse::{PulseAudio, SINK};
use super::{assert_nothing_missing, begin, drives, hear, lose};
use crate::engine::segue;

/// The program, where it finds both servers.
fn beside(jack: &Jackd, pulse: &PulseAudio, arguments: &[&str]) -> std::process::Command {
    let mut command = segue();
    command.args(arguments);
    pulse.front.with(&mut command).env("JACK_DEFAULT_SERVER", jack.name());
    command
}

/// What `auto` takes, as the list of devices says.
fn best(jack: &Jackd, pulse: &PulseAudio) -> String {
    let output = beside(jack, pulse, &["devices", "--json"]).output().expect("it runs");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    found["auto"].as_str().expect("a device").to_owned()
}

/// Where an engine plays, as `--device` takes it.
fn plays_on(status: &Value) -> String {
    let word = |key: &str| status["engine"][key].as_str().unwrap_or_default().to_owned();
    format!("{}:{}", word("device"), word("device_name"))
}

#[test]
fn the_first_in_order_is_taken_and_the_next_when_that_goes() {
    let (Some(mut jack), Some(pulse)) = (Jackd::start(48_000, 1024), PulseAudio::start()) else {
        return;
    };
    assert_eq!(best(&jack, &pulse), "jack:system");
    let start = pulse.front.engine("auto").env("JACK_DEFAULT_SERVER", jack.name());
    let engine = begin(start.arg("--period").arg("1024"));
    engine.wait("it plays on JACK", |status| drives(status) && plays_on(status) == "jack:system");
    lose(&engine, || jack.kill());
    engine.wait("it plays on what there is", |status| {
        drives(status) && plays_on(status) == format!("pulse:{SINK}")
    });
    assert_eq!(best(&jack, &pulse), format!("pulse:{SINK}"));
    // What plays is not left for what would be better.
    jack.begin();
    assert_eq!(best(&jack, &pulse), "jack:system");
    let status = engine.wait("the sink drives", drives);
    assert_eq!(plays_on(&status), format!("pulse:{SINK}"), "{status:#}");
    assert_nothing_missing(&hear(&pulse.front, SINK, engine));
}

/// Runs the demo there and gives what it reports and what it says meanwhile.
fn demo(jack: &Jackd, pulse: &PulseAudio, folder: &Path) -> (Value, String) {
    let mut command = beside(jack, pulse, &["demo", "--for", "5s", "--json"]);
    let output = command.current_dir(folder).output().expect("the demo runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    // A machine that is busy with other tests may miss a block, and then the demo says so.
    let flawless = report["samples_differing"] == 0 && report["none_reads"] == 0;
    assert_eq!(output.status.code(), Some(i32::from(!flawless)), "{report:#}\n{said}");
    (report, said)
}

#[test]
fn the_demo_plays_on_the_best_device_and_says_which() {
    let (Some(mut jack), Some(pulse)) = (Jackd::start(48_000, 1024), PulseAudio::start()) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (report, said) = demo(&jack, &pulse, folder.path());
    assert_eq!(report["device"], "jack:system");
    assert!(said.contains("playing on jack:system\n"), "{said}");
    jack.kill();
    let (report, said) = demo(&jack, &pulse, folder.path());
    assert_eq!(report["device"], format!("pulse:{SINK}"));
    assert!(said.contains(&format!("playing on pulse:{SINK}\n")), "{said}");
}

#[test]
fn a_jack_server_that_leads_nowhere_is_taken_only_when_it_is_asked_for() {
    let (Some(mut jack), Some(pulse)) = (Jackd::absent(48_000, 1024), PulseAudio::start()) else {
        return;
    };
    jack.lead_nowhere();
    jack.begin();
    assert_eq!(best(&jack, &pulse), format!("pulse:{SINK}"));
    let start = pulse.front.engine("auto").env("JACK_DEFAULT_SERVER", jack.name());
    let engine = begin(start.arg("--period").arg("1024"));
    let status = engine.wait("a device drives", drives);
    assert_eq!(plays_on(&status), format!("pulse:{SINK}"), "{status:#}");
    engine.stop();
    let engine = begin(jack.engine("jack"));
    let status = engine.wait("it is told that nobody hears it", |status| {
        drives(status) && status["problems"].to_string().contains("connected to nothing")
    });
    assert_eq!(plays_on(&status), "jack:system");
    engine.stop();
}

#[test]
fn the_demo_on_a_device_that_is_not_there_says_so_and_proves_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = segue();
    command.args(["demo", "--for", "5s", "--json", "--device", "jack"]);
    let output = command.current_dir(folder.path()).output().expect("the demo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    assert!(said.contains("no device jack: "), "{said}");
    assert!(said.contains("a timer keeps the time"), "{said}");
    assert_eq!(report["device"], "null:timer");
    assert!(report["device_trouble"].as_str().expect("words").contains("no device jack"));
    assert!(report["hurt"].as_u64() > Some(0), "{report:#}");
    assert!(report["samples_compared"].as_u64() > Some(0), "{report:#}");
}
