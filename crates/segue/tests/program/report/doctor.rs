//! The doctor, from outside: what it finds on this machine and in an engine that is silent.

use rosc::OscType;
use rustix::process::Signal;
use serde_json::Value;

use crate::client::Client;
use crate::engine::{Engine, Start, patch, segue, send_signal};

fn findings(engine: &Engine) -> (Value, i32) {
    let output = engine.ask(&["doctor", "--json"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (value, output.status.code().expect("it ends by itself"))
}

/// The grade of the first finding of this name.
fn grade<'a>(found: &'a Value, part: &str, check: &str) -> &'a str {
    let all = found[part].as_array().expect("findings");
    let one = all.iter().find(|it| it["check"] == check);
    one.and_then(|it| it["grade"].as_str()).unwrap_or_else(|| panic!("no {check}: {found:#}"))
}

/// The stages that are bad, but for those that a machine busy with other tests may bring about.
fn bad(found: &Value) -> Vec<&str> {
    let busy = ["timeline", "missed blocks", "priority of the engine"];
    let all = found["engine"].as_array().expect("findings").iter();
    let bad = all.filter(|it| it["grade"] == "bad").filter_map(|it| it["check"].as_str());
    bad.filter(|check| !busy.contains(check)).collect()
}

/// «Why is there no sound?»
#[test]
fn the_first_silent_stage_is_named_and_its_cure_makes_sound() {
    let engine = Start::on("null").arg(patch("first.toml")).play();
    let (found, code) = findings(&engine);
    // Nothing is heard on a timer; after that, the gate of the patch is closed.
    assert_eq!((code, &bad(&found)[..2]), (1, &["device", "gate"][..]), "{found:#}");
    assert!(found["first_silent"].is_string(), "{found:#}");
    let gate =
        found["engine"].as_array().expect("findings").iter().find(|it| it["check"] == "gate");
    assert_eq!(gate.expect("a gate")["cure"][0], "segue send /gate/env 1");
    engine.must(&["send", "/gate/env", "1"]);
    engine.play_on(800);
    let (found, _) = findings(&engine);
    for stage in ["engine", "control", "workers", "patch", "master", "blocks", "output"] {
        assert_eq!(grade(&found, "engine", stage), "ok", "{found:#}");
    }
    let client = Client::new(engine.port());
    client.send("/master/mute", &[OscType::Int(1)]);
    engine.play_on(800);
    let (found, _) = findings(&engine);
    assert_eq!(grade(&found, "engine", "master"), "bad", "{found:#}");
    engine.stop().assert_identical_but_concealed();
}

#[test]
fn an_engine_that_stands_still_and_one_that_is_not_there_are_told_apart() {
    let engine = Start::new().arg(patch("first.toml")).play();
    send_signal(Some(u64::from(engine.pid())), Signal::STOP);
    let (found, code) = findings(&engine);
    // The door is a thread of the engine and stands still with it.
    let words = found["engine"].to_string();
    assert_eq!((code, grade(&found, "engine", "engine")), (1, "bad"), "{words}");
    assert!(words.contains(&format!("kill -CONT {}", engine.pid())), "{words}");
    send_signal(Some(u64::from(engine.pid())), Signal::CONT);
    let port = engine.port();
    engine.stop().assert_identical();
    let output = segue().args(["doctor", "--osc", &port.to_string()]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&format!("no engine answers on port {port}")), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_machine_is_looked_at_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = segue().arg("doctor").arg("--show").arg(folder.path()).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    for check in [
        "real-time priority",
        "locked memory",
        "open files",
        "processors",
        "memory",
        "port",
        "disk",
        "disk space",
        "sound device",
    ] {
        assert!(text.contains(&format!("  {check}: ")), "{check} is missing:\n{text}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0);
}

#[test]
fn devices_are_listed_with_what_is_not_there_and_why() {
    let output = segue().args(["devices", "--json"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found["auto"], "null", "{found:#}");
    for kind in found["kinds"].as_array().expect("kinds") {
        assert!(kind["why_not"].is_string(), "no server is there for tests: {kind}");
    }
}
