//! What stands between `out` and the device: test tone, gain, mute, fades, and last the limiter.

use multiversion::multiversion;
use segue_dsp::limiter::Limiter;
use segue_dsp::math::sin_pi;
use segue_dsp::ramp::Ramp;

use crate::engine::layout::Master;

/// Time in which gain, mute and panic move, ms.
pub(super) const MASTER_MS: f32 = 10.0;

/// Level of the test tone: −12 dB.
const TONE_LEVEL: f32 = 0.25;

/// Pitch of the test tone.
const TONE_HZ: f64 = 440.0;

/// Time in which the test tone comes and goes, ms.
const TONE_EDGE_MS: f32 = 5.0;

/// What the master is told in the course of a block.
#[derive(Clone, Copy)]
pub(super) enum MasterTask {
    Test,
    Panic,
    Gain { gain: f32, frames: u32 },
    Mute { on: bool },
    Fade { frames: u32 },
}

/// What the master has to know of the world.
pub(super) struct Desk {
    pub(super) rate: u32,
    pub(super) channels: usize,
    recovery: f64,
    tone_step: u32,
    tone_edge: u32,
    pub(super) glide: u32,
}

impl Desk {
    /// The desk for a rate and a channel count. `[control]`
    pub(super) fn new(rate: u32, channels: usize) -> Desk {
        Desk {
            rate,
            channels,
            recovery: Limiter::recovery(rate as f32),
            tone_step: (TONE_HZ / f64::from(rate) * 4_294_967_296.0) as u32,
            tone_edge: frames(TONE_EDGE_MS, rate),
            glide: frames(MASTER_MS, rate),
        }
    }
}

/// A time in frames.
pub(super) fn frames(ms: f32, rate: u32) -> u32 {
    segue_dsp::math::round(ms * rate as f32 / 1_000.0) as u32
}

impl Master {
    /// Open, at unity, silent. `[any]`
    pub(super) fn new() -> Master {
        Master {
            gain: Ramp::at(1.0),
            mute: Ramp::at(1.0),
            fade: Ramp::at(1.0),
            duck: Ramp::at(1.0),
            tone: Ramp::at(0.0),
            limiter: Limiter::new(),
            tone_left: 0,
            tone_phase: 0,
            ducking: 0,
            muted: 0,
        }
    }

    /// Forgets what is no number and what the limiter has heard; gains and mute stay as they were
    /// set. `[audio]`
    pub(super) fn mend(&mut self) {
        let new = Master::new();
        self.limiter = new.limiter;
        for (ramp, new) in [
            (&mut self.gain, new.gain),
            (&mut self.mute, new.mute),
            (&mut self.fade, new.fade),
            (&mut self.duck, new.duck),
            (&mut self.tone, new.tone),
        ] {
            if !(ramp.target().is_finite() && ramp.value().is_finite()) {
                *ramp = new;
            }
        }
    }

    /// Does one task. `[audio]`
    pub(super) fn perform(&mut self, desk: &Desk, task: MasterTask) {
        match task {
            MasterTask::Test => {
                self.tone_left = desk.rate;
                self.tone.glide_to(TONE_LEVEL, desk.tone_edge);
            }
            MasterTask::Panic => {
                self.ducking = 1;
                self.duck.glide_to(0.0, desk.glide);
            }
            MasterTask::Gain { gain, frames } => self.gain.glide_to(gain, frames),
            MasterTask::Mute { on } => {
                self.muted = u32::from(on);
                self.mute.glide_to(if on { 0.0 } else { 1.0 }, desk.glide);
            }
            MasterTask::Fade { frames } => self.fade.glide_to(0.0, frames),
        }
    }

    /// At the beginning of a block: whether a panic has gone down, so that what rings can be
    /// emptied unheard; the sound comes back from here on. `[audio]`
    pub(super) fn has_ducked(&mut self, desk: &Desk) -> bool {
        let down = self.ducking == 1 && !self.duck.is_moving();
        if down {
            self.ducking = 0;
            self.duck.glide_to(1.0, desk.glide);
        }
        down
    }

    /// Writes frames of both buses to interleaved `out`, limited; says on how many frames the
    /// limiter held the sound down. `[audio]`
    pub(super) fn render(
        &mut self,
        desk: &Desk,
        (left, right): (&[f32], &[f32]),
        out: &mut [f32],
    ) -> u32 {
        let ramps = [&self.gain, &self.mute, &self.duck, &self.fade];
        let still = self.tone_left == 0 && !ramps.iter().any(|ramp| ramp.is_moving());
        if still && desk.channels == 2 {
            // Where nothing moves, advancing once more or less moves nothing.
            let gain = self.advance();
            weave(left, right, gain, out);
            return self.limiter.process(desk.recovery, desk.channels, out);
        }
        for ((frame, left), right) in out.chunks_exact_mut(desk.channels).zip(left).zip(right) {
            let (tone, gain) = (self.tone(desk), self.advance());
            frame.fill(0.0);
            // Adding zero makes a negative zero a plain one: silence has one spelling.
            frame[0] = (left + tone) * gain + 0.0;
            if let Some(side) = frame.get_mut(1) {
                *side = (right + tone) * gain + 0.0;
            }
        }
        self.limiter.process(desk.recovery, desk.channels, out)
    }

    /// All gains of the next frame.
    fn advance(&mut self) -> f32 {
        let level = self.gain.advance() * self.mute.advance();
        level * self.duck.advance() * self.fade.advance()
    }

    fn tone(&mut self, desk: &Desk) -> f32 {
        if self.tone_left == 0 {
            return 0.0;
        }
        if self.tone_left == desk.tone_edge {
            self.tone.glide_to(0.0, desk.tone_edge);
        }
        self.tone_left -= 1;
        let phase = (self.tone_phase as i32) as f32 * (1.0 / 2_147_483_648.0);
        self.tone_phase = self.tone_phase.wrapping_add(desk.tone_step);
        sin_pi(phase) * self.tone.advance()
    }
}

/// Both sides frame by frame, at a gain that stands: the bits of the loop above.
#[multiversion(targets("x86_64+avx2"))]
fn weave(left: &[f32], right: &[f32], gain: f32, out: &mut [f32]) {
    let (frames, _) = out.as_chunks_mut::<2>();
    for ((frame, left), right) in frames.iter_mut().zip(left).zip(right) {
        *frame = [(left + 0.0) * gain + 0.0, (right + 0.0) * gain + 0.0];
    }
}
