//! Any wave with edges, however it turns.

use multiversion::multiversion;

use crate::FRAMES_MAX;
use crate::math::clamp;
use crate::signal::Signal;
use crate::sources::edge::{self, DELAY, TAPS};
use crate::sources::osc::wave::{HALF, corner, fold, half_turns, value, width_turns};
use crate::sources::osc::way::{Way, round_all};
use crate::sources::osc::{
    HIGH, Inputs, NO_PULSE, PHASE, PLAIN, SYNC, Shape, TAIL, TURN, Turning, Turns, Wave, mark, turn,
};

/// What lies between the frames of a stretch, and what comes of it.
struct Stretch<const W: usize> {
    /// The wave before its edges are rounded, the last frames of the stretch before in front.
    plain: [[f32; W]; DELAY + FRAMES_MAX],
    /// What it lacks, from the first frame to come out on.
    lacks: [[f32; W]; FRAMES_MAX + TAPS],
}

/// Any shape with edges. What is lacking is summed by itself, in the order of the frames, and
/// added at the end: so a cut changes no bit.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn edged<const W: usize>(
    turning: &mut Turning<W>,
    wave: &mut Wave<W>,
    shape: Shape,
    inputs: &Inputs<'_>,
    out: &mut [[f32; W]],
) {
    let frames = out.len();
    let mut stretch =
        Stretch { plain: [[0.0; W]; DELAY + FRAMES_MAX], lacks: [[0.0; W]; FRAMES_MAX + TAPS] };
    stretch.plain[..DELAY].copy_from_slice(&wave[PLAIN..]);
    stretch.lacks[..TAPS].copy_from_slice(&wave[TAIL..PLAIN]);
    if let Some(sync) = inputs.sync {
        synced(turning, wave, shape, inputs, sync, frames, &mut stretch);
    } else if shape == Shape::Square {
        square(turning, wave, inputs, frames, &mut stretch);
    } else {
        smooth(turning, wave, shape, inputs, frames, &mut stretch);
    }
    let plain = stretch.plain[..frames].as_flattened();
    let lacks = stretch.lacks[..frames].as_flattened();
    for ((out, plain), lacks) in out.as_flattened_mut().iter_mut().zip(plain).zip(lacks) {
        *out = plain + lacks;
    }
    wave[TAIL..PLAIN].copy_from_slice(&stretch.lacks[frames..frames + TAPS]);
    wave[PLAIN..].copy_from_slice(&stretch.plain[frames..frames + DELAY]);
}

/// A saw, which rises through 0 at phase 0 and falls at half a turn, or a triangle, which rises
/// from 0 to 1, falls to −1 and comes back.
#[inline(always)]
fn smooth<const W: usize>(
    turning: &mut Turning<W>,
    wave: &Wave<W>,
    shape: Shape,
    inputs: &Inputs<'_>,
    frames: usize,
    stretch: &mut Stretch<W>,
) {
    let first = turning[TURN];
    let mut phases = [[0_u32; W]; FRAMES_MAX];
    let phases = &mut phases[..frames];
    turn(turning, wave, inputs, phases);
    let triangle = shape == Shape::Triangle;
    let plain = stretch.plain[DELAY..DELAY + frames].as_flattened_mut();
    if triangle {
        for (plain, phase) in plain.iter_mut().zip(phases.as_flattened()) {
            *plain = fold(*phase);
        }
    } else {
        for (plain, phase) in plain.iter_mut().zip(phases.as_flattened()) {
            *plain = half_turns(*phase);
        }
    }
    for frame in 0..frames {
        // What it turned by on its way here is what lies between two phases.
        let now = &phases[frame];
        let mut last = first;
        if frame > 0 {
            let before = &phases[frame - 1];
            for lane in 0..W {
                last[lane] = now[lane].wrapping_sub(before[lane]);
            }
        }
        let mut edges = 0;
        for lane in 0..W {
            let beyond =
                if triangle { corner(now[lane]) >> 1 } else { now[lane].wrapping_add(HALF) };
            edges |= u32::from(beyond < last[lane]);
        }
        if edges != 0 {
            round_all(shape, &[*now, last, [0; W], [0; W], [0; W]], &mut stretch.lacks[frame..]);
        }
    }
    turning[HIGH] = [mark(shape); W];
}

/// High for `width` of the period from phase 0 on, around 0.
#[inline(always)]
fn square<const W: usize>(
    turning: &mut Turning<W>,
    wave: &Wave<W>,
    inputs: &Inputs<'_>,
    frames: usize,
    stretch: &mut Stretch<W>,
) {
    let mut last = turning[TURN];
    let mut phases = [[0_u32; W]; FRAMES_MAX];
    let phases = &mut phases[..frames];
    turn(turning, wave, inputs, phases);
    let mut was = turning[HIGH];
    for frame in 0..frames {
        let now = &phases[frame];
        if frame > 0 {
            for lane in 0..W {
                last[lane] = now[lane].wrapping_sub(phases[frame - 1][lane]);
            }
        }
        let width = inputs.width.lanes::<W>(frame);
        let (mut shift, mut high) = ([0; W], [0; W]);
        let mut edges = 0;
        let plain = &mut stretch.plain[DELAY + frame];
        for lane in 0..W {
            shift[lane] = width_turns(width[lane]);
            high[lane] = u32::from(now[lane] < shift[lane]);
            plain[lane] = 2.0 * (high[lane] as f32 - width[lane]);
            let known = u32::from(was[lane] < NO_PULSE);
            edges |= known & ((high[lane] ^ was[lane]) | u32::from(now[lane] < last[lane]));
        }
        if edges != 0 {
            let ways = [*now, last, shift, was, high];
            round_all(Shape::Square, &ways, &mut stretch.lacks[frame..]);
        }
        was = high;
    }
    turning[HIGH] = was;
}

/// Any shape, begun anew by each rise of `sync` through 0. Frame by frame, voice by voice.
fn synced<const W: usize>(
    turning: &mut Turning<W>,
    wave: &mut Wave<W>,
    shape: Shape,
    inputs: &Inputs<'_>,
    sync: Signal<'_>,
    frames: usize,
    stretch: &mut Stretch<W>,
) {
    let mut turns = Turns::new(inputs, wave);
    for frame in 0..frames {
        let (now, width) = (sync.lanes::<W>(frame), inputs.width.lanes::<W>(frame));
        let lacks = &mut stretch.lacks[frame..];
        for lane in 0..W {
            let (before, now) = (wave[SYNC][lane], now[lane]);
            let shift = width_turns(width[lane]);
            let last = turning[TURN][lane];
            let mut phase = turning[PHASE][lane];
            let (mut was, mut turned) = (turning[HIGH][lane], last);
            if before <= 0.0 && now > 0.0 {
                // So many frames ago the wave began anew.
                let since = clamp(now / (now - before), 0.0, 1.0);
                let gone = (last as f32 * since) as u32;
                let left = value(shape, phase.wrapping_sub(gone), width[lane], was & 1);
                let jump = value(shape, 0, width[lane], 1) - left;
                edge::step(lacks, lane, since, jump);
                (phase, turned, was) = (gone, gone, 1);
            }
            let high = u32::from(phase < shift);
            let way = Way { phase, last: turned, shift };
            way.round(shape, (was, high), lacks, lane);
            stretch.plain[DELAY + frame][lane] = value(shape, phase, width[lane], high);
            turning[HIGH][lane] = if shape == Shape::Square { high } else { mark(shape) };
            turning[PHASE][lane] = phase;
        }
        wave[SYNC] = now;
        let last = turns.at(frame);
        turning[TURN] = last;
        for lane in 0..W {
            turning[PHASE][lane] = turning[PHASE][lane].wrapping_add(last[lane]);
        }
    }
}
