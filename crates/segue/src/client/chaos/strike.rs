//! The blows themselves: signals, priorities, memory, bits.
//!
//! *Invariant*: a process is signalled through a handle that was opened while it was still the
//! guest of its slot, so nobody else is ever hit.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use segue_lockstep::memory::status::Fact;
use segue_sys::process::priority::{self, Scheduling};

use super::super::status::pause;
use super::draw::{Blow, Victim};
use crate::cli::chaos::Fault;
use crate::host::door::Visit;

/// The most memory that is taken.
const MEMORY_MAX: u64 = 1 << 30;
/// How polite a worker is made while it is slow: as polite as there is.
const NICE: i32 = 19;

/// A process, held so that its number cannot come to mean another.
struct Held {
    pid: u32,
    handle: OwnedFd,
}

impl Held {
    fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.handle, signal)?)
    }

    /// The process `pid`, if `is_it` still says so once it is held.
    fn take(pid: u64, is_it: impl FnOnce() -> bool) -> io::Result<Self> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
        let handle = pidfd_open(raw, PidfdFlags::empty())?;
        if is_it() { Ok(Self { pid: pid as u32, handle }) } else { Err(gone()) }
    }
}

/// Does it, and undoes what can be undone. `NotFound` when whoever it was meant for has gone.
pub(super) fn strike(visit: &Visit, blow: &Blow) -> io::Result<()> {
    match blow.fault {
        Fault::Kill => worker(visit, blow.victim)?.1.signal(Signal::KILL),
        Fault::Stop => stop(&worker(visit, blow.victim)?.1, blow.length),
        Fault::Slow => slow(&worker(visit, blow.victim)?.1, blow.length),
        Fault::Memory => fill_memory(blow.length),
        Fault::Control => control(visit)?.signal(Signal::KILL),
        Fault::Hang => control(visit)?.signal(Signal::STOP),
        Fault::Corrupt => corrupt(visit, blow),
        // Sent, and not done by hand.
        Fault::Poison => Err(io::ErrorKind::Unsupported.into()),
        Fault::All => {
            let all: Vec<_> = (0..visit.slots.len()).filter_map(|at| guest(visit, at)).collect();
            all.iter().try_for_each(|held| held.signal(Signal::KILL))
        }
    }
}

fn guest(visit: &Visit, slot: usize) -> Option<Held> {
    let facts = visit.status.slot(slot);
    let same = || visit.status.slot(slot).generation == facts.generation;
    Held::take(facts.pid, || same() && visit.status.slot(slot).pid == facts.pid).ok()
}

fn worker(visit: &Visit, victim: Victim) -> io::Result<(usize, Held)> {
    let primary = visit.orders.primary().unwrap_or(0);
    let others = (0..visit.slots.len()).filter(|slot| *slot != primary);
    let wanted: Vec<usize> = match victim {
        Victim::Primary => vec![primary],
        Victim::Standby => others.chain([primary]).collect(),
    };
    let found = wanted.into_iter().find_map(|slot| Some((slot, guest(visit, slot)?)));
    found.ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn control(visit: &Visit) -> io::Result<Held> {
    let pid = || visit.status.fact(Fact::ControlPid);
    let now = pid();
    Held::take(now, || pid() == now)
}

fn stop(held: &Held, length: Duration) -> io::Result<()> {
    held.signal(Signal::STOP)?;
    pause(length);
    // It may have been replaced meanwhile, which is as it should be.
    let _ = held.signal(Signal::CONT);
    Ok(())
}

/// Takes a worker's priority away while every processor has something else to do.
fn slow(held: &Held, length: Duration) -> io::Result<()> {
    let before = priority::scheduling(held.pid).ok_or(io::ErrorKind::NotFound)?;
    let ordinary = Scheduling { level: 0, takes_turns: false };
    priority::reschedule(held.pid, ordinary)?;
    let pid = Pid::from_raw(held.pid.cast_signed());
    rustix::process::setpriority_process(pid, NICE)?;
    keep_busy(length);
    let back = rustix::process::setpriority_process(pid, 0).is_ok()
        && priority::reschedule(held.pid, before).is_ok();
    if !back && priority::scheduling(held.pid).is_some() {
        // Only the privileged give priority back: its successor has it from the beginning.
        let _ = held.signal(Signal::KILL);
    }
    Ok(())
}

fn keep_busy(length: Duration) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..priority::processors() {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        pause(length);
        is_over.store(true, Ordering::Relaxed);
    });
}

fn fill_memory(length: Duration) -> io::Result<()> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let bytes = (kib.unwrap_or(0) * 1024 / 4).min(MEMORY_MAX);
    // Not zero, so that every page is really there.
    let taken = vec![0x5a_u8; usize::try_from(bytes).unwrap_or(0)];
    std::hint::black_box(&taken);
    pause(length);
    Ok(())
}

/// Flips bits in a block that the worker has published and nobody has played yet.
fn corrupt(visit: &Visit, blow: &Blow) -> io::Result<()> {
    let mut rng = Rng::with_seed(blow.seed);
    let (slot, held) = worker(visit, blow.victim)?;
    let start = mapping(held.pid, &format!("/memfd:segue-slot-{slot} "))?;
    let memory = format!("/proc/{}/mem", held.pid);
    let memory = fs::File::options().read(true).write(true).open(memory)?;
    for _ in 0..rng.u32(1..=8) {
        let block = visit.slots[slot].published().saturating_sub(1);
        let words = visit.slots[slot].words_of(block);
        let at = start + 8 * rng.usize(words) as u64;
        let mut word = [0; 8];
        memory.read_exact_at(&mut word, at)?;
        word[rng.usize(..8)] ^= 1 << rng.u32(..8);
        memory.write_all_at(&word, at)?;
    }
    Ok(())
}

/// Where a process has mapped what it may write under this name.
fn mapping(pid: u32, name: &str) -> io::Result<u64> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let line = maps.lines().find(|line| line.contains(name) && line.contains(" rw-s "));
    let start = line.and_then(|line| u64::from_str_radix(line.split('-').next()?, 16).ok());
    start.ok_or_else(|| io::ErrorKind::NotFound.into())
}
