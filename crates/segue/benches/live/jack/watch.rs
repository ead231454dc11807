//! How long blocks take: from being sealed to the first copy that could be played.
//!
//! Seen from outside, by a thread that the workers' own bells wake; it has real-time priority
//! between playout and workers, and its waking is part of what it sees.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::slot::Slot;
use segue_sys::process::priority::{self, Urgency};
use segue_sys::{clock, futex};

use crate::engine::Engine;

/// The columns of [`Latency::values`].
pub(crate) const COLUMNS: [&str; 5] = ["blocks", "p50", "p99", "p99.9", "max"];

/// Blocks that can be under way at a time.
const UNDER_WAY: usize = 256;
const WAIT_MAX: Duration = Duration::from_millis(10);

pub(crate) struct Watch {
    end: Arc<AtomicBool>,
    thread: JoinHandle<Latency>,
}

impl Watch {
    pub(crate) fn begin(engine: &Engine) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let (told, orders, slots) = (end.clone(), engine.orders.clone(), engine.slots.clone());
        let thread = thread::spawn(move || {
            // Without it the figures say more about this thread than about the workers.
            let _ = priority::ask_realtime(Urgency::Monitor);
            watch(&orders, &slots, &told)
        });
        Self { end, thread }
    }

    pub(crate) fn finish(self) -> Latency {
        self.end.store(true, Relaxed);
        self.thread.join().expect("it only looks")
    }
}

fn watch(orders: &Orders, slots: &[Slot], end: &AtomicBool) -> Latency {
    let mut latency = Latency { counts: vec![0; BINS], max_us: 0.0, blocks: 0 };
    let mut sealed_ns = [0; UNDER_WAY];
    let (mut sealed, mut published) = (orders.sealed(), orders.sealed());
    while !end.load(Relaxed) {
        let bells: Vec<&AtomicU32> = slots.iter().map(Slot::bell).chain([orders.bell()]).collect();
        let heard: Vec<(&AtomicU32, u32)> =
            bells.into_iter().map(|bell| (bell, bell.load(Acquire))).collect();
        let now_ns = clock::monotonic_ns();
        while sealed < orders.sealed() {
            sealed_ns[sealed as usize % UNDER_WAY] = now_ns;
            sealed += 1;
        }
        let first = slots.iter().map(Slot::published).max().unwrap_or(0);
        while published < first.min(sealed) {
            latency.note(now_ns - sealed_ns[published as usize % UNDER_WAY]);
            published += 1;
        }
        futex::wait_any(&heard, WAIT_MAX);
    }
    latency
}

/// How many took how long, in bins of 5 us.
pub(crate) struct Latency {
    counts: Vec<u64>,
    max_us: f64,
    blocks: u64,
}

const BIN_US: f64 = 5.0;
/// The last one holds all that took 100 ms and more.
const BINS: usize = 20_000;

impl Latency {
    fn note(&mut self, ns: u64) {
        let us = ns as f64 / 1000.0;
        self.counts[((us / BIN_US) as usize).min(BINS - 1)] += 1;
        self.max_us = self.max_us.max(us);
        self.blocks += 1;
    }

    /// The end of the bin that holds this part of all.
    fn at(&self, part: f64) -> f64 {
        let wanted = (self.blocks as f64 * part) as u64;
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen > wanted
        });
        (found.unwrap_or(BINS) + 1) as f64 * BIN_US
    }

    /// The values of [`COLUMNS`].
    pub(crate) fn values(&self) -> Vec<f64> {
        let parts = [0.5, 0.99, 0.999].map(|part| self.at(part));
        vec![self.blocks as f64, parts[0], parts[1], parts[2], self.max_us]
    }
}
