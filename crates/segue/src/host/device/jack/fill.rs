//! Fills the ports of one call with what the caller is given.
//!
//! *Invariant*: nothing here allocates, whatever the period becomes: what is longer than the
//! room is asked for in pieces.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};

use segue_sys::jack::Outputs;

use super::super::line::Caller;

/// Frames asked for at once; more than any server's period that is in use.
const PIECE: usize = 8192;

/// What the library's real-time thread runs.
pub(super) struct Filler {
    caller: Caller,
    /// The thread is new, or has lost its priority.
    fresh: Arc<AtomicBool>,
    frames: Vec<f32>,
}

impl Filler {
    pub(super) fn new(caller: Caller, fresh: Arc<AtomicBool>) -> Self {
        let frames = vec![0.0; PIECE * caller.channels()];
        Self { caller, fresh, frames }
    }

    /// `[audio]`
    pub(super) fn fill(&mut self, outputs: &mut Outputs<'_>) {
        if self.fresh.load(Acquire) {
            self.fresh.store(false, Release);
            self.caller.begin();
        }
        let channels = self.caller.channels();
        let frames = outputs.frames();
        for from in (0..frames).step_by(PIECE) {
            let count = (frames - from).min(PIECE);
            let piece = &mut self.frames[..count * channels];
            self.caller.call(piece);
            for channel in 0..outputs.ports() {
                let port = outputs.port(channel).iter_mut().skip(from);
                for (sample, frame) in port.zip(piece.chunks_exact(channels)) {
                    *sample = frame[channel];
                }
            }
        }
    }
}
