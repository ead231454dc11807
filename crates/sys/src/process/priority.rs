//! Real-time priority, locked memory, limits: asked for and reported, never required.

use std::io;

use rustix::mm::MlockAllFlags;
use rustix::process::{Resource, Rlimit};

pub use super::wishes::{refused, wait_for_refusal, wishes};

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

    /// The priority that keeps the order where none above `limit` is granted, most urgent first.
    #[must_use]
    pub const fn level_within(self, limit: u32) -> i32 {
        let below = match self {
            Self::Playout => 0,
            Self::Monitor => 1,
            Self::Standby => 2,
            Self::Primary => 3,
        };
        // No limit is above 99.
        let limit = if limit > 99 { 99 } else { limit as i32 };
        let level = if limit >= Self::Playout.level() { self.level() } else { limit - below };
        if level < 1 { 1 } else { level }
    }
}

/// How the kernel schedules a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduling {
    /// Its real-time priority, 1 to 99; 0 for a thread that shares with all others.
    pub level: u32,
    /// Whether it takes turns with others of its priority (`SCHED_RR`).
    pub takes_turns: bool,
}

/// Asks for real-time priority for the calling thread; threads and processes it starts do not
/// inherit it. Where a limit (`RLIMIT_RTPRIO`) allows less, it asks for less, in the same order.
/// What was asked for is remembered: see [`wishes`]. `[any]`
///
/// # Errors
/// `PermissionDenied` without the privilege: the thread goes on as it was, and that belongs
/// into the status.
pub fn ask_realtime(urgency: Urgency) -> io::Result<()> {
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    let done = schedule(0, policy, urgency.level()).or_else(|error| match realtime_limit() {
        0 => Err(error),
        limit => schedule(0, policy, urgency.level_within(limit)),
    });
    super::wishes::note(urgency, done.is_err());
    done
}

/// Gives up real-time priority for the calling thread, and the wish for it. Whoever takes things
/// down waits for ordinary threads, which it must not keep from running. `[any]`
pub fn be_ordinary() {
    super::wishes::forget();
    // To take less is granted to everybody.
    let _ = reschedule(0, Scheduling { level: 0, takes_turns: false });
}

/// Schedules a thread of this user anew, also one of another process; what it starts begins
/// without priority. To take priority away is granted to everybody. 0 is the calling thread.
/// `[control]`
///
/// # Errors
/// What the kernel says: that it has less, is of another user, or has ended.
pub fn reschedule(thread: u32, to: Scheduling) -> io::Result<()> {
    let policy = match to {
        Scheduling { level: 0, .. } => libc::SCHED_OTHER,
        Scheduling { takes_turns: true, .. } => libc::SCHED_RR,
        Scheduling { takes_turns: false, .. } => libc::SCHED_FIFO,
    };
    let level = to.level.cast_signed();
    // To take back that children start without is refused.
    schedule(thread.cast_signed(), policy | libc::SCHED_RESET_ON_FORK, level)
}

fn schedule(thread: libc::pid_t, policy: i32, level: i32) -> io::Result<()> {
    let parameter = libc::sched_param { sched_priority: level };
    // SAFETY: the pointer is that of a live local variable; a thread that is not there or not
    // ours is refused. 0 is the calling thread.
    if unsafe { libc::sched_setscheduler(thread, policy, &raw const parameter) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// How a thread is scheduled, also one of another process; none when it has ended. 0 is the
/// calling thread. `[any]`
#[must_use]
pub fn scheduling(thread: u32) -> Option<Scheduling> {
    let thread = libc::pid_t::try_from(thread).ok()?;
    // SAFETY: asks the kernel about a thread and touches no memory.
    let policy = unsafe { libc::sched_getscheduler(thread) };
    let mut parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: the pointer is that of a live local variable.
    let known = unsafe { libc::sched_getparam(thread, &raw mut parameter) } == 0;
    let takes_turns = policy & !libc::SCHED_RESET_ON_FORK == libc::SCHED_RR;
    let level = u32::try_from(parameter.sched_priority).ok()?;
    (policy >= 0 && known).then_some(Scheduling { level, takes_turns })
}

/// Whether the calling thread runs with real-time priority. `[any]`
#[must_use]
pub fn is_realtime() -> bool {
    scheduling(0).is_some_and(|it| it.level > 0)
}

/// The highest real-time priority this process may take without a privilege; 0 for none. The
/// limit in force is raised as far as it may be.
#[must_use]
pub fn realtime_limit() -> u32 {
    raised(Resource::Rtprio).map_or(99, |limit| u32::try_from(limit).unwrap_or(99).min(99))
}

/// The limit in force after it was raised as far as it may be; none for no limit.
fn raised(resource: Resource) -> Option<u64> {
    let Rlimit { current, maximum } = rustix::process::getrlimit(resource);
    let raised = Rlimit { current: maximum, maximum };
    match rustix::process::setrlimit(resource, raised) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

/// Keeps the pages this process has now in memory. Later ones are not included: that would
/// turn a limit met later into an allocation that fails. Regions that have their pages on demand
/// are locked page by page, as they come. The limit in force is raised as far as it may be.
///
/// # Errors
/// Without the privilege, beyond the limit for locked memory.
pub fn lock_memory() -> io::Result<()> {
    raised(Resource::Memlock);
    let all = MlockAllFlags::CURRENT;
    let Ok(mappings) = std::fs::read_to_string("/proc/self/maps") else {
        return Ok(rustix::mm::mlockall(all)?);
    };
    rustix::mm::mlockall(all | MlockAllFlags::ONFAULT)?;
    let on_demand = |line: &&str| line.contains(crate::region::ON_DEMAND);
    for mapping in mappings.lines().filter(|line| !on_demand(line)) {
        let bounds = mapping.split(' ').next().and_then(|bounds| bounds.split_once('-'));
        let number = |text| usize::from_str_radix(text, 16).ok();
        if let Some((from, to)) = bounds
            && let (Some(from), Some(to)) = (number(from), number(to))
        {
            // SAFETY: changes no word; what is no longer mapped is refused. Some of the kernel's
            // own mappings cannot be locked and never leave.
            let _ = unsafe { rustix::mm::mlock(from as *mut _, to.saturating_sub(from)) };
        }
    }
    Ok(())
}

/// No core dumps from this process on: writing one delays the news of a death by 100 ms.
///
/// # Errors
/// What the kernel says.
pub fn no_core_dumps() -> io::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    Ok(rustix::process::setrlimit(Resource::Core, none)?)
}

/// From this process on, a file that grows past its limit is an error of the write and not a
/// signal that ends the writer. Children inherit it.
pub fn ignore_file_size_signal() {
    // SAFETY: ignoring a signal installs no code, and nobody here waits for this one.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Does `work` without the limit on the size of files, where it may be lifted: shared memory
/// counts as a file. The limit holds again afterwards, for this process and its children.
pub fn without_file_size_limit<T>(work: impl FnOnce() -> T) -> T {
    let limit = rustix::process::getrlimit(Resource::Fsize);
    let lifted = Rlimit { current: None, maximum: None };
    if rustix::process::setrlimit(Resource::Fsize, lifted).is_err() {
        // Without the privilege the hard limit is as far as it goes.
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        let _ = rustix::process::setrlimit(Resource::Fsize, raised);
    }
    let done = work();
    // It was in force a moment ago, so it is granted.
    let _ = rustix::process::setrlimit(Resource::Fsize, limit);
    done
}

/// How many processors this process may use.
#[must_use]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{Scheduling, Urgency, ask_realtime, is_realtime};

    #[test]
    fn playout_is_more_urgent_than_the_monitor_and_standbys_than_the_primary() {
        let order = [Urgency::Playout, Urgency::Monitor, Urgency::Standby, Urgency::Primary];
        assert!(order.windows(2).all(|pair| pair[0].level() > pair[1].level()));
    }

    #[test]
    fn the_order_holds_below_any_limit_that_leaves_room_for_it() {
        let order = [Urgency::Playout, Urgency::Monitor, Urgency::Standby, Urgency::Primary];
        for limit in [4, 20, 74, 75, 99, 1000] {
            let levels = order.map(|urgency| urgency.level_within(limit));
            assert!(levels.windows(2).all(|pair| pair[0] > pair[1]), "{limit}: {levels:?}");
            assert!(levels[0] <= 99 && levels[0] as u32 <= limit && levels[3] >= 1);
        }
        assert_eq!(order.map(|urgency| urgency.level_within(1)), [1; 4]);
    }

    #[test]
    fn less_priority_is_taken_and_seen_from_another_thread() {
        let (tell, hear) = std::sync::mpsc::channel();
        let (end, wait) = std::sync::mpsc::channel::<()>();
        let asked = thread::spawn(move || {
            tell.send((crate::process::thread_id(), ask_realtime(Urgency::Standby).is_ok()))
                .unwrap();
            let _ = wait.recv();
        });
        let (other, granted) = hear.recv().unwrap();
        let level = |of| super::scheduling(of).map(|it| it.level);
        if granted {
            assert_eq!(level(other), Some(68));
            super::reschedule(other, Scheduling { level: 3, takes_turns: true }).unwrap();
            assert_eq!(level(other), Some(3));
        } else {
            assert_eq!(level(other), Some(0));
        }
        drop(end);
        asked.join().unwrap();
        while level(other).is_some() {
            thread::yield_now();
        }
    }

    #[test]
    fn shared_memory_is_made_whatever_the_limit_on_files_and_the_limit_comes_back() {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        super::ignore_file_size_signal();
        let before = getrlimit(Resource::Fsize);
        let small = Rlimit { current: Some(4096), maximum: before.maximum };
        setrlimit(Resource::Fsize, small).unwrap();
        let limited = crate::Region::shared("test", 1 << 16);
        let made = super::without_file_size_limit(|| crate::Region::shared("test", 1 << 16));
        let after = getrlimit(Resource::Fsize);
        setrlimit(Resource::Fsize, before).unwrap();
        assert!(limited.is_err() && made.is_ok());
        assert_eq!(after.current, Some(4096));
    }

    #[test]
    fn what_was_granted_is_what_the_thread_has_and_its_children_do_not() {
        thread::spawn(|| {
            let granted = ask_realtime(Urgency::Primary).is_ok();
            assert_eq!(is_realtime(), granted);
            assert!(!thread::spawn(is_realtime).join().unwrap());
            super::be_ordinary();
            assert!(!is_realtime());
        })
        .join()
        .unwrap();
    }
}
