//! The driver without a device: a timer (`null`), or nobody's clock at all (`freewheel`).
//!
//! *Invariant*: who does not hold the token asks for nothing. Between two turns of the timer
//! this thread sleeps; within one it does not allocate, lock, log or wait.

mod pace;

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use segue_lockstep::memory::status::{Counter, Status};
use segue_lockstep::playout::{Driver, Parts, Playout, Token};
use segue_lockstep::{BLOCK_FRAMES, Payload};
use segue_sys::process::priority::{self, Urgency};
use segue_sys::{clock, futex};

use crate::cli::settings::Device;
use pace::Pace;

/// The one driver of this version; devices with callbacks will be others.
pub(in crate::host) const TIMER: Driver = Driver(1);

/// How long freewheel waits for a bell before it looks anyway.
const WAIT_MAX: Duration = Duration::from_millis(10);

/// How long block 0 waits for the first worker that has rendered it.
const PRIME_NS: u64 = 2_000_000_000;

/// Asks the driver's thread for something without waiting for it.
#[derive(Debug)]
pub(in crate::host) struct Reins {
    /// Who drives.
    pub(in crate::host) token: Token,
    /// 0: go on; 1: end as soon as possible.
    close: AtomicU64,
    /// 0: not known yet; 1: granted; 2: refused.
    realtime: AtomicU64,
}

impl Reins {
    /// Of a driver that holds the token.
    pub(in crate::host) fn new() -> Self {
        Self { token: Token::new(TIMER), close: AtomicU64::new(0), realtime: AtomicU64::new(0) }
    }

    /// Fade and end.
    pub(in crate::host) fn close(&self) {
        self.close.store(1, Release);
    }

    /// Whether real-time priority was granted, once that is known.
    pub(in crate::host) fn realtime(&self) -> Option<bool> {
        match self.realtime.load(Acquire) {
            0 => None,
            granted => Some(granted == 1),
        }
    }
}

/// What drives, and what it plays.
pub(in crate::host) struct Drive {
    /// The playing side.
    pub(in crate::host) playout: Playout,
    /// What it was made of.
    pub(in crate::host) parts: Parts,
    /// Timer or freewheel.
    pub(in crate::host) device: Device,
    /// Frames a second.
    pub(in crate::host) rate: u32,
    /// Samples a frame.
    pub(in crate::host) channels: usize,
    /// The closing fade and how many blocks it takes.
    pub(in crate::host) fade: (Payload, u64),
    /// How it is asked for the end.
    pub(in crate::host) reins: Arc<Reins>,
}

/// Frames of one turn of `device`.
pub(in crate::host) fn period(device: Device) -> usize {
    match device {
        Device::Null { period: Some(frames) } => frames as usize,
        _ => BLOCK_FRAMES,
    }
}

impl Drive {
    /// Drives on a thread of its own until the timeline has ended.
    pub(in crate::host) fn start(mut self) -> std::io::Result<JoinHandle<()>> {
        thread::Builder::new().name("playout".into()).spawn(move || {
            let hurry = !matches!(self.device, Device::Freewheel { .. });
            let granted = hurry && priority::ask_realtime(Urgency::Playout).is_ok();
            self.reins.realtime.store(if granted { 1 } else { 2 }, Release);
            self.prime();
            match self.device {
                Device::Freewheel { speed } => self.freewheel(speed),
                Device::Null { .. } | Device::Auto => self.keep_time(),
            }
        })
    }

    /// Seals the first blocks and lets somebody render them: block 0 is asked for when the lead
    /// is whole, so that nothing is missed before the first note. Bounded, for a worker may die
    /// of its first block.
    fn prime(&mut self) {
        self.playout.seal();
        let Parts { orders, slots, .. } = &self.parts;
        futex::wake(orders.bell());
        futex::wake(orders.urge());
        let until_ns = clock::monotonic_ns() + PRIME_NS;
        while clock::monotonic_ns() < until_ns {
            let heard: Vec<_> = bells(&self.parts).collect();
            let sealed = orders.sealed();
            if slots.iter().any(|slot| slot.published() >= sealed) {
                return;
            }
            futex::wait_any(&heard, WAIT_MAX);
        }
    }

    fn keep_time(&mut self) {
        let frames = period(self.device);
        let mut out = vec![0.0; frames * self.channels];
        let mut pace = Pace::new(frames as u64, self.rate, 1.0, clock::monotonic_ns());
        while !self.playout.ended() {
            clock::sleep_until_ns(pace.due_ns());
            if pace.turn(clock::monotonic_ns()) {
                self.status().count(Counter::Anchors);
            }
            self.turn(&mut out);
        }
    }

    fn freewheel(&mut self, speed: Option<f64>) {
        let mut out = vec![0.0; BLOCK_FRAMES * self.channels];
        let speed = speed.unwrap_or(f64::INFINITY);
        let started = clock::monotonic_ns();
        let mut pace = Pace::new(BLOCK_FRAMES as u64, self.rate, speed.min(1e6), started);
        let mut left = BLOCK_FRAMES;
        let parts = self.parts.clone();
        let mut heard = Vec::new();
        while !self.playout.ended() {
            // Loaded before the turn: what rings during it ends the wait at once.
            heard.clear();
            heard.extend(bells(&parts));
            left -= self.turn(&mut out[..left * self.channels]);
            if left > 0 {
                futex::wait_any(&heard, WAIT_MAX);
                continue;
            }
            left = BLOCK_FRAMES;
            if speed.is_finite() {
                pace.turn(clock::monotonic_ns());
                clock::sleep_until_ns(pace.due_ns());
            }
        }
    }

    /// One turn: frames out, commands in, workers woken. Gives the frames delivered.
    fn turn(&mut self, out: &mut [f32]) -> usize {
        if !self.reins.token.is_held_by(TIMER) {
            out.fill(0.0);
            return out.len() / self.channels;
        }
        if self.reins.close.load(Acquire) != 0 {
            self.playout.close(None, self.fade.1, self.fade.0);
        }
        let orders = &self.parts.orders;
        let urged = orders.urge().load(Acquire);
        let done = self.playout.play(out);
        futex::wake(orders.bell());
        if orders.urge().load(Acquire) != urged {
            futex::wake(orders.urge());
        }
        futex::wake(self.parts.tap.bell());
        done
    }

    fn status(&self) -> &Status {
        &self.parts.status
    }
}

/// What freewheel may wait for: a worker's block, a cursor of control's, a word of the monitor.
fn bells(parts: &Parts) -> impl Iterator<Item = (&AtomicU32, u32)> {
    let slots = parts.slots.iter().map(|slot| slot.bell());
    slots.chain([parts.inbox.bell(), parts.orders.bell()]).map(|bell| (bell, bell.load(Acquire)))
}

#[cfg(test)]
mod tests {
    use segue_lockstep::Shape;
    use segue_lockstep::memory::inbox::Inbox;
    use segue_lockstep::memory::orders::Orders;
    use segue_lockstep::memory::slot::Slot;
    use segue_lockstep::memory::status::{Counter, Status};
    use segue_lockstep::memory::tap::Tap;
    use segue_lockstep::playout::{Driver, Pace, Parts, Playout};
    use segue_sys::Region;
    use segue_sys::testing::{Guard, WAITING, assert_no_alloc, with_only_calls};

    use super::{Drive, Reins};
    use crate::cli::settings::Device;

    #[global_allocator]
    static GUARD: Guard = Guard;

    /// A driver of 100 frames a turn over slots that nobody sits in.
    fn drive() -> Drive {
        let shape = Shape { slots: 2, channels: 2, rate: 8000, state_words: 16 };
        let slot = || Slot::new(Region::heap(Slot::words(&shape)), &shape).unwrap();
        let parts = Parts {
            orders: Orders::new(Region::heap(Orders::words())).unwrap(),
            slots: vec![slot(), slot()],
            inbox: Inbox::new(Region::heap(Inbox::words())).unwrap(),
            tap: Tap::new(Region::heap(Tap::words(&shape)), &shape).unwrap(),
            status: Status::new(Region::heap(Status::words())).unwrap(),
        };
        let pace = Pace { lead: 4, freewheel: false, period: 100 };
        Drive {
            playout: Playout::new(shape, parts.clone(), pace),
            parts,
            device: Device::Null { period: Some(100) },
            rate: 8000,
            channels: 2,
            fade: ([7; 4], 3),
            reins: Reins::new().into(),
        }
    }

    #[test]
    fn a_turn_neither_allocates_nor_calls_the_kernel_but_to_wake() {
        let mut drive = drive();
        for round in 0..100_u64 {
            assert!(drive.parts.inbox.send(round, 1, &[[round; 4]]).is_some());
        }
        let mut out = vec![0.0; 200];
        with_only_calls(WAITING, || {
            assert_no_alloc(|| {
                for _ in 0..100 {
                    assert_eq!(drive.turn(&mut out), 100);
                }
            });
        });
        assert_eq!(drive.parts.status.counter(Counter::Applied), 100);
        // 10,000 frames, and the last block only begun.
        assert_eq!(drive.parts.orders.playhead(), 157);
    }

    /// S51: two who drive would play the timeline at double speed.
    #[test]
    fn who_does_not_hold_the_token_plays_silence_and_moves_nothing() {
        let mut drive = drive();
        drive.turn(&mut vec![0.0; 200]);
        let before = (drive.parts.orders.playhead(), drive.parts.orders.sealed());
        drive.reins.token.hand_to(Driver(2));
        let mut out = vec![1.0; 200];
        assert_eq!(drive.turn(&mut out), 100);
        assert!(out.iter().all(|sample| *sample == 0.0));
        assert_eq!((drive.parts.orders.playhead(), drive.parts.orders.sealed()), before);
    }

    #[test]
    fn asked_to_close_it_says_farewell_once_and_ends() {
        let mut drive = drive();
        let mut out = vec![0.0; 200];
        drive.turn(&mut out);
        let sealed = drive.parts.orders.sealed();
        drive.reins.close();
        let turns = (0..100).take_while(|_| {
            drive.turn(&mut out);
            !drive.playout.ended()
        });
        assert!(turns.count() < 20);
        assert_eq!(drive.parts.orders.end(), Some(sealed + 3));
        assert_eq!((drive.parts.orders.head(), drive.parts.orders.playhead()), (1, sealed + 3));
    }
}
