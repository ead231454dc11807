//! Saws and triangles that turn evenly.

use std::hint::black_box;

use multiversion::multiversion;

use crate::FRAMES_MAX;
use crate::sources::edge::{DELAY, TAPS};
use crate::sources::osc::wave::{HALF, corner, fold, half_turns};
use crate::sources::osc::way::Way;
use crate::sources::osc::{
    HIGH, Inputs, PHASE, PLAIN, Shape, TAIL, TURN, Turning, Turns, Wave, mark,
};

/// A saw or triangle that turns evenly: where its edges are is known beforehand. The same bits as
/// `edged` has.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn steady<const W: usize, const TRIANGLE: bool>(
    turning: &mut Turning<W>,
    wave: &mut Wave<W>,
    inputs: &Inputs<'_>,
    out: &mut [[f32; W]],
) {
    let frames = out.len();
    let turns = Turns::new(inputs, wave).turns;
    let mut lacks = [[0.0; W]; FRAMES_MAX + TAPS];
    lacks[..TAPS].copy_from_slice(&wave[TAIL..PLAIN]);
    let shape = if TRIANGLE { Shape::Triangle } else { Shape::Saw };
    let edges = near::<W, TRIANGLE>(&turning[PHASE], &turning[TURN], &turns, frames as u32);
    if edges != [0; W] {
        for lane in (0..W).filter(|lane| edges[*lane] != 0) {
            let voice = Voice { phase: turning[PHASE][lane], turn: turns[lane], lane };
            voice.edges(shape, turning[TURN][lane], frames, &mut lacks);
        }
    }
    let before = frames.min(DELAY);
    for (frame, out) in out[..before].iter_mut().enumerate() {
        for lane in 0..W {
            out[lane] = wave[PLAIN + frame][lane] + lacks[frame][lane];
        }
    }
    wave[PLAIN..].copy_within(before.., 0);
    let mut phase = turning[PHASE];
    go_on::<W, TRIANGLE>(&mut phase, &turns, &lacks[before..], &mut out[before..]);
    go_on::<W, TRIANGLE>(
        &mut phase,
        &turns,
        &[[0.0; W]; DELAY],
        &mut wave[PLAIN + DELAY - before..],
    );
    turning[PHASE] = phase;
    wave[TAIL..PLAIN].copy_from_slice(&lacks[frames..frames + TAPS]);
    turning[TURN] = turns;
    turning[HIGH] = [mark(shape); W];
}

/// Whether a voice may have an edge in so many frames (at most 64); `last` is what it turned by to
/// come here.
#[inline(always)]
fn near<const W: usize, const TRIANGLE: bool>(
    phase: &[u32; W],
    last: &[u32; W],
    turns: &[u32; W],
    frames: u32,
) -> [u32; W] {
    let mut edges = [0; W];
    for lane in 0..W {
        let beyond = beyond::<TRIANGLE>(phase[lane]);
        let left = if TRIANGLE { HALF } else { 0_u32 }.wrapping_sub(beyond).wrapping_sub(1);
        // In units of 128, rounded towards too early, so that 64 turns are no overflow.
        let comes = (left >> 7) <= ((turns[lane] >> 7) + 1) * frames;
        edges[lane] = u32::from(beyond < last[lane]) | u32::from(comes);
    }
    edges
}

/// How far the phase is behind the last edge: of a saw once a turn, of a triangle twice.
#[inline(always)]
fn beyond<const TRIANGLE: bool>(phase: u32) -> u32 {
    if TRIANGLE { corner(phase) >> 1 } else { phase.wrapping_add(HALF) }
}

/// The wave at the phases from here on, with what it lacks.
#[inline(always)]
fn go_on<const W: usize, const TRIANGLE: bool>(
    phase: &mut [u32; W],
    turns: &[u32; W],
    lacks: &[[f32; W]],
    out: &mut [[f32; W]],
) {
    // Known to nobody but us, so that no compiler takes the frames side by side instead of the
    // voices, and turns all of it round for that.
    let nothing = black_box(0);
    let mut now = *phase;
    for (out, lacks) in out.iter_mut().zip(lacks) {
        let mut row = [0.0; W];
        for lane in 0..W {
            row[lane] = if TRIANGLE { fold(now[lane]) } else { half_turns(now[lane]) };
            row[lane] += lacks[lane];
            now[lane] = (now[lane] ^ nothing).wrapping_add(turns[lane]);
        }
        *out = row;
    }
    *phase = now;
}

/// One voice that turns evenly.
struct Voice {
    phase: u32,
    turn: u32,
    lane: usize,
}

impl Voice {
    /// Rounds all edges of the next frames; `last` is what it turned by to come here.
    #[inline(always)]
    fn edges<const W: usize>(
        &self,
        shape: Shape,
        last: u32,
        frames: usize,
        lacks: &mut [[f32; W]],
    ) {
        // A saw has an edge a turn, a triangle has a corner each half.
        let period = if shape == Shape::Triangle { HALF } else { 0 };
        let way = |phase, last| Way { phase, last, shift: 0 };
        way(self.phase, last).round(shape, (0, 0), lacks, self.lane);
        let mut frame = 0;
        let mut phase = self.phase;
        loop {
            let beyond = if period == 0 { phase.wrapping_add(HALF) } else { corner(phase) >> 1 };
            // Frames until the next edge is behind us; at the edge itself a whole period is left.
            let left = period.wrapping_sub(beyond);
            let steps =
                if left == 0 { u32::MAX / self.turn + 1 } else { (left - 1) / self.turn + 1 };
            frame += steps as usize;
            if frame >= frames {
                return;
            }
            phase = phase.wrapping_add(self.turn.wrapping_mul(steps));
            way(phase, self.turn).round(shape, (0, 0), &mut lacks[frame..], self.lane);
        }
    }
}
