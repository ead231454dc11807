//! PipeWire: kill the server, the session manager, the PulseAudio side; take the sink away.

use std::time::Instant;

use rustix::process::Signal;

use super::servers::pipewire::PipeWire;
use super::servers::pulse::SINK;
use super::{SECOND, assert_nothing_missing, begin, drives, replay};
use crate::engine::{Engine, counter, playhead, primary};

/// An engine on this server with a long period, for a machine that is busy with other tests.
fn play(server: &PipeWire, name: &str) -> Engine {
    let engine = begin(server.front.engine(name).arg("--period").arg("1024"));
    engine.wait("it plays on PipeWire", drives);
    engine
}

/// Waits until the timer keeps the time and the music goes on.
fn wait_timer(engine: &Engine, losses: u64) {
    let status = engine.wait("a timer keeps the time", |status| {
        !drives(status) && counter(status, "device_losses") == losses
    });
    let from = playhead(&status);
    engine.wait("the music goes on", |status| playhead(status) > from + 20);
}

/// Waits until it plays on PipeWire again, and says how long that took.
fn wait_back(engine: &Engine, after: &str) {
    let began = Instant::now();
    engine.wait("it plays on PipeWire again", drives);
    eprintln!("{after}: plays again {} ms later", began.elapsed().as_millis());
}

/// Records until half a second of the replay was heard, and ends the engine.
fn assert_heard(server: &PipeWire, engine: Engine) {
    let recorder = server.front.record(SINK);
    recorder.wait_sound();
    recorder.wait(SECOND / 2);
    let ended = engine.stop();
    assert_nothing_missing(&recorder.finish().stretches_of(&replay(&ended)));
}

#[test]
fn what_reaches_the_far_end_is_the_replay_whoever_is_killed() {
    let Some(server) = PipeWire::start() else { return };
    let recorder = server.front.record(SINK);
    let engine = play(&server, "pulse");
    for deaths in 1..=5 {
        engine.hurt(primary(&engine.status()), Signal::KILL);
        engine.wait_whole(deaths);
    }
    recorder.wait(SECOND / 2);
    let status = engine.status();
    let ended = engine.stop();
    let heard = recorder.finish();
    assert_eq!(counter(&status, "none_reads"), 0, "{status:#}");
    let stretches = heard.stretches_of(&replay(&ended));
    assert_nothing_missing(&stretches);
    assert!(stretches.iter().map(|it| it.heard.len() as u64).sum::<u64>() > SECOND / 2);
}

#[test]
fn a_server_that_is_killed_and_started_again_costs_only_the_silence_between() {
    let Some(mut server) = PipeWire::start() else { return };
    let engine = play(&server, "pulse");
    server.kill();
    wait_timer(&engine, 1);
    server.begin(48_000);
    wait_back(&engine, "PipeWire killed and started again");
    assert_heard(&server, engine);
}

#[test]
fn a_pulse_side_that_is_killed_and_started_again_costs_only_the_silence_between() {
    let Some(mut server) = PipeWire::start() else { return };
    let engine = play(&server, "pulse");
    server.kill_pulse();
    wait_timer(&engine, 1);
    server.begin_pulse();
    wait_back(&engine, "pipewire-pulse killed and started again");
    assert_heard(&server, engine);
}

#[test]
fn a_server_that_is_stopped_and_continued_is_played_on_again() {
    let Some(server) = PipeWire::start() else { return };
    let engine = play(&server, "pulse");
    server.hurt(Signal::STOP);
    wait_timer(&engine, 1);
    server.hurt(Signal::CONT);
    wait_back(&engine, "PipeWire stopped and continued");
    assert_heard(&server, engine);
}

/// No error comes: the links are gone, and with them the calls.
#[test]
fn a_session_manager_that_is_killed_takes_the_sound_with_it_until_there_is_another() {
    let Some(mut server) = PipeWire::start() else { return };
    let engine = play(&server, "pulse");
    server.kill_session();
    wait_timer(&engine, 1);
    // Hardware's nodes are the session manager's and go with it; nor does its successor take
    // over one of ours, whoever wants to play on it.
    server.destroy(SINK);
    server.begin_session();
    server.create(SINK, 48_000);
    wait_back(&engine, "WirePlumber killed and started again");
    assert_heard(&server, engine);
}

#[test]
fn a_sink_that_is_destroyed_and_created_again_is_found_by_its_name() {
    let Some(server) = PipeWire::start() else { return };
    let engine = play(&server, "pulse:testsink");
    server.destroy(SINK);
    wait_timer(&engine, 1);
    server.create(SINK, 48_000);
    wait_back(&engine, "a sink created again");
    assert_heard(&server, engine);
}
