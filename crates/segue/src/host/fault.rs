//! Faults on purpose in the processes of an engine, for tests (cargo feature `fault`).
//!
//! `SEGUE_FAULT_START` holds entries with commas between: `SLOT:WHAT` or `SLOT:WHAT*N` for the
//! guests up to generation N alone; WHAT is a delay in milliseconds, `exit:CODE`, `panic`, `hold`,
//! or `stranger`: it says that it is of another build. `SEGUE_FAULT_JOURNAL` is `WRITES:BYTES`: of
//! the write to the journal after so many only so many bytes are written, and then the supervisor
//! is killed, for which control is left unconfined.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Signal, getppid, kill_process};
use segue_lockstep::memory::slot::{NOTE_AT, NOTE_WORDS, Slot};

/// Does what the environment asks of this guest.
pub(super) fn at_start(place: &Slot, slot: u32, generation: u64) {
    let Ok(faults) = std::env::var("SEGUE_FAULT_START") else { return };
    for fault in faults.split(',') {
        let Some((number, what)) = fault.split_once(':') else { continue };
        let (what, guests) = what.split_once('*').unwrap_or((what, ""));
        let is_meant = guests.parse().map_or(true, |last: u64| generation <= last);
        if number.parse() == Ok(slot) && is_meant {
            if what == "stranger" {
                place.sit(generation, place.build() ^ 1);
            }
            suffer(what);
        }
    }
}

/// Lets the module that misbehaves write noise over all of this worker's slot, but for the place
/// of its dying note: nothing else can be written to.
pub(super) fn know_wildness(slot: Slot) {
    use segue_sys::Words;
    segue_rack::run_wild_by(move || {
        let mut noise = 0x2545_f491_4f6c_dd1d_u64;
        for word in
            (0..slot.region().len()).filter(|it| !(NOTE_AT..NOTE_AT + NOTE_WORDS).contains(it))
        {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            slot.region().store(word, noise, std::sync::atomic::Ordering::Release);
        }
    });
}

fn suffer(what: &str) {
    match what {
        "panic" => panic!("a fault at the start was asked for"),
        "hold" => loop {
            std::thread::park();
        },
        _ => {}
    }
    if let Some(code) = what.strip_prefix("exit:") {
        eprintln!("an exit at the start was asked for");
        std::process::exit(code.parse().unwrap_or(1));
    }
    if let Ok(delay_ms) = what.parse::<u64>() {
        let until = segue_sys::clock::monotonic_ns() + delay_ms * 1_000_000;
        segue_sys::clock::sleep_until_ns(until);
    }
}

/// Tries what a worker may not do any more, where `SEGUE_FAULT_CONFINED` names its slot, and
/// ends with what succeeded as its last words.
pub(super) fn when_confined(slot: u32) {
    if is_named(&slot.to_string()) {
        let more = [
            ("read a file", std::fs::read("/proc/self/maps").is_ok()),
            ("take a gigabyte", Vec::<u8>::new().try_reserve_exact(1 << 30).is_ok()),
        ];
        try_to_break_out(&more);
    }
}

/// The same for control, where it says `control:GENERATION`; within `show` it must be able to
/// write.
pub(crate) fn when_control_is_confined(show: &std::path::Path, generation: u64) {
    if is_named(&format!("control:{generation}")) {
        let (parent, own) = (rustix::process::getppid(), show.join("own"));
        let memory = parent.map(|pid| format!("/proc/{}/mem", pid.as_raw_nonzero()));
        let open = |path: String| std::fs::OpenOptions::new().write(true).open(path).is_ok();
        let more = [
            ("read a file", std::fs::read("/etc/hostname").is_ok()),
            ("read what it is", std::fs::read("/proc/self/maps").is_ok()),
            ("write another's memory", memory.is_some_and(open)),
            ("fail in its own folder", std::fs::write(own, b"x").is_err()),
        ];
        try_to_break_out(&more);
    }
}

fn is_named(who: &str) -> bool {
    std::env::var("SEGUE_FAULT_CONFINED").is_ok_and(|name| name == who)
}

fn try_to_break_out(more: &[(&str, bool)]) -> ! {
    let outside = std::env::temp_dir().join("segue-broke-out");
    let parent = rustix::process::getppid();
    let signalled = parent.map(rustix::process::test_kill_process);
    let caller = std::net::UdpSocket::bind("127.0.0.1:0");
    let stream = std::net::TcpStream::connect("127.0.0.1:9");
    let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
    let tried = [
        ("write a file", std::fs::write(outside, b"x").is_ok()),
        ("open a socket", caller.is_ok()),
        ("call somebody", !stream.as_ref().is_err_and(refused)),
        ("start a process", std::process::Command::new("/bin/true").spawn().is_ok()),
        ("signal its parent", signalled.is_some_and(|it| it.is_ok())),
    ];
    let all = tried.iter().chain(more);
    let broke: Vec<&str> = all.filter(|(_, done)| *done).map(|(what, _)| *what).collect();
    eprintln!("broke out: {broke:?}");
    std::process::exit(3);
}

/// Whether this control is to kill the supervisor.
pub(crate) fn reaches_the_supervisor() -> bool {
    std::env::var_os("SEGUE_FAULT_JOURNAL").is_some()
}

/// Before a write to the journal: kills the supervisor within it, if it is the one that is meant.
pub(crate) fn within_write(file: &mut File, bytes: &[u8]) {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let Ok(fault) = std::env::var("SEGUE_FAULT_JOURNAL") else { return };
    let Some((writes, length)) = fault.split_once(':') else { return };
    let meant = writes.parse() == Ok(WRITES.fetch_add(1, Ordering::Relaxed));
    let (Some(parent), Ok(length), true) = (getppid(), length.parse::<usize>(), meant) else {
        return;
    };
    // What is not written is as good as torn.
    let _ = file.write_all(&bytes[..length.min(bytes.len())]);
    let _ = kill_process(parent, Signal::KILL);
    loop {
        std::thread::park();
    }
}
