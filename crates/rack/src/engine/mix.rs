//! What arrives at a port: its constant on its ramp, and what the cables add to it or bend.

use segue_dsp::math::{clamp, exp2};
use segue_dsp::ramp::Ramp;

use crate::BLOCK_FRAMES;
use crate::engine::layout::{CablePlace, Feed, PortPlace};

/// Where the signal of a port is to be found.
#[derive(Clone, Copy)]
pub(super) enum Mixed {
    /// The same in every frame.
    Value(f32),
    /// In the port's own buffer.
    Buffer,
    /// In the cable itself.
    Direct,
}

/// Mixes frames `from..to` of a port. `earlier` are the samples of all modules before, `own` those
/// of this module's port buffers. Frame by frame the same arithmetic, so a cut changes no bit.
pub(super) fn mix(
    port: &PortPlace,
    ramp: Option<&mut Ramp>,
    earlier: &[f32],
    own: &mut [f32],
    (from, to): (usize, usize),
) -> Mixed {
    if port.feed == Feed::Direct {
        return Mixed::Direct;
    }
    let (factor, min, max) = (port.factor, port.min, port.max);
    let mut still;
    let ramp = match ramp {
        Some(ramp) => ramp,
        None => {
            still = Ramp::at(port.constant);
            &mut still
        }
    };
    if port.cables.is_empty() && !ramp.is_moving() {
        return Mixed::Value(clamp(ramp.value() * factor, min, max));
    }
    let stride = port.stride;
    let out = &mut own[port.buffer + from * stride..port.buffer + to * stride];
    if ramp.is_moving() {
        for frame in out.chunks_exact_mut(stride) {
            frame.fill(ramp.advance());
        }
    } else {
        out.fill(ramp.value());
    }
    for cable in port.cables.iter().filter(|cable| !cable.bends) {
        add(cable, port, earlier, from, out);
    }
    if port.cables.iter().any(|cable| cable.bends) {
        let mut octaves = [0.0; BLOCK_FRAMES * 16];
        let octaves = &mut octaves[..out.len()];
        for cable in port.cables.iter().filter(|cable| cable.bends) {
            add(cable, port, earlier, from, octaves);
        }
        for (out, octaves) in out.iter_mut().zip(octaves) {
            *out *= exp2(*octaves);
        }
    }
    // An inlet has no range and no interval: what is wrong with it shows in the module's output.
    if port.param.is_some() {
        for out in out {
            *out = clamp(*out * factor, min, max);
        }
    }
    Mixed::Buffer
}

/// Adds a cable, times its amount, to `out`, whose first frame is `from`.
fn add(cable: &CablePlace, port: &PortPlace, earlier: &[f32], from: usize, out: &mut [f32]) {
    let amount = cable.amount;
    let frames = out.len() / port.stride;
    let begin = cable.at + from * cable.stride;
    let samples = &earlier[begin..begin + frames * cable.stride];
    if cable.stride == port.stride {
        for (out, sample) in out.iter_mut().zip(samples) {
            *out += sample * amount;
        }
    } else if port.sums {
        for (out, lanes) in out.iter_mut().zip(samples.chunks_exact(cable.stride)) {
            *out += sum(&lanes[..cable.lanes]) * amount;
        }
    } else {
        for (out, sample) in out.chunks_exact_mut(port.stride).zip(samples) {
            for out in out {
                *out += sample * amount;
            }
        }
    }
}

/// The sum of up to sixteen voices, in pairs of pairs: the one order all machines add in.
#[inline(always)]
fn sum(voices: &[f32]) -> f32 {
    let mut lanes = [0.0; 16];
    lanes[..voices.len()].copy_from_slice(voices);
    let mut width = 8;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}
