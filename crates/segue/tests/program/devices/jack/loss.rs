//! Servers that die, stand still, come late, or come back with another rate.

use std::time::Instant;

use rustix::process::Signal;

use super::{BLOCK, device, hear, problems, wait_jack};
use crate::devices::servers::jack::Jackd;
use crate::devices::{SECOND, begin, replay};
use crate::engine::{Engine, counter, playhead, primary, segue, send_signal};

/// Lets a second of music pass on the timer.
fn play_on_by_timer(engine: &Engine) {
    engine.wait("the timer plays", |status| device(status) == "null");
    engine.play_on(SECOND / BLOCK);
}

#[test]
fn a_server_that_is_killed_and_started_again_is_heard_where_the_music_is_by_then() {
    let Some(mut server) = Jackd::start(48_000, 1024) else { return };
    let engine = begin(server.engine("jack"));
    let before = server.record();
    before.wait(SECOND / 2);
    server.kill();
    let before = before.finish();
    let lost = engine.wait("the loss is told", |status| counter(status, "device_losses") == 1);
    assert!(problems(&lost).contains("jack"), "{lost:#}");
    play_on_by_timer(&engine);
    server.begin();
    let began = Instant::now();
    wait_jack(&engine);
    eprintln!("JACK plays again {:?} after its server is back", began.elapsed());
    let after = server.record();
    after.wait(SECOND / 2);
    let status = wait_jack(&engine);
    assert_eq!(problems(&status), "[]");
    let ended = engine.stop();
    let after = after.finish();
    let replay = replay(&ended);
    let (before, after) = (before.one_stretch_of(&replay), after.one_stretch_of(&replay));
    assert!(after.from as u64 > before.end() as u64 + SECOND, "{before:?} {after:?}");
}

/// S16, S21, S22, S51: a worker dies while nobody asks for frames; then two could drive.
#[test]
fn a_server_that_stands_still_for_two_seconds_costs_two_seconds_of_sound() {
    let Some(mut server) = Jackd::start(48_000, 1024) else { return };
    let engine = begin(server.engine("jack"));
    let before = server.record();
    before.wait(SECOND / 2);
    server.hurt(Signal::STOP);
    engine.wait("the loss is told", |status| counter(status, "device_losses") == 1);
    engine.hurt(primary(&engine.status()), Signal::KILL);
    engine.wait_whole(1);
    play_on_by_timer(&engine);
    engine.play_on(SECOND / BLOCK);
    server.hurt(Signal::CONT);
    let began = Instant::now();
    wait_jack(&engine);
    eprintln!("JACK plays again {:?} after its server goes on", began.elapsed());
    let after = server.record();
    after.wait(SECOND / 2);
    wait_jack(&engine);
    let ended = engine.stop();
    let (before, after) = (before.finish(), after.finish());
    let replay = replay(&ended);
    let heard = before.stretches_of(&replay);
    let after = after.one_stretch_of(&replay);
    assert!(after.from as u64 > heard[0].end() as u64 + SECOND, "{heard:?} {after:?}");
}

/// S61: on waking everybody seems overdue.
#[test]
fn an_engine_that_was_suspended_accuses_nobody_and_plays_on() {
    let Some(mut server) = Jackd::start(48_000, 1024) else { return };
    let engine = begin(server.engine("jack"));
    let from = playhead(&wait_jack(&engine));
    let supervisor = Some(u64::from(engine.pid()));
    send_signal(supervisor, Signal::STOP);
    // Nobody answers, for as long as one waits for an answer.
    assert!(!engine.ask(&["status"]).status.success());
    send_signal(supervisor, Signal::CONT);
    engine.wait("it plays on", |status| playhead(status) > from + 500);
    let status = wait_jack(&engine);
    assert_eq!(counter(&status, "deaths") + counter(&status, "failovers"), 0, "{status:#}");
    hear(&mut server, engine);
}

#[test]
fn a_server_that_comes_back_with_another_rate_is_refused_until_it_has_the_right_one() {
    let Some(mut server) = Jackd::start(48_000, 1024) else { return };
    let engine = begin(server.engine("jack"));
    wait_jack(&engine);
    server.kill();
    server.change(44_100, 1024);
    server.begin();
    let status = engine.wait("the wrong rate is told", |status| {
        problems(status).contains("44100") && problems(status).contains("48000")
    });
    assert_eq!(device(&status), "null");
    play_on_by_timer(&engine);
    server.kill();
    server.change(48_000, 512);
    server.begin();
    wait_jack(&engine);
    hear(&mut server, engine);
}

#[test]
fn without_a_server_a_timer_plays_until_there_is_one() {
    let Some(mut server) = Jackd::absent(48_000, 1024) else { return };
    let nowhere = tempfile::tempdir().expect("a folder");
    let nowhere = nowhere.path().to_str().expect("a name");
    let start = server.engine("auto").env("XDG_RUNTIME_DIR", nowhere);
    let engine = begin(start.env("PULSE_SERVER", "unix:/nonexistent").env("HOME", nowhere));
    let status = engine.status();
    assert_eq!(device(&status), "null");
    assert!(engine.log().contains("a timer keeps the time"), "{}", engine.log());
    assert!(engine.log().contains(server.name()), "{}", engine.log());
    server.begin();
    let began = Instant::now();
    wait_jack(&engine);
    eprintln!("JACK plays {:?} after it has appeared", began.elapsed());
    hear(&mut server, engine);
}

#[test]
fn who_insists_on_a_device_that_is_not_there_is_refused_with_69() {
    let Some(server) = Jackd::absent(48_000, 1024) else { return };
    let mut command = segue();
    command.args(["run", "--device", "jack", "--strict-device", "--osc", "127.0.0.1:0"]);
    command.args(["--no-journal"]).env("JACK_DEFAULT_SERVER", server.name());
    let output = command.output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains(server.name()), "{said}");
    assert!(said.contains("segue devices"), "{said}");
}

#[test]
fn a_rate_that_the_server_does_not_have_is_refused_and_any_is_taken() {
    let Some(server) = Jackd::start(44_100, 1024) else { return };
    let engine = begin(server.engine("jack").arg("--rate").arg("48000"));
    // A server that is busy with other tests may refuse whoever asks, now and then.
    engine.wait("its rate is told", |status| {
        device(status) == "null" && problems(status).contains("44100")
    });
    engine.stop();
    let engine = begin(server.engine("jack").arg("--rate").arg("auto"));
    let status = wait_jack(&engine);
    assert_eq!(status["engine"]["rate"], 44_100);
    let from = playhead(&status);
    engine.wait("it plays on", |status| playhead(status) > from + 100);
    engine.stop().assert_identical_but_concealed();
}
