//! Resuming: a playout that goes on where another was ended in the middle.
//!
//! A device's library may end the thread of its callback at any instruction. What playout has
//! said to the others lies in the regions, and one store decides each step of it, so a successor
//! finds a whole state there. *Invariant*: no record of the log and no block of the tap is
//! written twice with two contents.

use super::{Pace, Parts, Playout};
use crate::memory::tap::Found;
use crate::{BLOCK_FRAMES, Shape};

impl Playout {
    /// A playout that goes on where the last one of these `parts` was ended. The last one must
    /// not play again. What it was told by [`Playout::close`] is to be told again. `[any]`
    #[must_use]
    pub fn resume(shape: Shape, mut parts: Parts, pace: Pace) -> Self {
        let orders = &parts.orders;
        let sealing = orders.sealing();
        // What was decided may not have been shown to the end.
        orders.publish(sealing);
        let position = orders.position();
        let playhead = orders.playhead().max(parts.tap.head());
        orders.set_playhead(playhead);
        let period = pace.period.max(orders.period() as usize);
        let mut block = vec![0.0; shape.block_samples()];
        let last = playhead.checked_sub(1).map(|last| (last, parts.tap.read(last, &mut block)));
        let mut playout = Self::new(shape, parts, Pace { period, ..pace });
        playout.playhead = playhead;
        playout.sealed = sealing.sealed;
        playout.head = sealing.head;
        playout.taken = sealing.taken;
        playout.end = sealing.end;
        if let Some((last, Found::Block(played))) = last {
            let begun = last * BLOCK_FRAMES as u64;
            playout.offset = position.saturating_sub(begun).min(BLOCK_FRAMES as u64) as usize;
            playout.concealment.recall(&block, played.concealed);
            playout.block.copy_from_slice(&block);
        }
        playout
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::SeqCst;

    use segue_sys::Region;

    use crate::memory::block::{self, Facts};
    use crate::memory::inbox::Inbox;
    use crate::memory::orders::{self, Orders};
    use crate::memory::slot::{Phase, Slot};
    use crate::memory::status::Status;
    use crate::memory::tap::{Found, Tap};
    use crate::playout::{Pace, Parts, Playout};
    use crate::{BLOCK_FRAMES, Shape};

    const SHAPE: Shape = Shape { slots: 1, channels: 1, rate: 640, state_words: 1 };
    const PACE: Pace = Pace { lead: 2, freewheel: false, period: 100 };
    const BLOCKS: u64 = 24;

    /// A worker's place with every block of the test, and commands on their way.
    fn parts() -> Parts {
        let region = Region::heap;
        let parts = Parts {
            orders: Orders::new(region(Orders::words())).unwrap(),
            slots: vec![Slot::new(region(Slot::words(&SHAPE)), &SHAPE).unwrap()],
            inbox: Inbox::new(region(Inbox::words())).unwrap(),
            tap: Tap::new(region(Tap::words(&SHAPE)), &SHAPE).unwrap(),
            status: Status::new(region(Status::words())).unwrap(),
        };
        let place = &parts.slots[0];
        place.sit(1, 1);
        for number in 0..BLOCKS {
            let samples: Vec<f32> = (0..64).map(|frame| (number * 64 + frame) as f32).collect();
            let mut entry = vec![0; place.entry_words()];
            let hash = block::pack(&samples, &mut entry);
            block::put_facts(&mut entry, Facts { hash, ..Facts::default() });
            place.write(number, 1, &entry);
        }
        place.publish(BLOCKS, BLOCKS, 0);
        place.set_phase(Phase::Lockstep);
        parts.orders.set_generation(0, 1);
        parts.orders.set_primary(Some(0));
        parts
    }

    /// The same parts for a playout that is ended after so many stores.
    fn doomed(parts: &Parts, left: &Arc<AtomicU64>) -> Parts {
        Parts {
            orders: Orders::new(parts.orders.region().doomed(left)).unwrap(),
            slots: parts.slots.clone(),
            inbox: parts.inbox.clone(),
            tap: Tap::new(parts.tap.region().doomed(left), &SHAPE).unwrap(),
            status: Status::new(parts.status.region().doomed(left)).unwrap(),
        }
    }

    fn log(orders: &Orders) -> Vec<(u64, u64)> {
        let record = |number| match orders.record(number) {
            orders::Found::Record(record) => (record.block, record.payload[0]),
            other => panic!("{number}: {other:?}"),
        };
        (0..orders.head()).map(record).collect()
    }

    fn send(parts: &Parts, turn: u64) {
        for half in 0..2 {
            assert!(parts.inbox.send(0, 1, &[[turn * 2 + half; 4]]).is_some());
        }
    }

    /// S51 and the seizing of the token: ended between any two stores, nothing is lost or done
    /// twice, and the frames go on where the last whole turn left them.
    #[test]
    fn a_playout_ended_between_any_two_stores_is_resumed_by_its_successor() {
        let mut ends = 0;
        for stores in 0.. {
            let parts = parts();
            let left = Arc::new(AtomicU64::new(stores));
            let mut playout = Playout::new(SHAPE, doomed(&parts, &left), PACE);
            let mut out = [0.0; 100];
            let mut turn = 0;
            let mut before = 0;
            while left.load(SeqCst) > 0 && turn < 8 {
                send(&parts, turn);
                before = parts.orders.position();
                playout.play(&mut out);
                turn += 1;
            }
            if turn == 8 {
                break;
            }
            ends += 1;
            // What was shown a worker may have acted on.
            let shown = (parts.orders.sealed(), log(&parts.orders));
            let mut playout = Playout::resume(SHAPE, parts.clone(), PACE);
            assert!(parts.orders.sealed() >= shown.0, "{stores}: unsealed");
            let decided = parts.orders.sealing().sealed;
            assert_eq!(parts.orders.sealed(), decided, "{stores}: not shown");
            assert!(log(&parts.orders).starts_with(&shown.1), "{stores}: taken back");
            let block = parts.orders.playhead() * BLOCK_FRAMES as u64;
            let from = playout.position();
            assert!(from + 64 >= block && from >= before, "{stores}: {from} of {block}");
            while turn < 8 {
                send(&parts, turn);
                let from = playout.position();
                playout.play(&mut out);
                let expected: Vec<f32> = (from..from + 100).map(|frame| frame as f32).collect();
                assert_eq!(out.to_vec(), expected, "{stores}");
                turn += 1;
            }
            let log = log(&parts.orders);
            let numbers: Vec<u64> = log.iter().map(|(_, number)| *number).collect();
            assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>(), "{stores}");
            assert!(numbers.len() >= 14 && log.is_sorted(), "{stores}: {log:?}");
            check_tap(&parts);
        }
        assert!(ends > 400, "{ends}");
    }

    fn check_tap(parts: &Parts) {
        let mut tap = parts.tap.clone();
        let mut samples = [0.0; 64];
        for block in 0..parts.orders.playhead() {
            let found = tap.read(block, &mut samples);
            assert!(matches!(found, Found::Block(played) if !played.concealed), "{block}");
            assert_eq!(samples[0], (block * 64) as f32);
        }
    }

    /// Nobody had the blocks when they were asked for; somebody has them when it is resumed.
    #[test]
    fn what_was_made_up_before_the_end_is_not_played_again_after_it() {
        for stores in 0..120 {
            let parts = parts();
            parts.slots[0].publish(BLOCKS, 0, 0);
            let left = Arc::new(AtomicU64::new(stores));
            Playout::new(SHAPE, doomed(&parts, &left), PACE).play(&mut [0.0; 200]);
            let mut tap = parts.tap.clone();
            let mut played = |block| tap.read(block, &mut [0.0; 64]);
            let before: Vec<Found> = (0..parts.tap.head()).map(&mut played).collect();
            parts.slots[0].publish(BLOCKS, BLOCKS, 0);
            Playout::resume(SHAPE, parts.clone(), PACE).play(&mut [0.0; 200]);
            let after: Vec<Found> = (0..before.len() as u64).map(&mut played).collect();
            assert_eq!(before, after, "{stores}");
        }
    }

    #[test]
    fn the_end_is_known_to_a_successor_and_said_to_all() {
        let parts = parts();
        let mut playout = Playout::new(SHAPE, parts.clone(), PACE);
        playout.close(None, 3, [9; 4]);
        playout.play(&mut [0.0; 100]);
        let end = parts.orders.end().unwrap();
        let mut playout = Playout::resume(SHAPE, parts.clone(), PACE);
        while !playout.ended() {
            playout.play(&mut [0.0; 100]);
        }
        assert_eq!(parts.orders.playhead(), end);
    }
}
