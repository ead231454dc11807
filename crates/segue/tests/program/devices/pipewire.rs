//! PipeWire: kill the server, the session manager, the PulseAudio side; take the sink away.

use rustix::process::Signal;

use super::servers::pipewire::PipeWire;
use super::servers::pulse::SINK;
use super::{assert_in_order, hear, hear_deaths, lose, play, wait_back};

#[test]
fn what_reaches_the_far_end_is_the_replay_whoever_is_killed() {
    let Some(server) = PipeWire::start() else { return };
    assert_in_order(&hear_deaths(&server.front, server.front.engine("pulse")));
}

#[test]
fn a_server_that_is_killed_and_started_again_costs_only_the_silence_between() {
    let Some(mut server) = PipeWire::start() else { return };
    let engine = play(server.front.engine("pulse"));
    lose(&engine, || server.kill());
    server.begin(48_000);
    wait_back(&engine, "PipeWire killed and started again");
    assert_in_order(&hear(&server.front, SINK, engine));
}

#[test]
fn a_pulse_side_that_is_killed_and_started_again_costs_only_the_silence_between() {
    let Some(mut server) = PipeWire::start() else { return };
    let engine = play(server.front.engine("pulse"));
    lose(&engine, || server.kill_pulse());
    server.begin_pulse();
    wait_back(&engine, "pipewire-pulse killed and started again");
    assert_in_order(&hear(&server.front, SINK, engine));
}

#[test]
fn a_server_that_is_stopped_and_continued_is_played_on_again() {
    let Some(server) = PipeWire::start() else { return };
    let engine = play(server.front.engine("pulse"));
    lose(&engine, || server.hurt(Signal::STOP));
    server.hurt(Signal::CONT);
    wait_back(&engine, "PipeWire stopped and continued");
    assert_in_order(&hear(&server.front, SINK, engine));
}

/// No error comes: the links are gone, and with them the calls.
#[test]
fn a_session_manager_that_is_killed_takes_the_sound_with_it_until_there_is_another() {
    let Some(mut server) = PipeWire::start() else { return };
    let engine = play(server.front.engine("pulse"));
    lose(&engine, || server.kill_session());
    // Hardware's nodes are the session manager's and go with it; nor does its successor take
    // over one of ours, whoever wants to play on it.
    server.destroy(SINK);
    server.begin_session();
    server.create(SINK, 48_000);
    wait_back(&engine, "WirePlumber killed and started again");
    assert_in_order(&hear(&server.front, SINK, engine));
}

#[test]
fn a_sink_that_is_destroyed_and_created_again_is_found_by_its_name() {
    let Some(server) = PipeWire::start() else { return };
    let engine = play(server.front.engine("pulse:testsink"));
    lose(&engine, || server.destroy(SINK));
    server.create(SINK, 48_000);
    wait_back(&engine, "a sink created again");
    assert_in_order(&hear(&server.front, SINK, engine));
}

/// PipeWire's JACK in the place of JACK's own.
#[test]
fn the_interface_of_jack_plays_on_pipewire_too() {
    let Some(server) = PipeWire::start() else { return };
    let Some(start) = server.jack() else { return };
    assert_in_order(&hear_deaths(&server.front, start));
}

/// No error comes there: the calls end.
#[test]
fn behind_the_interface_of_jack_a_killed_server_is_noticed_and_played_on_again() {
    let Some(mut server) = PipeWire::start() else { return };
    let Some(start) = server.jack() else { return };
    let engine = play(start);
    lose(&engine, || server.kill());
    server.begin(48_000);
    wait_back(&engine, "PipeWire behind JACK's interface killed and started again");
    assert_in_order(&hear(&server.front, SINK, engine));
}
