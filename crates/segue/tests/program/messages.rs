//! Messages of every kind to the real program: floods, garbage, streams, questions, recordings.

use std::io::{Read, Write};
use std::net::TcpStream;

use rosc::{OscMessage, OscPacket, OscType};
use rustix::process::Signal;
use segue_sys::clock;

use crate::client::Client;
use crate::engine::{DEADLINE, Engine, Start, WAV_HEADER, counter, patch, send_signal};

fn first() -> Start {
    Start::new().arg(patch("first.toml"))
}

fn text(word: &str) -> OscType {
    OscType::String(word.to_owned())
}

fn answer_text(answer: &OscMessage, at: usize) -> &str {
    match &answer.args[at] {
        OscType::String(text) => text,
        other => panic!("{other:?} in {answer:?}"),
    }
}

fn kill_control(engine: &Engine) {
    let status = engine.status();
    let restarts = status["control"]["restarts"].as_u64().expect("a count");
    send_signal(status["control"]["pid"].as_u64(), Signal::KILL);
    engine.wait("control is back", |status| {
        status["control"]["restarts"].as_u64() == Some(restarts + 1)
    });
}

/// S27: what four clients send as fast as they can is read, or its loss is counted.
#[test]
fn every_datagram_of_a_flood_is_accounted_for() {
    const EACH: u64 = 20_000;
    let engine = first().play();
    let before = counter(&engine.status(), "commands_received");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let client = Client::new(engine.port());
                for number in 0..EACH {
                    let value = OscType::Float(200.0 + (number % 1000) as f32);
                    client.send("/mod/filter/cutoff", &[value]);
                }
            });
        }
    });
    let seen = |status: &serde_json::Value| {
        counter(status, "commands_received") + counter(status, "commands_dropped") - before
    };
    engine.wait("all are accounted for", |status| seen(status) == 4 * EACH);
    let status = engine.wait("the backlog is empty", |status| {
        let done = ["commands_applied", "commands_coalesced", "commands_refused"];
        done.iter().map(|name| counter(status, name)).sum::<u64>()
            == counter(status, "commands_received")
    });
    assert_eq!(status["control"]["restarts"].as_u64(), Some(0));
    engine.stop().assert_identical();
}

#[test]
fn garbage_is_refused_and_nobody_falls() {
    let engine = first().play();
    let client = Client::new(engine.port());
    let mut nested = b"/test\0\0\0,\0\0\0".to_vec();
    while nested.len() < 60_000 {
        let size = (nested.len() as u32).to_be_bytes();
        nested = [b"#bundle\0\0\0\0\0\0\0\0\x01".as_slice(), &size, &nested].concat();
    }
    let arrays = [b"/test\0\0\0,".as_slice(), &[b'['; 30_000], &[b']'; 29_999]].concat();
    for bytes in [nested.as_slice(), &arrays, b"GET / HTTP/1.1\r\n\r\n", b"", b"/", b"#bundle\0"] {
        client.send_bytes(bytes);
    }
    let answers = client.sync(1);
    assert!(answers.len() >= 5 && answers.iter().all(|it| it.addr == "/error"), "{answers:?}");
    let status = engine.status();
    assert_eq!(status["control"]["restarts"].as_u64(), Some(0));
    assert!(counter(&status, "commands_refused") >= 5);
}

#[test]
fn an_answer_too_long_for_a_datagram_comes_over_a_stream() {
    let engine = first().play();
    let client = Client::new(engine.port());
    let refused = client.ask("/engine/schema", &[]);
    assert_eq!((refused.addr.as_str(), answer_text(&refused, 1)), ("/error", "too_long"));

    let asked = OscMessage { addr: "/engine/schema".to_owned(), args: vec![] };
    let asked = rosc::encoder::encode(&OscPacket::Message(asked)).expect("encodes");
    let mut stream = TcpStream::connect(("127.0.0.1", engine.port())).expect("connects");
    stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    stream.write_all(&(asked.len() as u32).to_be_bytes()).expect("sent");
    stream.write_all(&asked).expect("sent");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("an answer");
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).expect("a whole answer");
    let OscPacket::Message(answer) = rosc::decoder::decode_udp(&answer).expect("OSC").1 else {
        panic!("an answer is a message");
    };
    let schema: serde_json::Value =
        serde_json::from_str(answer_text(&answer, 1)).expect("the schema is JSON");
    assert!(schema["modules"].as_array().is_some_and(|modules| modules.len() >= 5));
    assert!(!engine.must(&["send", "/engine/schema"]).trim().is_empty());
}

#[test]
fn a_control_that_comes_back_knows_what_was_set() {
    let engine = first().play();
    let client = Client::new(engine.port());
    client.send("/mod/filter/cutoff", &[OscType::Float(1234.0)]);
    client.send("/mod/filter/mode", &[text("highpass")]);
    client.send("/gate/env", &[OscType::Float(0.5)]);
    client.send("/master/gain", &[OscType::Float(-6.0)]);
    assert!(client.sync(1).is_empty());
    kill_control(&engine);
    let client = Client::new(engine.port());
    assert_eq!(client.ask("/mod/filter/cutoff", &[]).args, [OscType::Float(1234.0)]);
    assert_eq!(client.ask("/mod/filter/mode", &[]).args, [text("highpass")]);
    assert_eq!(client.ask("/gate/env", &[]).args, [OscType::Float(0.5)]);
    assert_eq!(client.ask("/master/gain", &[]).args, [OscType::Float(-6.0)]);
    engine.stop().assert_identical();
}

/// S47: a recording asked for over OSC stays in its folder, overwrites nothing, survives
/// control, and holds what was heard from its first frame on.
#[test]
fn a_recording_asked_for_holds_what_was_heard() {
    let engine = first().play();
    let client = Client::new(engine.port());
    client.send("/gate/env", &[OscType::Int(1)]);
    assert_eq!(answer_text(&client.ask("/record/start", &[text("a")]), 1), "busy");
    assert_eq!(client.ask("/record/stop", &[]).addr, "/done");
    for wrong in ["../take", "/take", ".take", ""] {
        let answer = client.ask("/record/start", &[text(wrong)]);
        assert_eq!(answer_text(&answer, 1), "forbidden", "{wrong}: {answer:?}");
    }
    let mut takes = Vec::new();
    for expected in ["take.wav", "take-2.wav"] {
        let started = client.ask("/record/start", &[text("take")]);
        assert_eq!(started.addr, "/done", "{started:?}");
        let path = std::path::PathBuf::from(answer_text(&started, 1));
        assert_eq!(path, engine.folder.path().join("show/recordings").join(expected));
        assert_eq!(answer_text(&client.ask("/record/start", &[text("b")]), 1), "busy");
        engine.play_on(200);
        kill_control(&engine);
        engine.play_on(200);
        let stopped = Client::new(engine.port()).ask("/record/stop", &[]);
        assert_eq!(stopped.addr, "/done", "{stopped:?}");
        let (OscType::Long(start), OscType::Long(frames)) = (&started.args[2], &stopped.args[2])
        else {
            panic!("{started:?} {stopped:?}");
        };
        let bytes = std::fs::read(path).expect("the take");
        takes.push((*start as usize, *frames as usize, bytes));
    }
    let heard = engine.stop().rendered().split_off(WAV_HEADER);
    for (start, frames, mut take) in takes {
        assert!(frames >= 400 * 64);
        assert_eq!(take.split_off(WAV_HEADER), heard[start * 8..(start + frames) * 8]);
    }
}

/// `segue send -` with these lines: what it says, and its code.
fn send_lines(engine: &Engine, lines: &str) -> (String, Option<i32>) {
    let mut child = crate::engine::segue()
        .args(["send", "--osc", &format!("127.0.0.1:{}", engine.port()), "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

/// What is about files is answered later than `/sync`, and a refusal is told all the same.
#[test]
fn lines_about_files_are_answered_like_any_other() {
    let engine = Start::new().arg(patch("first.toml")).play();
    // The engine records from the beginning on.
    let asked = "/record/stop\n/gate/env 1\n/record/start take\n/engine/hello\n/record/stop\n";
    let (told, code) = send_lines(&engine, asked);
    let stopped = "/done /record/stop";
    let answers = ["/done /engine/hello", "/done /record/start", stopped, stopped];
    let mut lines: Vec<_> = told.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), answers.len(), "{told}");
    assert!(lines.iter().zip(answers).all(|(line, answer)| line.starts_with(answer)), "{told}");
    assert_eq!(code, Some(0));
    let (told, code) = send_lines(&engine, "/record/stop\n");
    assert!(told.starts_with("/error /record/stop busy"), "{told}");
    assert_eq!(code, Some(1));
}

#[test]
fn timed_lines_are_sent_ahead_of_their_time_and_none_is_late() {
    let engine = Start::new().arg(patch("first.toml")).arg("--device").arg("null:256").play();
    let lines = "@0.2 /gate/env 1\n@300ms /mod/filter/cutoff 900\n# said\n@0.4 /gate/env off\n";
    assert_eq!(send_lines(&engine, lines).0, "ok\n");
    let began = clock::monotonic_ns();
    let client = Client::new(engine.port());
    // What waits for its time shows when that has come.
    while client.ask("/mod/filter/cutoff", &[]).args != [OscType::Float(900.0)] {
        assert!(clock::monotonic_ns() - began < DEADLINE.as_nanos() as u64, "it never came");
    }
}
