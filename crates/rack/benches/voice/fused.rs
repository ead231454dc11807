//! The same voices as one loop by hand: no cables, no modules, no gates, eight voices a vector.
//! What any rack could reach at most on this machine.

use std::hint::black_box;

use multiversion::multiversion;
use segue_dsp::math::{clamp, interval, tan_pi_parts};
use segue_dsp::sources::edge::{self, DELAY, TAPS};

const FRAMES: usize = 64;
const LANES: usize = 8;
const RATE: f32 = 48_000.0;

type Row = [f32; LANES];

/// Eight voices: saw, filter, and an envelope that falls and begins anew.
#[derive(Clone)]
struct Eight {
    phase: [u32; LANES],
    turn: [u32; LANES],
    lacks: [Row; TAPS],
    late: [Row; DELAY],
    state: [Row; 2],
    level: Row,
}

/// All voices.
pub(crate) struct Fused {
    voices: Vec<Eight>,
    moved: bool,
    block: u64,
    pub(crate) peak: f32,
}

impl Fused {
    /// So many voices; with `moved` the envelope moves the cutoff with every sample.
    pub(crate) fn new(voices: usize, moved: bool) -> Fused {
        let eight = |at: usize| {
            let step = |lane: usize| 65.0 * (((at * LANES + lane) % 16) as f32 / 6.0).exp2() / RATE;
            Eight {
                phase: std::array::from_fn(|lane| (lane as u32).wrapping_mul(0x9e37_79b9)),
                turn: std::array::from_fn(|lane| (step(lane) * 4_294_967_296.0) as u32),
                lacks: [[0.0; LANES]; TAPS],
                late: [[0.0; LANES]; DELAY],
                state: [[0.0; LANES]; 2],
                level: [1.0; LANES],
            }
        };
        let voices = (0..voices.div_ceil(LANES)).map(eight).collect();
        Fused { voices, moved, block: 0, peak: 0.0 }
    }

    /// Renders so many blocks.
    pub(crate) fn render(&mut self, blocks: u64) {
        for _ in 0..blocks {
            let strike = self.block.is_multiple_of(188);
            self.block += 1;
            let mut sum = [[0.0; LANES]; FRAMES];
            for eight in &mut self.voices {
                if strike {
                    eight.level = [1.0; LANES];
                }
                render(eight, self.moved, &mut sum);
            }
            let frame = sum[FRAMES - 1].iter().sum::<f32>() * 0.002;
            self.peak = frame.abs().max(self.peak);
        }
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn render(eight: &mut Eight, moved: bool, sum: &mut [Row; FRAMES]) {
    let mut lacks = [[0.0; LANES]; FRAMES + TAPS];
    lacks[..TAPS].copy_from_slice(&eight.lacks);
    edges(eight, &mut lacks);
    let mut saw = [[0.0; LANES]; FRAMES + DELAY];
    saw[..DELAY].copy_from_slice(&eight.late);
    let (mut phase, nothing) = (eight.phase, black_box(0));
    for saw in &mut saw[DELAY..] {
        for lane in 0..LANES {
            saw[lane] = (phase[lane] as i32) as f32 * (1.0 / 2_147_483_648.0);
            phase[lane] = (phase[lane] ^ nothing).wrapping_add(eight.turn[lane]);
        }
    }
    eight.phase = phase;
    eight.lacks.copy_from_slice(&lacks[FRAMES..]);
    eight.late.copy_from_slice(&saw[FRAMES..]);
    if moved {
        filter::<true>(eight, &saw, &lacks, sum);
    } else {
        filter::<false>(eight, &saw, &lacks, sum);
    }
}

/// What the saws lack at their edges in this block.
#[inline(always)]
fn edges(eight: &Eight, lacks: &mut [Row; FRAMES + TAPS]) {
    for lane in 0..LANES {
        let (phase, turn) = (eight.phase[lane].wrapping_add(1 << 31), eight.turn[lane]);
        let mut steps = (u32::MAX - phase) / turn + 1;
        while (steps as usize) < FRAMES {
            let beyond = phase.wrapping_add(turn.wrapping_mul(steps));
            let since = beyond as f32 / turn as f32;
            edge::step(&mut lacks[steps as usize..], lane, since, -2.0);
            steps += (u32::MAX - beyond) / turn + 1;
        }
    }
}

#[inline(always)]
fn filter<const MOVED: bool>(
    eight: &mut Eight,
    saw: &[Row; FRAMES + DELAY],
    lacks: &[Row; FRAMES + TAPS],
    sum: &mut [Row; FRAMES],
) {
    let [mut first, mut second] = eight.state;
    let mut level = eight.level;
    let (mut c1, mut d2, mut d3) = coefficients(&[900.0; LANES]);
    for ((saw, lacks), sum) in saw.iter().zip(lacks).zip(sum) {
        for level in &mut level {
            *level *= 0.999_9;
        }
        if MOVED {
            let mut cutoff = [0.0; LANES];
            for lane in 0..LANES {
                cutoff[lane] = clamp(400.0 * interval(level[lane] * 2.5), 10.0, 20_000.0);
            }
            (c1, d2, d3) = coefficients(&cutoff);
        }
        for lane in 0..LANES {
            let above = saw[lane] + lacks[lane] - second[lane];
            let next_first = c1[lane] * first[lane] + d2[lane] * above;
            let next_second = (second[lane] + d2[lane] * first[lane]) + d3[lane] * above;
            sum[lane] += 0.5 * (next_second + second[lane]) * level[lane];
            first[lane] = next_first;
            second[lane] = next_second;
        }
    }
    eight.state = [first, second];
    eight.level = level;
}

/// The filter's coefficients at a resonance of 2.
#[inline(always)]
fn coefficients(cutoff: &Row) -> (Row, Row, Row) {
    let (mut c1, mut d2, mut d3) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for lane in 0..LANES {
        let (n, d) = tan_pi_parts(clamp(cutoff[lane] * (1.0 / RATE), 1e-6, 0.49));
        let (square, product) = (n * n, n * d);
        let damping = square + 0.5 * product;
        let share = 2.0 / (d * d + damping);
        c1[lane] = 1.0 - damping * share;
        d2[lane] = product * share;
        d3[lane] = square * share;
    }
    (c1, d2, d3)
}
