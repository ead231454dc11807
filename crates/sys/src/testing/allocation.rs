//! An allocator that counts, for tests that promise not to allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, with a count of what an armed thread does. A test binary installs
/// it: `#[global_allocator] static GUARD: Guard = Guard;`
#[derive(Debug)]
pub struct Guard;

/// Runs `work` and panics if it allocated, grew or freed anything on this thread, or if the
/// guard is not installed, when the promise could not be broken.
pub fn assert_no_alloc<T>(work: impl FnOnce() -> T) -> T {
    let (_, probed) = counted(|| drop(std::hint::black_box(Box::new(1_u8))));
    assert!(probed > 0, "the allocation guard is not this binary's global allocator");
    let (result, calls) = counted(work);
    assert_eq!(calls, 0, "calls of the allocator where none was promised");
    result
}

fn counted<T>(work: impl FnOnce() -> T) -> (T, u64) {
    CALLS.set(0);
    let disarm = Disarm(ARMED.replace(true));
    let result = work();
    drop(disarm);
    (result, CALLS.get())
}

/// Puts the switch back, also when the work panics.
struct Disarm(bool);

impl Drop for Disarm {
    fn drop(&mut self) {
        ARMED.set(self.0);
    }
}

fn count() {
    // During the end of a thread its locals are gone, and nobody measures there.
    if ARMED.try_with(Cell::get).unwrap_or(false) {
        CALLS.set(CALLS.get() + 1);
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Guard {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Guard, assert_no_alloc};

    #[global_allocator]
    static GUARD: Guard = Guard;

    #[test]
    fn work_without_allocation_passes_and_its_result_comes_back() {
        let mut buffer = [0_u8; 8];
        assert_eq!(assert_no_alloc(|| std::mem::replace(&mut buffer[0], 3)), 0);
    }

    #[test]
    #[should_panic(expected = "none was promised")]
    fn an_allocation_is_noticed() {
        assert_no_alloc(|| std::hint::black_box(vec![1_u8; 32]));
    }

    #[test]
    #[should_panic(expected = "none was promised")]
    fn freeing_is_noticed() {
        let vector = vec![1_u8; 32];
        assert_no_alloc(|| drop(std::hint::black_box(vector)));
    }
}
