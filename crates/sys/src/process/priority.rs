//! Real-time priority, locked memory, no core dumps: asked for and reported, never required.

use std::io;

use rustix::process::{Resource, Rlimit};

/// How urgent a thread is, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Hands blocks to the device.
    Playout,
    /// Watches and judges; it must run beside a worker that loops.
    Monitor,
    /// Renders behind the primary.
    Standby,
    /// Renders first: when processors are short, whoever stands by is fresher.
    Primary,
}

impl Urgency {
    /// Its SCHED_FIFO priority. JACK gives its own threads 60 to 70; these stay around it.
    #[must_use]
    pub const fn level(self) -> i32 {
        match self {
            Self::Playout => 75,
            Self::Monitor => 72,
            Self::Standby => 68,
            Self::Primary => 66,
        }
    }
}

/// Asks for real-time priority for the calling thread; threads and processes it starts do not
/// inherit it. `[any]`
///
/// # Errors
/// `PermissionDenied` without the privilege: the thread goes on as it was, and that belongs
/// into the status.
pub fn ask_realtime(urgency: Urgency) -> io::Result<()> {
    let parameter = libc::sched_param { sched_priority: urgency.level() };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: 0 is the calling thread and the pointer that of a live local variable.
    if unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Whether the calling thread runs with real-time priority. `[any]`
#[must_use]
pub fn is_realtime() -> bool {
    // SAFETY: asks the kernel about the calling thread and touches no memory.
    let policy = unsafe { libc::sched_getscheduler(0) };
    policy & !libc::SCHED_RESET_ON_FORK == libc::SCHED_FIFO
}

/// Keeps the pages this process has now in memory. Later ones are not included: that would
/// turn a limit met later into an allocation that fails.
///
/// # Errors
/// Without the privilege, beyond the limit for locked memory.
pub fn lock_memory() -> io::Result<()> {
    Ok(rustix::mm::mlockall(rustix::mm::MlockAllFlags::CURRENT)?)
}

/// No core dumps from this process on: writing one delays the news of a death by 100 ms.
///
/// # Errors
/// What the kernel says.
pub fn no_core_dumps() -> io::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    Ok(rustix::process::setrlimit(Resource::Core, none)?)
}

/// How many processors this process may use.
#[must_use]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{Urgency, ask_realtime, is_realtime};

    #[test]
    fn playout_is_more_urgent_than_the_monitor_and_standbys_than_the_primary() {
        let order = [Urgency::Playout, Urgency::Monitor, Urgency::Standby, Urgency::Primary];
        assert!(order.windows(2).all(|pair| pair[0].level() > pair[1].level()));
    }

    #[test]
    fn what_was_granted_is_what_the_thread_has_and_its_children_do_not() {
        thread::spawn(|| {
            let granted = ask_realtime(Urgency::Primary).is_ok();
            assert_eq!(is_realtime(), granted);
            assert!(!thread::spawn(is_realtime).join().unwrap());
        })
        .join()
        .unwrap();
    }
}
