//! The deck: the one playout that all drivers share, and the token that says whose turn it is.
//!
//! *Invariant*: who does not hold the token asks for nothing. A turn does not allocate, lock,
//! log or wait: a seat that is taken is left alone, for whoever sits there is the driver.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{Mutex, OnceLock, TryLockError};
use std::time::Duration;

use segue_lockstep::memory::slot::{LEAD_MAX, RING_DEPTH};
use segue_lockstep::playout::{Driver, Pace, Parts, Playout, Token};
use segue_lockstep::{BLOCK_FRAMES, Payload, Shape};
use segue_sys::futex;

/// Nobody: before block 0.
pub(in crate::host) const NOBODY: Driver = Driver(0);

/// How long a driver without a clock waits for a bell before it looks anyway.
const WAIT_MAX: Duration = Duration::from_millis(10);

/// The longest period that is prepared for: twice that of any device known, and the rings hold
/// it with the largest lead.
const LONGEST: usize = 8192;
const _: () = assert!(LONGEST / BLOCK_FRAMES + LEAD_MAX as usize <= RING_DEPTH);

/// How often the token can be seized from a thread that ended within a turn.
const SEATS: usize = 8;

/// The closing fade: what goes into the log, how many blocks it takes, and from which block if
/// the end is known beforehand.
#[derive(Clone, Copy, Debug)]
pub(in crate::host) struct Fade {
    /// The command.
    pub(in crate::host) payload: Payload,
    /// Blocks until nothing is played any more.
    pub(in crate::host) blocks: u64,
    /// Where it begins without being asked for.
    pub(in crate::host) from: Option<u64>,
}

/// What is played, once its shape is known.
#[derive(Debug)]
struct Stage {
    shape: Shape,
    parts: Parts,
    pace: Pace,
    fade: Fade,
    /// The playout of now is in the newest; one that was ended within a turn keeps its seat.
    seats: [OnceLock<Mutex<Playout>>; SEATS],
    newest: AtomicUsize,
}

/// The deck.
#[derive(Debug)]
pub(in crate::host) struct Deck {
    /// Who drives.
    pub(in crate::host) token: Token,
    stage: OnceLock<Stage>,
    close: AtomicBool,
    ended: AtomicBool,
    /// The most frames that a device has said it will ask for at once.
    expected: AtomicUsize,
    /// 0: not known yet; 1: granted; 2: refused.
    realtime: AtomicU64,
}

impl Deck {
    /// A deck without anything to play; streams may be opened on it.
    pub(in crate::host) fn new() -> Self {
        Self {
            token: Token::new(NOBODY),
            stage: OnceLock::new(),
            close: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            expected: AtomicUsize::new(0),
            realtime: AtomicU64::new(0),
        }
    }

    /// Says what is played; once.
    pub(in crate::host) fn furnish(&self, shape: Shape, parts: Parts, pace: Pace, fade: Fade) {
        let seats = [const { OnceLock::new() }; SEATS];
        let playout = Playout::new(shape, parts.clone(), pace);
        let stage = Stage { shape, parts, pace, fade, seats, newest: AtomicUsize::new(0) };
        stage.sit(0, playout);
        assert!(self.stage.set(stage).is_ok(), "a deck is furnished once");
    }

    /// Fade and end.
    pub(in crate::host) fn close(&self) {
        self.close.store(true, Release);
    }

    /// Whether the timeline has come to its end.
    pub(in crate::host) fn ended(&self) -> bool {
        self.ended.load(Acquire)
    }

    /// Says whether the thread that drives has real-time priority.
    pub(in crate::host) fn set_realtime(&self, granted: bool) {
        self.realtime.store(if granted { 1 } else { 2 }, Release);
    }

    /// Whether real-time priority was granted, once that is known.
    pub(in crate::host) fn realtime(&self) -> Option<bool> {
        match self.realtime.load(Acquire) {
            0 => None,
            granted => Some(granted == 1),
        }
    }

    /// What is played on, once that is known.
    pub(in crate::host) fn parts(&self) -> Option<&Parts> {
        self.stage.get().map(|stage| &stage.parts)
    }

    /// Seals the first blocks, so that workers may begin. Before anybody drives.
    pub(in crate::host) fn prime(&self) {
        let Some(stage) = self.stage.get() else { return };
        if let Some(Ok(mut playout)) = stage.seat().map(Mutex::try_lock) {
            playout.seal();
        }
        futex::wake(stage.parts.orders.bell());
        futex::wake(stage.parts.orders.urge());
    }

    /// `driver` will ask for so many frames at once: they are sealed for now, between two of its
    /// turns, or by whoever drives in its next. `[any]`
    pub(in crate::host) fn expect(&self, driver: Driver, frames: usize) {
        let frames = frames.min(LONGEST);
        self.expected.fetch_max(frames, AcqRel);
        let Some(stage) = self.stage.get().filter(|_| self.token.is_held_by(driver)) else {
            return;
        };
        if let Some(Ok(mut playout)) = stage.seat().map(Mutex::try_lock) {
            playout.expect(frames);
        }
        futex::wake(stage.parts.orders.bell());
        futex::wake(stage.parts.orders.urge());
    }

    /// One turn of `driver`: frames out, commands in, workers woken. Gives the frames delivered,
    /// fewer than asked for only without a clock and after the end; none, and silence, when it
    /// is not this driver's turn. `[audio]`
    pub(in crate::host) fn turn(
        &self,
        driver: Driver,
        freewheel: bool,
        out: &mut [f32],
    ) -> Option<usize> {
        let done = self.play(driver, freewheel, out);
        if done.is_none() {
            out.fill(0.0);
        }
        done
    }

    fn play(&self, driver: Driver, freewheel: bool, out: &mut [f32]) -> Option<usize> {
        if !self.token.is_held_by(driver) {
            return None;
        }
        let stage = self.stage.get()?;
        let mut playout = match stage.seat()?.try_lock() {
            Ok(playout) => playout,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        // It may have changed hands since; nobody else is in here now.
        if !self.token.is_held_by(driver) {
            return None;
        }
        if self.close.load(Acquire) {
            playout.close(None, stage.fade.blocks, stage.fade.payload);
        }
        playout.set_freewheel(freewheel);
        playout.expect(self.expected.load(Acquire));
        let orders = &stage.parts.orders;
        let urged = orders.urge().load(Acquire);
        let done = playout.play(out);
        if playout.ended() {
            self.ended.store(true, Release);
        }
        drop(playout);
        futex::wake(orders.bell());
        if orders.urge().load(Acquire) != urged {
            futex::wake(orders.urge());
        }
        if freewheel {
            // With a clock nobody waits for each block that was heard.
            futex::wake(stage.parts.tap.bell());
        }
        Some(done)
    }

    /// Lets another playout go on where the last one was ended within a turn; its thread must be
    /// gone. False when that has happened too often.
    pub(in crate::host) fn seize(&self) -> bool {
        let Some(stage) = self.stage.get() else { return true };
        let next = stage.newest.load(Acquire) + 1;
        if next >= SEATS {
            return false;
        }
        stage.sit(next, Playout::resume(stage.shape, stage.parts.clone(), stage.pace));
        stage.newest.store(next, Release);
        true
    }
}

impl Stage {
    fn seat(&self) -> Option<&Mutex<Playout>> {
        self.seats.get(self.newest.load(Acquire)).and_then(OnceLock::get)
    }

    fn sit(&self, seat: usize, mut playout: Playout) {
        if let Some(from) = self.fade.from {
            playout.close(Some(from), self.fade.blocks, self.fade.payload);
        }
        // The monitor alone fills seats, one after the other.
        let _ = self.seats[seat].set(Mutex::new(playout));
    }
}

/// What a driver without a clock waits for: a worker's block, a cursor of control's, a word of
/// the monitor. Heard before the turn, so that what rings during it ends the wait at once.
#[derive(Debug)]
pub(in crate::host) struct Bells<'a>([(&'a AtomicU32, u32); futex::BELLS_MAX]);

impl<'a> Bells<'a> {
    /// Listens from now on. `[audio]`
    pub(in crate::host) fn listen(parts: &'a Parts) -> Self {
        let slots = parts.slots.iter().map(|slot| slot.bell());
        let mut all = slots.chain([parts.inbox.bell()]);
        // Where there are fewer, the orders' own is listened to more than once.
        Self(std::array::from_fn(|_| {
            let bell = all.next().unwrap_or_else(|| parts.orders.bell());
            (bell, bell.load(Acquire))
        }))
    }

    /// Waits for the first, not for long.
    pub(in crate::host) fn wait(&self) {
        futex::wait_any(&self.0, WAIT_MAX);
    }
}
