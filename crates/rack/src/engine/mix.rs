//! What arrives at a port: its constant on its ramp, and what the cables add to it or bend.
//!
//! *Invariant*: sample by sample the same arithmetic whatever stands still, so neither a cut nor
//! a cable that rests changes a bit.

use multiversion::multiversion;
use segue_dsp::by_stride;
use segue_dsp::math::{clamp, exp2};
use segue_dsp::ramp::Ramp;
use segue_dsp::signal::{Signal, repeat};

use crate::engine::layout::{CablePlace, PortPlace};

/// How the signal of a port lies in its own buffer.
#[derive(Clone, Copy)]
pub(super) enum Mixed {
    /// One frame for all.
    Still,
    /// Frame by frame.
    Buffer,
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
    let mut stands;
    let ramp = match ramp {
        Some(ramp) => ramp,
        None => {
            stands = Ramp::at(port.constant);
            &mut stands
        }
    };
    let moving = ramp.is_moving();
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
    let signal = |cable: &CablePlace| {
        if still[cable.page] {
            Signal::still(&pages[cable.page], cable.stride)
        } else {
            Signal::cable(&pages[cable.page], cable.stride).skip(from)
        }
    };
    if port.sums {
        sum_all(linear, signal, lanes, out);
    } else {
        for cable in linear {
            by_stride!(stride, W => add::<W>(signal(cable), cable.amount, out));
        }
    }
    let range = port.param.map(|_| (port.factor, port.min, port.max));
    match bends {
        [] => {}
        [cable] => {
            by_stride!(stride, W => bend::<W>(signal(cable), cable.amount, range, out));
            return if rests { Mixed::Still } else { Mixed::Buffer };
        }
        bends => {
            let octaves = &mut lanes[..out.len()];
            octaves.fill(0.0);
            for cable in bends {
                by_stride!(stride, W => add::<W>(signal(cable), cable.amount, octaves));
            }
            bend::<1>(Signal::cable(octaves, 1), 1.0, None, out);
        }
    }
    // An inlet has no range and no interval: what is wrong with it shows in the module's output.
    if let Some(range) = range {
        fit(range, out);
    }
    if rests { Mixed::Still } else { Mixed::Buffer }
}

/// Adds a cable, times its amount; one lane feeds all `W`.
#[multiversion(targets("x86_64+avx2"))]
fn add<const W: usize>(signal: Signal<'_>, amount: f32, out: &mut [f32]) {
    let (frames, _) = out.as_chunks_mut::<W>();
    if signal.is_still() {
        let sum = signal.lanes::<W>(0).map(|sample| sample * amount);
        for out in frames {
            for lane in 0..W {
                out[lane] += sum[lane];
            }
        }
    } else if let Some(samples) = signal.frames::<W>(frames.len()) {
        for (out, sample) in frames.as_flattened_mut().iter_mut().zip(samples.as_flattened()) {
            *out += sample * amount;
        }
    } else {
        for (frame, out) in frames.iter_mut().enumerate() {
            let sample = signal.at(frame) * amount;
            for out in out {
                *out += sample;
            }
        }
    }
}

/// Bends by a cable, its amount in octaves, then brings into the range where there is one.
#[multiversion(targets("x86_64+avx2"))]
fn bend<const W: usize>(
    signal: Signal<'_>,
    amount: f32,
    range: Option<(f32, f32, f32)>,
    out: &mut [f32],
) {
    let (factor, min, max) = range.unwrap_or((1.0, f32::NEG_INFINITY, f32::INFINITY));
    let (frames, _) = out.as_chunks_mut::<W>();
    if signal.is_still() {
        let ratios = signal.lanes::<W>(0).map(|sample| exp2(sample * amount));
        for out in frames {
            for lane in 0..W {
                out[lane] = clamp(out[lane] * ratios[lane] * factor, min, max);
            }
        }
    } else if let Some(samples) = signal.frames::<W>(frames.len()) {
        for (out, sample) in frames.as_flattened_mut().iter_mut().zip(samples.as_flattened()) {
            *out = clamp(*out * exp2(sample * amount) * factor, min, max);
        }
    } else {
        for (frame, out) in frames.iter_mut().enumerate() {
            let ratio = exp2(signal.at(frame) * amount);
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
fn sum_all<'a>(
    cables: &[CablePlace],
    signal: impl Fn(&CablePlace) -> Signal<'a>,
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
                add::<1>(signal(cable), cable.amount, out);
            }
            continue;
        }
        let lanes = &mut lanes[..frames * first.stride];
        by_stride!(first.stride, W => {
            scale::<W>(signal(first), first.amount, lanes);
            for cable in &group[1..] {
                add::<W>(signal(cable), cable.amount, lanes);
            }
            gather::<W>(lanes, first.lanes, out);
        });
    }
}

/// A cable, times its amount.
#[multiversion(targets("x86_64+avx2"))]
fn scale<const W: usize>(signal: Signal<'_>, amount: f32, out: &mut [f32]) {
    let (frames, _) = out.as_chunks_mut::<W>();
    if let Some(samples) = signal.frames::<W>(frames.len()) {
        for (out, sample) in frames.as_flattened_mut().iter_mut().zip(samples.as_flattened()) {
            *out = sample * amount;
        }
    } else {
        repeat(&signal.lanes::<W>(0).map(|sample| sample * amount), frames.as_flattened_mut());
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
