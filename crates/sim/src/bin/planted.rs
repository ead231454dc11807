//! `planted [NAME]`: plants every bug (or those so named) in a copy of the tree and finds it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use segue_sim::planted::{Finder, PLANTED, Planted};

/// A life that takes so long hangs, which it does not without the bug.
const HANG: Duration = Duration::from_secs(60);

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
    let copy = std::env::temp_dir().join(format!("segue-planted-{}", std::process::id()));
    copy_tree(&root, &copy)?;
    let mut all_found = true;
    for bug in PLANTED.iter().filter(|bug| bug.name.contains(name)) {
        let began = Instant::now();
        let found = plant(bug, &copy)?;
        let said = found.as_deref().unwrap_or("SURVIVES");
        println!("{:<44} {said} ({:.0} s)", bug.name, began.elapsed().as_secs_f64());
        all_found &= found.is_some();
    }
    fs::remove_dir_all(&copy)?;
    Ok(all_found)
}

/// What is needed to build: manifests, lock file and crates.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if name != "target" && name != ".git" {
                copy_tree(&path, &to.join(name))?;
            }
        } else {
            fs::copy(&path, to.join(name))?;
        }
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
    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(copy).args(arguments).args(["--release", "--target-dir"]).arg(&target);
        cargo.stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    if !cargo(&["build", "--offline", "-p", "segue-sim", "--bin", "segue-sim"])?.success() {
        return Err(io::Error::other(format!("{}: does not build", bug.name)));
    }
    match bug.found_by {
        Finder::Tests => {
            let package = if bug.file.starts_with("sys") { "segue-sys" } else { "segue-lockstep" };
            let whole = cargo(&["test", "--offline", "-p", package])?.success()
                && cargo(&["test", "--offline", "-p", "segue-sim", "--test", "failover"])?
                    .success();
            Ok((!whole).then(|| "found by the tests".to_owned()))
        }
        Finder::Lives(most) => find_by_lives(&target.join("release/segue-sim"), most),
    }
}

fn find_by_lives(program: &Path, most: u64) -> io::Result<Option<String>> {
    for seed in 0..most {
        let began = Instant::now();
        let mut life = Command::new(program)
            .arg(seed.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        loop {
            if let Some(status) = life.try_wait()? {
                if !status.success() {
                    return Ok(Some(format!("found by life {seed}")));
                }
                break;
            }
            if began.elapsed() > HANG {
                life.kill()?;
                life.wait()?;
                return Ok(Some(format!("found by life {seed}, which hangs")));
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
    Ok(None)
}
