//! What a thread can sleep on besides bells: event descriptors, signals, and several at once.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags};
use rustix::io::Errno;
use rustix::time::Timespec;

/// A counter in the kernel that wakes whoever polls it; the one thing a dying worker can still
/// touch. Clones share the counter.
#[derive(Debug)]
pub struct Event {
    fd: OwnedFd,
}

impl Event {
    /// A fresh one, not raised.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self { fd: rustix::event::eventfd(0, flags)? })
    }

    /// One that another process made and handed over.
    #[must_use]
    pub fn adopt(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Another handle on the same counter.
    ///
    /// # Errors
    /// When this process may not have more descriptors.
    pub fn share(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()? })
    }

    /// Raises it. Never waits; a counter that is full is raised already. `[any]`
    pub fn raise(&self) {
        let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
    }

    /// Whether it was raised since the last look; lowers it. `[any]`
    pub fn take(&self) -> bool {
        rustix::io::read(&self.fd, &mut [0; 8]).is_ok()
    }
}

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Signals turned into something to poll. They are blocked in the calling thread and in every
/// thread it starts afterwards, so this is made before any other thread. A child inherits that
/// and undoes it: [`crate::process::unblock_signals`].
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Catches `signals` from now on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn catch(signals: &[i32]) -> io::Result<Self> {
        // SAFETY: a signal set is plain data for which all zeros is a value.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is that of a live local variable.
        unsafe { libc::sigemptyset(&raw mut set) };
        for signal in signals {
            // SAFETY: as above; a number that is no signal is refused.
            if unsafe { libc::sigaddset(&raw mut set, *signal) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // SAFETY: the set is initialised, and the old mask is not wanted.
        let failed =
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        if failed != 0 {
            return Err(io::Error::from_raw_os_error(failed));
        }
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the set is initialised; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &raw const set, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and nobody else owns it.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// The next signal that came, if one did.
    pub fn take(&self) -> Option<i32> {
        // A `signalfd_siginfo` has 128 bytes and begins with the number.
        let mut info = [0_u8; 128];
        let read = rustix::io::read(&self.fd, &mut info).ok()?;
        let number = info.first_chunk::<4>().filter(|_| read == info.len())?;
        i32::try_from(u32::from_ne_bytes(*number)).ok()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Waits until one of `fds` can be read, is closed by its peer, or `timeout` is over; `ready`
/// gets one answer for each. An interrupted wait is one in which nothing is ready. `[any]` but
/// audio.
///
/// # Errors
/// What the kernel says about the descriptors.
pub fn wait_readable(
    fds: &[BorrowedFd<'_>],
    timeout: Option<Duration>,
    ready: &mut Vec<bool>,
) -> io::Result<()> {
    let mut polled: Vec<_> =
        fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    let timeout = timeout.map(|timeout| Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    });
    ready.clear();
    match rustix::event::poll(&mut polled, timeout.as_ref()) {
        Ok(_) => ready.extend(polled.iter().map(|fd| !fd.revents().is_empty())),
        Err(Errno::INTR) => ready.resize(fds.len(), false),
        Err(other) => return Err(other.into()),
    }
    Ok(())
}

/// Sends `signal` to the calling thread, for tests of [`Signals`].
#[doc(hidden)]
pub fn raise_here(signal: i32) {
    // SAFETY: a number that is no signal is refused; handlers of this process are its own.
    unsafe { libc::raise(signal) };
}

impl AsRawFd for Event {
    fn as_raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::{Event, Signals, raise_here, wait_readable};

    #[test]
    fn an_event_is_raised_until_it_is_taken_once() {
        let event = Event::new().unwrap();
        let other = event.share().unwrap();
        assert!(!event.take());
        other.raise();
        other.raise();
        assert!(event.take());
        assert!(!event.take());
    }

    #[test]
    fn waiting_tells_which_descriptor_is_ready() {
        let events = [Event::new().unwrap(), Event::new().unwrap()];
        let fds = [events[0].as_fd(), events[1].as_fd()];
        let mut ready = Vec::new();
        wait_readable(&fds, Some(Duration::from_millis(1)), &mut ready).unwrap();
        assert_eq!(ready, [false, false]);
        events[1].raise();
        wait_readable(&fds, None, &mut ready).unwrap();
        assert_eq!(ready, [false, true]);
    }

    #[test]
    fn a_caught_signal_can_be_read_and_does_not_kill() {
        let signals = Signals::catch(&[libc::SIGUSR2]).unwrap();
        assert_eq!(signals.take(), None);
        raise_here(libc::SIGUSR2);
        assert_eq!(signals.take(), Some(libc::SIGUSR2));
        assert_eq!(signals.take(), None);
    }
}
