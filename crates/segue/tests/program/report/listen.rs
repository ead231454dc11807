//! Who cannot hear asks `segue listen`: of a file, of an engine, of a module within it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};

use rosc::OscType;
use rustix::process::Signal;
use serde_json::Value;

use crate::client::Client;
use crate::engine::{Engine, Start, patch, segue};

/// A sine of 440 Hz at half of full scale.
const TONE: &str = "segue = 1\n[osc]\ntype = \"osc\"\nfreq = 440\n[out]\nin = \"osc * 0.5\"\n";

/// Exit status, standard output and standard error.
fn run(arguments: &[&str], folder: &Path) -> (Option<i32>, String, String) {
    let output = segue().args(arguments).current_dir(folder).output().expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[track_caller]
fn assert_near(found: &Value, expected: f64, within: f64) {
    let near = found.as_f64().is_some_and(|it| (it - expected).abs() <= within);
    assert!(near, "{found}, expected {expected} within {within}");
}

#[test]
fn a_render_says_how_it_sounds_and_so_does_whoever_listens_to_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("tone.toml"), TONE).expect("written");
    let render = ["render", "tone.toml", "--for", "2s", "-o", "tone.wav", "--force"];
    let (code, page, said) = run(&render, folder);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(page.contains("pitch      A4 ") && page.contains("clipping   none"), "{page}");
    let (code, heard, said) = run(&["listen", "tone.wav"], folder);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert_eq!(heard, format!("source     tone.wav\n{page}"));

    let (_, rendered, _) = run(&[&render[..], &["--json"]].concat(), folder);
    let (_, heard, _) = run(&["listen", "tone.wav", "--json"], folder);
    let (rendered, mut heard) = (json(&rendered), json(&heard));
    assert_eq!(heard["source"], serde_json::json!({ "file": "tone.wav" }));
    heard.as_object_mut().expect("an object").remove("source");
    assert_eq!(rendered["heard"], heard);
    assert_eq!((&heard["schema"], &heard["frames"]), (&1.into(), &96_000.into()));
    assert_near(&heard["pitch"]["hz"], 440.0, 0.1);
    assert_near(&heard["levels"]["peak_dbfs"], -6.02, 0.05);
    // Two channels of -9.03 dB, less 0.69: at 440 Hz the weighting does next to nothing.
    assert_near(&heard["loudness"]["integrated_lufs"], -6.71, 0.1);

    // A part of it, and its bars at a tempo.
    for (length, frames) in
        [(["--for", "500ms"].as_slice(), 24_000), (&["--for", "0.25bar", "--tempo", "120"], 24_000)]
    {
        let (_, heard, _) = run(&[&["listen", "tone.wav", "--json"], length].concat(), folder);
        assert_eq!(json(&heard)["frames"], frames);
    }
}

#[test]
fn a_damaged_file_is_heard_as_far_as_it_goes_and_each_failure_has_its_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("tone.toml"), TONE).expect("written");
    run(&["render", "tone.toml", "--for", "2s", "-o", "tone.wav"], folder);
    let whole = std::fs::read(folder.join("tone.wav")).expect("a file");
    std::fs::write(folder.join("cut.wav"), &whole[..whole.len() / 2]).expect("written");
    let (code, heard, said) = run(&["listen", "cut.wav", "--json"], folder);
    assert_eq!(code, Some(65), "{said}");
    assert!(said.contains("cut.wav: damaged: it ends"), "{said}");
    assert_near(&json(&heard)["seconds"], 1.0, 0.001);

    std::fs::write(folder.join("text.wav"), "no sound at all").expect("written");
    let quiet = "127.0.0.1:9";
    let table: [(&[&str], i32, &str); 8] = [
        (&["listen", "none.wav"], 66, "none.wav"),
        (&["listen", "text.wav"], 65, "instead of RIFF"),
        (&["listen", "tone.wav", "--for", "4bar"], 64, "--tempo 120"),
        (&["listen", "tone.wav", "--for", "4beats"], 64, "4beats"),
        (&["listen", "tone.wav", "--for", "1bar", "--tempo", "fast"], 64, "quarter notes"),
        (&["listen", "tone.wav", "--from", "osc"], 64, "--from"),
        (&["listen", "--osc", quiet], 69, "segue run"),
        (&["listen", "--osc", quiet, "--from", "osc"], 69, "segue run"),
    ];
    for (arguments, code, expected) in table {
        let (found, heard, said) = run(arguments, folder);
        assert_eq!((found, heard.as_str()), (Some(code), ""), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn an_engine_is_heard_while_its_workers_die_and_its_bits_stay_what_they_were() {
    let engine = Start::new().arg(patch("first.toml")).play();
    let client = Client::new(engine.port());
    // The gate is closed: nothing is played, and the oscillator sounds all the same.
    let silent = json(&engine.must(&["listen", "--for", "500ms", "--json"]));
    assert_eq!(silent["source"]["engine"]["blocks"], 375);
    assert_eq!((&silent["silence"]["share"], &silent["pitch"]), (&1.0.into(), &Value::Null));
    let within = json(&engine.must(&["listen", "--from", "osc", "--for", "500ms", "--json"]));
    assert_near(&within["pitch"]["hz"], 440.0, 0.1);
    assert_eq!((&within["frames"], &within["channels"]), (&24_000.into(), &1.into()));

    client.send("/mod/osc/freq", &[OscType::Float(330.0)]);
    client.send("/gate/env", &[OscType::Int(1)]);
    engine.wait("it sounds", |status| status["levels"]["peak"][0].as_f64() > Some(0.05));
    engine.hurt(0, Signal::KILL);
    let heard = json(&engine.must(&["listen", "--for", "1s", "--json"]));
    assert_near(&heard["pitch"]["hz"], 330.0, 0.1);
    assert_eq!(heard["source"]["engine"]["concealed"], 0);
    engine.wait_whole(1);
    let page = engine.must(&["listen", "--for", "1s"]);
    assert!(page.contains("source     the engine of pid") && page.contains("E4 +"), "{page}");
    engine.stop().assert_identical();
}

/// What plays along is told what the log says while it listens, and comes to the same bits.
#[test]
fn what_plays_along_to_hear_a_module_differs_in_no_block_from_what_is_played() {
    let engine = Start::new().arg(patch("first.toml")).play();
    let client = Client::new(engine.port());
    client.send("/gate/env", &[OscType::Int(1)]);
    let (mut listener, mut errors) = listen_on(&engine, &["--from", "osc"]);
    for hertz in [110.0, 220.0, 165.0] {
        client.send("/mod/osc/freq", &[OscType::Float(hertz)]);
        client.send("/mod/filter/cutoff", &[OscType::Float(hertz * 5.0), OscType::Float(300.0)]);
        client.ask("/sync", &[OscType::Int(1)]);
        engine.play_on(300);
    }
    for (from, expected) in [("filtr", "did you mean 'filter'?"), ("osc.left", "no outlet 'left'")]
    {
        let output = engine.ask(&["listen", "--from", from]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(66), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let both = json(&engine.must(&["listen", "--from", "out", "--for", "250ms", "--json"]));
    assert_eq!(both["channels"], 2);
    // Its end is a command as well: the closing fade.
    engine.stop().assert_identical();
    let heard = ended(&mut listener, &mut errors);
    let source = &heard["source"]["engine"];
    assert_eq!((&source["blocks_differing"], &source["from"]), (&0.into(), &"osc".into()));
    assert!(source["blocks_compared"].as_u64() > Some(900), "{source}");
    let notes = heard["pitch"]["notes"].as_array().expect("notes");
    let notes: Vec<_> = notes.iter().filter_map(|note| note["note"].as_str()).collect();
    assert_eq!(notes[notes.len() - 3..], ["A2", "A3", "E3"]);
}

/// An engine that ends while it is listened to: what was heard is told, and why it is less.
#[test]
fn an_engine_that_ends_is_heard_to_its_end() {
    let engine = Start::new().patch(TONE).play();
    let (mut listener, mut errors) = listen_on(&engine, &[]);
    engine.play_on(200);
    engine.stop();
    let heard = ended(&mut listener, &mut errors);
    assert_near(&heard["pitch"]["hz"], 440.0, 0.1);
}

/// A listener who listens for an hour, from now on.
fn listen_on(engine: &Engine, more: &[&str]) -> (Child, BufReader<ChildStderr>) {
    let mut command = segue();
    command.args(["listen", "--osc", &engine.port().to_string(), "--for", "1h", "--json"]);
    command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut listener = command.spawn().expect("the program runs");
    let mut errors = BufReader::new(listener.stderr.take().expect("it is piped"));
    let mut said = String::new();
    errors.read_line(&mut said).expect("it says that it listens");
    assert!(said.starts_with("listening to the engine of pid"), "{said}");
    (listener, errors)
}

/// What it has heard when its engine has ended.
fn ended(listener: &mut Child, errors: &mut BufReader<ChildStderr>) -> Value {
    let (mut heard, mut said) = (String::new(), String::new());
    let mut output = listener.stdout.take().expect("it is piped");
    output.read_to_string(&mut heard).expect("text");
    errors.read_to_string(&mut said).expect("text");
    let status = listener.wait().expect("it ends");
    assert_eq!(status.code(), Some(69), "{said}");
    assert!(said.contains("the engine ended; this is what was heard until then"), "{said}");
    json(&heard)
}
