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
    for frame in out.chunks_exact_mut(stride) {
        frame.fill(ramp.advance());
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
    for out in out {
        *out = clamp(*out * factor, min, max);
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
        // In the order of the voices: the one order all machines add in.
        for (out, lanes) in out.iter_mut().zip(samples.chunks_exact(cable.stride)) {
            let mut sum = 0.0;
            for sample in &lanes[..cable.lanes] {
                sum += sample;
            }
            *out += sum * amount;
        }
    } else {
        for (out, sample) in out.chunks_exact_mut(port.stride).zip(samples) {
            for out in out {
                *out += sample * amount;
            }
        }
    }
}
