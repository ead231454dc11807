//! Threads of this process: who calls, and whether one is still there.

use std::path::Path;

/// The calling thread as the kernel knows it; never 0. `[any]`
#[must_use]
pub fn thread_id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}

/// Whether this process has such a thread. `[control]`
#[must_use]
pub fn thread_lives(thread: u32) -> bool {
    Path::new("/proc/self/task").join(thread.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::{thread_id, thread_lives};

    #[test]
    fn a_thread_lives_until_it_has_ended() {
        let ended = std::thread::spawn(|| {
            let own = thread_id();
            assert!(thread_lives(own));
            own
        });
        let thread = ended.join().unwrap();
        // It is joined before the kernel has taken its last leave.
        while thread_lives(thread) {
            std::thread::yield_now();
        }
        assert!(thread_lives(thread_id()));
    }
}
