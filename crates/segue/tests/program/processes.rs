//! What the processes are: what they inherit, what waiting costs them, which build they are of.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use crate::engine::{Start, patch, primary, send_signal};

fn descriptors(pid: u32) -> Vec<(u32, PathBuf)> {
    let folder = format!("/proc/{pid}/fd");
    let entries = std::fs::read_dir(folder).expect("a process of ours").flatten();
    let number = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().parse().ok();
    entries
        .filter_map(|entry| Some((number(&entry)?, std::fs::read_link(entry.path()).ok()?)))
        .collect()
}

/// S5: a worker has what it needs and nothing else: no sockets of the network, no files.
#[test]
fn a_worker_inherits_only_what_it_needs() {
    let engine = Start::new().arg(patch("first.toml")).play();
    let status = engine.status();
    let worker = status["slots"][0]["pid"].as_u64().expect("a pid") as u32;
    let mut lines = BTreeSet::new();
    for (number, target) in descriptors(worker) {
        let text = target.to_string_lossy().into_owned();
        let known = ["/memfd:segue", "/dev/null", "pipe:", "anon_inode:"];
        if text.starts_with("socket:") {
            lines.insert(text);
        } else {
            let expected = known.iter().any(|known| text.starts_with(known));
            assert!(expected, "descriptor {number} of a worker is {text}");
        }
    }
    assert_eq!(lines.len(), 1, "the line to its supervisor and no other: {lines:?}");
    let signals = std::fs::read_to_string(format!("/proc/{worker}/status")).expect("status");
    let blocked = signals.lines().find(|line| line.starts_with("SigBlk")).expect("a mask");
    let mask = u64::from_str_radix(blocked.rsplit('\t').next().unwrap_or_default(), 16);
    // ILL, TRAP, ABRT, BUS, FPE, SEGV and SYS: what a crash raises must come through.
    let crashes = [4, 5, 6, 7, 8, 11, 31].map(|signal| 1_u64 << (signal - 1)).iter().sum::<u64>();
    assert_eq!(mask.expect("a number") & crashes, 0, "{blocked}");
    engine.stop().assert_identical();
}

/// KiB of memory shared with others that a process has mapped and touched.
fn shared_kib(pid: u64) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process of ours");
    let line = status.lines().find(|line| line.starts_with("RssShmem:")).expect("a figure");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// Room for a large state must cost nobody who dies or joins: with all its pages mapped and
/// locked, a worker took 100 ms longer to join and made blocks late while it did.
#[test]
fn room_for_a_state_that_the_patch_does_not_need_takes_no_memory() {
    let engine = Start::new().arg(patch("first.toml")).arg("--state").arg("64MiB").play();
    engine.play_on(100);
    let first = primary(&engine.wait_whole(0));
    engine.hurt(first, Signal::KILL);
    let status = engine.wait_whole(1);
    for slot in 0..2 {
        let kib = shared_kib(status["slots"][slot]["pid"].as_u64().expect("a pid"));
        assert!(kib < 64 << 10, "a worker has {kib} KiB of shared memory");
    }
    let kib = shared_kib(engine.pid().into());
    assert!(kib < 64 << 10, "the supervisor has {kib} KiB of shared memory");
    engine.stop().assert_identical();
}

fn ticks(pid: u64) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process of ours");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let at = |field: usize| fields[field].parse::<u64>().expect("a number");
    at(11) + at(12)
}

/// S6: the predecessor's standby burnt more than its primary by waiting. Processor time, not
/// wall time: a busy machine changes neither.
#[test]
fn a_standby_waits_in_the_kernel() {
    let engine = Start::new().arg(patch("first.toml")).play();
    let status = engine.status();
    let first = primary(&status);
    let pid = |slot: usize| status["slots"][slot]["pid"].as_u64().expect("a pid");
    let before = [ticks(pid(first)), ticks(pid(1 - first))];
    engine.play_on(15_000);
    let used = [ticks(pid(first)) - before[0], ticks(pid(1 - first)) - before[1]];
    assert!(used[1] <= 2 * used[0] + 10, "primary and standby used {used:?} ticks");
    engine.stop().assert_identical();
}

/// S65: the binary on disk is replaced while it plays; the next guest is of the running build.
#[test]
fn a_rebuilt_binary_does_not_get_into_a_running_engine() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("segue");
    // By another process: a descriptor that writes it, inherited by a child of another test,
    // would make it «text file busy».
    let status = Command::new("cp").arg(env!("CARGO_BIN_EXE_segue")).arg(&copy).status();
    assert!(status.expect("cp runs").success());
    let engine = Start::with(&copy).arg(patch("first.toml")).play();
    std::fs::remove_file(&copy).expect("removed");
    std::fs::write(&copy, "#!/bin/sh\nexit 99\n").expect("another program");
    engine.hurt(0, Signal::KILL);
    let status = engine.wait_whole(1);
    assert_eq!(status["slots"][0]["generation"], 2);
    send_signal(status["control"]["pid"].as_u64(), Signal::KILL);
    engine.wait("so is the next control", |status| status["control"]["generation"] == 2);
    assert_eq!(engine.must(&["send", "/mod/osc/freq"]).trim(), "/mod/osc/freq 440.0");
    engine.stop().assert_identical();
}
