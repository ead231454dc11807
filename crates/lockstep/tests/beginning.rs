//! A timeline that begins where that of another engine stopped.

use segue_lockstep::memory::checkpoint::Mark;
use segue_lockstep::memory::orders::{Found, Orders};
use segue_lockstep::memory::slot::{Phase, Slot};
use segue_lockstep::playout::{self, Pace, Playout};
use segue_lockstep::worker::{Leave, Parts, Step, Worker};
use segue_lockstep::{Instrument, Payload, Shape, Unfit};

const SHAPE: Shape = Shape { slots: 2, channels: 1, rate: 48_000, state_words: 2 };
const FROM: Mark = Mark { block: 1_000_000, cursor: 500_000 };

/// Counts blocks and sums what it was told.
struct Sum([u64; 2]);

impl Sum {
    /// As it was when the last engine stopped.
    fn resumed() -> Self {
        Self([FROM.block, 7])
    }
}

impl Instrument for Sum {
    fn apply(&mut self, payload: &Payload) {
        self.0[1] += payload[0];
    }

    fn render(&mut self, out: &mut [f32], _: &mut dyn FnMut(u32)) {
        self.0[0] += 1;
        out.fill((self.0[0] % 1000 + self.0[1]) as f32);
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

fn sit(orders: &Orders, slots: &[Slot], slot: usize, generation: u64) -> Worker<Sum> {
    orders.set_generation(slot, generation);
    let parts = Parts { orders: orders.clone(), slots: slots.to_vec(), slot, generation };
    let mut worker = Worker::sit(Sum::resumed(), SHAPE, parts, 1);
    assert_eq!(worker.step(&mut || 0), Step::Rendered, "it has chosen where to begin");
    worker
}

fn run(worker: &mut Worker<Sum>) {
    while worker.step(&mut || 0) == Step::Rendered {}
}

#[test]
fn blocks_and_records_go_on_where_the_last_engine_stopped() {
    let parts = playout::Parts::on_heap(&SHAPE).expect("a shape that fits");
    let playout::Parts { orders, slots, inbox, mut tap, .. } = parts.clone();
    orders.begin_at(FROM);
    let mut first = sit(&orders, &slots, 0, 1);
    assert_eq!((first.phase(), first.next()), (Phase::Lockstep, FROM.block));
    orders.set_primary(Some(0));
    let mut playout = Playout::new(SHAPE, parts, Pace { lead: 4, freewheel: false, period: 64 });
    assert_eq!(playout.position(), FROM.block * 64);
    assert!(inbox.send(0, 1, &[[100; 4]]).is_some(), "there is room in the log");
    playout.seal();
    run(&mut first);
    let mut out = [0.0; 64];
    assert_eq!(playout.play(&mut out), 64);
    assert_eq!(out[0], 108.0, "the state, one block, one command");
    let found =
        |number: u64| matches!(orders.record(number), Found::Record(it) if it.block == FROM.block);
    assert!(found(FROM.cursor) && !found(FROM.cursor - 1));
    assert_eq!((orders.playhead(), tap.head()), (FROM.block + 1, FROM.block + 1));

    // Before there is a checkpoint a joiner begins with the same state.
    let mut joiner = sit(&orders, &slots, 1, 1);
    assert_eq!((joiner.phase(), joiner.next()), (Phase::Joining, FROM.block));
    for _ in 0..12 {
        run(&mut first);
        run(&mut joiner);
        playout.play(&mut out);
    }
    assert_eq!(joiner.phase(), Phase::Lockstep);
    // Who has not got that state any more waits for a checkpoint instead.
    orders.set_generation(1, 2);
    let parts = Parts { orders: orders.clone(), slots: slots.clone(), slot: 1, generation: 2 };
    let mut stranger = Worker::sit(Sum([0, 0]), SHAPE, parts, 1).without_beginning();
    assert_eq!(stranger.step(&mut || 0), Step::Leave(Leave::NoCheckpoint));
    assert!(matches!(tap.read(FROM.block, &mut out), segue_lockstep::memory::tap::Found::Block(_)));
}
