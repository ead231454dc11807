//! In which order a worker tells its instrument what a block begins with.

use std::cell::RefCell;
use std::rc::Rc;

use segue_lockstep::memory::verdicts::Verdict;
use segue_lockstep::playout::{self, Pace, Playout};
use segue_lockstep::worker::{Parts, Step, Worker};
use segue_lockstep::{Instrument, Payload, Shape, Unfit};

const SHAPE: Shape = Shape { slots: 1, channels: 1, rate: 48_000, state_words: 1 };

/// Writes down what it is told, in the order it is told.
struct Diary(Rc<RefCell<Vec<u64>>>);

const BYPASS: u64 = 1000;
const RENDER: u64 = 2000;

impl Instrument for Diary {
    fn apply(&mut self, payload: &Payload) {
        self.0.borrow_mut().push(payload[0]);
    }

    fn render(&mut self, out: &mut [f32], _: &mut dyn FnMut(u32)) {
        self.0.borrow_mut().push(RENDER);
        out.fill(0.0);
    }

    fn bypass(&mut self, part: u32) {
        self.0.borrow_mut().push(BYPASS + u64::from(part));
    }

    fn is_for(&self, payload: &Payload, part: u32) -> bool {
        payload[1] == u64::from(part)
    }

    fn state(&self) -> &[u64] {
        &[]
    }

    fn restore(&mut self, _: &[u64]) -> Result<(), Unfit> {
        Ok(())
    }
}

/// A command may change what the parts are: a part counts in what renders the block.
#[test]
fn the_parts_of_a_block_are_taken_out_after_its_commands() {
    let parts = playout::Parts::on_heap(&SHAPE).expect("a shape that fits");
    let playout::Parts { orders, slots, inbox, .. } = parts.clone();
    orders.set_generation(0, 1);
    let own = Parts { orders: orders.clone(), slots: slots.clone(), slot: 0, generation: 1 };
    let told = Rc::new(RefCell::new(Vec::new()));
    let mut worker = Worker::sit(Diary(told.clone()), SHAPE, own, 1);
    assert_eq!(worker.step(&mut || 0), Step::Rendered, "it has chosen where to begin");
    orders.set_primary(Some(0));
    let mut playout = Playout::new(SHAPE, parts, Pace { lead: 1, freewheel: false, period: 64 });
    // Two for all, one for the part that goes.
    assert!(inbox.send(0, 1, &[[7, 9, 0, 0], [8, 4, 0, 0], [6, 9, 0, 0]]).is_some());
    let verdict = Verdict::Bypass { part: 4, block: 0 };
    assert!(orders.verdicts().pass(verdict, &slots, |_| 1));
    playout.seal();
    assert_eq!(worker.step(&mut || 0), Step::Rendered);
    assert_eq!(*told.borrow(), [7, 6, BYPASS + 4, RENDER]);
}
