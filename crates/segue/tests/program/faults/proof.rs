//! A patch is proved before it is heard: what would fail in every worker is refused by name.

use crate::engine::{Start, counter, segue};

/// A patch whose module does its harm by itself, once it has played some blocks.
pub(crate) fn harmful(mode: &str, after: u32) -> String {
    format!(
        "segue = 1\n[osc]\ntype = \"osc\"\n[bad]\ntype = \"fault\"\nin = \"osc\"\n\
         mode = \"{mode}\"\nms = 30\ntrigger = 1\nafter = {after}\n[out]\nin = \"bad * 0.5\"\n"
    )
}

const WAYS: [(&str, &str, &str); 8] = [
    ("panic", "crashes", "told to panic"),
    ("abort", "crashes", "SIGABRT"),
    ("exit", "crashes", "exited with code 0"),
    ("overflow", "crashes", "SIGSEGV"),
    ("allocate", "crashes", "memory allocation"),
    ("loop", "loops", "does not come to its end"),
    ("nan", "not_finite", "no number"),
    ("slow", "too_costly", "60 % are allowed"),
];

#[test]
fn check_proves_a_patch_and_says_what_it_would_do_and_which_module() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("patch.toml");
    for (mode, code, told) in WAYS {
        std::fs::write(&path, harmful(mode, 10)).expect("a patch is written");
        let check = |more: &[&str]| {
            let mut command = segue();
            command.arg("check").arg(&path).args(more).output().expect("the program runs")
        };
        assert_eq!(check(&[]).status.code(), Some(0), "{mode}: it is well-formed");
        let proved = check(&["--prove", "--json"]);
        assert_eq!(proved.status.code(), Some(65), "{mode}");
        let told_json: serde_json::Value =
            serde_json::from_slice(&proved.stdout).expect("JSON on standard output");
        assert_eq!(told_json[0]["code"], code, "{mode}: {told_json:#}");
        let text = told_json[0]["text"].as_str().unwrap_or_default();
        assert!(text.contains(told) && text.contains("'bad'"), "{mode}: {text}");
    }
    std::fs::write(&path, harmful("panic", 100_000)).expect("a patch is written");
    let fine = segue().arg("check").arg(&path).arg("--prove").output().expect("it runs");
    let said = String::from_utf8_lossy(&fine.stdout).into_owned();
    assert_eq!(fine.status.code(), Some(0), "{said}");
    assert!(said.contains("ok, 3 modules; a block needs"), "{said}");
}

/// No worker was started, and no file is left.
#[test]
fn run_refuses_a_patch_that_fails_the_proof_with_65_before_block_0() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("patch.toml");
    for (mode, device, told) in [
        ("panic", "freewheel", "told to panic"),
        ("loop", "freewheel", "does not come to its end"),
        ("nan", "freewheel", "no number"),
        ("slow", "null", "--device freewheel"),
    ] {
        std::fs::write(&path, harmful(mode, 10)).expect("a patch is written");
        let journal = folder.path().join("show.journal");
        let ended = segue()
            .args(["run", "--osc", "127.0.0.1:0", "--device", device, "--journal"])
            .arg(&journal)
            .arg(&path)
            .output()
            .expect("the program runs");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(65), "{mode}: {said}");
        assert!(said.contains("the patch is refused before it is heard"), "{mode}: {said}");
        assert!(said.contains(told) && said.contains("'bad'"), "{mode}: {said}");
        assert!(!said.contains("slot 0"), "{mode}: {said}");
        assert!(!journal.exists(), "{mode}");
    }
}

/// Without a clock every block is waited for.
#[test]
fn a_patch_beyond_the_budget_plays_where_there_is_no_clock() {
    let engine = Start::new().patch(&harmful("slow", 10)).play();
    engine.play_on(20);
    assert_eq!(counter(&engine.status(), "none_reads"), 0);
    engine.stop().assert_identical();
}
