//! Whose turn it is: a standby goes second, and alone only as far as it may.

use segue_lockstep::memory::checkpoint::Mark;
use segue_lockstep::memory::orders::{Kind, Orders, Record, Sealing};
use segue_lockstep::memory::slot::{Phase, Slot};
use segue_lockstep::worker::{Parts, Step, Worker};
use segue_lockstep::{Instrument, Payload, Shape, Unfit};
use segue_sys::Region;

/// Nothing to hear, and a state of any size.
struct Ballast(Vec<u64>);

impl Instrument for Ballast {
    fn apply(&mut self, _: &Payload) {}

    fn render(&mut self, out: &mut [f32], _: &mut dyn FnMut(u32)) {
        out.fill(0.0);
    }

    fn bypass(&mut self, _: u32) {}

    fn is_for(&self, _: &Payload, _: u32) -> bool {
        false
    }

    fn state(&self) -> &[u64] {
        &self.0
    }

    fn restore(&mut self, _: &[u64]) -> Result<(), Unfit> {
        Ok(())
    }
}

/// Orders and two slots whose first guests are believed.
fn parts(shape: &Shape) -> Parts {
    let fits = "a region of its own size";
    let orders = Orders::new(Region::heap(Orders::words())).expect(fits);
    let slot = |_| Slot::new(Region::heap(Slot::words(shape)), shape).expect(fits);
    let slots: Vec<Slot> = (0..2).map(slot).collect();
    orders.set_generation(0, 1);
    orders.set_generation(1, 1);
    Parts { orders, slots, slot: 0, generation: 1 }
}

/// A standby in slot 1; slot 0 is primary, lives, and publishes nothing.
fn standby(freewheel: bool) -> (Worker<Ballast>, Orders) {
    let shape = Shape { slots: 2, channels: 2, rate: 48_000, state_words: 1 };
    let parts = Parts { slot: 1, ..parts(&shape) };
    let orders = parts.orders.clone();
    parts.slots[0].sit(1, 1);
    orders.set_pace(4, freewheel);
    orders.set_primary(Some(0));
    let mut worker = Worker::sit(Ballast(Vec::new()), shape, parts, 1);
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

/// A primary whose standby has died at block 200, after it had left a checkpoint of block 192;
/// gives the blocks of which the primary then writes one.
fn written_alone(state_words: usize) -> Vec<u64> {
    let shape = Shape { slots: 2, channels: 2, rate: 48_000, state_words };
    let Parts { orders, slots, .. } = parts(&shape);
    orders.set_primary(Some(0));
    slots[1].sit(1, 1);
    let state = vec![0; state_words];
    assert!(slots[1].areas()[0].write(Mark { block: 192, cursor: 0 }, &state));
    slots[1].set_checkpoint(192);
    slots[1].set_phase(Phase::Lockstep);
    let parts = Parts { orders: orders.clone(), slots: slots.clone(), slot: 0, generation: 1 };
    let mut worker = Worker::sit(Ballast(state), shape, parts, 1);
    let mut written = Vec::new();
    while worker.next() < 600 {
        let next = worker.next();
        if next == 200 {
            // The place waits for its next guest.
            orders.set_generation(1, 2);
        }
        orders.set_playhead(next);
        orders.publish(Sealing { head: 0, taken: 0, sealed: next + 1, end: None });
        assert_eq!(worker.step(&mut || 0), Step::Rendered);
        let newest = slots[0].newest_checkpoint();
        if newest > 0 && written.last() != Some(&(newest - 1)) {
            written.push(newest - 1);
        }
    }
    written
}

/// To copy a large state makes blocks late: whoever plays alone for as long as the next standby
/// needs does not, for there is one that is young enough. A small one is copied in no time.
#[test]
fn a_primary_alone_copies_a_large_state_only_when_there_is_no_young_checkpoint() {
    const LARGE: usize = (1 << 17) + 1;
    assert_eq!(written_alone(LARGE), [384, 576]);
    assert_eq!(written_alone(64)[..3], [208, 224, 240]);
}
