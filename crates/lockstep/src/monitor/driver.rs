//! Who drives: the token goes to a device's stream that calls, and to the timer when it does not.
//!
//! | the stream | the token | and |
//! |---|---|---|
//! | called twice at a plausible speed | goes to it | |
//! | said that it is lost | goes to the timer | it is closed |
//! | did not call for four periods | goes to the timer | a loss is counted |
//! | did not call for 0.6 seconds | is the timer's | it is closed |
//! | asks for more than there is time for | goes to the timer | it is closed |
//! | its thread ended within a call | is seized with the place in the block | it is closed |
//!
//! *Invariant*: the token leaves a stream only while that is not within a call, or when the
//! thread that was is gone. What a backend's library says is a help; that calls arrive is the
//! proof.

use crate::Shape;
use crate::playout::Driver;

/// The driver without a device.
pub const TIMER: Driver = Driver(1);

const MS_NS: u64 = 1_000_000;
const SECOND_NS: u64 = 1000 * MS_NS;
/// Between two looks at the speed of a stream.
const WINDOW_NS: u64 = SECOND_NS;
/// How long a stream is looked at before it may drive.
const TRIAL_NS: u64 = 20 * MS_NS;
/// A stream that has been silent for so long is opened anew.
const SILENT_MAX_NS: u64 = 600 * MS_NS;
/// The same before its first call: there are servers that take two seconds to ask.
const FIRST_CALL_NS: u64 = 4 * SECOND_NS;
/// A stream that falls silent again within this time is given more patience each time.
const FLAP_NS: u64 = 60 * SECOND_NS;
/// How often patience is doubled.
const FLAPS_MAX: u32 = 4;
/// How long any stream may be silent.
const PATIENCE_MAX_NS: u64 = 500 * MS_NS;
/// Frames that any device may ask for at once, to fill its buffers.
const FILLING: u64 = 4 * 8192;

/// Whether a stream is within a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// It is not.
    No,
    /// It is, and its thread lives.
    Yes,
    /// It was when its thread ended.
    Gone,
}

/// An open stream as it is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSeen {
    /// Which stream, counted from 1.
    pub number: u64,
    /// Calls so far.
    pub calls: u64,
    /// Frames asked for so far.
    pub frames: u64,
    /// Frames of its longest call so far.
    pub period: u64,
    /// The backend said that it is lost.
    pub lost: bool,
    /// The backend said that there is no clock for now.
    pub freewheel: bool,
    /// Whether it is within a call.
    pub within: Within,
}

impl StreamSeen {
    /// The driver that this stream is.
    #[must_use]
    pub const fn driver(&self) -> Driver {
        Driver(TIMER.0 + self.number)
    }
}

/// Why a stream is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The backend said so.
    Told,
    /// It did not call.
    Silent,
    /// It asked for more frames than there was time for.
    Unclocked,
    /// Its thread ended within a call.
    Ended,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Give the token to this driver.
    Hand(Driver),
    /// Let another playout go on from what was said, then give the token to the timer.
    Seize,
    /// The device that drove is gone, for now or for good: counted.
    CountLoss,
    /// Close the stream, for this reason.
    Close(u64, Loss),
}

/// Decides who drives.
#[derive(Clone, Debug)]
pub struct DriverWatch {
    shape: Shape,
    /// The stream as it was seen last.
    last: Option<StreamSeen>,
    /// When its last call was noticed.
    called_ns: u64,
    /// When and at how many frames the present window began.
    window: (u64, u64),
    /// Calls when it last lost the token: what it says after that is news.
    calls_then: u64,
    /// When a stream last fell silent, and how often it did so shortly after the last time.
    flaps: (Option<u64>, u32),
    closed: u64,
    looked_ns: Option<u64>,
}

impl DriverWatch {
    /// A watch that has seen nothing.
    #[must_use]
    pub const fn new(shape: Shape) -> Self {
        Self {
            shape,
            last: None,
            called_ns: 0,
            window: (0, 0),
            calls_then: 0,
            flaps: (None, 0),
            closed: 0,
            looked_ns: None,
        }
    }

    /// One look: who holds the token now, and the stream that is open. `[control]`
    pub fn step(&mut self, now_ns: u64, holder: Driver, seen: Option<StreamSeen>) -> Vec<Move> {
        let away = self.looked_ns.is_some_and(|last| now_ns.saturating_sub(last) > super::AWAY_NS);
        self.looked_ns = Some(now_ns);
        let Some(seen) = seen.filter(|seen| seen.number != self.closed) else {
            self.last = None;
            return if holder == TIMER { Vec::new() } else { vec![Move::Hand(TIMER)] };
        };
        self.follow(now_ns, away, seen);
        let silent_ns = now_ns.saturating_sub(self.called_ns);
        let limit_ns = self.patience_ns(&seen);
        let drives = holder == seen.driver();
        if seen.within == Within::Gone {
            return self.close(&seen, Loss::Ended, drives.then_some(Move::Seize));
        }
        if seen.within == Within::Yes {
            // It may not be interrupted; its thread lives and comes out.
            return Vec::new();
        }
        let back = drives.then_some(Move::Hand(TIMER));
        if seen.lost {
            return self.close(&seen, Loss::Told, back);
        }
        if self.is_too_fast(now_ns, &seen) {
            return self.close(&seen, Loss::Unclocked, back);
        }
        if drives && silent_ns > limit_ns {
            self.calls_then = seen.calls;
            self.note_flap(now_ns);
            return vec![Move::Hand(TIMER), Move::CountLoss];
        }
        let silent_max_ns = if seen.calls == 0 { FIRST_CALL_NS } else { SILENT_MAX_NS };
        if !drives && silent_ns > silent_max_ns.max(2 * limit_ns) {
            return self.close(&seen, Loss::Silent, None);
        }
        let tried = seen.freewheel || now_ns.saturating_sub(self.window.0) >= TRIAL_NS;
        if holder == TIMER && seen.calls >= self.calls_then + 2 && silent_ns < limit_ns && tried {
            return vec![Move::Hand(seen.driver())];
        }
        Vec::new()
    }

    /// Whether a stream has called and may soon drive: nobody else need begin. `[any]`
    #[must_use]
    pub fn is_promising(&self) -> bool {
        self.last.is_some_and(|last| !last.lost)
    }

    fn follow(&mut self, now_ns: u64, away: bool, seen: StreamSeen) {
        let known = self.last.filter(|last| last.number == seen.number);
        self.last = Some(seen);
        let Some(known) = known else {
            self.called_ns = now_ns;
            self.window = (now_ns, seen.frames);
            self.calls_then = 0;
            return;
        };
        if known.calls != seen.calls || away || seen.within == Within::Yes {
            self.called_ns = now_ns;
        }
        let clocked = !seen.freewheel && !known.freewheel;
        if away || !clocked || now_ns.saturating_sub(self.window.0) > 2 * WINDOW_NS {
            self.window = (now_ns, seen.frames);
        }
    }

    /// On a machine that is short of time a server calls in fits and starts, and plays from its
    /// own buffer meanwhile: to change drivers each time would be worse than to wait.
    fn note_flap(&mut self, now_ns: u64) {
        let (last_ns, flaps) = self.flaps;
        let again = last_ns.is_some_and(|last_ns| now_ns.saturating_sub(last_ns) < FLAP_NS);
        self.flaps = (Some(now_ns), if again { (flaps + 1).min(FLAPS_MAX) } else { 0 });
    }

    /// How long a stream may be silent.
    fn patience_ns(&self, seen: &StreamSeen) -> u64 {
        if seen.freewheel {
            return SILENT_MAX_NS;
        }
        let period_ns = seen.period * SECOND_NS / u64::from(self.shape.rate);
        let base = (4 * period_ns).clamp(50 * MS_NS, PATIENCE_MAX_NS);
        (base << self.flaps.1).min(PATIENCE_MAX_NS)
    }

    /// Whether it asked for more than half again of what there was time for: there are devices
    /// that do not wait for the sound to be heard.
    fn is_too_fast(&self, now_ns: u64, seen: &StreamSeen) -> bool {
        let (since_ns, frames) = self.window;
        let fair = (now_ns.saturating_sub(since_ns)) * u64::from(self.shape.rate) / SECOND_NS;
        !seen.freewheel && seen.frames.saturating_sub(frames) > fair + fair / 2 + FILLING
    }

    fn close(&mut self, seen: &StreamSeen, loss: Loss, first: Option<Move>) -> Vec<Move> {
        self.closed = seen.number;
        let close = Move::Close(seen.number, loss);
        match first {
            Some(first) => vec![first, Move::CountLoss, close],
            None => vec![close],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DriverWatch, Loss, Move, StreamSeen, TIMER, Within};
    use crate::Shape;
    use crate::playout::Driver;

    const SHAPE: Shape = Shape { slots: 2, channels: 2, rate: 48_000, state_words: 1 };
    const MS: u64 = 1_000_000;
    const STREAM: Driver = Driver(2);

    fn stream() -> StreamSeen {
        StreamSeen {
            number: 1,
            calls: 0,
            frames: 0,
            period: 256,
            lost: false,
            freewheel: false,
            within: Within::No,
        }
    }

    /// A device whose clock is right, and who holds the token.
    struct Device {
        watch: DriverWatch,
        seen: StreamSeen,
        holder: Driver,
        now_ns: u64,
        losses: u64,
    }

    impl Device {
        fn new() -> Self {
            let watch = DriverWatch::new(SHAPE);
            Self { watch, seen: stream(), holder: TIMER, now_ns: MS, losses: 0 }
        }

        fn look(&mut self) -> Vec<Move> {
            let moves = self.watch.step(self.now_ns, self.holder, Some(self.seen));
            for step in &moves {
                match step {
                    Move::Hand(driver) => self.holder = *driver,
                    Move::Seize => self.holder = TIMER,
                    Move::CountLoss => self.losses += 1,
                    Move::Close(..) => {}
                }
            }
            moves
        }

        /// Passes time in steps of a millisecond; the device calls as often as it should.
        fn live(&mut self, ms: u64, calls: bool) -> Vec<Move> {
            let mut moves = Vec::new();
            for _ in 0..ms {
                self.now_ns += MS;
                let due = self.now_ns * 48 / 1_000_000 / self.seen.period;
                if calls && self.now_ns / MS * 48 % self.seen.period < 48 && due > 0 {
                    self.seen.calls += 1;
                    self.seen.frames += self.seen.period;
                }
                moves.extend(self.look());
            }
            moves
        }
    }

    #[test]
    fn a_stream_drives_once_it_has_called_and_keeps_the_token_while_it_calls() {
        for period in [16, 64, 441, 1024, 4096, 8192] {
            let mut device = Device::new();
            device.seen.period = period;
            assert_eq!(device.live(3000, true), [Move::Hand(STREAM)], "{period}");
            assert_eq!((device.holder, device.losses), (STREAM, 0));
        }
    }

    #[test]
    fn one_that_never_calls_never_drives_and_is_opened_anew() {
        let mut device = Device::new();
        assert_eq!(device.live(3000, false), []);
        assert_eq!(device.live(3000, false), [Move::Close(1, Loss::Silent)]);
    }

    /// A server that stops calling without an error; a PipeWire without its session manager.
    #[test]
    fn silence_hands_the_token_to_the_timer_and_a_call_takes_it_back() {
        let mut device = Device::new();
        device.live(100, true);
        assert_eq!(device.live(40, false), []);
        assert_eq!(device.live(15, false), [Move::Hand(TIMER), Move::CountLoss]);
        device.live(400, false);
        assert_eq!(device.live(100, true), [Move::Hand(STREAM)]);
        assert_eq!(device.losses, 1);
        device.live(60, false);
        assert_eq!(device.live(5000, false), [Move::Close(1, Loss::Silent)]);
        assert_eq!(device.losses, 2);
    }

    #[test]
    fn a_stream_that_calls_in_fits_and_starts_is_given_more_patience() {
        let mut device = Device::new();
        device.live(100, true);
        for _ in 0..100 {
            device.live(70, false);
            device.live(100, true);
        }
        assert_eq!((device.losses, device.holder), (2, STREAM));
        device.live(70_000, true);
        device.live(70, false);
        assert_eq!(device.losses, 2, "it is remembered as long as nothing happens");
    }

    #[test]
    fn a_long_period_is_not_mistaken_for_silence() {
        let mut device = Device::new();
        device.seen.period = 4096;
        device.live(500, true);
        assert_eq!(device.live(200, false), []);
        assert_ne!(device.live(200, false), []);
    }

    #[test]
    fn a_lost_stream_is_left_at_once_and_closed_once() {
        let mut device = Device::new();
        device.live(100, true);
        device.seen.lost = true;
        let closed = [Move::Hand(TIMER), Move::CountLoss, Move::Close(1, Loss::Told)];
        assert_eq!(device.live(1, true), closed);
        assert_eq!(device.live(100, true), []);
    }

    /// The token must not leave somebody who is just using it.
    #[test]
    fn within_a_call_nothing_is_taken_and_from_a_thread_that_ended_there_it_is_seized() {
        let mut device = Device::new();
        device.live(100, true);
        device.seen.within = Within::Yes;
        device.seen.lost = true;
        assert_eq!(device.live(5000, false), []);
        device.seen.within = Within::Gone;
        let seized = [Move::Seize, Move::CountLoss, Move::Close(1, Loss::Ended)];
        assert_eq!(device.live(1, false), seized);
    }

    #[test]
    fn a_device_that_does_not_wait_for_time_is_closed_before_it_drives() {
        let mut device = Device::new();
        let mut moves = Vec::new();
        for _ in 0..50 {
            device.seen.calls += 60;
            device.seen.frames += 60 * 256;
            moves.extend(device.live(1, false));
        }
        assert_eq!(moves, [Move::Close(1, Loss::Unclocked)]);
    }

    #[test]
    fn without_a_clock_speed_is_no_fault() {
        let mut device = Device::new();
        device.seen.freewheel = true;
        for _ in 0..50 {
            device.seen.calls += 60;
            device.seen.frames += 60 * 256;
            device.live(1, false);
        }
        assert_eq!((device.holder, device.losses), (STREAM, 0));
    }

    /// S61: a supervisor that was away blames nobody.
    #[test]
    fn after_a_suspension_the_clock_of_the_stream_starts_anew() {
        let mut device = Device::new();
        device.live(100, true);
        device.now_ns += 3_600_000 * MS;
        assert_eq!(device.live(40, false), []);
        assert_eq!(device.live(100, true), []);
    }

    #[test]
    fn without_a_stream_the_timer_drives() {
        let mut device = Device::new();
        device.live(100, true);
        assert_eq!(device.watch.step(device.now_ns, STREAM, None), [Move::Hand(TIMER)]);
        assert_eq!(device.watch.step(device.now_ns, TIMER, None), []);
    }
}
