//! The report that started it: each of its questions is answered by the program itself.
//!
//! A failure report on the predecessor asked for logging because nothing could be seen. Each
//! test here makes a situation of that report and reads the answer where a user would.

mod counters;
mod doctor;
mod listen;
mod priority;
mod systemd;

use rosc::OscType;
use rustix::process::Signal;
use serde_json::Value;

use crate::client::Client;
use crate::engine::{Start, counter, is_whole, patch, playhead, primary};

/// «Does the worker even start executing?»
#[test]
fn a_worker_that_loads_is_seen_to_load() {
    let engine = Start::new().arg(patch("first.toml")).env("SEGUE_FAULT_START", "1:2000").begin();
    let status = engine.wait("slot 1 starts", |status| {
        status["slots"][1]["state"] == "starting" && status["slots"][1]["pid"].as_u64() > Some(0)
    });
    let slot = &status["slots"][1];
    assert_eq!(slot["generation"], 1);
    assert!(slot["uptime_s"].as_f64() > Some(0.0));
    assert_eq!(slot["waiting_for"], "its worker to load the plan");
    assert!(status["problems"].to_string().contains("slot 1 is starting"));
    engine.wait("it has started", is_whole);
    engine.stop().assert_identical();
}

/// «Is the heartbeat updated at all?»
#[test]
fn a_worker_that_stands_still_is_seen_to_stand_still() {
    let engine = Start::new().arg(patch("first.toml")).play();
    let before = engine.status();
    engine.play_on(200);
    let status = engine.status();
    for slot in 0..2 {
        let block = |status: &Value| status["slots"][slot]["last_block"].as_u64();
        assert!(block(&status) > block(&before));
        assert!(status["slots"][slot]["last_block_age_ms"].as_f64() < Some(10_000.0));
        assert!(status["slots"][slot]["breadcrumb"].as_str().is_some_and(|it| !it.is_empty()));
    }
    // A hanging module: the breadcrumb names it and the age grows until it is replaced.
    engine.stop().assert_identical();
    let patch = "segue = 1\nbad = { type = \"fault\", mode = \"hold\" }\n[out]\nin = \"bad\"\n";
    let engine = Start::new().patch(patch).play();
    let client = Client::new(engine.port());
    client.send("/mod/bad/slot", &[OscType::Int(1)]);
    client.send("/mod/bad/guest", &[OscType::Int(1)]);
    client.send("/mod/bad/trigger", &[OscType::Int(1)]);
    let status = engine.wait("slot 1 hangs in the module", |status| {
        let slot = &status["slots"][1];
        slot["breadcrumb"].as_str().is_some_and(|crumb| crumb.contains("module bad"))
            && slot["last_block_age_ms"].as_f64() > Some(100.0)
    });
    assert_eq!(counter(&status, "deaths"), 0, "not yet");
    engine.wait_whole(1);
    engine.stop().assert_identical();
}

/// «Is the monitor detecting false failures?» and «why is the active index 1?»
#[test]
fn each_change_of_primary_says_when_from_whom_to_whom_and_why() {
    let engine = Start::new().arg(patch("first.toml")).play();
    let first = primary(&engine.wait_whole(0));
    engine.hurt(first, Signal::KILL);
    engine.wait_whole(1);
    engine.hurt(1 - first, Signal::STOP);
    let status = engine.wait_whole(2);
    let changes = status["changes"].as_array().expect("changes");
    assert_eq!(changes.len(), 3, "{status:#}");
    let causes: Vec<&str> = changes.iter().filter_map(|change| change["cause"].as_str()).collect();
    assert_eq!(causes[0], "the first");
    assert_eq!(causes[1], "killed by SIGKILL");
    assert!(causes[2].starts_with("stopped from outside"), "{causes:?}");
    assert_eq!(changes[1]["from"].as_u64(), Some(first as u64));
    assert_eq!(changes[1]["to"].as_u64(), Some(1 - first as u64));
    assert_eq!(status["engine"]["active"].as_u64(), Some(first as u64));
    let blocks: Vec<u64> = changes.iter().filter_map(|change| change["block"].as_u64()).collect();
    assert!(blocks.is_sorted() && blocks[2] <= playhead(&status), "{blocks:?}");
    engine.stop().assert_identical();
}

/// «Why is there no sound?»: per worker, per output, per gate.
#[test]
fn the_silent_stage_can_be_told_from_the_others() {
    let engine = Start::new().arg(patch("first.toml")).play();
    let client = Client::new(engine.port());
    // A closed gate: the workers work, and what they render is silent.
    let silent = engine.wait("the gate is known to be closed", |status| {
        status["gates"]["env"].as_f64() == Some(0.0) && playhead(status) > 100
    });
    let peak = |status: &Value| status["levels"]["peak"][0].as_f64().unwrap_or(0.0);
    let rendered = |status: &Value| {
        let slots = status["slots"].as_array().expect("slots");
        let peaks = slots.iter().filter_map(|slot| slot["levels"]["peak"][0].as_f64());
        peaks.fold(0.0, f64::max)
    };
    assert_eq!((peak(&silent), rendered(&silent)), (0.0, 0.0));
    assert_eq!(counter(&silent, "none_reads"), 0);
    // An open one: it sounds, everywhere.
    client.send("/gate/env", &[OscType::Int(1)]);
    engine.wait("the gate is open and it sounds", |status| {
        status["gates"]["env"].as_f64() == Some(1.0)
            && peak(status) > 0.1
            && rendered(status) > 0.1
            && status["slots"][0]["levels"]["rms"][0].as_f64() > Some(0.01)
    });
    // Muted: said, and heard.
    client.send("/master/mute", &[OscType::Int(1)]);
    engine.wait("it is muted", |status| status["master"]["muted"] == true && peak(status) == 0.0);
    engine.stop().assert_identical();
}
