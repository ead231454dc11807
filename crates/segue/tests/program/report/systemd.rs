//! What systemd is told, heard on a socket of the test's own; and the unit itself.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::engine::{DEADLINE, Engine, Start, patch, playhead, send_signal};

/// A service manager that only listens.
struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        Self { socket, folder }
    }

    fn start(&self) -> Start {
        let path = self.folder.path().join("notify");
        let start = Start::new().arg(patch("first.toml"));
        start.env("NOTIFY_SOCKET", path.to_str().expect("text")).env("WATCHDOG_USEC", "200000")
    }

    /// The next thing it is told.
    fn hears(&self) -> String {
        let mut bytes = [0; 1024];
        let length = self.socket.recv(&mut bytes).expect("something is said");
        String::from_utf8(bytes[..length].to_vec()).expect("text")
    }

    /// Listens until it is told this; gives all before.
    fn until(&self, word: &str) -> Vec<String> {
        let heard: Vec<String> = std::iter::repeat_with(|| self.hears())
            .take_while(|heard| !heard.starts_with(word))
            .collect();
        heard
    }

    /// What was said and not heard yet.
    fn drained(&self) -> usize {
        self.socket.set_nonblocking(true).expect("set");
        let mut bytes = [0; 1024];
        let count =
            std::iter::repeat_with(|| self.socket.recv(&mut bytes)).take_while(Result::is_ok);
        let count = count.count();
        self.socket.set_nonblocking(false).expect("set");
        count
    }
}

fn begin(manager: &Manager) -> Engine {
    // Slow workers: before they are there nothing is played.
    manager.start().env("SEGUE_FAULT_START", "0:400,1:400").begin()
}

#[test]
fn systemd_is_told_when_it_plays_how_it_is_and_that_it_ends() {
    let manager = Manager::new();
    let mut engine = begin(&manager);
    let before = manager.until("READY=1");
    assert!(before.iter().all(|it| it.starts_with("STATUS=starts")), "{before:?}");
    assert!(playhead(&engine.status()) > 0, "the first block was played");
    manager.until("STATUS=plays on freewheel:none, 2 of 2 workers in lockstep");
    for _ in 0..5 {
        manager.until("WATCHDOG=1");
    }
    engine.must(&["stop"]);
    manager.until("STOPPING=1");
    assert_eq!(engine.ended().status.code(), Some(0));
}

/// The step function's tests show the same of playout alone.
#[test]
fn a_supervisor_that_stands_still_tells_systemd_nothing() {
    let manager = Manager::new();
    let engine = begin(&manager);
    manager.until("WATCHDOG=1");
    send_signal(Some(u64::from(engine.pid())), Signal::STOP);
    // What it said until it was stopped, which the kernel tells when all of it is.
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", engine.pid())).expect("it is");
    while !state().contains(") T ") {
        std::thread::yield_now();
    }
    manager.drained();
    // Longer than the watchdog; there is nothing to wait for but the time itself.
    let (_still, never) = std::sync::mpsc::channel::<()>();
    assert!(never.recv_timeout(std::time::Duration::from_millis(500)).is_err());
    assert_eq!(manager.drained(), 0);
    send_signal(Some(u64::from(engine.pid())), Signal::CONT);
    manager.until("WATCHDOG=1");
    engine.stop().assert_identical();
}

#[test]
fn the_unit_is_one_that_systemd_understands() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/segue.service");
    let text = std::fs::read_to_string(unit).expect("the unit");
    for line in ["Type=notify", "RestartPreventExitStatus=64 65 66 77 78", "OOMPolicy=continue"] {
        assert!(text.lines().any(|it| it == line), "{line}");
    }
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: systemd-analyze is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("segue.service");
    let text = text.replace("/usr/local/bin/segue", env!("CARGO_BIN_EXE_segue"));
    std::fs::write(&copy, text).expect("written");
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output();
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let about: Vec<&str> = said.lines().filter(|line| line.contains("segue")).collect();
    assert!(about.is_empty(), "{about:#?}");
}
