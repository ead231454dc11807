//! `segue chaos`: a campaign by seed, what it says was heard, and that nothing leaks.

use std::process::Stdio;

use rosc::OscType;
use rustix::process::Signal;
use serde_json::Value;

use super::poison::poison;
use crate::client::Client;
use crate::devices::servers::Process;
use crate::engine::{Engine, FAULTY, Start, counter, patch, playhead, primary, segue, send_signal};

/// A patch that never repeats: a block at the wrong place is another block.
const PATCH: &str = "segue = 1
a = { type = \"osc\", freq = 441.371 }
b = { type = \"osc\", shape = \"saw\", freq = \"113.09 + a * 3\" }
[out]
in = \"a * 0.3 + b * 0.2\"
";

/// Runs a campaign; gives its exit code, its report, and what it said.
fn chaos(engine: &Engine, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let output = engine.ask(&[&["chaos", "--json"], arguments].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
}

/// The short form of an hour with a fault a second.
#[test]
fn forty_blows_of_all_kinds_are_not_heard_and_leave_nothing_behind() {
    let engine = Start::new().patch(PATCH).play();
    engine.wait_whole(0);
    // The first guests of all kinds have been there before anything is measured.
    let faults = "kill,stop,slow,control,corrupt,all";
    let warm = chaos(&engine, &["--faults", faults, "--seed", "1", "--for", "3s"]);
    assert_eq!(warm.0, Some(0), "{warm:?}");
    let arguments = ["--faults", faults, "--seed", "5", "--for", "12s", "--every", "300ms"];
    let (code, report, said) = chaos(&engine, &arguments);
    assert!(said.contains("seed 5: 40 blows"), "{said}");
    assert_eq!(code, Some(0), "{report:#}\n{said}\n{}", engine.log());
    assert_eq!(report["unheard"], true);
    assert!(report["blocks"].as_u64() > Some(12 * 750), "{report:#}");
    assert!(report["deaths"].as_u64() > Some(20), "{report:#}");
    for fault in faults.split(',') {
        assert!(report["faults"][fault]["struck"].as_u64() > Some(0), "{fault}: {report:#}");
    }
    let (before, after) = (&report["before"], &report["after"]);
    for count in ["descriptors", "threads"] {
        assert_eq!(before[count], after[count], "{report:#}");
    }
    assert_eq!(after["zombies"], 0, "{report:#}");
    let grown = after["memory_kib"].as_i64().unwrap() - before["memory_kib"].as_i64().unwrap();
    assert!(grown < 4096, "{grown} KiB in {} deaths", report["deaths"]);
    engine.stop().assert_identical();
}

/// What is refused is refused by all, and the rest plays on.
#[test]
fn commands_that_kill_whoever_applies_them_are_not_heard_among_other_blows() {
    let engine = Start::new().patch(FAULTY).play();
    engine.wait_whole(0);
    let arguments = ["--faults", "poison,kill,control", "--seed", "3", "--for", "6s"];
    let (code, report, said) = chaos(&engine, &[&arguments[..], &["--every", "300ms"]].concat());
    assert_eq!(code, Some(0), "{report:#}\n{said}\n{}", engine.log());
    let poisoned = report["faults"]["poison"]["struck"].as_u64();
    assert!(poisoned > Some(2), "{report:#}");
    assert_eq!(Some(counter(&engine.status(), "quarantined")), poisoned);
    engine.stop().assert_identical();
}

#[test]
fn poison_without_a_module_for_it_is_refused() {
    let engine = Start::new().patch(PATCH).play();
    let (code, _, said) = chaos(&engine, &["--faults", "poison"]);
    assert_eq!(code, Some(65), "{said}");
    assert!(said.contains("'fault'"), "{said}");
}

/// Of two that differ nobody knows at once who is right: that is heard, and has to be found.
#[test]
fn a_primary_that_plays_something_else_is_found_and_said() {
    let engine = Start::new().patch(FAULTY).play();
    engine.wait_whole(0);
    let client = Client::new(engine.port());
    let first = primary(&engine.status());
    client.send("/mod/bad/slot", &[OscType::Int(first as i32)]);
    client.send("/mod/bad/guest", &[OscType::Int(1)]);
    let from = playhead(&engine.status());
    let arguments = ["--faults", "slow", "--for", "40s", "--every", "20s", "--seed", "2"];
    let (code, report, said) = std::thread::scope(|scope| {
        let campaign = scope.spawn(|| chaos(&engine, &arguments));
        engine.wait("it is under way", |status| playhead(status) > from + 2 * 750);
        poison(&client, "diverge", "render");
        campaign.join().expect("it reports")
    });
    assert_eq!(code, Some(1), "{report:#}\n{said}");
    assert_eq!(report["unheard"], false);
    assert!(report["blocks_differing"].as_u64() > Some(0), "{report:#}\n{}", engine.log());
}

/// Whoever has seen enough is told what there was to see.
#[test]
fn a_campaign_that_is_ended_early_reports_what_was_done() {
    let engine = Start::new().patch(PATCH).play();
    engine.wait_whole(0);
    let mut command = segue();
    command.args(["chaos", "--json", "--for", "1h", "--every", "300ms", "--faults", "kill"]);
    command.args(["--osc", &format!("127.0.0.1:{}", engine.port())]);
    let campaign = command.stdout(Stdio::piped()).spawn().expect("it starts");
    engine.wait("some were killed", |status| counter(status, "deaths") >= 3);
    send_signal(Some(campaign.id().into()), Signal::INT);
    let output = campaign.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert!(report["deaths"].as_u64() >= Some(3) && report["blocks"].as_u64() > Some(100));
    engine.stop().assert_identical();
}

/// Short journals follow each other, and a campaign outlasts several.
#[test]
fn what_was_heard_is_known_from_one_journal_after_the_other() {
    let show = tempfile::tempdir().expect("a folder");
    let osc = format!("127.0.0.1:{}", Start::new().play().port());
    let mut command = segue();
    command.args(["run", "--device", "freewheel:8x", "--osc", &osc, "--journal-keep", "4MiB"]);
    command.arg("--show").arg(show.path()).arg(patch("demo.toml"));
    let _engine = Process(command.stderr(Stdio::null()).spawn().expect("it starts"));
    let ask = |arguments: &[&str]| {
        segue().args(arguments).args(["--osc", &osc]).output().expect("the program runs")
    };
    assert!(ask(&["status", "--wait", "60s"]).status.success());
    let output = ask(&["chaos", "--json", "--for", "80s", "--every", "8s", "--faults", "kill"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(report["blocks_unknown"], 0);
    let journals = std::fs::read_dir(show.path().join("journal")).expect("a folder").count();
    assert!(journals > 2, "{journals} journals");
}

#[test]
fn an_engine_without_a_journal_or_none_at_all_is_not_hurt() {
    // A port that nobody has any more.
    let osc = format!("127.0.0.1:{}", Start::new().play().port());
    let ask = |arguments: &[&str]| {
        let output = segue().args(arguments).args(["--osc", &osc]).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(ask(&["chaos"]).0, Some(69));
    let mut command = segue();
    command.args(["run", "--device", "freewheel:8x", "--no-journal", "--osc", &osc]);
    let _engine = Process(command.stderr(Stdio::null()).spawn().expect("it starts"));
    assert_eq!(ask(&["status", "--wait", "60s"]).0, Some(0));
    let (code, said) = ask(&["chaos", "--seed", "1"]);
    assert_eq!(code, Some(66), "{said}");
    assert!(said.contains("--no-journal"), "{said}");
    assert_eq!(ask(&["status", "--check"]).0, Some(0), "nobody was hurt");
}
