//! Periods short, long, odd and changing; a server without a clock.

use rustix::process::Signal;

use super::{BLOCK, assert_unconcealed, wait_jack};
use crate::devices::servers::jack::Jackd;
use crate::devices::{SECOND, begin, replay};
use crate::engine::{counter, playhead, primary};

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
        assert_eq!(status["counters"]["device_losses"], 0, "at {period}: {status:#}");
        assert_unconcealed(&status);
        let stretch = heard.one_stretch_of(&replay(&ended));
        assert!(stretch.heard.len() as u64 > SECOND / 4, "at {period}: {stretch:?}");
    }
}

#[test]
fn a_period_that_changes_while_it_plays_is_heard_by_nobody() {
    let Some(mut server) = Jackd::start(48_000, 256) else { return };
    let engine = begin(server.engine("jack"));
    wait_jack(&engine);
    let recorder = server.record();
    for period in ["2048", "64", "441", "4096", "1024"] {
        let set = server.tool("jack_bufsize", &[period]);
        assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
        recorder.wait(SECOND / 4);
    }
    let status = wait_jack(&engine);
    let ended = engine.stop();
    let heard = recorder.finish();
    assert_unconcealed(&status);
    let replay = replay(&ended);
    // Where the server takes a moment to change, the timer goes on without it.
    let losses = counter(&status, "device_losses") as usize;
    let stretches = heard.stretches_of(&replay);
    assert!(stretches.len() <= losses + 1, "{losses} losses: {stretches:?}");
    assert!(stretches.windows(2).all(|two| two[0].end() < two[1].from), "{stretches:?}");
}

#[test]
fn a_server_without_a_clock_hears_every_sample_whoever_is_killed() {
    let Some(mut server) = Jackd::start(48_000, 1024) else { return };
    let engine = begin(server.engine("jack"));
    wait_jack(&engine);
    let recorder = server.record();
    let from = playhead(&engine.status());
    assert!(server.tool("jack_freewheel", &["y"]).status.success());
    engine.play_on(4 * SECOND / BLOCK);
    engine.hurt(primary(&engine.status()), Signal::KILL);
    engine.wait_whole(1);
    engine.play_on(4 * SECOND / BLOCK);
    assert!(server.tool("jack_freewheel", &["n"]).status.success());
    recorder.wait(SECOND / 4);
    let status = wait_jack(&engine);
    let ended = engine.stop();
    let heard = recorder.finish();
    assert!(playhead(&status) > from + 8 * SECOND / BLOCK);
    assert_unconcealed(&status);
    heard.one_stretch_of(&replay(&ended));
}
