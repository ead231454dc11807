//! The same voices built with fundsp: each a graph of its own, rendered 64 frames at a time.

use fundsp::prelude32::{
    AudioUnit, BufferRef, BufferVec, Shared, adsr_live, lowpass_hz, lowpass_q, mul, poly_saw_hz,
    shared, sine_hz, var,
};

/// Voices, and the gate of all of them.
pub(crate) struct Graphs {
    voices: Vec<Box<dyn AudioUnit>>,
    gate: Shared,
    block: u64,
    pub(crate) peak: f32,
}

/// The pitch of a voice, as the other engines have it.
fn pitch(voice: usize) -> f32 {
    65.0 * ((voice % 16) as f32 / 6.0).exp2()
}

impl Graphs {
    /// Saw, state-variable filter, envelope of every sample; the one voice is a sine.
    pub(crate) fn new(voices: usize, moved: bool) -> Graphs {
        let gate = shared(0.0);
        let envelope = || var(&gate) >> adsr_live(0.1, 0.5, 0.2, 0.6);
        let voice = |at: usize| -> Box<dyn AudioUnit> {
            let mut unit: Box<dyn AudioUnit> = match (voices, moved) {
                (1, _) => Box::new((sine_hz(220.0) * envelope()) >> lowpass_hz(900.0, 2.0)),
                (_, false) => {
                    Box::new((poly_saw_hz(pitch(at)) >> lowpass_hz(900.0, 2.0)) * envelope())
                }
                (_, true) => {
                    let corner = envelope() >> mul(2_000.0);
                    Box::new(((poly_saw_hz(pitch(at)) | corner) >> lowpass_q(2.0)) * envelope())
                }
            };
            unit.set_sample_rate(48_000.0);
            unit.allocate();
            unit
        };
        Graphs { voices: (0..voices).map(voice).collect(), gate, block: 0, peak: 0.0 }
    }

    /// Renders so many blocks.
    pub(crate) fn render(&mut self, blocks: u64) {
        let mut out = BufferVec::new(1);
        for _ in 0..blocks {
            // Its envelope opens only if it has seen the gate closed.
            if self.block.is_multiple_of(188) {
                self.gate.set_value((self.block / 188 % 2) as f32);
            }
            self.block += 1;
            let mut sum = [0.0_f32; 64];
            for voice in &mut self.voices {
                voice.process(64, &BufferRef::empty(), &mut out.buffer_mut());
                for (sum, sample) in sum.iter_mut().zip(out.channel_f32(0)) {
                    *sum += *sample * 0.002;
                }
            }
            self.peak = sum[0].abs().max(self.peak);
        }
    }
}
