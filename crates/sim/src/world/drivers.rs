//! Who asks for frames in a world: a timer, and a device whose stream comes and goes.
//!
//! The decisions are the real ones ([`DriverWatch`]); what is made up is the device: it falls
//! silent, is lost, ends within a call at any store, or asks for more than there is time for. A
//! stream that is closed comes back after a quarter of a second.

use segue_lockstep::memory::block;
use segue_lockstep::memory::slot::Phase;
use segue_lockstep::memory::status::Counter;
use segue_lockstep::memory::tap::Found;
use segue_lockstep::monitor::{DriverWatch, Loss, Move, StreamSeen, TIMER, Within};
use segue_lockstep::playout::{Driver, Playout, Token};
use segue_lockstep::{BLOCK_FRAMES, Shape};

use super::World;

const REOPEN_NS: u64 = 250_000_000;

/// How much a device without a clock takes at once while the monitor is away, in seconds: who
/// asks for more than the tap holds would be ended by nobody, and outruns whoever records.
const SWALLOWED_SECONDS: u64 = 10;

/// How long after what was done to it a device may still be taken for lost: its longest patience.
const LASTS_NS: u64 = 600_000_000;

/// The drivers of a world.
#[derive(Debug)]
pub(crate) struct Drivers {
    watch: DriverWatch,
    token: Token,
    /// When the timer asks next.
    timer_ns: u64,
    device: Option<Device>,
    /// Frames delivered, to whomever.
    position: u64,
    /// How often a stream gave up the token, and until when something was done that may lead to it.
    pub(super) losses: u64,
    pub(super) harmed_until_ns: u64,
    out: Vec<f32>,
    /// A block as it was played, to be compared.
    block: Vec<f32>,
}

/// A device and its stream of now.
#[derive(Debug)]
struct Device {
    stream: Option<StreamSeen>,
    /// When the stream calls next, or the next stream is opened.
    due_ns: u64,
    /// So long it calls nobody.
    silent_until_ns: u64,
    /// How many times faster than time it asks.
    haste: u64,
    /// Frames it was given beyond its time since the monitor was seen last.
    swallowed: u64,
    streams: u64,
}

impl Drivers {
    /// A timer, and a device if there is one.
    pub(crate) fn new(shape: Shape, device: bool) -> Self {
        let first = Device {
            stream: None,
            due_ns: 0,
            silent_until_ns: 0,
            haste: 1,
            swallowed: 0,
            streams: 0,
        };
        Self {
            watch: DriverWatch::new(shape),
            token: Token::new(TIMER),
            timer_ns: 0,
            device: device.then_some(first),
            position: 0,
            losses: 0,
            harmed_until_ns: 0,
            out: vec![0.0; 4096 * shape.channels],
            block: vec![0.0; shape.block_samples()],
        }
    }

    /// Block 0 may be asked for from now on.
    pub(crate) fn begin(&mut self, now_ns: u64) {
        self.timer_ns = now_ns;
    }

    /// Whether the device asks for more than there is time for.
    pub(crate) fn hastens(&self) -> bool {
        self.device.as_ref().is_some_and(|device| device.haste > 1)
    }

    fn device(&mut self) -> &mut Device {
        self.device.as_mut().expect("a world with a device")
    }
}

impl World {
    /// The device calls nobody for so long, and says nothing.
    pub fn silence_device(&mut self, ns: u64) {
        let until_ns = self.now_ns() + ns;
        self.drivers.device().silent_until_ns = until_ns;
        self.harm_drivers(until_ns);
    }

    /// The device is gone, and says so.
    pub fn lose_device(&mut self) {
        if let Some(stream) = &mut self.drivers.device().stream {
            stream.lost = true;
        }
    }

    /// Something is done until then that may cost the device the token.
    pub(super) fn harm_drivers(&mut self, until_ns: u64) {
        let known = &mut self.drivers.harmed_until_ns;
        *known = until_ns.max(*known);
    }

    /// How often a device lost the token.
    #[must_use]
    pub fn device_losses(&self) -> u64 {
        self.drivers.losses
    }

    /// The device asks for so many times more than there is time for.
    pub fn hasten_device(&mut self, haste: u64) {
        self.drivers.device().haste = haste;
    }

    /// The thread of the device's stream ends within its next call, when it has been given some of
    /// the frames that it asked for.
    pub fn end_device(&mut self) {
        let drives = self.device_drives();
        let most = self.draw_period();
        let Some(stream) = &mut self.drivers.device().stream else { return };
        stream.calls += 1;
        stream.within = Within::Gone;
        if drives {
            let frames = self.chance.below(most as u64 + 1) as usize;
            self.play(frames);
        }
    }

    /// The thread of the device's stream ends in its next call, after so many stores.
    #[cfg(feature = "doom")]
    pub fn end_device_within_call(&mut self, stores: u64) {
        let drives = self.device_drives();
        let frames = self.config.period.0;
        let Some(stream) = &mut self.drivers.device().stream else { return };
        stream.calls += 1;
        stream.within = Within::Gone;
        if drives {
            let left = std::sync::Arc::new(stores.into());
            let doomed = self.doomed(&left);
            let mut playout = Playout::resume(self.shape, doomed, self.pace());
            playout.play(&mut vec![0.0; frames * self.shape.channels]);
        }
    }

    /// Whether the device's stream holds the token.
    #[must_use]
    pub fn device_drives(&self) -> bool {
        self.drivers.token.holder() != TIMER
    }

    /// What playout works on, for one that is ended after so many stores.
    #[cfg(feature = "doom")]
    fn doomed(
        &self,
        left: &std::sync::Arc<std::sync::atomic::AtomicU64>,
    ) -> segue_lockstep::playout::Parts {
        let fits = "a region of its own size";
        segue_lockstep::playout::Parts {
            orders: segue_lockstep::memory::orders::Orders::new(self.orders.region().doomed(left))
                .expect(fits),
            slots: self.slots.clone(),
            inbox: self.inbox.clone(),
            tap: segue_lockstep::memory::tap::Tap::new(self.tap.region().doomed(left), &self.shape)
                .expect(fits),
            status: self.status.clone(),
        }
    }

    /// The monitor looks at who drives.
    pub(crate) fn watch_drivers(&mut self) {
        let seen = self.drivers.device.as_ref().and_then(|device| device.stream);
        let (now_ns, holder) = (self.now_ns(), self.drivers.token.holder());
        let ends = |stream: StreamSeen| stream.lost || stream.within == Within::Gone;
        if self.drivers.hastens() || seen.is_some_and(ends) {
            self.harm_drivers(now_ns);
        }
        for step in self.drivers.watch.step(now_ns, holder, seen) {
            match step {
                Move::Hand(driver) => self.hand(driver),
                Move::Seize => {
                    let parts = self.parts();
                    self.playout = Playout::resume(self.shape, parts, self.pace());
                    // What the call that was ended had been given is not given again, and no
                    // more than that is left out.
                    let (before, after) = (self.drivers.position, self.playout.position());
                    let asked = self.config.period.1.max(BLOCK_FRAMES) as u64;
                    assert!((before..=before + asked).contains(&after), "{before}, {after}");
                    self.drivers.position = after;
                    self.hand(TIMER);
                }
                Move::CountLoss => self.status.count(Counter::DeviceLosses),
                Move::Close(number, loss) => self.close_device(number, loss),
            }
        }
    }

    fn hand(&mut self, driver: Driver) {
        if self.device_drives() && driver == TIMER {
            self.drivers.losses += 1;
            let lately = self.now_ns() < self.drivers.harmed_until_ns + LASTS_NS;
            assert!(lately, "a device is lost to which nothing was done");
        }
        self.drivers.token.hand_to(driver);
        self.drivers.timer_ns = self.now_ns();
    }

    fn close_device(&mut self, number: u64, loss: Loss) {
        let now_ns = self.now_ns();
        let device = self.drivers.device();
        assert_eq!(device.stream.take().map(|stream| stream.number), Some(number));
        device.due_ns = now_ns + REOPEN_NS;
        if loss == Loss::Unclocked {
            device.haste = 1;
        }
    }

    /// Whoever is due asks for frames.
    pub(crate) fn drive(&mut self) {
        let now_ns = self.now_ns();
        if self.drivers.token.is_held_by(TIMER)
            && now_ns >= self.drivers.timer_ns.max(self.stalled_until_ns)
        {
            let frames = self.draw_period();
            self.play(frames);
            let due = self.drivers.timer_ns;
            let ns = self.frames_ns(frames);
            // A timer late by more than a period starts a new clock; it never bursts.
            // Without a clock the rest is asked for at once.
            self.drivers.timer_ns = if self.config.freewheel {
                now_ns
            } else if due + 2 * ns >= now_ns {
                due + ns
            } else {
                now_ns
            };
        }
        self.drive_device(now_ns);
    }

    fn drive_device(&mut self, now_ns: u64) {
        let Some(device) = &mut self.drivers.device else { return };
        if now_ns < device.due_ns.max(device.silent_until_ns).max(self.stalled_until_ns) {
            return;
        }
        if device.stream.is_none() {
            device.streams += 1;
            device.stream = Some(StreamSeen {
                number: device.streams,
                calls: 0,
                frames: 0,
                period: 0,
                lost: false,
                freewheel: false,
                within: Within::No,
            });
        }
        let swallows = SWALLOWED_SECONDS * u64::from(self.shape.rate);
        device.swallowed = if self.monitor_suspended { device.swallowed } else { 0 };
        let haste = if device.swallowed < swallows { device.haste } else { 1 };
        let Some(stream) = device.stream.filter(|it| !it.lost && it.within == Within::No) else {
            return;
        };
        let frames = self.draw_period();
        for _ in 0..haste {
            if self.drivers.token.is_held_by(stream.driver()) {
                self.play(frames);
            }
        }
        let ns = self.frames_ns(frames);
        let device = self.drivers.device();
        device.swallowed += (haste - 1) * frames as u64;
        device.due_ns = device.due_ns.max(now_ns) + ns;
        if let Some(stream) = &mut device.stream {
            stream.calls += haste;
            stream.frames += haste * frames as u64;
            stream.period = stream.period.max(frames as u64);
        }
    }

    fn draw_period(&mut self) -> usize {
        let (low, high) = self.config.period;
        low + self.chance.below((high - low) as u64 + 1) as usize
    }

    /// How long so many frames last, by the device's clock.
    fn frames_ns(&self, frames: usize) -> u64 {
        let drift = i128::from(1_000_000 - self.config.drift_ppm);
        let ns = frames as i128 * 1_000_000_000 / i128::from(self.shape.rate) * drift / 1_000_000;
        ns as u64
    }

    fn play(&mut self, frames: usize) {
        let channels = self.shape.channels;
        let mut out = std::mem::take(&mut self.drivers.out);
        let before = self.orders.playhead();
        let late = self.counter(Counter::Late);
        let played = self.playout.play(&mut out[..frames * channels]);
        let blocks = before..self.orders.playhead();
        let from_others = blocks.filter(|block| self.check_choice(*block)).count();
        assert_eq!(self.counter(Counter::Late) - late, from_others as u64, "late from {before}");
        let gave_all = played == frames || self.playout.ended() || self.config.freewheel;
        assert!(gave_all, "a device is always given its frames");
        let (playhead, sealed) = (self.orders.playhead(), self.orders.sealed());
        let blocks = frames.div_ceil(BLOCK_FRAMES) as u64;
        assert!(playhead <= before + blocks, "{} blocks at once", playhead - before);
        let most = self.orders.period().div_ceil(BLOCK_FRAMES as u64) + self.config.lead;
        assert!(sealed <= playhead + blocks.max(most), "sealed to {sealed} at {playhead}");
        self.check_frames(&out[..played * channels]);
        self.drivers.out = out;
        self.drivers.position += played as u64;
        assert_eq!(self.orders.position(), self.drivers.position, "frames are lost or repeated");
    }

    /// Whose block should be played: the primary's, unless two others have it alike and otherwise;
    /// where the primary has not got it, which is late, the first that has.
    fn whose(&self, block: u64) -> Option<usize> {
        let first = self.orders.primary();
        let hash = |slot: usize| self.entry(slot, block).map(|entry| block::facts(&entry).hash);
        let slots = || (0..self.config.slots).filter(|slot| Some(*slot) != first);
        let Some((first, own)) = first.and_then(|slot| Some((slot, hash(slot)?))) else {
            return slots().find(|slot| hash(*slot).is_some());
        };
        let others: Vec<_> = slots().map(|slot| (slot, hash(slot))).collect();
        let alike = |it: Option<u64>| others.iter().filter(|(_, other)| *other == it).count();
        let right = others.iter().find(|(_, it)| it.is_some_and(|it| it != own) && alike(*it) > 1);
        Some(right.map_or(first, |(slot, _)| *slot))
    }

    /// A block as a slot's guest has it, if it may be heard.
    fn entry(&self, slot: usize, block: u64) -> Option<Vec<u64>> {
        let (place, generation) = (&self.slots[slot], self.orders.generation(slot));
        let is_heard = place.generation() == generation
            && place.phase() == Phase::Lockstep
            && place.published() > block;
        let mut entry = vec![0; place.entry_words()];
        (is_heard && place.read(block, generation, &mut entry).is_some()).then_some(entry)
    }

    /// What was played of a block is what should have been; gives whether it was late. Nobody
    /// renders while it is played: what is there now was there then.
    fn check_choice(&mut self, block: u64) -> bool {
        let whose = self.whose(block);
        let mut played = std::mem::take(&mut self.drivers.block);
        let found = self.tap.read(block, &mut played);
        let Some(slot) = whose else {
            assert!(matches!(found, Found::Block(it) if it.concealed), "nobody has block {block}");
            self.drivers.block = played;
            return false;
        };
        // The first after a gap is faded in.
        if let Found::Block(it) = found
            && !it.concealed
        {
            let mut wanted = vec![0.0; played.len()];
            let entry = self.entry(slot, block).unwrap_or_default();
            block::unpack(&entry, &mut wanted);
            assert!(played == wanted, "block {block} is not that of slot {slot}");
        }
        self.drivers.block = played;
        let first = self.orders.primary();
        first.is_none_or(|first| self.entry(first, block).is_none())
    }

    /// What was delivered is what was played at these frames, whoever asked for it.
    fn check_frames(&mut self, out: &[f32]) {
        let channels = self.shape.channels;
        let (mut at, end) = (self.drivers.position, out.len() / channels);
        let mut done = 0;
        while done < end {
            let number = at / BLOCK_FRAMES as u64;
            let found = self.tap.read(number, &mut self.drivers.block);
            assert!(matches!(found, Found::Block(_)), "block {number} was not played");
            let within = at as usize % BLOCK_FRAMES;
            let count = (BLOCK_FRAMES - within).min(end - done);
            let heard = &out[done * channels..(done + count) * channels];
            let played = &self.drivers.block[within * channels..(within + count) * channels];
            assert!(heard == played, "frames from {at} on are others");
            at += count as u64;
            done += count;
        }
    }
}
