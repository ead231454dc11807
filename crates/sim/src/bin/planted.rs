//! `planted [NAME]`: plants every bug (or those so named) in a copy of the tree and finds it.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use segue_sim::planted::{Finder, PLANTED, Planted};

/// What takes so long hangs, which it does not without the bug, also on a busy machine.
const HANG: Duration = Duration::from_secs(900);

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    match run(&name) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("planted: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str) -> io::Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // One copy with one target directory: what did not change is built once and for all.
    let copy = std::env::temp_dir().join("segue-planted");
    copy_tree(&root, &copy)?;
    let mut survive = 0;
    for bug in PLANTED.iter().filter(|bug| bug.name.contains(name)) {
        let began = Instant::now();
        let found = plant(bug, &copy)?;
        let said = found.as_deref().unwrap_or("SURVIVES");
        println!("{:<44} {:>3.0} s  {said}", bug.name, began.elapsed().as_secs_f64());
        survive += usize::from(found.is_none());
    }
    println!("{survive} survive");
    Ok(survive == 0)
}

/// What is needed to build: manifests, lock file and crates; what is the same stays as it is.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let there = to.join(&name);
        if path.is_dir() {
            if name != "target" && name != ".git" {
                copy_tree(&path, &there)?;
            }
        } else if fs::read(&there).ok() != Some(fs::read(&path)?) {
            fs::copy(&path, there)?;
        }
    }
    // What has been moved or deleted since would be built as well.
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        let (there, name) = (entry.path(), entry.file_name());
        if name == "target" || from.join(&name).exists() {
            continue;
        }
        if there.is_dir() { fs::remove_dir_all(there)? } else { fs::remove_file(there)? }
    }
    Ok(())
}

/// Plants one, and tells what found it.
fn plant(bug: &Planted, copy: &Path) -> io::Result<Option<String>> {
    let path: PathBuf = copy.join("crates").join(bug.file);
    let text = fs::read_to_string(&path)?;
    fs::write(&path, text.replacen(bug.find, bug.instead, 1))?;
    let found = find(bug, copy);
    fs::write(&path, text)?;
    found
}

fn find(bug: &Planted, copy: &Path) -> io::Result<Option<String>> {
    let target = copy.join("target");
    let cargo = |arguments: &str| {
        let mut cargo = Command::new("nice");
        cargo.arg("cargo").current_dir(copy).args(arguments.split(' '));
        cargo.args(["--offline", "--release", "--target-dir"]).arg(&target);
        // Built again and again: quickly, and with the lines of a panic as all that is told.
        let profile = [("INCREMENTAL", "true"), ("OPT_LEVEL", "1"), ("DEBUG", "0")];
        for (name, value) in profile {
            cargo.env(format!("CARGO_PROFILE_RELEASE_{name}"), value);
        }
        cargo.stderr(Stdio::null());
        cargo
    };
    match bug.found_by {
        Finder::Tests(by) => {
            let built = cargo(&format!("test --no-run {by}")).stdout(Stdio::null()).status()?;
            if !built.success() {
                return Err(io::Error::other(format!("{}: does not build", bug.name)));
            }
            let told = ends(cargo(&format!("test {by}")))?;
            let failed = told.lines().find(|line| line.ends_with("... FAILED"));
            let hangs = told.is_empty().then_some("a test that hangs");
            Ok(failed.or(hangs).map(|line| format!("found by {line}")))
        }
        Finder::Lives(most) => {
            let built = cargo("build -p segue-sim --bin segue-sim").status()?;
            if !built.success() {
                return Err(io::Error::other(format!("{}: does not build", bug.name)));
            }
            let mut lives = Command::new("nice");
            lives.arg(target.join("release/segue-sim")).args(["--lives", &most.to_string()]);
            let told = ends(lives)?;
            let failed = told.lines().find(|line| line.starts_with("life "));
            if told.is_empty() {
                println!("{}: not so many lives in {} s", bug.name, HANG.as_secs());
            }
            Ok(failed.map(|line| format!("found by {line}")))
        }
    }
}

/// What a process prints, or nothing when it does not end.
fn ends(mut command: Command) -> io::Result<String> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut told = child.stdout.take().map(std::io::BufReader::new);
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(told) = &mut told {
            let _ = told.read_to_string(&mut text);
        }
        text
    });
    let began = Instant::now();
    while child.try_wait()?.is_none() {
        if began.elapsed() > HANG {
            child.kill()?;
            child.wait()?;
            return Ok(String::new());
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(reader.join().unwrap_or_default())
}
