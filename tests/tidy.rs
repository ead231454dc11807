//! The form of the tree: what the house style says and a machine can check.

use std::fs;
use std::path::{Path, PathBuf};

const LINE_MAX: usize = 100;
const FILE_MAX: usize = 500;
const FOLDER_MAX: usize = 12;

/// Which of our crates a crate may depend on; dev-dependencies aside.
const ARROWS: [(&str, &[&str]); 7] = [
    ("dsp", &[]),
    ("rack", &["segue-dsp"]),
    ("hear", &[]),
    ("sys", &[]),
    ("lockstep", &["segue-sys"]),
    ("sim", &["segue-dsp", "segue-rack", "segue-sys", "segue-lockstep"]),
    ("segue", &["segue-dsp", "segue-rack", "segue-hear", "segue-sys", "segue-lockstep"]),
];

/// Words a name or a comment does without, in pieces so that this file may name them.
const BANNED: [&str; 7] =
    ["TO_DO", "FIX_ME", "XX_X", "thread::sl_eep", "#[ig_nore", "todo_!(", "unimpl_emented!("];

fn root() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR"));
    crates.ancestors().nth(2).expect("crates/segue lies two folders down").to_owned()
}

fn sources() -> Vec<PathBuf> {
    let mut found = vec![root().join("tests/tidy.rs")];
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of ours") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Complains about all offenders at once.
fn assert_none(what: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{what}:\n{}", offenders.join("\n"));
}

fn offenders(finds: impl Fn(&Path, &str) -> Vec<String>) -> Vec<String> {
    sources().iter().flat_map(|path| finds(path, &read(path))).collect()
}

/// The part of a file before its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

#[test]
fn crates_depend_only_along_the_arrows() {
    for (name, allowed) in ARROWS {
        let manifest = read(&root().join("crates").join(name).join("Cargo.toml"));
        let own = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        let own = own.split("\n[").next().unwrap_or_default();
        let wrong: Vec<String> = own
            .lines()
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .filter(|dependency| dependency.starts_with("segue") && !allowed.contains(dependency))
            .map(str::to_owned)
            .collect();
        assert_none(&format!("{name} may not depend on"), &wrong);
    }
}

#[test]
fn lines_files_and_folders_stay_short() {
    assert_none(
        "lines that are too long",
        &offenders(|path, text| {
            // A golden message of the patch reader is as long as it is.
            let golden = |line: &str| line.contains(": error: ");
            let long = |line: &&str| line.chars().count() > LINE_MAX && !golden(line);
            let place = |line: &str| format!("{}: {line}", path.display());
            text.lines().filter(long).map(place).collect()
        }),
    );
    assert_none(
        "files that are too long",
        &offenders(|path, text| {
            let lines = without_tests(text).lines().count();
            let long =
                lines > FILE_MAX && !path.components().any(|part| part.as_os_str() == "tests");
            long.then(|| format!("{}: {lines} lines", path.display())).into_iter().collect()
        }),
    );
    let mut folders: Vec<PathBuf> =
        sources().iter().filter_map(|path| path.parent().map(Path::to_owned)).collect();
    folders.dedup();
    let crowded = |folder: &PathBuf| {
        let entries = fs::read_dir(folder).map(Iterator::count).unwrap_or_default();
        (entries > FOLDER_MAX).then(|| format!("{}: {entries} entries", folder.display()))
    };
    let crowded: Vec<String> = folders.iter().filter_map(crowded).collect();
    assert_none("folders that are too full", &crowded);
}

#[test]
fn every_file_says_in_one_sentence_what_it_is() {
    assert_none(
        "files without an opening sentence",
        &offenders(|path, text| {
            let says = text.starts_with("//! ");
            (!says).then(|| path.display().to_string()).into_iter().collect()
        }),
    );
}

#[test]
fn unsafe_lives_in_one_crate() {
    assert_none(
        "unsafe outside of sys",
        &offenders(|path, text| {
            let sys = path.starts_with(root().join("crates/sys"));
            let tidy = path.ends_with("tests/tidy.rs");
            let found = ["unsafe {", "unsafe fn", "unsafe impl", "allow(unsafe_code)"]
                .iter()
                .any(|word| text.contains(word));
            (found && !sys && !tidy).then(|| path.display().to_string()).into_iter().collect()
        }),
    );
}

#[test]
fn nothing_is_left_unfinished_skipped_or_slept_over() {
    assert_none(
        "banned words",
        &offenders(|path, text| {
            let words = BANNED.map(|word| word.replacen('_', "", 1));
            let found = |word: &&String| text.contains(word.as_str());
            let place = |word: &String| format!("{}: {word}", path.display());
            if path.ends_with("tests/tidy.rs") {
                return vec![];
            }
            words.iter().filter(found).map(place).collect()
        }),
    );
}

/// No std transcendental, no fused multiply, no `f32::max` where the bits must be the same.
#[test]
fn sound_uses_one_math() {
    let maths = [
        ".sin()", ".cos()", ".tan()", ".exp()", ".exp2()", ".ln()", ".log2()", ".log10()",
        ".tanh()",
    ];
    let others = [".powf(", ".powi(", ".mul_add(", "HashMap", "HashSet", "Instant::", "SystemTime"];
    assert_none(
        "not the same bits everywhere",
        &offenders(|path, text| {
            let sound = ["crates/dsp/src", "crates/rack/src"];
            // The module that misbehaves is never in a build that people play.
            let misbehaves = path.ends_with("catalog/fault.rs");
            let folder = sound.iter().any(|folder| path.starts_with(root().join(folder)));
            if !folder || misbehaves {
                return vec![];
            }
            let code = without_tests(text);
            let found = |word: &&&str| code.contains(**word);
            let place = |word: &&str| format!("{}: {word}", path.display());
            maths.iter().chain(&others).filter(found).map(place).collect()
        }),
    );
}
