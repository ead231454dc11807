//! What lies between a rendered block and the output: `cargo bench --bench handover`.
//!
//! A worker and a playout, the real ones, on two threads. Without a clock and without a lead
//! playout waits for each block, so nothing is hidden by blocks in hand: a block is hashed,
//! digested, written into the ring and published; the driver wakes, copies it, checks it, hands
//! it to the device's buffer and leaves it in the tap. Figures are printed, never asserted.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use segue_lockstep::memory::inbox::Inbox;
use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::slot::Slot;
use segue_lockstep::memory::status::Status;
use segue_lockstep::memory::tap::Tap;
use segue_lockstep::playout::{self, Pace, Playout};
use segue_lockstep::worker::{self, Step, Worker};
use segue_lockstep::{Instrument, Payload, Shape, Unfit};
use segue_sys::process::priority::{self, Urgency};
use segue_sys::{Region, clock, futex};

/// 16 KiB: the state of a patch of some size.
const STATE_WORDS: usize = 2048;
const SHAPE: Shape = Shape { slots: 1, channels: 2, rate: 48_000, state_words: STATE_WORDS };
/// Nobody waits longer: only the end of the run is met by it.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(50);

/// An instrument that takes no time and writes down when it began and ended each block.
struct Stamps {
    state: Vec<u64>,
    times: Arc<Times>,
}

/// Moments of each block, nanoseconds.
struct Times {
    begun: Vec<AtomicU64>,
    rendered: Vec<AtomicU64>,
}

impl Instrument for Stamps {
    fn apply(&mut self, _: &Payload) {}

    fn render(&mut self, out: &mut [f32], crumb: &mut dyn FnMut(u32)) {
        crumb(0);
        let block = self.state[0] as usize;
        self.times.begun[block].store(clock::monotonic_ns(), Relaxed);
        self.state[0] += 1;
        out.fill(block as f32);
        self.times.rendered[block].store(clock::monotonic_ns(), Release);
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
    println!("# microseconds; worker and playout on two threads, a state of 16 KiB");
    println!("{:44} {:>8} {:>8} {:>8} {:>8}", "", "blocks", "p50", "p99", "max");
    run("one block each 1.33 ms", 3000, SHAPE.block_ns());
    run("as fast as it goes", 30_000, 0);
}

fn run(how: &str, blocks: usize, every_ns: u64) {
    let stamps = || (0..=blocks).map(|_| AtomicU64::new(0)).collect();
    let times = Arc::new(Times { begun: stamps(), rendered: stamps() });
    let fits = "a region of its own size";
    let orders = Orders::new(Region::heap(Orders::words())).expect(fits);
    let slot = Slot::new(Region::heap(Slot::words(&SHAPE)), &SHAPE).expect(fits);
    let inbox = Inbox::new(Region::heap(Inbox::words())).expect(fits);
    let parts = playout::Parts {
        tap: Tap::new(Region::heap(Tap::words(&SHAPE)), &SHAPE).expect(fits),
        status: Status::new(Region::heap(Status::words())).expect(fits),
        orders: orders.clone(),
        slots: vec![slot.clone()],
        inbox: inbox.clone(),
    };
    let mut playout = Playout::new(SHAPE, parts, Pace { lead: 0, freewheel: true, period: 64 });
    orders.set_generation(0, 1);
    orders.set_primary(Some(0));
    let parts =
        worker::Parts { orders: orders.clone(), slots: vec![slot.clone()], slot: 0, generation: 1 };
    let instrument = Stamps { state: vec![0; STATE_WORDS], times: times.clone() };
    let worker = Worker::sit(instrument, SHAPE, parts, 1);

    let (begins, arrives) = std::thread::scope(|scope| {
        scope.spawn(|| work(worker, &orders, &slot, blocks));
        scope
            .spawn(|| drive(&mut playout, &orders, &slot, &inbox, &times, (blocks, every_ns)))
            .join()
            .expect("the driver comes to its end")
    });
    println!("{how}:");
    report("  sealed, until the worker begins", begins);
    report("  rendered, until device and tap have it", arrives);
}

fn work(mut worker: Worker<Stamps>, orders: &Orders, slot: &Slot, blocks: usize) {
    // Without the privilege the figures are those of a machine without it.
    let _ = priority::ask_realtime(Urgency::Primary);
    while worker.next() < blocks as u64 {
        let rung = orders.bell().load(Acquire);
        match worker.step(&mut clock::monotonic_ns) {
            Step::Rendered => futex::wake(slot.bell()),
            Step::Wait => drop(futex::wait_any(&[(orders.bell(), rung)], PATIENCE)),
            Step::Leave(leave) => panic!("{leave}"),
        }
    }
}

/// Asks for one block after the other; gives how long each took to be begun once it was sealed,
/// and to arrive once it was rendered.
fn drive(
    playout: &mut Playout,
    orders: &Orders,
    slot: &Slot,
    inbox: &Inbox,
    times: &Times,
    (blocks, every_ns): (usize, u64),
) -> (Vec<u64>, Vec<u64>) {
    let _ = priority::ask_realtime(Urgency::Playout);
    let mut out = vec![0.0; SHAPE.block_samples()];
    let (mut begins, mut arrives) = (Vec::new(), Vec::new());
    let mut due_ns = clock::monotonic_ns();
    let mut sealed_ns = due_ns;
    for block in 0..blocks {
        // What the tap keeps is bounded by who reads it.
        inbox.set_tap_cursor(block as u64);
        loop {
            let rung = slot.bell().load(Acquire);
            if playout.play(&mut out) > 0 {
                break;
            }
            if block == 0 {
                futex::wake(orders.bell());
            }
            futex::wait_any(&[(slot.bell(), rung)], PATIENCE);
        }
        let arrived_ns = clock::monotonic_ns();
        assert_eq!(out[0], block as f32, "the block that was asked for");
        if block > 0 {
            begins.push(times.begun[block].load(Acquire).saturating_sub(sealed_ns));
        }
        arrives.push(arrived_ns.saturating_sub(times.rendered[block].load(Acquire)));
        due_ns += every_ns;
        clock::sleep_until_ns(due_ns);
        // The next block is sealed by now; only now is the worker told.
        sealed_ns = clock::monotonic_ns();
        futex::wake(orders.bell());
    }
    (begins, arrives)
}

fn report(what: &str, mut times_ns: Vec<u64>) {
    times_ns.sort_unstable();
    let at = |part: usize| times_ns[(times_ns.len() * part / 100).min(times_ns.len() - 1)] as f64;
    let [p50, p99, max] = [50, 99, 100].map(|part| at(part) / 1000.0);
    println!("{what:44} {:8} {p50:8.1} {p99:8.1} {max:8.1}", times_ns.len());
}
