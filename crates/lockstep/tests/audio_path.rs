//! S23: the audio path neither allocates nor calls the kernel for more than a wake-up.

use segue_lockstep::memory::inbox::Inbox;
use segue_lockstep::memory::orders::Orders;
use segue_lockstep::memory::status::{Counter, Status};
use segue_lockstep::playout::{self, Pace, Playout};
use segue_lockstep::worker::{self, Step, Worker};
use segue_lockstep::{Instrument, Payload, Shape, Unfit};
use segue_sys::futex;
use segue_sys::testing::{Guard, WAITING, assert_no_alloc, with_only_calls};

#[global_allocator]
static GUARD: Guard = Guard;

/// Counts blocks and sums what it was told.
struct Sum([u64; 2]);

impl Instrument for Sum {
    fn apply(&mut self, payload: &Payload) {
        self.0[1] += payload[0];
    }

    fn render(&mut self, out: &mut [f32], crumb: &mut dyn FnMut(u32)) {
        crumb(0);
        self.0[0] += 1;
        out.fill(self.0[1] as f32 / 1024.0);
    }

    fn bypass(&mut self, _: u32) {}

    fn is_for(&self, _: &Payload, _: u32) -> bool {
        false
    }

    fn state(&self) -> &[u64] {
        &self.0
    }

    fn restore(&mut self, state: &[u64]) -> Result<(), Unfit> {
        self.0.copy_from_slice(state);
        Ok(())
    }
}

struct Engine {
    playout: Playout,
    orders: Orders,
    inbox: Inbox,
    status: Status,
    workers: Vec<Worker<Sum>>,
    out: Vec<f32>,
}

fn engine() -> Engine {
    let shape = Shape { slots: 2, channels: 2, rate: 48_000, state_words: 2 };
    let parts = playout::Parts::on_heap(&shape).expect("a shape that fits");
    let playout::Parts { orders, slots, inbox, status, .. } = parts.clone();
    let workers = (0..2).map(|slot| {
        orders.set_generation(slot, 1);
        let (orders, slots) = (orders.clone(), slots.clone());
        let parts = worker::Parts { orders, slots, slot, generation: 1 };
        Worker::sit(Sum([0, 0]), shape, parts, 1)
    });
    let mut workers: Vec<_> = workers.collect();
    // Choosing where to begin may allocate; it is not on the audio path.
    workers.iter_mut().for_each(|worker| assert_eq!(worker.step(&mut || 0), Step::Rendered));
    orders.set_primary(Some(0));
    let pace = Pace { lead: 4, freewheel: false, period: 64 };
    let mut playout = Playout::new(shape, parts, pace);
    playout.seal();
    workers.iter_mut().for_each(run);
    Engine { playout, orders, inbox, status, workers, out: vec![0.0; 128] }
}

fn run(worker: &mut Worker<Sum>) {
    while worker.step(&mut || 0) == Step::Rendered {}
}

#[test]
fn neither_playout_nor_a_worker_allocates() {
    let mut engine = engine();
    for block in 0..300_u64 {
        assert!(engine.inbox.send(engine.orders.taken(), 1, &[[block; 4]; 5]).is_some());
        let Engine { playout, workers, out, .. } = &mut engine;
        assert_no_alloc(|| {
            assert_eq!(playout.play(out), 64);
            workers.iter_mut().for_each(run);
        });
    }
    assert_eq!(engine.status.counter(Counter::NoneReads), 0);
    assert_eq!(engine.status.counter(Counter::Applied), 1500);
    assert!(engine.out[0] > 0.0, "the commands were heard");
}

#[test]
fn a_gap_is_concealed_without_allocating() {
    let mut engine = engine();
    let Engine { playout, out, .. } = &mut engine;
    for _ in 0..20 {
        assert_no_alloc(|| assert_eq!(playout.play(out), 64));
    }
    assert_eq!(engine.status.counter(Counter::NoneReads), 15);
}

#[test]
fn playout_calls_the_kernel_for_wake_ups_only() {
    let mut engine = engine();
    let Engine { playout, out, orders, .. } = &mut engine;
    with_only_calls(WAITING, || {
        for _ in 0..20 {
            assert_eq!(playout.play(out), 64);
            futex::wake(orders.bell());
        }
    });
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        with_only_calls(WAITING, || std::fs::exists("/").is_ok());
    }));
    assert!(caught.is_err(), "a call that is not allowed is seen");
}
