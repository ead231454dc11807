//! The driver token: of all who could ask for frames (a device's callback, the timer), one does.
//!
//! *Invariant*: who does not hold the token plays silence and seals nothing, so the timeline is
//! never driven twice. The monitor alone hands it over.

use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// One who may ask for frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Driver(pub u64);

/// Who drives.
#[derive(Debug)]
pub struct Token {
    holder: AtomicU64,
    bell: AtomicU32,
}

impl Token {
    /// A token held by `driver`.
    #[must_use]
    pub const fn new(driver: Driver) -> Self {
        Self { holder: AtomicU64::new(driver.0), bell: AtomicU32::new(0) }
    }

    /// Whether `driver` holds it. `[audio]`
    #[must_use]
    pub fn is_held_by(&self, driver: Driver) -> bool {
        self.holder.load(Acquire) == driver.0
    }

    /// Hands it to `driver`. `[any]`
    pub fn hand_to(&self, driver: Driver) {
        self.holder.store(driver.0, Release);
        self.bell.fetch_add(1, Release);
    }

    /// Who holds it. `[any]`
    #[must_use]
    pub fn holder(&self) -> Driver {
        Driver(self.holder.load(Acquire))
    }

    /// Rung when it changes hands; who waits must still be woken. `[any]`
    #[must_use]
    pub const fn bell(&self) -> &AtomicU32 {
        &self.bell
    }
}
