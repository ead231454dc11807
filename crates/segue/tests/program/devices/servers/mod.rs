//! Sound servers of a test's own.

pub(super) mod jack;
pub(super) mod pipewire;
pub(super) mod pulse;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use segue_sys::clock;

use crate::engine::{DEADLINE, send_signal};

/// Between two looks at something that rings no bell.
const LOOK: Duration = Duration::from_millis(10);

/// Whether a program is there; says so where it is not, for then the test is skipped.
pub(super) fn is_installed(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let there = command.status().is_ok();
    if !there {
        eprintln!("skipped: {program} is not installed");
    }
    there
}

/// Looks until it is so; panics when it never is.
pub(super) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "never: {what}");
        let look_ns = u64::try_from(LOOK.as_nanos()).expect("a look is short");
        clock::sleep_until_ns(clock::monotonic_ns() + look_ns);
    }
}

/// Sends a signal to a child that has not been waited for.
fn hurt(child: &Child, signal: Signal) {
    send_signal(Some(u64::from(child.id())), signal);
}

/// A program of the test's, killed with it.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// A signal to it.
    fn hurt(&self, signal: Signal) {
        hurt(&self.0, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
