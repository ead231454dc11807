//! The program and its files: renders, damaged journals, exit codes, and the demo.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::client::Client;
use crate::engine::{Start, WAV_HEADER, patch, segue};

fn run(arguments: &[&str], folder: &Path) -> Output {
    let mut command = segue();
    command.args(arguments).current_dir(folder).env("XDG_DATA_HOME", folder);
    command.env("XDG_CONFIG_HOME", folder).output().expect("the program runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The pieces of the house as a listener hears them: neither too soft, nor held down by the
/// limiter, nor silent for long.
#[test]
fn the_pieces_sound_as_pieces_should() {
    let folder = tempfile::tempdir().expect("a folder");
    for (piece, seconds) in [("acid", 14), ("bells", 20), ("night", 20)] {
        let [text, score] = ["toml", "osc"].map(|ending| {
            patch(&format!("{piece}.{ending}")).to_str().expect("a path that is text").to_owned()
        });
        let length = format!("{seconds}s");
        let file = format!("{piece}.wav");
        let output = run(
            &["render", &text, "--commands", &score, "--for", &length, "-o", &file, "--json"],
            folder.path(),
        );
        assert!(output.status.success(), "{piece}: {}", said(&output));
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        let heard = |pointer: &str| {
            report.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{pointer}"))
        };
        let (peak, loudness) =
            (heard("/heard/levels/peak_dbfs"), heard("/heard/loudness/integrated_lufs"));
        assert!((-14.0..-0.2).contains(&peak), "{piece} peaks at {peak} dBFS");
        assert!((-26.0..-14.0).contains(&loudness), "{piece}: {loudness} LUFS");
        assert_eq!(heard("/heard/clipping/count"), 0.0, "{piece} clips");
    }
}

#[test]
fn each_way_to_fail_has_its_own_number_and_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = patch("first.toml");
    let first = first.to_str().expect("a path that is text");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    write("bad.toml", "segue = 1\n[out]\nin = \"bas\"\n").expect("written");
    write("taken.wav", "mine").expect("written");
    write("bad.journal", "segue-show?").expect("written");
    write("config.toml", "chanels = 2\n").expect("written");
    let quiet = "127.0.0.1:9";
    let table: [(&[&str], i32, &str); 18] = [
        (&["perform"], 64, "perform"),
        (&["run", "--channels", "9"], 64, "1..=8"),
        (&["run", "-", "--osc", "127.0.0.1:0"], 64, "plays a file"),
        (&["render", first, "-o", "x.wav"], 64, "--for"),
        (&["check", "bad.toml"], 65, ""),
        (&["run", "./bad.toml", "--osc", "127.0.0.1:0"], 65, "./bad.toml:3:7: error"),
        (&["render", "bad.journal", "-o", "x.wav"], 65, "no journal"),
        (&["render", "none.toml", "--for", "1", "-o", "x.wav"], 66, "none.toml"),
        (&["run", "none.toml", "--osc", "127.0.0.1:0"], 66, "none.toml"),
        (&["run", "--device", "jack", "--strict-device"], 69, "segue devices"),
        (&["send", "--osc", quiet, "/test"], 69, "segue run"),
        (&["render", first, "--for", "1", "-o", "taken.wav"], 73, "--force"),
        (&["render", first, "--for", "1", "-o", ".", "--force"], 73, "cannot write"),
        (&["render", first, "--for", "1", "-o", "taken.wav/x.wav"], 73, "cannot write"),
        (&["run", "--osc", "127.0.0.1:0", "--record", "taken.wav"], 73, "--record"),
        (&["run", "--osc", "127.0.0.1:0", "--show", "taken.wav"], 73, "--show"),
        (&["status", "--osc", quiet, "--wait", "50ms"], 75, "not healthy"),
        (&["run", "--config", "config.toml"], 78, "did you mean 'channels'?"),
    ];
    for (arguments, code, expected) in table {
        let output = run(arguments, folder.path());
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    assert_eq!(std::fs::read(folder.path().join("taken.wav")).expect("still there"), b"mine");
    assert!(!folder.path().join("x.wav").exists());
}

/// What `run --state` plays `check --state` finds right, `--prove` too.
#[test]
fn a_patch_is_checked_for_the_room_it_is_to_have() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "segue = 1\necho = { type = \"delay\", max = \"20s\" }\nout = { in = \"echo\" }\n";
    std::fs::write(folder.path().join("p.toml"), text).expect("written");
    let check = |more: &[&str]| {
        let output = run(&[&["check", "p.toml"], more].concat(), folder.path());
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, told) = check(&[]);
    assert_eq!(code, Some(65));
    assert!(told.contains("start with --state 4MiB"), "{told}");
    for more in [["--state", "4MiB"].as_slice(), &["--state", "4MiB", "--prove"]] {
        assert_eq!(check(more).0, Some(0), "{more:?}");
    }
    assert_eq!(check(&["--state", "1KiB"]).0, Some(64));
}

#[test]
fn a_flag_in_the_environment_is_a_word_or_a_number() {
    let folder = tempfile::tempdir().expect("a folder");
    for (word, code) in [("1", 69), ("yes", 69), ("true", 69), ("0", 0), ("off", 0), ("soon", 64)] {
        let output = segue()
            .args(["run", "--device", "jack", "--for", "0", "--osc", "127.0.0.1:0"])
            .current_dir(folder.path())
            .env("XDG_DATA_HOME", folder.path())
            .env("XDG_CONFIG_HOME", folder.path())
            .env("SEGUE_STRICT_DEVICE", word)
            .output()
            .expect("the program runs");
        assert_eq!(output.status.code(), Some(code), "{word}: {}", said(&output));
    }
}

#[test]
fn a_part_of_a_journal_renders_to_that_part_and_a_cut_one_up_to_the_cut() {
    let engine = Start::new().arg(patch("demo.toml")).play();
    let client = Client::new(engine.port());
    for hertz in [110.0, 220.0, 165.0] {
        client.send("/gate/bass_env", &[rosc::OscType::Int(1)]);
        client.send("/mod/bass/freq", &[rosc::OscType::Float(hertz)]);
        engine.play_on(300);
    }
    let ended = engine.stop();
    ended.assert_identical();
    let folder = ended.folder.path();
    let heard = ended.recording().split_off(WAV_HEADER);

    let part = ["render", "show.journal", "--from", "250ms", "--for", "500ms", "-o", "part.wav"];
    let output = run(&part, folder);
    assert!(output.status.success(), "{}", said(&output));
    let mut part = std::fs::read(folder.join("part.wav")).expect("the part");
    assert_eq!(part[62..70], 12_000_u64.to_le_bytes(), "the frame it begins at");
    assert_eq!(part.split_off(WAV_HEADER), heard[12_000 * 8..36_000 * 8]);

    // Nothing of it is there: that is said, and no success.
    let beyond = run(&["render", "show.journal", "--from", "1h", "-o", "none.wav"], folder);
    assert_eq!(beyond.status.code(), Some(64), "{}", said(&beyond));
    assert!(said(&beyond).contains("from 3600.000 s on: it ends at"), "{}", said(&beyond));

    // Cut anywhere: within a record, or just between the last two.
    let bytes = std::fs::read(folder.join("show.journal")).expect("the journal");
    let tenths = (3..10).map(|tenths| bytes.len() * tenths / 10);
    let mut between = 0;
    for length in tenths.chain((8..40).map(|less| bytes.len() - less)) {
        std::fs::write(folder.join("cut.journal"), &bytes[..length]).expect("written");
        let cut = ["render", "cut.journal", "-o", "cut.wav", "--force", "--json"];
        let output = run(&cut, folder);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(65), "{said}");
        between += usize::from(said.contains("cut short: nobody ended it"));
        assert!(said.contains("damaged at byte") || between > 0, "{said}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        assert_eq!(report["blocks_differing"], 0);
        let cut = std::fs::read(folder.join("cut.wav")).expect("the file");
        let cut = &cut[WAV_HEADER..];
        assert!(cut == &heard[..cut.len()], "up to the cut it is what was heard");
    }
    assert!(between > 0, "one of the cuts is between two records");
}

/// `--force` empties what it overwrites before the first sample is rendered.
#[test]
fn a_render_never_overwrites_what_it_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let within = |name: &str| folder.path().join(name);
    let text = std::fs::read(patch("first.toml")).expect("a patch");
    std::fs::write(within("p.toml"), &text).expect("written");
    std::fs::write(within("score.osc"), "@0 /gate/env 1\n").expect("written");
    std::fs::hard_link(within("p.toml"), within("same.wav")).expect("linked");
    std::os::unix::fs::symlink("p.toml", within("link.wav")).expect("linked");
    for out in ["p.toml", "./p.toml", "same.wav", "link.wav", "score.osc", "-"] {
        let render = ["render", "p.toml", "--commands", "score.osc", "--for", "1s", "--force"];
        let output = run(&[render.as_slice(), &["-o", out]].concat(), folder.path());
        assert_eq!(output.status.code(), Some(64), "{out}: {}", said(&output));
        assert!(said(&output).contains("name another file") || out == "-", "{}", said(&output));
    }
    assert_eq!(std::fs::read(within("p.toml")).expect("still there"), text);
    assert!(!within("-").exists(), "no file is called -");
}

#[test]
fn a_patch_and_its_score_render_to_the_same_bytes_each_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let (demo, score) = (patch("demo.toml"), patch("demo.osc"));
    let mut files = Vec::new();
    for out in ["one.wav", "two.wav"] {
        let mut command = segue();
        command.arg("render").arg(&demo).arg("--commands").arg(&score);
        let output = command.args(["--for", "5s", "-o"]).arg(folder.path().join(out)).output();
        let output = output.expect("render runs");
        assert!(output.status.success(), "{}", said(&output));
        files.push(std::fs::read(folder.path().join(out)).expect("a file"));
    }
    assert_eq!(files[0].len(), WAV_HEADER + 5 * 48_000 * 8);
    assert!(files[0] == files[1]);
    assert!(files[0][WAV_HEADER..].iter().any(|byte| *byte != 0));
}

#[test]
fn the_demo_proves_that_nothing_was_heard() {
    let folder = tempfile::tempdir().expect("a folder");
    for expected in ["segue-demo.wav", "segue-demo-2.wav"] {
        let demo = ["demo", "--device", "freewheel:8x", "--for", "9s", "--json"];
        let output = run(&demo, folder.path());
        assert!(output.status.success(), "{}", said(&output));
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        assert_eq!(report["wav"], expected);
        assert_eq!(report["samples_differing"], 0);
        assert_eq!(report["samples_compared"], 9 * 48_000 * 2);
        assert!(report["failovers"].as_u64() >= Some(2), "{report}");
        assert_eq!(report["failovers"], report["hurt"]);
    }
}

/// A full disk, tried with a limit on the size of files: the recording ends cleanly, it is said,
/// and the music goes on.
#[test]
fn a_full_disk_ends_the_recording_and_not_the_music() {
    let folder = tempfile::tempdir().expect("a folder");
    let limited = folder.path().join("segue-limited");
    let script =
        format!("#!/bin/sh\nulimit -S -f 2000\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_segue"));
    let made = std::process::Command::new("sh")
        .args(["-c", "printf %s \"$1\" > \"$2\" && chmod +x \"$2\"", "sh", &script])
        .arg(&limited)
        .status();
    assert!(made.expect("sh runs").success());
    let engine = Start::with(&limited).arg(patch("demo.toml")).play();
    let status = engine.wait("it is said", |status| {
        status["recording"].is_null() && !status["problems"].to_string().is_empty()
    });
    let problems = status["problems"].to_string();
    assert!(problems.contains("live.wav") || problems.contains("recording"), "{problems}");
    engine.play_on(500);
    let client = Client::new(engine.port());
    let answer = client.ask("/record/start", &[rosc::OscType::String("../evil".into())]);
    assert_eq!((answer.addr.as_str(), &answer.args[1]), ("/error", &"forbidden".into()));
    let ended = engine.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    // Valid, and as long as it says: the header agrees with the file.
    let wav = ended.recording();
    let size = |at: usize| u32::from_le_bytes(wav[at..at + 4].try_into().expect("four bytes"));
    assert_eq!(size(4) as usize + 8, wav.len());
    assert_eq!(size(WAV_HEADER - 4) as usize + WAV_HEADER, wav.len());
    assert!(wav.len() > 100_000, "what fitted is there: {}", wav.len());
    let journal = run(&["render", "show.journal", "-o", "again.wav"], ended.folder.path());
    assert!([Some(0), Some(65)].contains(&journal.status.code()), "{}", said(&journal));
    let again = std::fs::read(ended.folder.path().join("again.wav")).expect("rendered");
    let heard = &wav[WAV_HEADER..];
    assert_eq!(heard, &again[WAV_HEADER..][..heard.len()], "as far as it goes");
}

/// Both are said within a moment, and what is played from then on is in a journal again; also by
/// a control that comes when there is no journal at all.
#[test]
fn files_deleted_while_they_are_written_are_said_and_the_journal_begins_again() {
    let engine = Start::new().arg(patch("demo.toml")).play();
    let client = Client::new(engine.port());
    let remove = |name: &str| std::fs::remove_file(engine.folder.path().join(name));
    remove("live.wav").expect("it is there");
    remove("show.journal").expect("it is there");
    let begun = |status: &Value| status["recording"].is_null() && status["journal"].is_string();
    let status = engine.wait("a journal has begun again", |status| {
        begun(status) && status["problems"].to_string().contains("the journal goes on in")
    });
    let problems = status["problems"].to_string();
    for name in ["live.wav: it was deleted", "show.journal: it was deleted"] {
        assert!(problems.contains(name), "{problems}");
    }
    remove("show.journal").expect("it is there again");
    crate::engine::send_signal(status["control"]["pid"].as_u64(), rustix::process::Signal::KILL);
    engine.wait("so it is with the next control", |status| {
        begun(status) && status["problems"].to_string().contains("No such file")
    });
    let started = client.ask("/record/start", &[rosc::OscType::String("after".into())]);
    assert_eq!(started.addr, "/done", "{started:?}");
    for round in 0..20 {
        client.send("/gate/bass_env", &[rosc::OscType::Int(round % 2)]);
        engine.play_on(50);
    }
    let ended = engine.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    let folder = ended.folder.path();
    let output = run(&["render", "show.journal", "-o", "again.wav"], folder);
    assert!(output.status.success(), "{}", said(&output));
    let file = |name: &str| std::fs::read(folder.join(name)).expect("a file");
    let (again, take) = (file("again.wav"), file("show/recordings/after.wav"));
    let first = |wav: &[u8]| u64::from_le_bytes(wav[62..70].try_into().expect("eight")) as usize;
    let at = WAV_HEADER + (first(&take) - first(&again)) * 8;
    assert!(take.len() > 100_000 && again[at..] == take[WAV_HEADER..]);
}

/// A show that cannot be gone on with is not well; that it can be again is seen as well.
#[test]
fn without_a_journal_the_engine_is_degraded_until_one_is_written_again() {
    let engine = Start::new().arg(patch("first.toml")).play();
    let (folder, away) = (engine.folder.path(), engine.folder.path().with_extension("away"));
    engine.wait("all is well", |status| status["health"] == "ok");
    // There is neither the journal any more nor a place for another.
    std::fs::remove_file(folder.join("show.journal")).expect("it is there");
    std::fs::rename(folder, &away).expect("it is moved");
    let status = engine.wait("it is degraded", |status| status["health"] == "degraded");
    let check = ["status", "--check", "--osc", &engine.port().to_string()];
    let checked = run(&check, &away);
    std::fs::rename(&away, folder).expect("it is moved back");
    assert_eq!(checked.status.code(), Some(1), "{}", said(&checked));
    let problems = status["problems"].to_string();
    for words in ["show.journal", "no other is written", "The cure: make room"] {
        assert!(problems.contains(words), "{words}: {problems}");
    }
    assert!(status["journal"].is_null(), "{status}");
    let status = engine.wait("all is well again", |status| status["health"] == "ok");
    assert!(status["journal"].is_string(), "{status}");
    assert!(!status["problems"].to_string().contains("no other is written"), "{status}");
    assert_eq!(engine.stop().status.code(), Some(0));
}

/// One record of the log that is gone would make everything after it another show.
#[test]
fn a_journal_that_lacks_a_record_is_damaged_where_it_is_missing() {
    let engine = Start::new().arg(patch("first.toml")).play();
    let client = Client::new(engine.port());
    for round in 0..3 {
        client.send("/gate/env", &[rosc::OscType::Int(round % 2)]);
        engine.play_on(20);
    }
    let ended = engine.stop();
    let path = ended.folder.path().join("show.journal");
    let mut bytes = std::fs::read(&path).expect("a journal");
    let commands: Vec<_> = records(&bytes).filter(|(kind, _)| *kind == COMMAND).collect();
    assert!(commands.len() >= 3, "three gates, and the closing fade");
    let (_, second) = commands[1].clone();
    let next = commands[2].1.start - second.len();
    bytes.drain(second);
    std::fs::write(&path, &bytes).expect("written");
    let output = run(&["render", "show.journal", "-o", "again.wav"], ended.folder.path());
    assert_eq!(output.status.code(), Some(65), "{}", said(&output));
    let words = said(&output);
    let end = records(&bytes).find(|(_, at)| at.start == next).expect("it is there").1.end;
    assert!(words.contains("a record of the log is missing"), "{words}");
    assert!(words.contains(&format!("damaged at byte {end}, after block ")), "{words}");
}

/// What a record of the log is called in a journal.
const COMMAND: u32 = 2;

/// Kind and place of each record of a journal: 16 bytes, then frames of kind, length, sum and
/// payload.
fn records(bytes: &[u8]) -> impl Iterator<Item = (u32, std::ops::Range<usize>)> + '_ {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let mut at = 16;
    std::iter::from_fn(move || {
        (at + 12 <= bytes.len()).then(|| {
            let (begin, end) = (at, at + 12 + word(at + 4) as usize);
            at = end;
            (word(begin), begin..end)
        })
    })
}

/// Four quarter notes at the tempo of the patch, in a file, in a journal and live.
#[test]
fn bars_are_as_long_as_the_tempo_of_the_patch_says() {
    let first = std::fs::read_to_string(patch("first.toml")).expect("a patch");
    let fast = first.replacen("segue = 1", "segue = 1\ntempo = 240", 1);
    assert_ne!(first, fast);
    let engine = Start::new().patch(&fast).play();
    let folder = engine.folder.path();
    let frames = |output: &Output| {
        assert!(output.status.success(), "{}", said(output));
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        report["frames"].as_u64().or_else(|| report.pointer("/heard/frames")?.as_u64())
    };
    let port = engine.port().to_string();
    let output = run(&["listen", "--for", "2bar", "--json", "--osc", &port], folder);
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(report["seconds"].as_f64(), Some(2.0), "{report}");
    let ended = engine.stop();
    let folder = ended.folder.path();
    std::fs::write(folder.join("slow.toml"), &first).expect("written");
    for (input, bars, expected) in [
        ("patch.toml", "1bar", 48_000),
        ("slow.toml", "0.5 bar", 48_000),
        ("show.journal", "2bar", 96_000),
    ] {
        let output =
            run(&["render", input, "--for", bars, "-o", "bars.wav", "--force", "--json"], folder);
        assert_eq!(frames(&output), Some(expected), "{input}: {}", said(&output));
    }
}
