//! Real processes: how children start, stop, die, and what they leave behind.
//!
//! A child is this test binary again, running the one test [`as_a_child`] with a role.
#![allow(clippy::unwrap_used)] // helpers of tests, too, fail by panicking

use std::os::fd::AsFd;
use std::time::Duration;

use segue_sys::event::{Event, wait_readable};
use segue_sys::fatal::{self, Cause, Note};
use segue_sys::process::{self, Change, Child, Order, Orphan, Spawner};
use segue_sys::socket::Seqpacket;
use segue_sys::{Access, Region};

const ROLE: &str = "SEGUE_SYS_TEST_ROLE";
const TAG: u64 = 77;
const AT: usize = 8;

#[test]
fn as_a_child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let socket = Seqpacket::from_stdin().unwrap();
    let mut hello = [0; 64];
    let got = socket.receive(&mut hello).unwrap();
    let mut fds = got.fds.into_iter();
    let region = Region::adopt(fds.next().unwrap(), Access::Write).unwrap();
    let bell = Event::adopt(fds.next().unwrap());
    process::name_thread("segue child");
    process::ignore_terminal();
    process::priority::no_core_dumps().unwrap();
    fatal::install(region, AT, TAG, bell).unwrap();
    match role.as_str() {
        "wait" => drop(socket.receive(&mut hello)),
        "mask" => {
            process::unblock_signals();
            segue_sys::event::raise_here(libc::SIGUSR1);
            std::process::exit(6);
        }
        "parent" => play_parent(&socket),
        "orphan" => {
            let stranger = process::die_with_parent(1);
            assert!(matches!(stranger, Err(Orphan::Gone)), "{stranger:?}");
            std::process::exit(5);
        }
        "exit" => std::process::exit(7),
        "panic" => panic!("the {} is flat", "tyre"),
        "flood" => flood_and_panic(),
        "abort" => std::process::abort(),
        "fault" => read_from(8),
        "overflow" => drop(descend(0)),
        "twice" => fault_on_many_threads(),
        other => panic!("no role {other}"),
    }
    std::process::exit(0);
}

fn read_from(address: usize) {
    let pointer = std::ptr::with_exposed_provenance::<u8>(address);
    // SAFETY: none; the test wants to know what dying of it looks like.
    #[allow(unsafe_code)]
    let read = unsafe { pointer.read_volatile() };
    std::hint::black_box(read);
}

#[allow(unconditional_recursion)]
fn descend(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 512]);
    descend(depth + 1).wrapping_add(room[7])
}

fn flood_and_panic() {
    let line = [b'x'; 4096];
    while rustix::io::write(std::io::stderr(), &line).is_ok() {}
    panic!("after the flood");
}

fn fault_on_many_threads() {
    let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(|| read_from(16))).collect();
    for thread in threads {
        let _ = thread.join();
    }
}

/// Starts a child that ties itself to this process, tells the child's number, and waits.
fn play_parent(socket: &Seqpacket) {
    let spawner = Spawner::start().unwrap();
    let guest = Guest::new(&spawner, "wait");
    socket.send(&guest.child.pid().to_le_bytes(), &[]).unwrap();
    let _ = socket.receive(&mut [0; 8]);
}

/// A child with what it was handed.
struct Guest {
    child: Child,
    region: Region,
    bell: Event,
}

impl Guest {
    fn new(spawner: &Spawner, role: &str) -> Self {
        let arguments = ["as_a_child", "--exact", "--nocapture", "--test-threads=1"];
        let order = Order {
            arguments: arguments.map(Into::into).to_vec(),
            environment: vec![(ROLE.into(), role.into())],
        };
        let child = spawner.spawn(order).unwrap();
        let region = Region::shared("note", AT + fatal::WORDS).unwrap();
        let bell = Event::new().unwrap();
        child.socket().send(b"hello", &[region.fd().unwrap(), bell.as_fd()]).unwrap();
        Self { child, region, bell }
    }

    /// The next change, however long it takes.
    fn change(&mut self) -> Change {
        loop {
            if let Some(change) = self.child.change().unwrap() {
                return change;
            }
            let fds = [self.child.handle()];
            wait_readable(&fds, Some(Duration::from_millis(1)), &mut Vec::new()).unwrap();
        }
    }

    fn note(&self) -> Option<Note> {
        fatal::read(&self.region, AT, TAG)
    }
}

#[test]
fn an_exit_and_a_kill_are_told_apart_and_told_once() {
    let spawner = Spawner::start().unwrap();
    let mut guest = Guest::new(&spawner, "exit");
    assert_eq!(guest.change(), Change::Exited { code: 7 });
    assert_eq!(guest.child.change().unwrap(), None);
    assert!(guest.child.cpu_ns().is_err());
    let mut guest = Guest::new(&spawner, "wait");
    assert_eq!(guest.child.change().unwrap(), None);
    guest.child.kill();
    assert_eq!(guest.change(), Change::Killed { signal: libc::SIGKILL });
    assert_eq!(guest.note(), None);
}

#[test]
fn a_stop_is_seen_and_a_frozen_child_can_be_killed() {
    let spawner = Spawner::start().unwrap();
    let mut guest = Guest::new(&spawner, "wait");
    signal(guest.child.pid(), libc::SIGSTOP);
    assert_eq!(guest.change(), Change::Stopped { signal: libc::SIGSTOP });
    signal(guest.child.pid(), libc::SIGCONT);
    assert_eq!(guest.change(), Change::Continued);
    signal(guest.child.pid(), libc::SIGSTOP);
    assert_eq!(guest.change(), Change::Stopped { signal: libc::SIGSTOP });
    guest.child.kill();
    assert_eq!(guest.change(), Change::Killed { signal: libc::SIGKILL });
}

#[test]
fn a_panic_leaves_its_place_and_words_and_the_abort_after_it_does_not_overwrite_them() {
    let spawner = Spawner::start().unwrap();
    let mut guest = Guest::new(&spawner, "panic");
    assert_eq!(guest.change(), Change::Killed { signal: libc::SIGABRT });
    let note = guest.note().unwrap();
    assert!(guest.bell.take(), "the bell was rung");
    assert_eq!(note.cause, Cause::Panic);
    assert!(note.own_fault());
    assert!(note.text.contains("children.rs:"), "{}", note.text);
    assert!(note.text.ends_with(": the tyre is flat"), "{}", note.text);
    let mut words = [0; 4096];
    let read = rustix::io::read(guest.child.stderr(), &mut words).unwrap();
    let words = String::from_utf8_lossy(&words[..read]);
    assert!(words.contains("the tyre is flat"), "{words}");
}

#[test]
fn a_fault_of_its_own_is_told_from_a_signal_that_was_sent() {
    let spawner = Spawner::start().unwrap();
    let mut own = Guest::new(&spawner, "fault");
    assert_eq!(own.change(), Change::Killed { signal: libc::SIGSEGV });
    let note = own.note().unwrap();
    assert!(own.bell.take() && note.own_fault());
    let Cause::Signal { signal: number, code, address } = note.cause else { panic!("{note:?}") };
    assert_eq!((number, code > 0, address), (libc::SIGSEGV, true, 8));

    let mut sent = Guest::new(&spawner, "wait");
    ready(&sent.child);
    signal(sent.child.pid(), libc::SIGSEGV);
    assert_eq!(sent.change(), Change::Killed { signal: libc::SIGSEGV });
    let note = sent.note().unwrap();
    assert!(!note.own_fault(), "{note:?}");
}

#[test]
fn an_abort_an_overflow_and_eight_faults_at_once_each_leave_one_whole_note() {
    let spawner = Spawner::start().unwrap();
    for (role, number) in
        [("abort", libc::SIGABRT), ("overflow", libc::SIGSEGV), ("twice", libc::SIGSEGV)]
    {
        let mut guest = Guest::new(&spawner, role);
        assert_eq!(guest.change(), Change::Killed { signal: number }, "{role}");
        let note = guest.note().expect(role);
        assert!(matches!(note.cause, Cause::Signal { signal, .. } if signal == number), "{role}");
        assert!(note.own_fault(), "{role}: {note:?}");
    }
}

/// S64: the dying child finds its standard error full, and dies all the same.
#[test]
fn a_child_that_dies_beside_a_full_pipe_does_not_wait_for_a_reader() {
    let spawner = Spawner::start().unwrap();
    let mut guest = Guest::new(&spawner, "flood");
    assert_eq!(guest.change(), Change::Killed { signal: libc::SIGABRT });
    assert!(guest.note().unwrap().text.ends_with("after the flood"));
}

#[test]
fn a_child_dies_with_its_parent_and_notices_a_parent_already_gone() {
    let spawner = Spawner::start().unwrap();
    let mut orphan = Guest::new(&spawner, "orphan");
    assert_eq!(orphan.change(), Change::Exited { code: 5 });

    let mut parent = Guest::new(&spawner, "parent");
    let mut number = [0; 4];
    parent.child.socket().receive(&mut number).unwrap();
    let grandchild = process_handle(u32::from_le_bytes(number));
    parent.child.kill();
    assert_eq!(parent.change(), Change::Killed { signal: libc::SIGKILL });
    let mut ended = Vec::new();
    wait_readable(&[grandchild.as_fd()], Some(Duration::from_secs(20)), &mut ended).unwrap();
    assert_eq!(ended, [true], "the grandchild outlived its parent");
}

#[test]
fn what_a_parent_blocked_its_child_lets_through_again() {
    let _blocked = segue_sys::event::Signals::catch(&[libc::SIGUSR1]).unwrap();
    // Started by this thread, so that it inherits the mask.
    let spawner = Spawner::start().unwrap();
    let mut guest = Guest::new(&spawner, "mask");
    assert_eq!(guest.change(), Change::Killed { signal: libc::SIGUSR1 });
}

#[test]
fn a_dropped_child_and_a_dropped_spawner_leave_nobody_behind() {
    let spawner = Spawner::start().unwrap();
    let guest = Guest::new(&spawner, "wait");
    let handle = process_handle(guest.child.pid());
    drop(guest);
    let mut ended = Vec::new();
    wait_readable(&[handle.as_fd()], Some(Duration::ZERO), &mut ended).unwrap();
    assert_eq!(ended, [true]);
}

#[test]
fn the_cpu_clock_of_a_waiting_child_stands() {
    let spawner = Spawner::start().unwrap();
    let guest = Guest::new(&spawner, "wait");
    ready(&guest.child);
    let before = guest.child.cpu_ns().unwrap();
    assert!(before > 0);
    let nothing = [guest.child.handle()];
    wait_readable(&nothing, Some(Duration::from_millis(20)), &mut Vec::new()).unwrap();
    let used = guest.child.cpu_ns().unwrap() - before;
    assert!(used < 10_000_000, "a child that waits used {used} ns");
}

/// Waits until the child sleeps in its last wait: its handlers are installed by then.
fn ready(child: &Child) {
    let path = format!("/proc/{}/task", child.pid());
    loop {
        let waiting = std::fs::read_dir(&path).unwrap().flatten().any(|task| {
            let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            name.starts_with("segue child") && stat.contains(") S ")
        });
        if waiting {
            return;
        }
        std::thread::yield_now();
    }
}

fn signal(pid: u32, number: i32) {
    // SAFETY: sends a signal to a child of ours and touches no memory.
    #[allow(unsafe_code)]
    let failed = unsafe { libc::kill(pid.cast_signed(), number) };
    assert_eq!(failed, 0);
}

fn process_handle(pid: u32) -> std::os::fd::OwnedFd {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap()
}
