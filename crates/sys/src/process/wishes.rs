//! Which threads of this process have asked for real-time priority, and how urgently.
//!
//! Where the kernel refuses, somebody with the privilege can be asked on a thread's behalf; it
//! must not be done by the thread itself, for that answer may be long in coming. *Invariant*: a
//! place belongs to one thread from the moment its number stands there until that thread has
//! ended.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::time::Duration;

use super::priority::Urgency;
use super::{thread_id, thread_lives};
use crate::futex;

/// Threads that are remembered: monitor, playout, and the callbacks of devices that come and go.
const PLACES: usize = 32;

/// The number of the thread above, its urgency below; 0 is a free place.
static WISHES: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];
/// Changes when a wish was refused.
static BELL: AtomicU32 = AtomicU32::new(0);

const ALL: [Urgency; 4] = [Urgency::Playout, Urgency::Monitor, Urgency::Standby, Urgency::Primary];

/// Remembers what the calling thread asks for; wakes who waits if it was refused. Without a free
/// place it is not remembered. `[any]`
pub(super) fn note(urgency: Urgency, refused: bool) {
    let thread = u64::from(thread_id());
    let wish = thread << 8 | (urgency as u64 + 1);
    let own = WISHES.iter().find(|it| it.load(Acquire) >> 8 == thread);
    match own {
        // Nobody else writes where the number of this thread stands.
        Some(place) => place.store(wish, Release),
        None => {
            let free = |it: &&AtomicU64| it.compare_exchange(0, wish, AcqRel, Acquire).is_ok();
            let _ = WISHES.iter().find(free);
        }
    }
    if refused {
        BELL.fetch_add(1, Release);
        futex::wake(&BELL);
    }
}

/// Forgets what the calling thread asked for. `[any]`
pub(super) fn forget() {
    let thread = u64::from(thread_id());
    if let Some(place) = WISHES.iter().find(|it| it.load(Acquire) >> 8 == thread) {
        place.store(0, Release);
    }
}

/// The threads of this process that have asked and have not ended. `[control]`
#[must_use]
pub fn wishes() -> Vec<(u32, Urgency)> {
    let mut found = Vec::new();
    for place in &WISHES {
        let wish = place.load(Acquire);
        if wish == 0 {
            continue;
        }
        let thread = u32::try_from(wish >> 8).unwrap_or(0);
        if !thread_lives(thread) {
            // Only if it still stands there: the kernel gives numbers of threads again.
            let _ = place.compare_exchange(wish, 0, AcqRel, Acquire);
            continue;
        }
        let urgency = usize::try_from(wish & 0xff).ok().and_then(|at| ALL.get(at.wrapping_sub(1)));
        found.extend(urgency.map(|urgency| (thread, *urgency)));
    }
    found
}

/// Wishes that were refused so far. `[any]`
#[must_use]
pub fn refused() -> u32 {
    BELL.load(Acquire)
}

/// Waits until a wish is refused after `heard` was read, not for long. `[control]`
pub fn wait_for_refusal(heard: u32, longest: Duration) {
    futex::wait(&BELL, heard, longest);
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::{note, refused, wait_for_refusal, wishes};
    use crate::process::priority::Urgency;
    use crate::process::thread_id;

    #[test]
    fn a_wish_is_remembered_until_its_thread_ends_and_the_newest_counts() {
        let own = |thread| wishes().into_iter().filter(move |(it, _)| *it == thread);
        let ended = thread::spawn(move || {
            note(Urgency::Standby, false);
            note(Urgency::Primary, false);
            let thread = thread_id();
            assert_eq!(own(thread).collect::<Vec<_>>(), [(thread, Urgency::Primary)]);
            super::forget();
            assert_eq!(own(thread).count(), 0);
            note(Urgency::Primary, false);
            thread
        });
        let thread = ended.join().unwrap();
        while own(thread).count() > 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn a_refusal_ends_the_wait_and_a_grant_does_not() {
        let heard = refused();
        thread::spawn(|| note(Urgency::Monitor, true)).join().unwrap();
        assert_ne!(refused(), heard);
        // It has been refused already, so this comes back at once.
        wait_for_refusal(heard, Duration::from_secs(600));
    }
}
