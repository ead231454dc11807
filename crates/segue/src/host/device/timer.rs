//! The driver without a device: a timer, or nobody's clock at all.
//!
//! *Invariant*: between two turns of the timer this thread sleeps; while another drives it waits
//! for the token and does nothing else.

use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use segue_lockstep::BLOCK_FRAMES;
use segue_lockstep::memory::status::Counter;
use segue_lockstep::monitor::TIMER;
use segue_lockstep::playout::{Driver, Parts};
use segue_sys::process::priority::{self, Urgency};
use segue_sys::{clock, futex};

use super::deck::{Bells, Deck};
use super::pace::Pace;
use crate::cli::device::Device;

/// How long it waits for the token before it looks anyway.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// How long block 0 waits for the first worker that has rendered it.
const PRIME_NS: u64 = 2_000_000_000;

/// The timer's thread.
pub(in crate::host) struct Timer {
    /// What it drives.
    pub(in crate::host) deck: Arc<Deck>,
    /// What the deck was furnished with.
    pub(in crate::host) parts: Parts,
    /// Frames a second.
    pub(in crate::host) rate: u32,
    /// Samples a frame.
    pub(in crate::host) channels: usize,
    /// Frames of one turn.
    pub(in crate::host) period: usize,
    /// Without a clock: at most so many times real time, or as fast as it goes.
    pub(in crate::host) freewheel: Option<f64>,
    /// Who drives first.
    pub(in crate::host) first: Driver,
}

/// Frames of one turn of the timer for `device`.
pub(in crate::host) fn period(device: &Device) -> usize {
    match device {
        Device::Null { period: Some(frames) } => *frames as usize,
        _ => BLOCK_FRAMES,
    }
}

/// Times real time at which `device` may run, if it has no clock.
pub(in crate::host) fn freewheel(device: &Device) -> Option<f64> {
    match device {
        Device::Freewheel { speed } => Some(speed.unwrap_or(f64::INFINITY)),
        _ => None,
    }
}

impl Timer {
    /// Runs on a thread of its own until the timeline has ended, whoever drove it there.
    pub(in crate::host) fn start(self) -> std::io::Result<JoinHandle<()>> {
        thread::Builder::new().name("playout".into()).spawn(move || {
            let hurry = self.freewheel.is_none();
            let granted = hurry && priority::ask_realtime(Urgency::Playout).is_ok();
            self.deck.set_realtime(granted);
            self.prime();
            self.deck.token.hand_to(self.first);
            match self.freewheel {
                Some(speed) => self.run_free(speed),
                None => self.keep_time(),
            }
        })
    }

    /// Seals the first blocks and lets somebody render them: block 0 is asked for when the lead
    /// is whole, so that nothing is missed before the first note. Bounded, for a worker may die
    /// of its first block.
    fn prime(&self) {
        self.deck.prime();
        let Parts { orders, slots, .. } = &self.parts;
        let until_ns = clock::monotonic_ns() + PRIME_NS;
        while clock::monotonic_ns() < until_ns {
            let heard = Bells::listen(&self.parts);
            let sealed = orders.sealed();
            if slots.iter().any(|slot| slot.published() >= sealed) {
                return;
            }
            heard.wait();
        }
    }

    fn keep_time(&self) {
        let mut out = vec![0.0; self.period * self.channels];
        let begin = || Pace::new(self.period as u64, self.rate, 1.0, clock::monotonic_ns());
        let mut pace = begin();
        while !self.deck.ended() {
            let bell = self.deck.token.bell();
            let heard = bell.load(Acquire);
            if !self.deck.token.is_held_by(TIMER) {
                futex::wait(bell, heard, WAIT_MAX);
                pace = begin();
                continue;
            }
            clock::sleep_until_ns(pace.due_ns());
            if pace.turn(clock::monotonic_ns()) {
                self.parts.status.count(Counter::Anchors);
            }
            self.deck.turn(TIMER, false, &mut out);
        }
    }

    fn run_free(&self, speed: f64) {
        let mut out = vec![0.0; BLOCK_FRAMES * self.channels];
        let started = clock::monotonic_ns();
        let mut pace = Pace::new(BLOCK_FRAMES as u64, self.rate, speed.min(1e6), started);
        let mut left = BLOCK_FRAMES;
        while !self.deck.ended() {
            let heard = Bells::listen(&self.parts);
            left -= self.deck.turn(TIMER, true, &mut out[..left * self.channels]).unwrap_or(0);
            if left > 0 {
                heard.wait();
                continue;
            }
            left = BLOCK_FRAMES;
            if speed.is_finite() {
                pace.turn(clock::monotonic_ns());
                clock::sleep_until_ns(pace.due_ns());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use segue_lockstep::Shape;

    use segue_lockstep::memory::status::Counter;

    use segue_lockstep::monitor::{TIMER, Within};
    use segue_lockstep::playout::{Driver, Pace, Parts};

    use segue_sys::testing::{Guard, WAITING, assert_no_alloc, with_only_calls};

    use crate::host::device::deck::{Deck, Fade};
    use crate::host::device::line::Line;

    #[global_allocator]
    static GUARD: Guard = Guard;

    /// A deck of the timer's over slots that nobody sits in.
    fn deck() -> (Arc<Deck>, Parts) {
        let shape = Shape { slots: 2, channels: 2, rate: 8000, state_words: 16 };
        let parts = Parts::on_heap(&shape).unwrap();
        let pace = Pace { lead: 4, freewheel: false, period: 100 };
        let deck = Arc::new(Deck::new());
        deck.furnish(shape, parts.clone(), pace, Fade { payload: [7; 4], blocks: 3, from: None });
        deck.token.hand_to(TIMER);
        (deck, parts)
    }

    #[test]
    fn a_turn_neither_allocates_nor_calls_the_kernel_but_to_wake() {
        let (deck, parts) = deck();
        for round in 0..100_u64 {
            assert!(parts.inbox.send(round, 1, &[[round; 4]]).is_some());
        }
        let (line, mut caller) = Line::new(&deck, 1, 2);
        let mut out = vec![0.0; 200];
        // The first call of a stream learns on which thread it is.
        caller.call(&mut out);
        with_only_calls(WAITING, || {
            assert_no_alloc(|| {
                for _ in 0..50 {
                    assert_eq!(deck.turn(TIMER, false, &mut out), Some(100));
                }
                deck.token.hand_to(line.driver());
                (0..50).for_each(|_| caller.call(&mut out));
            });
        });
        assert_eq!(parts.status.counter(Counter::Applied), 100);
        // 10,000 frames, and the last block only begun.
        assert_eq!((parts.orders.playhead(), parts.orders.position()), (157, 10_000));
        let seen = line.look();
        assert_eq!((seen.calls, seen.frames, seen.within), (51, 5100, Within::No));
    }

    /// S51: two who drive would play the timeline at double speed.
    #[test]
    fn who_does_not_hold_the_token_plays_silence_and_moves_nothing() {
        let (deck, parts) = deck();
        deck.turn(TIMER, false, &mut [0.0; 200]);
        let before = (parts.orders.playhead(), parts.orders.sealed());
        deck.token.hand_to(Driver(2));
        let mut out = vec![1.0; 200];
        assert_eq!(deck.turn(TIMER, false, &mut out), None);
        assert!(out.iter().all(|sample| *sample == 0.0));
        assert_eq!((parts.orders.playhead(), parts.orders.sealed()), before);
    }

    #[test]
    fn a_call_after_hanging_up_is_silence_and_moves_nothing() {
        let (deck, parts) = deck();
        let (line, mut caller) = Line::new(&deck, 1, 2);
        deck.token.hand_to(line.driver());
        caller.call(&mut [0.0; 200]);
        line.hang_up();
        let position = parts.orders.position();
        let mut out = vec![1.0; 200];
        caller.call(&mut out);
        assert_eq!((out, parts.orders.position()), (vec![0.0; 200], position));
    }

    #[test]
    fn asked_to_close_it_says_farewell_once_and_ends() {
        let (deck, parts) = deck();
        let mut out = vec![0.0; 200];
        deck.turn(TIMER, false, &mut out);
        let sealed = parts.orders.sealed();
        deck.close();
        let turns = (0..100).take_while(|_| {
            deck.turn(TIMER, false, &mut out);
            !deck.ended()
        });
        assert!(turns.count() < 20);
        assert_eq!(parts.orders.end(), Some(sealed + 3));
        assert_eq!((parts.orders.head(), parts.orders.playhead()), (1, sealed + 3));
    }

    #[test]
    fn after_a_seizure_the_next_driver_goes_on_in_the_block_the_last_was_in() {
        let (deck, parts) = deck();
        for seizure in 1..8 {
            deck.turn(TIMER, false, &mut [0.0; 200]);
            assert!(deck.seize(), "{seizure}");
            assert_eq!(parts.orders.position(), 100 * seizure);
        }
        assert!(!deck.seize(), "there is an end to it");
        deck.turn(TIMER, false, &mut [0.0; 200]);
        assert_eq!((parts.orders.position(), parts.orders.playhead()), (800, 13));
    }
}
