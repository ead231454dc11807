//! Periods short, long, odd and changing; a server without a clock.

use rustix::process::Signal;

use super::{BLOCK, problems, wait_jack, whole_but_for_losses};
use crate::devices::servers::jack::Jackd;
use crate::devices::{SECOND, begin};
use crate::engine::{playhead, primary};

/// S24, S50: a period of any length, also one longer than the lead.
#[test]
fn periods_short_long_and_odd_play_the_same() {
    for period in [16, 64, 441, 1024, 4096] {
        let Some(mut server) = Jackd::start(48_000, period) else { return };
        let engine = begin(server.engine("jack"));
        wait_jack(&engine);
        let recorder = server.record();
        recorder.wait(SECOND / 2);
        let status = wait_jack(&engine);
        let ended = engine.stop();
        let heard = recorder.finish();
        let stretches = whole_but_for_losses(&heard, &ended, &status);
        let heard: usize = stretches.iter().map(|it| it.heard.len()).sum();
        assert!(heard as u64 > SECOND / 4, "at {period}: {stretches:?}");
    }
}

#[test]
fn a_server_that_does_not_wait_for_its_clients_hears_the_same() {
    let Some(mut server) = Jackd::absent(48_000, 512) else { return };
    server.run_ahead();
    server.begin();
    let engine = begin(server.engine("jack"));
    wait_jack(&engine);
    let recorder = server.record();
    engine.hurt(primary(&engine.status()), Signal::KILL);
    engine.wait_whole(1);
    recorder.wait(SECOND / 2);
    let status = wait_jack(&engine);
    let ended = engine.stop();
    let heard = recorder.finish();
    // From being asked for to being heard: a period, the lead, and the two that this server
    // keeps.
    let ms = status["engine"]["latency_ms"].as_f64().expect("a latency");
    assert_eq!((ms * 48.0).round() as u64, 512 + 32 * BLOCK + 2 * 512, "{status:#}");
    whole_but_for_losses(&heard, &ended, &status);
}

#[test]
fn a_period_that_changes_while_it_plays_is_heard_by_nobody() {
    let Some(mut server) = Jackd::start(48_000, 256) else { return };
    let engine = begin(server.engine("jack"));
    wait_jack(&engine);
    let recorder = server.record();
    // The second is longer by more than the lead; it has to be known before it is asked for.
    for period in ["64", "4096", "441", "2048", "1024"] {
        let set = server.tool("jack_bufsize", &[period]);
        assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
        recorder.wait(SECOND / 4);
    }
    let status = wait_jack(&engine);
    let ended = engine.stop();
    let heard = recorder.finish();
    // Where the server takes a moment to change, the timer goes on without it.
    whole_but_for_losses(&heard, &ended, &status);
}

#[test]
fn a_server_without_a_clock_hears_every_sample_whoever_is_killed() {
    let Some(mut server) = Jackd::start(48_000, 1024) else { return };
    let engine = begin(server.engine("jack"));
    wait_jack(&engine);
    let recorder = server.record();
    let from = playhead(&engine.status());
    assert!(server.tool("jack_freewheel", &["y"]).status.success());
    engine.wait("it is told that nobody can hear it", |status| {
        problems(status).contains("freewheels")
    });
    engine.play_on(4 * SECOND / BLOCK);
    engine.hurt(primary(&engine.status()), Signal::KILL);
    engine.wait_whole(1);
    engine.play_on(4 * SECOND / BLOCK);
    assert!(server.tool("jack_freewheel", &["n"]).status.success());
    recorder.wait(SECOND / 4);
    engine.wait("nothing is wrong any more", |status| problems(status) == "[]");
    let status = wait_jack(&engine);
    let ended = engine.stop();
    let heard = recorder.finish();
    assert!(playhead(&status) > from + 8 * SECOND / BLOCK);
    whole_but_for_losses(&heard, &ended, &status);
}
