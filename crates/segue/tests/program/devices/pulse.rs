//! PulseAudio: kill workers, kill the server, stop it, take its sink away and bring it back.

use rustix::process::Signal;

use super::servers::pulse::{PulseAudio, SINK};
use super::servers::until;
use super::{
    ENDLESS, Heard, SECOND, assert_nothing_missing, begin, drives, hear, hear_deaths, lose, losses,
    play, replay, wait_back,
};
use crate::engine::segue;

#[test]
fn what_reaches_the_far_end_is_the_replay_whoever_is_killed() {
    let Some(server) = PulseAudio::start() else { return };
    let heard = hear_deaths(&server.front, server.front.engine("pulse"));
    assert_nothing_missing(&heard);
    // The first block waits for the server's first request.
    let first = &heard.stretches[0];
    assert!(first.from < 64, "from the first frame on: {first:?}");
}

#[test]
fn an_odd_period_is_played_to_the_frame() {
    let Some(server) = PulseAudio::start() else { return };
    let engine = begin(server.front.engine("pulse").arg("--period").arg("1441"));
    engine.wait("a device drives", drives);
    assert_eq!(engine.status()["engine"]["period"], 1441);
    assert_nothing_missing(&hear(&server.front, SINK, engine));
}

#[test]
fn a_server_that_is_killed_and_started_again_costs_only_the_silence_between() {
    let Some(mut server) = PulseAudio::start() else { return };
    let engine = play(server.front.engine("pulse"));
    for _ in 0..2 {
        lose(&engine, || server.kill());
        server.begin(48_000);
        wait_back(&engine, "a server killed and started again");
    }
    assert_nothing_missing(&hear(&server.front, SINK, engine));
}

#[test]
fn a_server_that_is_stopped_and_continued_is_played_on_again() {
    let Some(server) = PulseAudio::start() else { return };
    let recorder = server.front.record(SINK);
    let engine = play(server.front.engine("pulse"));
    recorder.wait_sound();
    lose(&engine, || server.hurt(Signal::STOP));
    server.hurt(Signal::CONT);
    wait_back(&engine, "a server stopped and continued");
    engine.play_on(200);
    recorder.wait(SECOND / 2);
    let ended = engine.stop();
    let stretches = recorder.finish().stretches_of(&replay(&ended));
    assert!(stretches.len() > 1, "what was played meanwhile was not heard: {stretches:?}");
    assert!(stretches.is_sorted_by_key(|stretch| stretch.from), "{stretches:?}");
}

#[test]
fn a_sink_that_is_unloaded_and_loaded_again_is_found_by_its_name() {
    let Some(server) = PulseAudio::start() else { return };
    let module = server.front.load_sink("second", 48_000);
    let engine = play(server.front.engine("pulse:second"));
    lose(&engine, || server.front.must(&["unload-module", &module]));
    server.front.load_sink("second", 48_000);
    wait_back(&engine, "a sink loaded again");
    assert_nothing_missing(&hear(&server.front, "second", engine));
}

#[test]
fn a_suspended_sink_is_waited_for_and_said() {
    let Some(server) = PulseAudio::start() else { return };
    let engine = play(server.front.engine("pulse"));
    lose(&engine, || server.front.must(&["suspend-sink", SINK, "1"]));
    until("the log says why", || engine.log().contains("suspended").then_some(()));
    server.front.must(&["suspend-sink", SINK, "0"]);
    wait_back(&engine, "a sink woken");
    assert_nothing_missing(&hear(&server.front, SINK, engine));
}

#[test]
fn a_stream_that_is_moved_plays_on_where_it_is_moved_to() {
    let Some(server) = PulseAudio::start() else { return };
    server.front.load_sink("second", 48_000);
    let engine = play(server.front.engine("pulse"));
    let recorder = server.front.record("second");
    server.front.must(&["move-sink-input", &server.front.wait_stream(), "second"]);
    recorder.wait_sound();
    recorder.wait(SECOND / 2);
    until("the log says where", || engine.log().contains("moved to sink second").then_some(()));
    let losses = losses(&engine);
    let ended = engine.stop();
    let stretches = recorder.finish().stretches_of(&replay(&ended));
    assert_nothing_missing(&Heard { stretches, losses });
}

#[test]
fn a_muted_sink_is_said() {
    let Some(server) = PulseAudio::start() else { return };
    let engine = play(server.front.engine("pulse"));
    server.front.must(&["set-sink-mute", SINK, "1"]);
    until("the log says so", || engine.log().contains("the sink is muted").then_some(()));
    server.front.must(&["set-sink-mute", SINK, "0"]);
    let stream = server.front.wait_stream();
    server.front.must(&["set-sink-input-volume", &stream, "0"]);
    until("the log says that", || engine.log().contains("the stream is muted or").then_some(()));
    assert_eq!(engine.stop().status.code(), Some(0));
}

#[test]
fn a_sink_that_comes_back_with_another_rate_is_played_on_and_said() {
    let Some(mut server) = PulseAudio::start() else { return };
    let engine = play(server.front.engine("pulse"));
    lose(&engine, || server.kill());
    server.begin(44_100);
    wait_back(&engine, "a sink of another rate");
    let recorder = server.front.record(SINK);
    recorder.wait_sound();
    recorder.wait(SECOND);
    let ended = engine.stop();
    let said = "the server converts 48000 frames a second to 44100";
    assert!(ended.log.contains(said), "{}", ended.log);
    replay(&ended);
    let heard = recorder.finish();
    let from = heard.next_sound(0).expect("something was heard");
    // 0.4 and 0.3 of full scale at 441 and 113 Hz rise by 0.03 a frame at most. A busy server may
    // leave holes, but not everywhere.
    let piece = SECOND as usize / 20;
    let smooth = (0..10).map(|index| from + index * piece..from + (index + 1) * piece);
    let smooth = smooth.filter(|piece| heard.largest_step(piece.clone()) < 0.05).count();
    assert!(smooth > 5, "{smooth} of 10 pieces without a step");
}

#[test]
fn the_engine_takes_the_rate_of_the_sink() {
    let Some(mut server) = PulseAudio::absent() else { return };
    server.begin(44_100);
    let engine = play(server.front.engine("pulse"));
    assert_eq!(engine.status()["engine"]["rate"], 44_100);
    assert_eq!(engine.stop().status.code(), Some(0));
}

#[test]
fn without_a_server_a_timer_keeps_the_time_until_there_is_one() {
    let Some(mut server) = PulseAudio::absent() else { return };
    let engine = begin(server.front.engine("pulse").arg("--period").arg("1024"));
    assert!(!drives(&engine.status()));
    server.begin(48_000);
    wait_back(&engine, "a server started late");
    assert_nothing_missing(&hear(&server.front, SINK, engine));
}

#[test]
fn a_server_that_must_be_there_and_is_not_ends_the_engine_with_69() {
    let Some(mut server) = PulseAudio::absent() else { return };
    let ended = |server: &PulseAudio, device: &str| {
        let (mut command, folder) = (segue(), tempfile::tempdir().expect("a folder"));
        let patch = folder.path().join("patch.toml");
        std::fs::write(&patch, ENDLESS).expect("a patch is written");
        command.args(["run", "--osc", "127.0.0.1:0", "--strict-device", "--device", device]);
        command.arg("--show").arg(folder.path()).arg(patch);
        let output = server.front.with(&mut command).output().expect("the program runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = ended(&server, "pulse");
    assert_eq!(code, Some(69), "{said}");
    server.begin(48_000);
    let (code, said) = ended(&server, "pulse:nowhere");
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("no device 'nowhere'; there are: testsink"), "{said}");
}

/// A server makes up a sink while it has none.
#[test]
fn a_sink_that_the_server_makes_up_is_said_to_be_heard_by_nobody() {
    let Some(server) = PulseAudio::start() else { return };
    server.front.load_sink("auto_null", 48_000);
    server.front.must(&["set-default-sink", "auto_null"]);
    let engine = play(server.front.engine("pulse"));
    let said = "nobody hears it";
    engine.wait("it is said", |status| status["problems"].to_string().contains(said));
    let stream = server.front.wait_stream();
    server.front.must(&["move-sink-input", &stream, SINK]);
    engine.wait("it is heard", |status| !status["problems"].to_string().contains(said));
    assert_eq!(engine.stop().status.code(), Some(0));
}

#[test]
fn the_closing_fade_is_heard_to_its_last_frame() {
    let Some(server) = PulseAudio::start() else { return };
    let recorder = server.front.record(SINK);
    let engine = begin(server.front.engine("pulse").arg("--period").arg("4096"));
    recorder.wait_sound();
    engine.wait("a device drives", drives);
    let ended = engine.stop();
    recorder.wait(SECOND / 2);
    let (heard, replay) = (recorder.finish(), replay(&ended));
    let stretches = heard.stretches_of(&replay);
    let last = stretches.last().expect("something was heard");
    assert_eq!(last.end(), replay.len(), "{stretches:?}");
}
