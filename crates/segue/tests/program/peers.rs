//! OSC clients we did not write: liblo's `oscsend` and python-osc, over UDP and TCP.
//!
//! Where they are not installed these tests say so and end; where `CI` is set they must be.

use std::process::{Command, Stdio};

use crate::engine::{Engine, Start, counter, patch};

/// Whether a peer is there; panics where it has to be.
fn is_there(what: &str, probe: &mut Command) -> bool {
    let found = probe.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    assert!(found || std::env::var_os("CI").is_none(), "{what} must be installed in CI");
    if !found {
        eprintln!("skipped: {what} is not installed");
    }
    found
}

fn freq(engine: &Engine) -> String {
    engine.must(&["send", "/mod/osc/freq"]).trim().to_owned()
}

fn finish(engine: Engine, applied: u64) {
    let status = engine.status();
    assert_eq!(counter(&status, "commands_refused"), 0, "{status:#}");
    assert_eq!(counter(&status, "commands_applied"), applied, "{status:#}");
    engine.stop().assert_identical();
}

#[test]
fn liblo_plays_over_udp_and_tcp() {
    if !is_there("oscsend (liblo-tools)", Command::new("oscsend").args(["localhost", "9", "/x"])) {
        return;
    }
    let engine = Start::new().arg(patch("first.toml")).play();
    for (number, protocol) in ["osc.udp", "osc.tcp"].into_iter().enumerate() {
        let url = format!("{protocol}://127.0.0.1:{}/", engine.port());
        let hertz = (300 + number).to_string();
        for message in
            [vec!["/mod/osc/freq", "f", &hertz], vec!["/gate/env", "i", "1"], vec!["/test"]]
        {
            let status = Command::new("oscsend").arg(&url).args(&message).status();
            assert!(status.expect("oscsend runs").success(), "{message:?} over {protocol}");
        }
        let expected = number as u64 * 3 + 3;
        engine.wait("all three are applied", |status| {
            counter(status, "commands_applied") == expected
        });
        assert!(freq(&engine).contains(&hertz), "{}", freq(&engine));
    }
    finish(engine, 6);
}

const PYTHON_OSC: &str = r#"
import sys
from pythonosc.udp_client import UDPClient
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc import osc_bundle_builder
from pythonosc.tcp_client import SimpleTCPClient
from pythonosc.osc_tcp_server import MODE_1_0, MODE_1_1

port = int(sys.argv[1])

def message(address, *args):
    builder = OscMessageBuilder(address=address)
    for arg in args:
        builder.add_arg(arg)
    return builder.build()

udp = UDPClient("127.0.0.1", port)
udp.send(message("/mod/osc/freq", 440.0))
udp.send(message("/gate/env", True))
bundle = osc_bundle_builder.OscBundleBuilder(osc_bundle_builder.IMMEDIATELY)
bundle.add_content(message("/mod/filter/cutoff", 900.0))
bundle.add_content(message("/gate/env", "off"))
udp.send(bundle.build())
udp.send(message("/mod/osc/freq"))
answer = udp.receive(30)
assert b"/mod/osc/freq" in answer, answer

for mode in (MODE_1_0, MODE_1_1):
    tcp = SimpleTCPClient("127.0.0.1", port, mode=mode)
    tcp.send_message("/mod/osc/freq", 330.0)
    tcp.send_message("/sync", 7)
    answer = OscMessage(tcp.receive(30)[0])
    assert (answer.address, answer.params) == ("/synced", [7]), answer
    tcp.close()
print("ok")
"#;

#[test]
fn python_osc_plays_over_udp_and_both_kinds_of_tcp() {
    let mut probe = Command::new("python3");
    if !is_there("python-osc", probe.args(["-c", "import pythonosc.osc_tcp_server"])) {
        return;
    }
    let engine = Start::new().arg(patch("first.toml")).play();
    let port = engine.port().to_string();
    let output = Command::new("python3").args(["-c", PYTHON_OSC, &port]).output();
    let output = output.expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", engine.log());
    assert!(freq(&engine).contains("330"), "{}", freq(&engine));
    finish(engine, 6);
}
