//! Noise, one to sixteen voices, each of its own: white, pink and brown.
//!
//! *Source*: chance is a counter stirred by the two-round hash `lowbias32` (C. Wellons, "Hash
//! Prospector"); each voice counts in its own odd step, so that no voice is another one later.
//! Pink is a sum of one-pole filters spaced by ratios (as P. Kellet's), fitted to 1/√f here.
//! Brown is a walk, drawn back gently at 8 Hz and reflected at ±1.
//!
//! *Law*: 20 Hz to 20 kHz at 44.1 and 48 kHz, from the response: pink falls 3.01 dB an octave
//! within ±0.15 dB, brown 6.02 dB within ±0.7 dB (the 8 Hz are felt below 40 Hz). White is even,
//! from −1 to 1, rms 0.577; pink has rms 0.16 and was never beyond 0.95 in 16 voices of 60 s;
//! brown has rms 0.25 and is never beyond ±1. It all repeats after 2³² frames: a day at 48 kHz.

use multiversion::multiversion;

use crate::sources::osc::half_turns;

/// The colour: how the power lies over the frequencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// As much in every hertz.
    White,
    /// As much in every octave.
    Pink,
    /// Half as much in every next octave.
    Brown,
}

/// Rows of whole numbers a source remembers.
pub const CHANCE_ROWS: usize = 2;

/// Rows of samples it remembers.
pub const COLOR_ROWS: usize = POLES.len() + 2;

/// What a source of `W` lanes remembers: plain words, to be kept anywhere.
pub struct Noise<'a, const W: usize> {
    /// The counter and its step.
    pub chance: &'a mut [[u32; W]; CHANCE_ROWS],
    /// The filters of pink, then the walk of brown and where it was a frame ago.
    pub color: &'a mut [[f32; W]; COLOR_ROWS],
}

const COUNT: usize = 0;
const STEP: usize = 1;

const WALK: usize = POLES.len();
const BEFORE: usize = WALK + 1;

/// The filters of pink lie at 0.2 of the sample rate and then each 4.5 times lower: at 48 kHz
/// 5.2 Hz to 9.6 kHz.
const POLES: [f32; 6] =
    [0.284_609_54, 0.756_348_8, 0.939_830_1, 0.986_304_4, 0.996_940_2, 0.999_319_23];

/// What goes into each, so that white noise comes out as pink of rms 0.16.
const GAINS: [f32; 6] =
    [0.034_425_614, 0.041_709_244, 0.016_695_677, 0.009_663_019, 0.003_631_893_7, 0.003_736_997_2];

/// What passes them by, now and a frame late.
const DIRECT: [f32; 2] = [0.035_851_072, 0.011_344_241];

/// Where the walk is drawn back to 0, Hz.
const DRAWN_HZ: f64 = 8.0;

/// rms of brown noise.
const BROWN_RMS: f64 = 0.25;

/// A step earlier weighs this much: a sum of steps falls less steeply towards half the rate.
const EARLIER: f32 = 0.17;

impl<const W: usize> Noise<'_, W> {
    /// As if nothing had been drawn yet. `seed` says what will be. `[any]`
    pub fn reset(&mut self, seed: u64) {
        *self.color = [[0.0; W]; COLOR_ROWS];
        for lane in 0..W {
            let own = stir((seed >> 32) as u32).wrapping_add(lane as u32);
            self.chance[COUNT][lane] = stir(own ^ seed as u32);
            self.chance[STEP][lane] = stir(self.chance[COUNT][lane] ^ own) | 1;
        }
    }

    /// The next `out.len() / W` frames, at most 64; `rate` in frames a second. `[audio]`
    pub fn render(&mut self, color: Color, rate: f32, out: &mut [f32]) {
        let (frames, _) = out.as_chunks_mut::<W>();
        let last = draw(self.chance, frames);
        match color {
            Color::White => {}
            Color::Pink => pink(self.color, last, frames),
            Color::Brown => brown(self.color, rate, frames),
        }
    }
}

/// White noise; what came just before it.
#[multiversion(targets("x86_64+avx2"))]
fn draw<const W: usize>(chance: &mut [[u32; W]; CHANCE_ROWS], out: &mut [[f32; W]]) -> [f32; W] {
    let [mut count, step] = *chance;
    let last = count.map(signed);
    for out in out {
        for lane in 0..W {
            count[lane] = count[lane].wrapping_add(step[lane]);
            out[lane] = signed(count[lane]);
        }
    }
    chance[COUNT] = count;
    last
}

#[multiversion(targets("x86_64+avx2"))]
fn pink<const W: usize>(
    color: &mut [[f32; W]; COLOR_ROWS],
    mut last: [f32; W],
    out: &mut [[f32; W]],
) {
    let mut now = *color;
    for out in out {
        let white = *out;
        for lane in 0..W {
            let mut sum = DIRECT[0] * white[lane] + DIRECT[1] * last[lane];
            for pole in 0..POLES.len() {
                now[pole][lane] = POLES[pole] * now[pole][lane] + GAINS[pole] * white[lane];
                sum += now[pole][lane];
            }
            out[lane] = sum;
        }
        last = white;
    }
    *color = now;
}

#[multiversion(targets("x86_64+avx2"))]
fn brown<const W: usize>(color: &mut [[f32; W]; COLOR_ROWS], rate: f32, out: &mut [[f32; W]]) {
    let keep = libm::exp(-std::f64::consts::TAU * DRAWN_HZ / f64::from(rate));
    // White noise between −1 and 1 has a power of a third.
    let step = (BROWN_RMS * libm::sqrt(3.0 * (1.0 - keep * keep))) as f32;
    let keep = keep as f32;
    let (mut walk, mut before) = (color[WALK], color[BEFORE]);
    for out in out {
        for lane in 0..W {
            let next = keep * walk[lane] + step * out[lane];
            before[lane] = walk[lane];
            walk[lane] = reflect(next);
            out[lane] = (walk[lane] + EARLIER * before[lane]) * (1.0 / (1.0 + EARLIER));
        }
    }
    color[WALK] = walk;
    color[BEFORE] = before;
}

/// Back from the wall by as much as it went beyond.
#[inline(always)]
fn reflect(x: f32) -> f32 {
    if x > 1.0 {
        2.0 - x
    } else if x < -1.0 {
        -2.0 - x
    } else {
        x
    }
}

/// A chance from −1 to 1.
#[inline(always)]
pub(crate) fn signed(count: u32) -> f32 {
    half_turns(stir(count))
}

/// `lowbias32`: every bit of `x` moves every other; one to one.
#[inline(always)]
pub(crate) fn stir(x: u32) -> u32 {
    let x = (x ^ x >> 16).wrapping_mul(0x7feb_352d);
    let x = (x ^ x >> 15).wrapping_mul(0x846c_a68b);
    x ^ x >> 16
}

#[cfg(test)]
mod tests {
    use super::{CHANCE_ROWS, COLOR_ROWS, Color, Noise};

    const COLORS: [Color; 3] = [Color::White, Color::Pink, Color::Brown];

    /// Voices of `frames` frames.
    fn play<const W: usize>(color: Color, seed: u64, frames: usize) -> Vec<[f32; W]> {
        let (mut chance, mut rows) = ([[0; W]; CHANCE_ROWS], [[0.0; W]; COLOR_ROWS]);
        let mut noise = Noise { chance: &mut chance, color: &mut rows };
        noise.reset(seed);
        let mut out = vec![[0.0; W]; frames];
        for piece in out.chunks_mut(64) {
            noise.render(color, 48_000.0, piece.as_flattened_mut());
        }
        out
    }

    /// Power at `hz` in a window of 4,096 frames, averaged over all windows and voices.
    fn power(voices: &[[f32; 16]], hz: f64) -> f64 {
        let size = 4_096;
        let mut sum = 0.0;
        let turn: Vec<(f64, f64)> = (0..size)
            .map(|n| {
                let window = 1.0 - (std::f64::consts::TAU * n as f64 / size as f64).cos();
                let angle = std::f64::consts::TAU * hz * n as f64 / 48_000.0;
                (window * angle.cos(), window * angle.sin())
            })
            .collect();
        for piece in voices.chunks_exact(size) {
            for lane in 0..16 {
                let (mut real, mut imaginary) = (0.0, 0.0);
                for (frame, (cos, sin)) in piece.iter().zip(&turn) {
                    real += f64::from(frame[lane]) * cos;
                    imaginary += f64::from(frame[lane]) * sin;
                }
                sum += real * real + imaginary * imaginary;
            }
        }
        10.0 * sum.log10()
    }

    /// 3,200 windows: chance is worth ±0.3 dB at 4 sigma, and that twice.
    #[test]
    fn each_colour_falls_as_steeply_as_it_says() {
        for (color, slope) in [(Color::White, 0.0), (Color::Pink, 3.01), (Color::Brown, 6.02)] {
            let voices = play::<16>(color, 1, 4_096 * 200);
            let middle = power(&voices, 1_000.0);
            for hz in [125.0, 500.0, 2_000.0, 8_000.0, 16_000.0, 20_000.0] {
                let truth = -slope * (hz / 1_000.0_f64).log2();
                let level = power(&voices, hz) - middle;
                assert!((level - truth).abs() < 0.6, "{color:?} at {hz}: {level}, not {truth}");
            }
        }
    }

    /// Response of a colour's filter at `hz`, dB: what it makes of a single draw of 1.
    fn response(color: Color, rate: f32, hz: f64) -> f64 {
        let mut rows = [[0.0; 1]; COLOR_ROWS];
        let (mut real, mut imaginary) = (0.0, 0.0);
        for piece in 0..3_000 {
            let mut out = [[0.0]; 64];
            if piece == 0 {
                out[0] = [1.0];
            }
            match color {
                Color::White => {}
                Color::Pink => super::pink(&mut rows, [0.0], &mut out),
                Color::Brown => super::brown(&mut rows, rate, &mut out),
            }
            for (n, out) in out.iter().enumerate() {
                let turn = std::f64::consts::TAU * hz / f64::from(rate);
                let angle = turn * (piece * 64 + n) as f64;
                real += f64::from(out[0]) * angle.cos();
                imaginary += f64::from(out[0]) * angle.sin();
            }
        }
        10.0 * (real * real + imaginary * imaginary).log10()
    }

    #[test]
    fn the_filters_are_within_what_they_promise_from_20_hz_to_20_khz() {
        for (color, slope, bound) in [(Color::Pink, 3.0103, 0.15), (Color::Brown, 6.0206, 0.7)] {
            for rate in [44_100.0, 48_000.0] {
                let middle = response(color, rate, 1_000.0);
                for step in 0..=40 {
                    let hz = 20.0 * 1_000.0_f64.powf(f64::from(step) / 40.0);
                    let truth = middle - slope * (hz / 1_000.0).log2();
                    let error = response(color, rate, hz) - truth;
                    assert!(error.abs() < bound, "{color:?}, {rate}: {hz} Hz, {error} dB");
                }
            }
        }
    }

    #[test]
    fn levels_are_what_they_say_and_brown_does_not_walk_away() {
        for (color, truth, bound) in
            [(Color::White, 0.577, 1.0), (Color::Pink, 0.16, 0.95), (Color::Brown, 0.25, 1.0)]
        {
            let voices = play::<16>(color, 3, 60 * 48_000);
            let (mut square, mut most) = (0.0, 0.0_f32);
            for lane in 0..16 {
                let mut sum = 0.0;
                for frame in &voices {
                    sum += f64::from(frame[lane]);
                    square += f64::from(frame[lane]) * f64::from(frame[lane]);
                    most = most.max(frame[lane].abs());
                }
                let mean = sum / voices.len() as f64;
                assert!(mean.abs() < 0.02, "{color:?}, voice {lane}: mean {mean}");
            }
            let rms = (square / 16.0 / voices.len() as f64).sqrt();
            assert!((rms / truth - 1.0).abs() < 0.03, "{color:?}: rms {rms}");
            assert!(most <= bound && most > 0.8 * bound, "{color:?}: peak {most}");
        }
    }

    #[test]
    fn voices_and_seeds_have_nothing_in_common() {
        let (voices, other) = (play::<16>(Color::White, 3, 48_000), play(Color::White, 4, 48_000));
        let alike = |a: &dyn Fn(usize) -> f32, b: &dyn Fn(usize) -> f32| {
            let sum: f32 = (0..47_000).map(|n| a(n) * b(n)).sum();
            3.0 * sum / 47_000.0
        };
        for one in 0..16 {
            let a = |n: usize| voices[n][one];
            for two in 0..16 {
                for late in [0, 1, 7, 512, 1_000] {
                    let b = |n: usize| voices[n + late][two];
                    let same = (one, 0) == (two, late);
                    let likeness = alike(&a, &b);
                    // Five sigma of chance are 0.023.
                    let fits = if same { likeness > 0.95 } else { likeness.abs() < 0.025 };
                    assert!(fits, "voices {one} and {two}, {late} late: {likeness}");
                }
                let b = |n: usize| {
                    let frame: [f32; 16] = other[n];
                    frame[two]
                };
                assert!(alike(&a, &b).abs() < 0.025, "seeds 3 and 4, voices {one}, {two}");
            }
        }
    }

    #[test]
    fn a_voice_among_sixteen_has_the_bits_of_one_alone() {
        for color in COLORS {
            let (alone, among) = (play::<1>(color, 9, 640), play::<16>(color, 9, 640));
            for (alone, among) in alone.iter().zip(among) {
                assert_eq!(alone[0].to_bits(), among[0].to_bits(), "{color:?}");
            }
        }
    }
}
