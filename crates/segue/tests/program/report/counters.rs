//! S49: for each counter a situation that makes it move; a counter nobody has seen move tells
//! nothing.

use rosc::OscType;
use rustix::process::Signal;
use serde_json::Value;

use crate::client::Client;
use crate::engine::{Engine, FAULTY, Start, counter, is_whole, patch, primary};

fn harm(client: &Client, mode: &str, slot: i32, ms: i32) {
    for (param, value) in [
        ("mode", OscType::String(mode.into())),
        ("slot", OscType::Int(slot)),
        ("ms", OscType::Int(ms)),
        ("trigger", OscType::Int(1)),
    ] {
        client.send(&format!("/mod/bad/{param}"), &[value]);
    }
    let mut answers = client.sync(1);
    // Harm that is as slow as a loop may be judged, and its sender told, before this is answered.
    answers.retain(|answer| !answer.args.contains(&OscType::String("quarantined".into())));
    assert!(answers.is_empty(), "all of it is understood, and not answered by {answers:?}");
}

fn moved(engine: &Engine, name: &str) -> Value {
    engine.wait(&format!("{name} moves"), |status| counter(status, name) > 0)
}

#[test]
fn what_is_sent_is_counted_as_received_applied_or_refused() {
    let engine = Start::new().arg(patch("first.toml")).play();
    let client = Client::new(engine.port());
    let before = engine.status();
    client.send("/gate/env", &[OscType::Int(1)]);
    client.send("/mod/filtr/cutoff", &[OscType::Float(800.0)]);
    let answers = client.sync(3);
    assert_eq!(answers.len(), 1);
    let status = engine.status();
    let grown = |name: &str| counter(&status, name) - counter(&before, name);
    assert_eq!(grown("commands_received"), 3);
    assert_eq!(grown("commands_applied"), 1);
    assert_eq!(grown("commands_refused"), 1);
    engine.stop().assert_identical();
}

#[test]
fn deaths_and_failovers_are_counted_apart() {
    let engine = Start::new().arg(patch("first.toml")).play();
    let standby = 1 - primary(&engine.wait_whole(0));
    engine.hurt(standby, Signal::KILL);
    let status = engine.wait_whole(1);
    assert_eq!((counter(&status, "deaths"), counter(&status, "failovers")), (1, 0));
    engine.hurt(1 - standby, Signal::KILL);
    let status = engine.wait_whole(2);
    assert_eq!((counter(&status, "deaths"), counter(&status, "failovers")), (2, 1));
    engine.stop().assert_identical();
}

/// Two workers that render different samples: counted, and one of them replaced.
#[test]
fn a_divergence_is_counted_and_told() {
    let engine = Start::new().patch(FAULTY).play();
    let client = Client::new(engine.port());
    harm(&client, "diverge", 1, 0);
    let status = moved(&engine, "divergences");
    assert!(counter(&status, "divergences") >= 1);
    let status = engine.wait("it is told", |status| counter(status, "deaths") >= 1);
    let told = status["deaths"][0]["cause"].as_str().unwrap_or_default().to_owned();
    assert!(told.contains("differs") || told.contains("exited"), "{told}");
    client.send("/mod/bad/trigger", &[OscType::Int(0)]);
}

/// With a clock: a primary that is slow for good is late, and loses its role; if all are slow,
/// blocks are missed.
#[test]
fn slowness_is_counted_as_late_then_as_a_change_of_role_and_as_missed_blocks() {
    let start = || Start::new().arg("--device").arg("null").patch(FAULTY);
    let engine = start().play();
    let client = Client::new(engine.port());
    let slow = primary(&engine.wait_whole(0));
    harm(&client, "slow", slow as i32, 4);
    moved(&engine, "late");
    let status = moved(&engine, "role_changes");
    assert_eq!(counter(&status, "failovers"), counter(&status, "deaths"), "{status:#}");
    let engine = start().play();
    let client = Client::new(engine.port());
    engine.wait("all are there", is_whole);
    harm(&client, "slow", -1, 50);
    moved(&engine, "none_reads");
}

/// S60, as far as there are transactions: what was accepted and did not fit yet ends with the
/// control it waited in, whole, counted and told.
#[test]
fn what_waited_in_a_control_that_died_is_counted_as_dropped_and_told() {
    let engine = Start::on("freewheel:0.1x").arg(patch("first.toml")).play();
    let client = Client::new(engine.port());
    let before = counter(&engine.status(), "commands_dropped");
    let gate = |on: i32| ("/gate/env", [OscType::Int(on)]);
    let status = engine.wait("more waits than is taken in a moment", |status| {
        // Bundles: sets of one parameter would replace each other. A few at a time, so that the
        // kernel has room for them.
        for _ in 0..5 {
            for _ in 0..20 {
                client.send_bundle(&(0..64).map(|at| gate(at % 2)).collect::<Vec<_>>());
            }
            client.ask("/mod/osc/freq", &[]);
        }
        status["control"]["waiting"].as_u64() > Some(4000)
    });
    crate::engine::send_signal(status["control"]["pid"].as_u64(), Signal::KILL);
    let status = engine.wait("its successor has told", |status| {
        status["problems"].to_string().contains("have to be sent again")
    });
    assert_eq!(status["control"]["generation"], 2);
    assert!(counter(&status, "commands_dropped") > before, "{status:#}");
    assert_eq!(status["control"]["waiting"], 0);
    engine.stop().assert_identical();
}
