//! Bells: waiting in the kernel until a 32-bit word changes, also across processes.
//!
//! *Invariant*: a bell is compared for change only, never for order, so it may wrap. Every wait
//! has a time-out; whoever wakes looks at the words themselves, because a wake says nothing
//! but "look".

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex::{Flags, Wait, WaitFlags, WaitPtr, WaitvFlags};
use rustix::time::{ClockId, Timespec};

use crate::clock;

/// How many bells one wait can listen to.
pub const BELLS_MAX: usize = 16;

/// How long a kernel without `futex_waitv` (before 5.16) sleeps on the first bell alone.
const SLICE: Duration = Duration::from_millis(1);

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// A bell rang, had already changed, or the wait was interrupted: look again.
    Rung,
    /// The time is over.
    TimedOut,
}

/// Waits until `bell` no longer holds `expected`, at most `timeout`. Works on a mapping that
/// may only be read, and between processes. `[any]` but the audio path of playout.
pub fn wait(bell: &AtomicU32, expected: u32, timeout: Duration) -> Waited {
    let timeout = timespec(timeout);
    ended(rustix::thread::futex::wait(bell, Flags::empty(), expected, Some(&timeout)))
}

/// Waits until any of `bells` no longer holds the value beside it, at most `timeout`. Panics
/// above [`BELLS_MAX`] bells or with none, which is our own bug. `[any]` but playout.
pub fn wait_any(bells: &[(&AtomicU32, u32)], timeout: Duration) -> Waited {
    assert!(!bells.is_empty() && bells.len() <= BELLS_MAX, "1 to {BELLS_MAX} bells");
    let mut waits = [Wait::new(); BELLS_MAX];
    for (wait, (bell, expected)) in waits.iter_mut().zip(bells) {
        wait.val = u64::from(*expected);
        wait.uaddr = WaitPtr::new(bell.as_ptr().cast());
        wait.flags = WaitFlags::SIZE_U32;
    }
    let ends_ns = clock::monotonic_ns().saturating_add(nanoseconds(timeout));
    let ends = timespec(Duration::from_nanos(ends_ns));
    let waits = &waits[..bells.len()];
    let done =
        rustix::thread::futex::waitv(waits, WaitvFlags::empty(), Some(&ends), ClockId::Monotonic);
    match done {
        Err(Errno::NOSYS) => wait_by_slices(bells, ends_ns),
        other => ended(other),
    }
}

/// Wakes everybody who waits on `bell`. The caller has stored the new value before. `[audio]`
pub fn wake(bell: &AtomicU32) {
    // An error would mean a bad address, which a reference cannot be.
    let _ = rustix::thread::futex::wake(bell, Flags::empty(), i32::MAX as u32);
}

/// Changes `bell` by one, wrapping, and wakes everybody who waits on it. One writer only, or
/// two that both only want to be heard. `[audio]`
pub fn ring(bell: &AtomicU32) {
    // Pairs with the Acquire of a waiter's load: who sees the new value sees what was written
    // before the bell was rung.
    bell.fetch_add(1, Ordering::Release);
    wake(bell);
}

fn wait_by_slices(bells: &[(&AtomicU32, u32)], ends_ns: u64) -> Waited {
    loop {
        let changed =
            |(bell, expected): &(&AtomicU32, u32)| bell.load(Ordering::Acquire) != *expected;
        if bells.iter().any(changed) {
            return Waited::Rung;
        }
        let left = Duration::from_nanos(ends_ns.saturating_sub(clock::monotonic_ns()));
        if left.is_zero() {
            return Waited::TimedOut;
        }
        wait(bells[0].0, bells[0].1, left.min(SLICE));
    }
}

fn ended<T>(result: rustix::io::Result<T>) -> Waited {
    match result {
        Err(Errno::TIMEDOUT) => Waited::TimedOut,
        _ => Waited::Rung,
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::{BELLS_MAX, Waited, ring, wait, wait_any, wait_by_slices};
    use crate::clock;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_bell_that_has_changed_already_is_not_waited_for() {
        let bells = [AtomicU32::new(7), AtomicU32::new(1)];
        assert_eq!(wait(&bells[0], 6, LONG), Waited::Rung);
        assert_eq!(wait_any(&[(&bells[0], 7), (&bells[1], 0)], LONG), Waited::Rung);
    }

    #[test]
    fn a_wait_without_a_bell_ends_by_its_time_out() {
        let bell = AtomicU32::new(7);
        assert_eq!(wait(&bell, 7, Duration::from_millis(2)), Waited::TimedOut);
        assert_eq!(wait_any(&[(&bell, 7)], Duration::from_millis(2)), Waited::TimedOut);
        let soon = clock::monotonic_ns() + 2_000_000;
        assert_eq!(wait_by_slices(&[(&bell, 7)], soon), Waited::TimedOut);
    }

    #[test]
    fn whichever_bell_rings_ends_the_wait_also_across_the_wrap() {
        for rung in 0..BELLS_MAX {
            let bells: Vec<_> = (0..BELLS_MAX).map(|_| AtomicU32::new(u32::MAX)).collect();
            thread::scope(|scope| {
                scope.spawn(|| {
                    let all: Vec<_> = bells.iter().map(|bell| (bell, u32::MAX)).collect();
                    while bells[rung].load(Ordering::Acquire) == u32::MAX {
                        assert_eq!(wait_any(&all, LONG), Waited::Rung);
                    }
                });
                ring(&bells[rung]);
            });
            assert_eq!(bells[rung].load(Ordering::Relaxed), 0);
        }
    }
}
