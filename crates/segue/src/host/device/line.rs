//! A stream's line to the deck: what its callback calls, and what is seen of it.
//!
//! *Invariant*: the callback writes counts and flags, the monitor reads them; neither waits for
//! the other. That calls arrive is the only proof that a device lives.

use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};

use segue_lockstep::monitor::{StreamSeen, TIMER, Within};
use segue_lockstep::playout::Driver;
use segue_sys::process::priority::{self, Urgency};
use segue_sys::process::{thread_id, thread_lives};

use super::deck::{Bells, Deck};

/// What is known of a stream.
#[derive(Debug)]
pub(in crate::host) struct Line {
    deck: Arc<Deck>,
    number: u64,
    channels: usize,
    calls: AtomicU64,
    frames: AtomicU64,
    period: AtomicU64,
    /// The thread that calls; 0 before it has begun.
    thread: AtomicU32,
    /// The thread that is within a call; 0 for none.
    within: AtomicU32,
    freewheel: AtomicBool,
    lost: AtomicBool,
    why: Mutex<String>,
    /// It is to be dropped: calls are answered with silence at once.
    closing: AtomicBool,
    xruns: AtomicU64,
    latency: AtomicU64,
}

impl Line {
    /// The line of stream `number`, counted from 1, and what its callback holds.
    pub(in crate::host) fn new(
        deck: &Arc<Deck>,
        number: u64,
        channels: usize,
    ) -> (Arc<Self>, Caller) {
        let line = Arc::new(Self {
            deck: deck.clone(),
            number,
            channels,
            calls: AtomicU64::new(0),
            frames: AtomicU64::new(0),
            period: AtomicU64::new(0),
            thread: AtomicU32::new(0),
            within: AtomicU32::new(0),
            freewheel: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            why: Mutex::default(),
            closing: AtomicBool::new(false),
            xruns: AtomicU64::new(0),
            latency: AtomicU64::new(0),
        });
        (line.clone(), Caller { line })
    }

    /// The driver it is.
    pub(in crate::host) fn driver(&self) -> Driver {
        Driver(TIMER.0 + self.number)
    }

    /// Which stream.
    pub(in crate::host) fn number(&self) -> u64 {
        self.number
    }

    /// How it is.
    pub(in crate::host) fn look(&self) -> StreamSeen {
        let within = match self.within.load(Acquire) {
            0 => Within::No,
            thread if thread_lives(thread) => Within::Yes,
            // It may have come out and ended since.
            thread if self.within.load(Acquire) == thread => Within::Gone,
            _ => Within::No,
        };
        StreamSeen {
            number: self.number,
            calls: self.calls.load(Acquire),
            frames: self.frames.load(Acquire),
            period: self.period.load(Acquire),
            lost: self.lost.load(Acquire),
            freewheel: self.freewheel.load(Acquire),
            within,
        }
    }

    /// Why it is lost, in the backend's words.
    pub(in crate::host) fn why(&self) -> String {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Frames from handing over to being heard, as the backend says.
    pub(in crate::host) fn latency(&self) -> u64 {
        self.latency.load(Acquire)
    }

    /// Periods that came too late, as the backend says.
    pub(in crate::host) fn xruns(&self) -> u64 {
        self.xruns.load(Acquire)
    }

    /// From now on calls are answered with silence at once.
    pub(in crate::host) fn hang_up(&self) {
        self.closing.store(true, Release);
    }
}

/// What a backend's callback holds.
#[derive(Debug)]
pub(crate) struct Caller {
    line: Arc<Line>,
}

impl Caller {
    /// For the backend's other threads.
    pub(crate) fn reporter(&self) -> Reporter {
        Reporter { line: self.line.clone() }
    }

    /// Samples a frame.
    pub(crate) fn channels(&self) -> usize {
        self.line.channels
    }

    /// Once, on the thread that will call: asks for real-time priority.
    pub(crate) fn begin(&mut self) {
        self.line.thread.store(thread_id(), Release);
        self.line.deck.set_realtime(priority::ask_realtime(Urgency::Playout).is_ok());
    }

    /// Frames for the device, channels interleaved; silence while another drives. Without a
    /// clock it waits until they are rendered. `[audio]`
    pub(crate) fn call(&mut self, out: &mut [f32]) {
        let Line { deck, channels, .. } = &*self.line;
        let line = &*self.line;
        if line.thread.load(Acquire) == 0 {
            self.line.thread.store(thread_id(), Release);
        }
        line.within.store(line.thread.load(Acquire), Release);
        let frames = out.len() / channels;
        let mut done = 0;
        while done < frames && !line.closing.load(Acquire) {
            let freewheel = line.freewheel.load(Acquire);
            let heard = deck.parts().filter(|_| freewheel).map(Bells::listen);
            let Some(more) = deck.turn(line.driver(), freewheel, &mut out[done * channels..])
            else {
                break;
            };
            done += more;
            match heard {
                Some(heard) if done < frames && !deck.ended() => heard.wait(),
                _ => break,
            }
        }
        out[done * channels..].fill(0.0);
        line.frames.fetch_add(frames as u64, Release);
        line.period.fetch_max(frames as u64, Release);
        line.calls.fetch_add(1, Release);
        line.within.store(0, Release);
    }
}

/// Says what a backend learns beside the calls.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    line: Arc<Line>,
}

impl Reporter {
    /// The device is gone, for this reason. The first one said is kept.
    pub(crate) fn lost(&self, why: &str) {
        let mut kept = self.line.why.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_empty() {
            why.clone_into(&mut kept);
        }
        drop(kept);
        self.line.lost.store(true, Release);
    }

    /// A period came too late for the device. `[audio]`
    pub(crate) fn xrun(&self) {
        self.line.xruns.fetch_add(1, Release);
    }

    /// So many frames pass between handing over and being heard. `[audio]`
    pub(crate) fn latency(&self, frames: u32) {
        self.line.latency.store(u64::from(frames), Release);
    }

    /// It will ask for so many frames at once. `[audio]`
    pub(crate) fn period(&self, frames: u32) {
        self.line.period.fetch_max(u64::from(frames), Release);
        self.line.deck.expect(self.line.driver(), frames as usize);
    }

    /// It has no clock from now on, or has one again. `[audio]`
    pub(crate) fn freewheel(&self, on: bool) {
        self.line.freewheel.store(on, Release);
    }
}
