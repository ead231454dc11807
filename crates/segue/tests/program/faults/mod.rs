//! Workers and control hurt in every way there is; heard: nothing.

mod chaos;
mod own;
mod poison;
pub(crate) mod proof;
pub(crate) mod resume;

use rosc::OscType;
use rustix::process::Signal;

use crate::client::Client;
use crate::engine::{Engine, Start, counter, is_whole, patch, playhead, primary, send_signal};

/// A sound that changes all the time, so that a wrong history is heard.
fn playing() -> Engine {
    let engine = Start::new().arg(patch("first.toml")).play();
    engine.must(&["send", "/gate/env", "1"]);
    engine
}

fn turn_a_knob(client: &Client, round: u64) {
    let freq = 100.0 + (round * 37 % 900) as f32;
    client.send("/mod/osc/freq", &[OscType::Float(freq)]);
    client.send("/gate/env", &[OscType::Int((round % 2) as i32)]);
}

/// Ends it, compares every sample, and every count.
fn finish(engine: Engine, deaths: u64, failovers: u64) {
    let status = engine.status();
    for (name, expected) in [
        ("deaths", deaths),
        ("failovers", failovers),
        ("none_reads", 0),
        ("late", 0),
        ("role_changes", 0),
        ("divergences", 0),
        ("commands_refused", 0),
        ("commands_dropped", 0),
    ] {
        assert_eq!(counter(&status, name), expected, "{name}\n{status:#}\n{}", engine.log());
    }
    engine.stop().assert_identical();
}

#[test]
fn an_undisturbed_show_renders_to_its_recording() {
    let engine = playing();
    engine.play_on(500);
    finish(engine, 0, 0);
}

/// S7, S8, S12, S17, with processes: a hundred in a row, either slot, at random blocks.
#[test]
fn a_hundred_killed_workers_are_not_heard() {
    let engine = playing();
    let client = Client::new(engine.port());
    let mut failovers = 0;
    for round in 0..100_u64 {
        let status = engine.wait_whole(round);
        turn_a_knob(&client, round);
        let slot = (round * 7 / 3 % 2) as usize;
        failovers += u64::from(primary(&status) == slot);
        let generation = engine.hurt(slot, Signal::KILL);
        let status = engine.wait_whole(round + 1);
        let back = &status["slots"][slot];
        assert_eq!(back["generation"].as_u64(), Some(generation + 1));
        let deaths = status["deaths"].as_array().expect("deaths");
        let told = deaths.last().expect("a death is told");
        assert_eq!(told["cause"], "killed by SIGKILL");
        assert_eq!(told["slot"].as_u64(), Some(slot as u64));
    }
    finish(engine, 100, failovers);
}

/// S14: SIGSTOP, replaced, and a SIGCONT that comes too late.
#[test]
fn a_stopped_worker_is_replaced_and_its_continuation_changes_nothing() {
    let engine = playing();
    let client = Client::new(engine.port());
    for round in 0..10_u64 {
        let status = engine.wait_whole(round);
        turn_a_knob(&client, round);
        let slot = (round % 2) as usize;
        let pid = status["slots"][slot]["pid"].as_u64();
        engine.hurt(slot, Signal::STOP);
        let status = engine.wait_whole(round + 1);
        let told = status["deaths"].as_array().and_then(|deaths| deaths.last().cloned());
        let cause = told.expect("told")["cause"].as_str().unwrap_or_default().to_owned();
        assert!(cause.starts_with("stopped"), "{cause}");
        let pid = rustix::process::Pid::from_raw(pid.expect("a pid") as i32).expect("a pid");
        assert!(rustix::process::kill_process(pid, Signal::CONT).is_err(), "it is gone");
    }
    let status = engine.status();
    let failovers = counter(&status, "failovers");
    assert!((1..=10).contains(&failovers));
    finish(engine, 10, failovers);
}

/// S52 in small: a SIGSEGV from outside is told as what it is.
#[test]
fn a_segv_sent_from_outside_is_told_as_sent() {
    let engine = playing();
    for (round, signal) in [Signal::SEGV, Signal::ABORT, Signal::BUS].into_iter().enumerate() {
        engine.wait_whole(round as u64);
        engine.hurt(round % 2, signal);
        let status = engine.wait_whole(round as u64 + 1);
        let deaths = status["deaths"].as_array().expect("deaths");
        let cause = deaths.last().expect("told")["cause"].as_str().expect("a cause").to_owned();
        assert!(cause.ends_with("sent from outside"), "{cause}");
    }
    let failovers = counter(&engine.status(), "failovers");
    finish(engine, 3, failovers);
}

/// S11, S15: both at once, in both orders: on freewheel the music waits and goes on.
#[test]
fn both_workers_at_once_in_both_orders_are_not_heard() {
    let engine = playing();
    let client = Client::new(engine.port());
    for round in 0..10_u64 {
        let status = engine.wait_whole(2 * round);
        turn_a_knob(&client, round);
        let first = primary(&status) ^ (round % 2) as usize;
        engine.hurt(first, Signal::KILL);
        crate::engine::send_signal(status["slots"][1 - first]["pid"].as_u64(), Signal::KILL);
        engine.wait_whole(2 * round + 2);
        engine.play_on(20);
    }
    let failovers = counter(&engine.status(), "failovers");
    assert!((10..=20).contains(&failovers), "{failovers}");
    finish(engine, 20, failovers);
}

/// S15: the joiner is killed while it joins.
fn kill_all(status: &serde_json::Value) {
    let slots = status["slots"].as_array().expect("slots");
    slots.iter().for_each(|slot| crate::engine::send_signal(slot["pid"].as_u64(), Signal::KILL));
}

/// S15: as many as there are, again and again, also while they are coming back.
#[test]
fn all_workers_at_once_cost_no_sample_where_there_is_no_clock() {
    for (standbys, rounds) in [("0", 6), ("1", 6), ("3", 3)] {
        let engine = Start::new().arg("--standbys").arg(standbys).arg(patch("first.toml")).play();
        let client = Client::new(engine.port());
        client.send("/gate/env", &[OscType::Int(1)]);
        let all = standbys.parse::<u64>().expect("a number") + 1;
        for round in 1..=rounds {
            turn_a_knob(&client, round);
            kill_all(&engine.status());
            engine.wait_whole(round * all);
            engine.play_on(30);
        }
        let status = engine.status();
        assert_eq!(counter(&status, "none_reads"), 0, "{status:#}");
        engine.stop().assert_identical();
    }
}

/// With a clock there is a gap, and it is all there is: what was made up is counted, and what
/// comes after it is what would have come.
#[test]
fn all_workers_at_once_cost_the_blocks_that_are_counted_and_no_other() {
    let engine = Start::on("null").arg(patch("first.toml")).play();
    let client = Client::new(engine.port());
    client.send("/gate/env", &[OscType::Int(1)]);
    for round in 1..=3 {
        turn_a_knob(&client, round);
        engine.play_on(60);
        kill_all(&engine.status());
        engine.wait_whole(2 * round);
        engine.play_on(60);
    }
    engine.stop().assert_identical_but_concealed();
}

/// As many standbys as there may be; whoever is left goes on.
#[test]
fn of_eight_workers_seven_at_once_are_not_heard() {
    let engine = Start::new().arg("--standbys").arg("7").arg(patch("first.toml")).play();
    let client = Client::new(engine.port());
    for round in 0..4 {
        let status = engine.wait_whole(7 * round);
        turn_a_knob(&client, round);
        let left = (primary(&status) + 1 + round as usize) % 8;
        for slot in (0..8).filter(|slot| *slot != left) {
            send_signal(status["slots"][slot]["pid"].as_u64(), Signal::KILL);
        }
        engine.wait("they are told", |status| counter(status, "deaths") == 7 * (round + 1));
    }
    let status = engine.wait_whole(28);
    for name in ["none_reads", "late", "divergences", "quarantined", "bypassed"] {
        assert_eq!(counter(&status, name), 0, "{name}\n{status:#}\n{}", engine.log());
    }
    engine.stop().assert_identical();
}

#[test]
fn a_killed_joiner_is_not_heard() {
    let engine = playing();
    let mut deaths = 0;
    for _ in 0..10 {
        let status = engine.wait_whole(deaths);
        let slot = 1 - primary(&status);
        let generation = engine.hurt(slot, Signal::KILL);
        deaths += 1;
        let joiner = engine.wait("the joiner is there", |status| {
            let slot = &status["slots"][slot];
            slot["generation"].as_u64() == Some(generation + 1) && slot["pid"].as_u64() > Some(0)
        });
        crate::engine::send_signal(joiner["slots"][slot]["pid"].as_u64(), Signal::KILL);
        deaths += 1;
    }
    engine.wait_whole(deaths);
    finish(engine, deaths, 0);
}

/// Control is killed again and again: no sample, no command, no line of the journal is lost.
#[test]
fn a_killed_control_costs_no_sample_and_no_command() {
    let engine = playing();
    let client = Client::new(engine.port());
    for round in 0..10_u64 {
        turn_a_knob(&client, round);
        // Said to be in the log before control dies: from there on nothing can lose it.
        assert!(client.sync(round as i32).is_empty());
        let status = engine.status();
        crate::engine::send_signal(status["control"]["pid"].as_u64(), Signal::KILL);
        engine.wait("control is back", |status| {
            status["control"]["restarts"].as_u64() == Some(round + 1) && status["health"] == "ok"
        });
        let client = Client::new(engine.port());
        let answer = client.ask("/mod/osc/freq", &[]);
        let freq = 100.0 + (round * 37 % 900) as f32;
        assert_eq!(answer.args, [OscType::Float(freq)], "the successor knows the knobs");
    }
    let status = engine.status();
    assert!(is_whole(&status));
    assert_eq!(counter(&status, "commands_applied"), 1 + 20);
    finish(engine, 0, 0);
}

/// `status` and `stop` work while control is dead.
#[test]
fn status_and_stop_need_no_control() {
    let engine = playing();
    engine.play_on(100);
    let status = engine.status();
    crate::engine::send_signal(status["control"]["pid"].as_u64(), Signal::STOP);
    let seen = engine.status();
    assert!(playhead(&seen) >= playhead(&status));
    assert_eq!(seen["slots"][0]["state"], "lockstep");
    engine.stop().assert_identical();
}

/// S14: somebody keeps a dead guest's slot open and writes into it what the guest once wrote.
/// Heard: nothing; the guest that is written over is replaced.
#[test]
fn who_keeps_writing_into_a_dead_guests_slot_changes_nothing() {
    use std::os::unix::fs::FileExt;
    let engine = playing();
    engine.play_on(300);
    let status = engine.wait_whole(0);
    let slot = primary(&status);
    let pid = status["slots"][slot]["pid"].as_u64().expect("a pid");
    let place = slot_file(pid, slot);
    let size = place.metadata().expect("a size").len() as usize;
    let mut stale = vec![0; size];
    place.read_exact_at(&mut stale, 0).expect("what the guest wrote");
    engine.hurt(slot, Signal::KILL);
    engine.wait_whole(1);
    // The ring of blocks alone: old blocks, whole and of the dead generation.
    let words = 8 * 128;
    for _ in 0..50 {
        place.write_all_at(&stale[words..size / 4], words as u64).expect("written");
        engine.play_on(5);
    }
    // Everything, its seat too: the guest that sits there is found written over.
    place.write_all_at(&stale, 0).expect("written");
    let deaths = |status: &serde_json::Value| counter(status, "deaths");
    let status =
        engine.wait("the guest is replaced", |status| deaths(status) >= 2 && is_whole(status));
    assert_eq!(counter(&status, "none_reads"), 0);
    engine.play_on(100);
    engine.stop().assert_identical();
}

/// The memory of a slot, opened for writing through a process that has it so.
fn slot_file(pid: u64, slot: usize) -> std::fs::File {
    let folder = format!("/proc/{pid}/fd");
    let name = format!("/memfd:segue-slot-{slot}");
    let entries = std::fs::read_dir(folder).expect("a process of ours").flatten();
    let mut candidates = entries.map(|entry| entry.path()).filter(|path| {
        std::fs::read_link(path).is_ok_and(|target| target.to_string_lossy().starts_with(&name))
    });
    let path = candidates.next().expect("the guest has its slot open");
    std::fs::OpenOptions::new().read(true).write(true).open(path).expect("it can be opened")
}
