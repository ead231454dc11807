//! The machine's own stalls: how late a thread more urgent than all of ours is woken, on each
//! processor. What such a thread meets nobody can play through.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};

use rustix::thread::{CpuSet, gettid, sched_setaffinity};
use segue_sys::clock;
use segue_sys::process::priority;

use crate::table;

/// The columns of [`Stalls::report`].
pub(super) const COLUMNS: [&str; 4] = ["looks", ">1 ms", ">3 ms", "max ms"];

/// Between two looks.
const LOOK_NS: u64 = 500_000;

pub(super) struct Stalls {
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Seen>>,
}

#[derive(Default)]
struct Seen {
    looks: u64,
    over: [u64; 2],
    max_ns: u64,
}

impl Stalls {
    pub(super) fn begin() -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let begin = |processor| {
            let end = end.clone();
            thread::spawn(move || watch(processor, &end))
        };
        let threads = (0..priority::processors()).map(begin).collect();
        Self { end, threads }
    }

    pub(super) fn report(self) {
        self.end.store(true, Relaxed);
        table::title("  a thread more urgent than all of ours is woken late", &COLUMNS);
        for (processor, thread) in self.threads.into_iter().enumerate() {
            let seen = thread.join().expect("it only sleeps");
            let [one, three] = seen.over.map(|count| count as f64);
            let values = [seen.looks as f64, one, three, table::ms(seen.max_ns)];
            table::row(&format!("  processor {processor}"), &values, 1);
        }
    }
}

fn watch(processor: usize, end: &AtomicBool) -> Seen {
    let mut here = CpuSet::new();
    here.set(processor);
    // Where it may not stay on one, or not be urgent, its figures are only larger.
    let _ = sched_setaffinity(None, &here);
    let own = gettid().as_raw_nonzero().to_string();
    let mut command = Command::new("chrt");
    let _ = command.args(["-f", "-p", "90", &own]).stderr(Stdio::null()).status();
    let mut seen = Seen::default();
    while !end.load(Relaxed) {
        let due_ns = clock::monotonic_ns() + LOOK_NS;
        clock::sleep_until_ns(due_ns);
        let late_ns = clock::monotonic_ns().saturating_sub(due_ns);
        seen.looks += 1;
        seen.over[0] += u64::from(late_ns > 1_000_000);
        seen.over[1] += u64::from(late_ns > 3_000_000);
        seen.max_ns = seen.max_ns.max(late_ns);
    }
    seen
}
