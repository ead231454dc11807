//! Clocks in nanoseconds: the monotonic one, the wall's, and CPU time, one's own or another's.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use rustix::time::{ClockId, Timespec};

/// The kernel's `PID_MAX_LIMIT`.
const PID_MAX: i32 = 4 * 1024 * 1024;

/// Monotonic time since some moment of this boot; stands still while the machine is suspended.
/// The only clock that decides anything. Not for code that renders. `[any]`
#[must_use]
pub fn monotonic_ns() -> u64 {
    nanoseconds(rustix::time::clock_gettime(ClockId::Monotonic))
}

/// Wall time since 1970, for what people read and for OSC time tags; it may jump. `[any]`
#[must_use]
pub fn realtime_ns() -> u64 {
    nanoseconds(rustix::time::clock_gettime(ClockId::Realtime))
}

/// CPU time that process `pid` has used in all its threads.
///
/// # Errors
/// `ESRCH` and the like when there is no such process any more. `[any]`
pub fn process_cpu_ns(pid: u32) -> io::Result<u64> {
    // The kernel packs the number into a clock's; one beyond its own limit, or 0, would wrap
    // around to the clock of the caller.
    let pid = i32::try_from(pid).ok().filter(|pid| (1..=PID_MAX).contains(pid));
    let pid = pid.ok_or(Errno::SRCH)?;
    // The kernel's own encoding (CPUCLOCK_SCHED of a process); asking the C library for it costs
    // another call into the kernel, which then checks the number a second time.
    let clock: libc::clockid_t = !pid << 3 | 2;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is that of a live local variable; an unknown clock is refused.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(nanoseconds(Timespec { tv_sec: time.tv_sec, tv_nsec: time.tv_nsec }))
}

/// CPU time that the calling thread has used. `[any]`
#[must_use]
pub fn thread_cpu_ns() -> u64 {
    nanoseconds(rustix::time::clock_gettime(ClockId::ThreadCPUTime))
}

/// Sleeps until the monotonic clock shows `moment_ns`; returns at once when it is over.
/// `[any]` but code that renders.
pub fn sleep_until_ns(moment_ns: u64) {
    let moment = Duration::from_nanos(moment_ns);
    let until = Timespec {
        tv_sec: i64::try_from(moment.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(moment.subsec_nanos()),
    };
    while let Err(Errno::INTR) =
        rustix::thread::clock_nanosleep_absolute(ClockId::Monotonic, &until)
    {}
}

fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::{monotonic_ns, process_cpu_ns, sleep_until_ns};

    #[test]
    fn sleeping_never_ends_before_its_moment() {
        let moment = monotonic_ns() + 3_000_000;
        sleep_until_ns(moment);
        assert!(monotonic_ns() >= moment);
        sleep_until_ns(0);
    }

    #[test]
    fn the_cpu_clock_of_a_process_advances_while_it_works() {
        let me = std::process::id();
        let before = process_cpu_ns(me).unwrap();
        let mut sum = 0_u64;
        while process_cpu_ns(me).unwrap() < before + 2_000_000 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(sum > 0);
    }

    #[test]
    fn the_cpu_clock_of_nobody_is_an_error() {
        assert!(process_cpu_ns(u32::MAX).is_err());
        assert!(process_cpu_ns(0x3fff_ffff).is_err());
        assert!(process_cpu_ns(0).is_err());
    }
}
