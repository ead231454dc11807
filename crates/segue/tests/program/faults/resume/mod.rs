//! `--resume`: supervisors are killed, also in the middle of a write to the journal, and their
//! shows go on as if nobody had.

mod merge;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rosc::{OscBundle, OscMessage, OscPacket, OscTime, OscType};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::proof::harmful;
use crate::client::Client;
use crate::engine::{
    Engine, FAULTY, Start, counter, is_whole, patch, playhead, segue, send_signal,
};
use merge::Journal;

fn first(folder: TempDir) -> Start {
    Start::again(folder).arg(patch("first.toml"))
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Kills the supervisor; gives the folder it leaves.
fn kill(mut engine: Engine) -> TempDir {
    send_signal(Some(u64::from(engine.pid())), Signal::KILL);
    let ended = engine.ended();
    assert_eq!(ended.status.code(), None, "{}", ended.log);
    ended.folder
}

/// The file of this name that the engine of the round wrote, from 1 on.
fn numbered(folder: &Path, stem: &str, extension: &str, round: usize) -> PathBuf {
    let number = if round == 1 { String::new() } else { format!("-{round}") };
    folder.join(format!("{stem}{number}.{extension}"))
}

/// Waits until all that is in the log now is in the journal: a write that began later has it.
pub(crate) fn journalled(engine: &Engine) {
    let length = |status: &Value| {
        let journal = status["journal"].as_str().expect("a journal");
        std::fs::metadata(journal).expect("it is there").len()
    };
    for _ in 0..2 {
        let before = length(&engine.status());
        engine.wait("the journal grows", |status| length(status) > before);
    }
}

/// Each recording is what its journal renders to, as far as both go.
fn assert_rendered(folder: &Path, round: usize) {
    let again = folder.join("again.wav");
    let output = segue()
        .arg("render")
        .arg(numbered(folder, "show", "journal", round))
        .args(["--force", "-o"])
        .arg(&again)
        .output()
        .expect("render runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 65)), "{said}");
    let live = std::fs::read(numbered(folder, "live", "wav", round)).expect("a recording");
    let again = std::fs::read(again).expect("a rendering");
    assert_eq!(live[62..70], again[62..70], "the frame they begin at");
    let both = live.len().min(again.len());
    assert!(live[78..both] == again[78..both], "round {round} differs from its journal");
}

/// The journals of so many engines.
fn journals(folder: &Path, rounds: usize) -> Vec<Journal> {
    (1..=rounds).map(|round| Journal::read(&numbered(folder, "show", "journal", round))).collect()
}

/// The show of so many engines, rendered as if it had been one: gives what was found.
fn undisturbed(folder: &Path, rounds: usize) -> Value {
    let journals = journals(folder, rounds);
    let whole = folder.join("whole.journal");
    let blocks = merge::write(&journals, &whole);
    let mut render = segue();
    render.arg("render").arg(whole).arg("-o").arg(folder.join("whole.wav"));
    let output = render.args(["--force", "--json"]).output().expect("render runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let found: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(found["blocks_compared"], blocks);
    found
}

struct Seed(u64);

impl Seed {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Some sets and gates, a bundle among them, so that a moment is like no other.
fn play(client: &Client, seed: &mut Seed) {
    let message = |addr: &str, value: f32| {
        let args = vec![OscType::Float(value)];
        OscPacket::Message(OscMessage { addr: addr.to_owned(), args })
    };
    let freq = message("/mod/osc/freq", 100.0 + seed.below(900) as f32);
    let cutoff = message("/mod/filter/cutoff", 300.0 + seed.below(3000) as f32);
    let timetag = OscTime { seconds: 0, fractional: 1 };
    let bundle = OscPacket::Bundle(OscBundle { timetag, content: vec![freq, cutoff] });
    client.send_bytes(&rosc::encoder::encode(&bundle).expect("it encodes"));
    client.send("/gate/env", &[OscType::Int(seed.below(4).min(1) as i32)]);
}

/// Twenty supervisors killed one after the other, seven of them within a write to the journal:
/// the blocks of all journals are those of the one show that nobody had disturbed.
#[test]
fn a_show_whose_supervisor_is_killed_at_any_moment_goes_on_as_if_it_had_not_been() {
    const KILLS: usize = 20;
    let mut seed = Seed(7);
    let mut folder = folder();
    for round in 1..=KILLS {
        let torn = round % 3 == 0;
        let mut start = first(folder);
        if torn {
            let fault = format!("{}:{}", 3 + seed.below(40), seed.below(400));
            start = start.env("SEGUE_FAULT_JOURNAL", &fault);
        }
        let mut engine = start.begin();
        if torn {
            let ended = engine.ended();
            assert_eq!(ended.status.code(), None, "round {round}\n{}", ended.log);
            folder = ended.folder;
            continue;
        }
        let status = engine.wait("it plays", |status| playhead(status) > 0);
        let until = playhead(&status) + seed.below(1500);
        let client = Client::new(engine.port());
        loop {
            play(&client, &mut seed);
            client.sync(1);
            if playhead(&engine.status()) > until {
                break;
            }
        }
        folder = kill(engine);
    }
    let engine = first(folder).play();
    engine.play_on(300);
    let ended = engine.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    merge::assert_due_is_kept(&journals(ended.folder.path(), KILLS + 1));
    (1..=KILLS + 1).for_each(|round| assert_rendered(ended.folder.path(), round));
    let found = undisturbed(ended.folder.path(), KILLS + 1);
    assert_eq!(found["blocks_differing"], 0, "{found}");
}

#[test]
fn parameters_and_what_is_due_later_are_kept_and_status_says_from_where() {
    let folder = folder();
    let engine = first(folder).play();
    let Value::Null = engine.status()["engine"]["resumed_from"] else { panic!("it began afresh") };
    let log = engine.log();
    assert!(log.contains("there is no") && log.contains("begins afresh"), "{log}");
    let client = Client::new(engine.port());
    client.send("/gate/env", &[OscType::Int(1)]);
    client.send("/mod/osc/freq", &[OscType::Float(321.0)]);
    let due = SystemTime::now() + Duration::from_secs(8);
    let later = OscMessage { addr: "/mod/filter/cutoff".into(), args: vec![OscType::Float(777.0)] };
    let timetag = OscTime::try_from(due).expect("a time tag");
    let bundle = OscBundle { timetag, content: vec![OscPacket::Message(later)] };
    client.send_bytes(&rosc::encoder::encode(&OscPacket::Bundle(bundle)).expect("it encodes"));
    client.sync(1);
    journalled(&engine);
    let folder = kill(engine);
    // Without the patch: that of the show.
    let engine = Start::again(folder).play();
    let status = engine.status();
    let from = &status["engine"]["resumed_from"];
    assert!(from["journal"].as_str().is_some_and(|it| it.ends_with("show.journal")), "{status:#}");
    assert!(from["block"].as_u64() > Some(0), "{status:#}");
    assert_eq!(status["engine"]["patch"], "first");
    assert_eq!(engine.must(&["send", "/mod/osc/freq"]).trim(), "/mod/osc/freq 321.0");
    engine.wait("what was due is applied", |_| {
        engine.must(&["send", "/mod/filter/cutoff"]).trim() == "/mod/filter/cutoff 777.0"
    });
    // Control's successor knows no less.
    send_signal(status["control"]["pid"].as_u64(), Signal::KILL);
    engine.wait("control is back", |status| status["control"]["generation"] == 2);
    assert_eq!(engine.must(&["send", "/mod/osc/freq"]).trim(), "/mod/osc/freq 321.0");
    assert!(engine.must(&["status"]).contains("resumed from"));
    let ended = engine.stop();
    assert_rendered(ended.folder.path(), 2);
    assert_eq!(undisturbed(ended.folder.path(), 2)["blocks_differing"], 0);
}

/// Whoever dies while its journal begins leaves one that nobody can go on with.
#[test]
fn a_journal_that_only_begins_is_passed_over_and_said() {
    let engine = first(folder()).play();
    engine.must(&["send", "/mod/osc/freq", "321"]);
    journalled(&engine);
    let mut folder = kill(engine);
    for fault in ["0:30", "1:50"] {
        let ended = first(folder).env("SEGUE_FAULT_JOURNAL", fault).begin().ended();
        assert_eq!(ended.status.code(), None, "{}", ended.log);
        folder = ended.folder;
    }
    let engine = Start::again(folder).play();
    let status = engine.status();
    let from = status["engine"]["resumed_from"]["journal"].as_str().unwrap_or_default();
    assert!(from.ends_with("show.journal"), "{status:#}");
    let problems = status["problems"].to_string();
    for name in ["show-2.journal is passed over", "show-3.journal is passed over"] {
        assert!(problems.contains(name), "{problems}");
    }
    assert_eq!(engine.must(&["send", "/mod/osc/freq"]).trim(), "/mod/osc/freq 321.0");
    assert_eq!(engine.stop().status.code(), Some(0));
}

/// On a timeline this slow it takes eight seconds until a command is heard.
#[test]
fn what_was_in_the_log_and_not_heard_yet_is_heard_first() {
    let slow = ["--device", "freewheel:0.01x", "--lead", "64"];
    let engine = slow.into_iter().fold(first(folder()), Start::arg).play();
    let client = Client::new(engine.port());
    let mut seed = Seed(1);
    (0..5).for_each(|_| play(&client, &mut seed));
    client.sync(1);
    journalled(&engine);
    let folder = kill(engine);
    let engine = first(folder).play();
    engine.play_on(100);
    let ended = engine.stop();
    let journals = journals(ended.folder.path(), 2);
    let due = journals[0].commands.iter().filter(|it| it.block >= journals[1].start).count();
    assert!(due > 0, "it was killed before they were heard");
    merge::assert_due_is_kept(&journals);
    assert_eq!(undisturbed(ended.folder.path(), 2)["blocks_differing"], 0);
}

/// S55: poison is known before the first block.
#[test]
fn what_was_quarantined_or_bypassed_stays_so() {
    let folder = folder();
    let engine = Start::again(folder).patch(FAULTY).play();
    let client = Client::new(engine.port());
    for (phase, counted) in [("apply", "quarantined"), ("render", "bypassed")] {
        client.send("/mod/bad/mode", &[OscType::String("abort".into())]);
        client.send("/mod/bad/phase", &[OscType::String(phase.into())]);
        // A phase holds from the block after the one it was set in.
        client.sync(1);
        engine.play_on(64);
        client.send("/mod/bad/trigger", &[OscType::Float(1.0)]);
        engine.wait("it is judged", |status| counter(status, counted) == 1);
    }
    engine.wait_whole(2);
    journalled(&engine);
    let folder = kill(engine);
    let engine = Start::again(folder).play();
    let status = engine.wait("it is bypassed still", |status| status["bypassed"][0] == "bad");
    assert!(is_whole(&status), "{status:#}");
    engine.play_on(300);
    assert_eq!(counter(&engine.status(), "deaths"), 0);
    let ended = engine.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert_rendered(ended.folder.path(), 2);
}

#[test]
fn a_show_that_ended_in_order_goes_on_before_its_fade_and_over_to_a_changed_patch() {
    let engine = first(folder()).play();
    engine.must(&["send", "/gate/env", "1"]);
    engine.play_on(300);
    let ended = engine.stop();
    let engine = first(ended.folder).play();
    engine.play_on(100);
    let heard = |status: &Value| status["levels"]["peak"][0].as_f64() > Some(0.01);
    let status = engine.wait("it is heard", heard);
    assert!(status["engine"]["resumed_from"]["block"].as_u64() > Some(100), "{status:#}");
    let ended = engine.stop();
    assert_eq!(undisturbed(ended.folder.path(), 2)["blocks_differing"], 0);

    // The gate stays open, and the filter where it was put; only the oscillator is another one.
    let text = std::fs::read_to_string(patch("first.toml")).expect("a patch");
    let changed = text.replace("type = \"osc\"", "type = \"osc\"\nshape = \"saw\"");
    let changed = changed.replace("title = \"first\"", "title = \"second\"");
    assert_ne!(text, changed);
    let engine = Start::again(ended.folder).patch(&changed).play();
    let status = engine.wait("it has gone over", |_| engine.log().contains("/done /patch/load"));
    assert!(status["engine"]["resumed_from"]["block"].as_u64() > Some(200), "{status:#}");
    assert!(status["problems"].to_string().contains("goes over to it"), "{status:#}");
    assert_eq!(engine.must(&["send", "/mod/osc/shape"]), "/mod/osc/shape saw\n");
    assert_eq!(engine.must(&["send", "/gate/env"]), "/gate/env 1.0\n");
    engine.wait("it is heard", heard);
    let ended = engine.stop();
    assert_rendered(ended.folder.path(), 3);

    // One that cannot be gone over to is told, and the show goes on as it was.
    let engine = Start::again(ended.folder).patch(&harmful("nan", 10)).play();
    let status = engine.wait("it is told", |status| {
        status["problems"].to_string().contains("the patch is not gone over to")
    });
    assert_eq!(status["engine"]["patch"], "second", "it is called what it has become");
    assert_eq!(engine.must(&["send", "/mod/osc/shape"]), "/mod/osc/shape saw\n");
    let ended = engine.stop();
    assert_rendered(ended.folder.path(), 4);
}
