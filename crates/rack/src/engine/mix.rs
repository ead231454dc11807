//! What arrives at a port: its constant on its ramp, and what the cables add to it or bend.
//!
//! *Invariant*: sample by sample the same arithmetic whatever stands still, so neither a cut nor
//! a cable that rests changes a bit.

use multiversion::multiversion;
use segue_dsp::by_stride;
use segue_dsp::math::{clamp, exp2};
use segue_dsp::ramp::Ramp;
use segue_dsp::signal::repeat;

use crate::engine::layout::{CablePlace, Feed, PortPlace};

/// Where the signal of a port is to be found.
#[derive(Clone, Copy)]
pub(super) enum Mixed {
    /// The same in every frame and lane.
    Value(f32),
    /// In the port's own buffer, one frame for all.
    Still,
    /// In the port's own buffer.
    Buffer,
    /// In the cable itself.
    Direct,
}

impl PortPlace {
    /// What a port without cables stands at.
    pub(super) fn fit(&self, ramp: &Ramp) -> f32 {
        clamp(ramp.value() * self.factor, self.min, self.max)
    }
}

/// Mixes frames `from..to` of a port into its own part of `buffers`; `lanes` is room for sums.
pub(super) fn mix(
    port: &PortPlace,
    ramp: Option<&mut Ramp>,
    (pages, still): (&[Vec<f32>], &[bool]),
    (buffers, lanes): (&mut [f32], &mut [f32]),
    (from, to): (usize, usize),
) -> Mixed {
    if port.feed == Feed::Direct {
        return Mixed::Direct;
    }
    let mut stands;
    let ramp = match ramp {
        Some(ramp) => ramp,
        None => {
            stands = Ramp::at(port.constant);
            &mut stands
        }
    };
    let moving = ramp.is_moving();
    if port.cables.is_empty() && !moving {
        return Mixed::Value(port.fit(ramp));
    }
    let rests = !moving && port.cables.iter().all(|cable| still[cable.page]);
    let frames = if rests { 1 } else { to - from };
    let stride = port.stride;
    let begin = if rests { 0 } else { from };
    let out = &mut buffers[port.buffer + begin * stride..][..frames * stride];
    if moving {
        for frame in out.chunks_exact_mut(stride) {
            frame.fill(ramp.advance());
        }
    } else {
        repeat(&[ramp.value()], out);
    }
    let (linear, bends) = port.cables.split_at(port.cables.len() - port.bends);
    if port.sums {
        sum_all(linear, pages, from, lanes, out);
    } else {
        for cable in linear {
            let samples = samples(cable, pages, from, frames);
            by_stride!(stride, W => add::<W>(samples, cable.stride, cable.amount, out));
        }
    }
    let range = port.param.map(|_| (port.factor, port.min, port.max));
    match bends {
        [] => {}
        [cable] => {
            let samples = samples(cable, pages, from, frames);
            by_stride!(stride, W => bend::<W>(samples, cable.stride, cable.amount, range, out));
            return if rests { Mixed::Still } else { Mixed::Buffer };
        }
        bends => {
            let octaves = &mut lanes[..out.len()];
            octaves.fill(0.0);
            for cable in bends {
                let samples = samples(cable, pages, from, frames);
                by_stride!(stride, W => add::<W>(samples, cable.stride, cable.amount, octaves));
            }
            bend::<1>(octaves, 1, 1.0, None, out);
        }
    }
    // An inlet has no range and no interval: what is wrong with it shows in the module's output.
    if let Some(range) = range {
        fit(range, out);
    }
    if rests { Mixed::Still } else { Mixed::Buffer }
}

fn samples<'a>(cable: &CablePlace, pages: &'a [Vec<f32>], from: usize, frames: usize) -> &'a [f32] {
    &pages[cable.page][from * cable.stride..(from + frames) * cable.stride]
}

/// Adds a cable, times its amount; one lane feeds all `W`.
#[multiversion(targets("x86_64+avx2"))]
fn add<const W: usize>(samples: &[f32], stride: usize, amount: f32, out: &mut [f32]) {
    if stride == W {
        for (out, sample) in out.iter_mut().zip(samples) {
            *out += sample * amount;
        }
    } else {
        for (out, sample) in out.as_chunks_mut::<W>().0.iter_mut().zip(samples) {
            let sample = sample * amount;
            for out in out {
                *out += sample;
            }
        }
    }
}

/// Bends by a cable, its amount in octaves, then brings into the range where there is one.
#[multiversion(targets("x86_64+avx2"))]
fn bend<const W: usize>(
    samples: &[f32],
    stride: usize,
    amount: f32,
    range: Option<(f32, f32, f32)>,
    out: &mut [f32],
) {
    let (factor, min, max) = range.unwrap_or((1.0, f32::NEG_INFINITY, f32::INFINITY));
    if stride == W {
        for (out, sample) in out.iter_mut().zip(samples) {
            *out = clamp(*out * exp2(sample * amount) * factor, min, max);
        }
    } else {
        for (out, sample) in out.as_chunks_mut::<W>().0.iter_mut().zip(samples) {
            let ratio = exp2(sample * amount);
            for out in out {
                *out = clamp(*out * ratio * factor, min, max);
            }
        }
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn fit((factor, min, max): (f32, f32, f32), out: &mut [f32]) {
    for out in out {
        *out = clamp(*out * factor, min, max);
    }
}

/// Adds cables of any number of lanes to one: those of equal width lane by lane first, then the
/// lanes of a frame in the one order all machines add in.
fn sum_all(
    cables: &[CablePlace],
    pages: &[Vec<f32>],
    from: usize,
    lanes: &mut [f32],
    out: &mut [f32],
) {
    let frames = out.len();
    let mut rest = cables;
    while let Some(first) = rest.first() {
        let alike =
            |cable: &&CablePlace| (cable.stride, cable.lanes) == (first.stride, first.lanes);
        let (group, later) = rest.split_at(rest.iter().take_while(alike).count());
        rest = later;
        if first.stride == 1 {
            for cable in group {
                add::<1>(samples(cable, pages, from, frames), 1, cable.amount, out);
            }
            continue;
        }
        let lanes = &mut lanes[..frames * first.stride];
        scale(samples(first, pages, from, frames), first.amount, lanes);
        for cable in &group[1..] {
            add::<1>(samples(cable, pages, from, frames), 1, cable.amount, lanes);
        }
        if first.stride == 8 {
            gather::<8>(lanes, first.lanes, out);
        } else {
            gather::<16>(lanes, first.lanes, out);
        }
    }
}

/// A cable, times its amount.
#[multiversion(targets("x86_64+avx2"))]
fn scale(samples: &[f32], amount: f32, out: &mut [f32]) {
    for (out, sample) in out.iter_mut().zip(samples) {
        *out = sample * amount;
    }
}

/// Adds the first `lanes` of each frame to `out`, in pairs of pairs.
#[multiversion(targets("x86_64+avx2"))]
fn gather<const W: usize>(samples: &[f32], lanes: usize, out: &mut [f32]) {
    let mut heard = [0.0_f32; W];
    heard[..lanes].fill(1.0);
    for (out, frame) in out.iter_mut().zip(samples.as_chunks::<W>().0) {
        let mut sums = [0.0; W];
        for lane in 0..W {
            // What fills up a frame is a number as well, so nothing is nothing.
            sums[lane] = frame[lane] * heard[lane];
        }
        let mut width = W / 2;
        while width > 0 {
            for lane in 0..width {
                sums[lane] += sums[lane + width];
            }
            width /= 2;
        }
        *out += sums[0];
    }
}
