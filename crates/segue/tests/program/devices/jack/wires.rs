//! Who is connected to whom, and names.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::{device, problems, wait_jack};
use crate::devices::servers::jack::{Client, Jackd};
use crate::devices::servers::until;
use crate::devices::{SECOND, begin, replay};
use crate::engine::{counter, playhead};

/// The port of JACK's metronome.
const METRO: &str = "metro:120_bpm";

/// Another client that plays.
fn metro(server: &Jackd) -> Client {
    let client = server.client("jack_metro", &["-b", "120"]);
    server.wait_port(METRO);
    client
}

/// Whether `from` is connected to `to`.
fn is_connected(server: &Jackd, from: &str, to: &str) -> bool {
    let listing = server.connections();
    let own = listing.lines().skip_while(|line| *line != from).skip(1);
    own.take_while(|line| line.starts_with(' ')).any(|line| line.trim() == to)
}

fn wait_connected(server: &Jackd, from: &str, to: &str) {
    until(&format!("{from} plays into {to}"), || is_connected(server, from, to).then_some(()));
}

/// Does this to both of our ports, with the system's and with the recorder's.
fn rewire(server: &Jackd, program: &str) {
    for out in ["1", "2"] {
        let from = format!("segue:out_{out}");
        for to in [format!("system:playback_{out}"), format!("jackrec:input{out}")] {
            let done = server.tool(program, &[&from, &to]);
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{program} {from} {to}: {said}");
        }
    }
}

#[test]
fn channels_are_connected_in_order_and_one_alone_to_both_sides() {
    let Some(server) = Jackd::start(48_000, 1024) else { return };
    let engine = begin(server.engine("jack"));
    wait_connected(&server, "segue:out_1", "system:playback_1");
    wait_connected(&server, "segue:out_2", "system:playback_2");
    assert!(!is_connected(&server, "segue:out_1", "system:playback_2"));
    // A second engine is told apart by the server.
    let mono = begin(server.engine("jack").arg("--channels").arg("1"));
    wait_connected(&server, "segue-01:out_1", "system:playback_1");
    wait_connected(&server, "segue-01:out_1", "system:playback_2");
    engine.stop();
    mono.stop();
}

#[test]
fn wires_that_others_pull_and_plug_are_left_so_and_told() {
    let Some(mut server) = Jackd::start(48_000, 1024) else { return };
    let engine = begin(server.engine("jack"));
    let recorder = server.record();
    rewire(&server, "jack_disconnect");
    engine.wait("it says that nothing is connected", |status| {
        problems(status).contains("connected to nothing")
    });
    // Others come and go meanwhile.
    let other = metro(&server);
    assert!(!is_connected(&server, "segue:out_1", "system:playback_1"));
    rewire(&server, "jack_connect");
    engine.wait("nothing is wrong any more", |status| problems(status) == "[]");
    drop(other);
    recorder.wait(SECOND / 2);
    let status = wait_jack(&engine);
    let ended = engine.stop();
    let heard = recorder.finish();
    let replay = replay(&ended);
    for side in [0, 1] {
        let stretches = heard.side(side).stretches_of(&replay.side(side));
        // Without its wires, with them, and again where a client that was killed held up all.
        let losses = counter(&status, "device_losses") as usize;
        assert!((2..=2 + losses).contains(&stretches.len()), "{losses} losses: {stretches:?}");
    }
}

#[test]
fn a_client_asked_for_by_name_is_played_into_and_again_when_it_comes_back() {
    let Some(mut server) = Jackd::start(48_000, 1024) else { return };
    let _source = metro(&server);
    let recorder = server.record_from([METRO, METRO]);
    let engine = begin(server.engine("jack:jackrec"));
    wait_connected(&server, "segue:out_1", "jackrec:input1");
    wait_connected(&server, "segue:out_2", "jackrec:input2");
    assert!(!is_connected(&server, "segue:out_1", "system:playback_1"));
    recorder.leave();
    engine.wait("it says that nothing is connected", |status| {
        problems(status).contains("connected to nothing")
    });
    let _recorder = server.record_from([METRO, METRO]);
    wait_connected(&server, "segue:out_1", "jackrec:input1");
    wait_connected(&server, "segue:out_2", "jackrec:input2");
    engine.wait("nothing is wrong any more", |status| problems(status) == "[]");
    engine.stop().assert_identical_but_concealed();
}

#[test]
fn a_client_that_is_not_there_is_named_with_those_that_are() {
    let Some(server) = Jackd::start(48_000, 1024) else { return };
    let engine = begin(server.engine("jack:nobody"));
    // A server that is busy with other tests may refuse whoever asks, now and then.
    engine.wait("it is named with those that are there", |status| {
        let said = problems(status);
        device(status) == "null" && said.contains("nobody") && said.contains("system")
    });
    engine.stop();
}

/// JACK takes any bytes for a name.
#[test]
fn a_client_whose_name_is_no_text_does_no_harm() {
    let Some(server) = Jackd::start(48_000, 1024) else { return };
    let engine = begin(server.engine("jack"));
    let from = playhead(&wait_jack(&engine));
    let metro = server.client(
        "jack_metro",
        &[OsStr::new("-b"), OsStr::new("120"), OsStr::new("-n"), OsStr::from_bytes(b"a\xff\xfeb")],
    );
    until("it is there", || {
        let listing = server.tool("jack_lsp", &[]).stdout;
        listing.windows(2).any(|two| two == b"a\xff").then_some(())
    });
    drop(metro);
    engine.wait("it plays on", |status| playhead(status) > from + 500);
    engine.stop().assert_identical_but_concealed();
}
