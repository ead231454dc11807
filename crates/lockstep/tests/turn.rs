//! Whose turn it is: a standby goes second, and alone only as far as it may.

use segue_lockstep::memory::orders::{Kind, Orders, Record, Sealing};
use segue_lockstep::memory::slot::Slot;
use segue_lockstep::worker::{Parts, Step, Worker};
use segue_lockstep::{Instrument, Payload, Shape, Unfit};
use segue_sys::Region;

struct Silence;

impl Instrument for Silence {
    fn apply(&mut self, _: &Payload) {}

    fn render(&mut self, out: &mut [f32], _: &mut dyn FnMut(u32)) {
        out.fill(0.0);
    }

    fn bypass(&mut self, _: u32) {}

    fn is_for(&self, _: &Payload, _: u32) -> bool {
        false
    }

    fn state(&self) -> &[u64] {
        &[]
    }

    fn restore(&mut self, _: &[u64]) -> Result<(), Unfit> {
        Ok(())
    }
}

/// A standby in slot 1; slot 0 is primary, lives, and publishes nothing.
fn standby(freewheel: bool) -> (Worker<Silence>, Orders) {
    let shape = Shape { slots: 2, channels: 2, rate: 48_000, state_words: 1 };
    let fits = "a region of its own size";
    let orders = Orders::new(Region::heap(Orders::words())).expect(fits);
    let slots: Vec<Slot> =
        (0..2).map(|_| Slot::new(Region::heap(Slot::words(&shape)), &shape).expect(fits)).collect();
    slots[0].sit(1, 1);
    orders.set_generation(0, 1);
    orders.set_generation(1, 1);
    orders.set_pace(4, freewheel);
    orders.set_primary(Some(0));
    let parts = Parts { orders: orders.clone(), slots, slot: 1, generation: 1 };
    let mut worker = Worker::sit(Silence, shape, parts, 1);
    assert_eq!(worker.step(&mut || 0), Step::Rendered, "it comes into lockstep at block 0");
    (worker, orders)
}

fn command(orders: &Orders, number: u64, block: u64) {
    let record = Record { block, kind: Kind::Command, origin: 1, more: 0, payload: [0; 4] };
    orders.append(number, record);
}

#[test]
fn without_commands_a_standby_goes_on_alone_when_half_the_lead_has_run_out() {
    let (mut worker, orders) = standby(false);
    orders.publish(Sealing { head: 0, taken: 0, sealed: 5, end: None });
    let mut rendered = 0;
    while worker.step(&mut || 0) == Step::Rendered {
        rendered += 1;
    }
    assert_eq!(rendered, 3, "playhead 0 and half of a lead of 4");
    orders.set_playhead(1);
    assert_eq!(worker.step(&mut || 0), Step::Rendered);
    assert_eq!(worker.step(&mut || 0), Step::Wait);
}

#[test]
fn a_block_with_commands_waits_for_the_monitors_word() {
    let (mut worker, orders) = standby(false);
    command(&orders, 0, 0);
    orders.publish(Sealing { head: 1, taken: 0, sealed: 5, end: None });
    orders.set_playhead(4);
    assert_eq!(worker.step(&mut || 0), Step::Wait, "however late it is");
    orders.set_cleared(1);
    assert_eq!(worker.step(&mut || 0), Step::Rendered);
}

#[test]
fn on_freewheel_no_block_is_started_because_of_time() {
    let (mut worker, orders) = standby(true);
    orders.publish(Sealing { head: 0, taken: 0, sealed: 5, end: None });
    orders.set_playhead(4);
    assert_eq!(worker.step(&mut || 0), Step::Wait);
    orders.set_primary(Some(1));
    assert_eq!(worker.step(&mut || 0), Step::Rendered);
}
