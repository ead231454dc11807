//! The end of an engine: heard to its last frame, and no harm to the server or its other clients.

use super::{device, wait_jack};
use crate::devices::servers::jack::Jackd;
use crate::devices::{SECOND, begin, replay};
use crate::engine::segue;

/// Says that a client has vanished without a word, which holds up a server for seconds.
const VANISHED: &str = "Broken pipe";

#[test]
fn the_closing_fade_is_heard_to_its_last_frame() {
    // Two periods of 4096 are on their way when the timeline ends.
    let Some(mut server) = Jackd::absent(48_000, 4096) else { return };
    server.run_ahead();
    server.begin();
    let engine = begin(server.engine("jack"));
    wait_jack(&engine);
    let recorder = server.record();
    recorder.wait(SECOND / 4);
    wait_jack(&engine);
    let ended = engine.stop();
    recorder.wait(SECOND / 2);
    // The recorder vanishes itself.
    let said = server.log();
    let (heard, replay) = (recorder.finish(), replay(&ended));
    let stretches = heard.stretches_of(&replay);
    let last = stretches.last().expect("something was heard");
    assert_eq!(last.end(), replay.len(), "{stretches:?}");
    assert!(!said.contains(VANISHED), "{said}");
}

#[test]
fn an_engine_that_ends_leaves_its_server_in_order_and_free_for_the_next() {
    let Some(server) = Jackd::start(48_000, 1024) else { return };
    for _ in 0..3 {
        let engine = begin(server.engine("jack"));
        assert_eq!(device(&wait_jack(&engine)), "jack");
        engine.stop();
        let connections = server.connections();
        assert!(connections.contains("system:playback_1"), "it answers: {connections}");
        assert!(!connections.contains("segue"), "{connections}");
    }
    assert!(!server.log().contains(VANISHED), "{}", server.log());
}

#[test]
fn an_engine_that_never_plays_leaves_its_server_in_order_too() {
    let Some(server) = Jackd::start(48_000, 1024) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let patch = folder.path().join("patch.toml");
    std::fs::write(&patch, "segue = 1\n[out]\nin = \"nobody\"\n").expect("a patch is written");
    let mut command = segue();
    command.args(["run", "--device", "jack", "--osc", "127.0.0.1:0", "--no-journal"]);
    command.arg("--show").arg(folder.path()).arg(patch);
    let output = command.env("JACK_DEFAULT_SERVER", server.name()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(said.contains("nobody"), "{said}");
    let connections = server.connections();
    assert!(!connections.contains("segue"), "{connections}");
    assert!(!server.log().contains(VANISHED), "{}", server.log());
}
