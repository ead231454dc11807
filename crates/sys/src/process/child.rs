//! What a child does first: tie its life to its parent's, and leave the terminal alone.

use std::ffi::CString;
use std::io;

use rustix::process::Signal;
use thiserror::Error;

/// The parent is gone, or cannot be told.
#[derive(Debug, Error)]
pub enum Orphan {
    /// The parent ended before the tie held. Trying again does not help.
    #[error("the parent process is gone")]
    Gone,
    /// The kernel refused the tie.
    #[error("no death signal: {0}")]
    Refused(io::Error),
}

/// From now on the kernel kills this process when the thread of `parent` that spawned it ends.
///
/// # Errors
/// [`Orphan::Gone`] when `parent` had ended already: a death signal asked for too late never
/// comes.
pub fn die_with_parent(parent: u32) -> Result<(), Orphan> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Orphan::Refused(error.into()))?;
    let found = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    if found == i32::try_from(parent).ok() { Ok(()) } else { Err(Orphan::Gone) }
}

/// Ignores what a terminal sends to the processes in it: the closing fade is a command in the
/// log, and ends children in order.
pub fn ignore_terminal() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGTSTP, libc::SIGQUIT] {
        // SAFETY: ignoring a signal runs no code of ours; these five may be ignored.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Lets every signal through again: a child inherits what its parent blocked in order to read
/// it from a descriptor. Call it before other threads are started.
pub fn unblock_signals() {
    // SAFETY: a signal set is plain data for which all zeros, the empty set, is a value.
    let none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is initialised, and the old mask is not wanted.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
}

/// Names the calling thread for `ps` and `top`; the name of the first thread is that of the
/// process. Only the first 15 bytes are kept.
pub fn name_thread(name: &str) {
    let short: Vec<u8> = name.bytes().filter(|byte| *byte != 0).take(15).collect();
    if let Ok(name) = CString::new(short) {
        let _ = rustix::thread::set_name(&name);
    }
}
