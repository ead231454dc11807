//! What lies between a rendered block and the output: `cargo bench --bench handover`.
//!
//! A worker and a playout, the real ones, on two threads. Without a clock and without a lead
//! playout waits for each block, so nothing is hidden by blocks in hand: a block is hashed,
//! digested, written into the ring and published; the driver wakes, copies it, checks it, hands
//! it to the device's buffer and leaves it in the tap. Figures are printed, never asserted.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

use segue_lockstep::playout::{self, Pace, Playout};
use segue_lockstep::worker::{self, Step, Worker};
use segue_lockstep::{Instrument, Payload, Shape, Unfit};
use segue_sys::process::priority::{self, Urgency};
use segue_sys::{clock, futex};

/// 16 KiB: the state of a patch of some size.
const STATE_WORDS: usize = 2048;
const SHAPE: Shape = Shape { slots: 1, channels: 2, rate: 48_000, state_words: STATE_WORDS };
/// Nobody waits longer: only the end of the run is met by it.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(50);

/// An instrument that writes down when it had rendered each block. It begins none before its
/// time, so that the driver has gone to sleep by then.
struct Stamps {
    state: Vec<u64>,
    due_ns: u64,
    every_ns: u64,
    rendered: Arc<[AtomicU64]>,
}

impl Instrument for Stamps {
    fn apply(&mut self, _: &Payload) {}

    fn render(&mut self, out: &mut [f32], crumb: &mut dyn FnMut(u32)) {
        crumb(0);
        let block = self.state[0] as usize;
        self.state[0] += 1;
        out.fill(block as f32);
        self.due_ns += self.every_ns;
        clock::sleep_until_ns(self.due_ns);
        self.rendered[block].store(clock::monotonic_ns(), Release);
    }

    fn bypass(&mut self, _: u32) {}

    fn is_for(&self, _: &Payload, _: u32) -> bool {
        false
    }

    fn state(&self) -> &[u64] {
        &self.state
    }

    fn restore(&mut self, state: &[u64]) -> Result<(), Unfit> {
        self.state.copy_from_slice(state);
        Ok(())
    }
}

fn main() {
    println!("# from the rendered block until device and tap have it, us; a state of 16 KiB");
    println!("{:48} {:>9} {:>9} {:>9} {:>9}", "", "blocks", "p50", "p99", "max");
    run("one block each 1.33 ms, the driver asleep", 3000, SHAPE.block_ns());
    run("one after the other", 30_000, 0);
}

fn run(how: &str, blocks: usize, every_ns: u64) {
    let rendered: Arc<[AtomicU64]> = (0..=blocks).map(|_| AtomicU64::new(0)).collect();
    let parts = playout::Parts::on_heap(&SHAPE).expect("a shape that fits");
    let playout::Parts { orders, slots, .. } = parts.clone();
    orders.set_generation(0, 1);
    orders.set_primary(Some(0));
    let instrument = Stamps {
        state: vec![0; STATE_WORDS],
        due_ns: clock::monotonic_ns(),
        every_ns,
        rendered: rendered.clone(),
    };
    let sits = worker::Parts { orders: orders.clone(), slots, slot: 0, generation: 1 };
    let worker = Worker::sit(instrument, SHAPE, sits.clone(), 1);
    let mut took = std::thread::scope(|scope| {
        scope.spawn(|| work(worker, &sits, blocks));
        let driver = scope.spawn(|| drive(&parts, &rendered, blocks));
        driver.join().expect("the driver comes to its end")
    });
    took.sort_unstable();
    let at = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)] as f64 / 1000.0;
    let [p50, p99, max] = [50, 99, 100].map(at);
    println!("{how:48} {:9} {p50:9.1} {p99:9.1} {max:9.1}", took.len());
}

fn work(mut worker: Worker<Stamps>, parts: &worker::Parts, blocks: usize) {
    // Without the privilege the figures are those of a machine without it.
    let _ = priority::ask_realtime(Urgency::Primary);
    while worker.next() < blocks as u64 {
        let rung = parts.orders.bell().load(Acquire);
        match worker.step(&mut clock::monotonic_ns) {
            Step::Rendered => futex::wake(parts.slots[0].bell()),
            Step::Wait => drop(futex::wait_any(&[(parts.orders.bell(), rung)], PATIENCE)),
            Step::Leave(leave) => panic!("{leave}"),
        }
    }
}

/// Asks for one block after the other; gives how long each took to arrive, in nanoseconds.
fn drive(parts: &playout::Parts, rendered: &[AtomicU64], blocks: usize) -> Vec<u64> {
    let _ = priority::ask_realtime(Urgency::Playout);
    // Without a lead and a clock: each block is waited for.
    let pace = Pace { lead: 0, freewheel: true, period: 64 };
    let mut playout = Playout::new(SHAPE, parts.clone(), pace);
    let mut out = vec![0.0; SHAPE.block_samples()];
    let mut took = Vec::with_capacity(blocks);
    for (block, rendered) in rendered.iter().enumerate().take(blocks) {
        // What the tap keeps is bounded by who reads it.
        parts.inbox.set_tap_cursor(block as u64);
        loop {
            let rung = parts.slots[0].bell().load(Acquire);
            if playout.play(&mut out) > 0 {
                break;
            }
            futex::wake(parts.orders.bell());
            futex::wait_any(&[(parts.slots[0].bell(), rung)], PATIENCE);
        }
        took.push(clock::monotonic_ns().saturating_sub(rendered.load(Acquire)));
        assert_eq!(out[0], block as f32, "the block that was asked for");
        futex::wake(parts.orders.bell());
    }
    took
}
