//! What arrives at a port: its constant on its ramp, and what the cables add to it or bend.
//!
//! *Invariant*: sample by sample the same arithmetic whatever stands still, so neither a cut nor
//! a cable that rests changes a bit.

use multiversion::multiversion;
use segue_dsp::by_stride;
use segue_dsp::math::{clamp, interval};
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
    let signal = |cable: &CablePlace| {
        if still[cable.page] {
            Signal::still(&pages[cable.page], cable.stride)
        } else {
            Signal::cable(&pages[cable.page], cable.stride).skip(from)
        }
    };
    // An inlet has no range and no interval: what is wrong with it shows in the module's output.
    let range = match port.param {
        Some(_) => Range { factor: port.factor, min: port.min, max: port.max },
        None => Range { factor: 1.0, min: f32::NEG_INFINITY, max: f32::INFINITY },
    };
    if let ([cable], false, false) = (&port.cables[..], moving, port.sums) {
        let cable = Moved { by: signal(cable), amount: cable.amount, from: ramp.value() };
        match port.bends {
            0 => by_stride!(stride, W => raised::<W>(cable, range, out)),
            _ => by_stride!(stride, W => bent::<W>(cable, range, out)),
        }
        return if rests { Mixed::Still } else { Mixed::Buffer };
    }
    if moving && stride == 1 {
        ramp.fill(out);
    } else if moving {
        for frame in out.chunks_exact_mut(stride) {
            frame.fill(ramp.advance());
        }
    } else {
        repeat(&[ramp.value()], out);
    }
    let (linear, bends) = port.cables.split_at(port.cables.len() - port.bends);
    if port.sums {
        sum_all(linear, signal, lanes, out);
    } else {
        for cable in linear {
            by_stride!(stride, W => add::<W>(signal(cable), cable.amount, out));
        }
    }
    if bends.is_empty() {
        fit(range, out);
    } else {
        let octaves = &mut lanes[..out.len()];
        octaves.fill(0.0);
        for cable in bends {
            by_stride!(stride, W => add::<W>(signal(cable), cable.amount, octaves));
        }
        bend(octaves, range, out);
    }
    if rests { Mixed::Still } else { Mixed::Buffer }
}

/// What a parameter is brought into: times `factor`, bent, then within the range.
#[derive(Clone, Copy)]
struct Range {
    factor: f32,
    min: f32,
    max: f32,
}

impl Range {
    #[inline(always)]
    fn fit(self, sample: f32) -> f32 {
        clamp(sample * self.factor, self.min, self.max)
    }

    /// What stands at `sample`, bent by so many octaves.
    #[inline(always)]
    fn bend(self, sample: f32, octaves: f32) -> f32 {
        clamp(sample * self.factor * interval(octaves), self.min, self.max)
    }
}

/// A constant that one cable moves, which is what most ports are.
#[derive(Clone, Copy)]
struct Moved<'a> {
    by: Signal<'a>,
    amount: f32,
    from: f32,
}

impl Moved<'_> {
    /// Works out every sample; one lane feeds all `W`.
    #[inline(always)]
    fn write<const W: usize>(&self, out: &mut [f32], moved: impl Fn(f32) -> f32) {
        let (frames, _) = out.as_chunks_mut::<W>();
        if let Some(samples) = self.by.frames::<W>(frames.len()) {
            for (out, sample) in frames.as_flattened_mut().iter_mut().zip(samples.as_flattened()) {
                *out = moved(sample * self.amount);
            }
        } else if self.by.is_still() {
            let row = self.by.lanes::<W>(0).map(|sample| moved(sample * self.amount));
            repeat(&row, frames.as_flattened_mut());
        } else {
            for (frame, out) in frames.iter_mut().enumerate() {
                *out = [moved(self.by.at(frame) * self.amount); W];
            }
        }
    }
}

/// The cable is added.
#[multiversion(targets("x86_64+avx2"))]
fn raised<const W: usize>(cable: Moved<'_>, range: Range, out: &mut [f32]) {
    cable.write::<W>(out, |by| range.fit(cable.from + by));
}

/// The cable, in octaves, bends.
#[multiversion(targets("x86_64+avx2"))]
fn bent<const W: usize>(cable: Moved<'_>, range: Range, out: &mut [f32]) {
    cable.write::<W>(out, |by| range.bend(cable.from, by));
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

/// Bends by so many octaves.
#[multiversion(targets("x86_64+avx2"))]
fn bend(octaves: &[f32], range: Range, out: &mut [f32]) {
    for (out, octaves) in out.iter_mut().zip(octaves) {
        *out = range.bend(*out, *octaves);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn fit(range: Range, out: &mut [f32]) {
    for out in out {
        *out = range.fit(*out);
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
