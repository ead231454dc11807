//! Slow waves that move other sounds, one to sixteen at once.
//!
//! *Law*: where a wave is, is a number of whole turns and a phase in 2⁻³² turns; everything it
//! gives follows from that. So the rate is exact to 0.00001 Hz at 48 kHz and never drifts, and
//! chance is one number for each whole turn, hashed: the same however the wave got there.
//! Edges are not rounded, as those of an oscillator are: a wave for control jumps where it jumps.

use multiversion::multiversion;

use crate::FRAMES_MAX;
use crate::math::{clamp, max, min, sin_pi, turns};
use crate::signal::Signal;
use crate::sources::noise::{signed, stir};
use crate::sources::osc::{fold, half_turns};

/// The wave form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// From 0 up.
    Sine,
    /// From 0 up, in straight lines.
    Triangle,
    /// From −1 to 1, then back at once.
    Saw,
    /// 1 for half a turn, then −1.
    Square,
    /// Another level each turn, held.
    Random,
    /// From one such level to the next, without a corner.
    Smooth,
}

/// Rows of whole numbers a wave remembers.
pub const ROWS: usize = 4;

/// What `W` waves remember: phase, whole turns, what their chance begins with, and whether the
/// reset cable was above 0.
pub struct Lfo<'a, const W: usize>(pub &'a mut [[u32; W]; ROWS]);

const PHASE: usize = 0;
const TURNS: usize = 1;
const CHANCE: usize = 2;
const HIGH: usize = 3;

/// Between two of its lanes the chance of a seed lies this far apart: the golden section.
const APART: u32 = 0x9e37_79b9;

/// Highest rate as a part of the sample rate: half a turn a frame.
const STEP_MAX: f32 = 0.49;

/// What a wave reads.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Turns a second.
    pub rate: Signal<'a>,
    /// How far the wave is ahead, in turns, 0 to 1.
    pub phase: Signal<'a>,
    /// Begins the next turn where it rises through 0.
    pub reset: Option<Signal<'a>>,
    /// Frames a second.
    pub frame_rate: f32,
}

impl<const W: usize> Lfo<'_, W> {
    /// At the beginning of a turn. `seed` says what chance gives. `[any]`
    pub fn reset(&mut self, seed: u64) {
        *self.0 = [[0; W]; ROWS];
        let seed = stir((seed >> 32) as u32) ^ seed as u32;
        for lane in 0..W {
            self.0[CHANCE][lane] = stir(seed.wrapping_add((lane as u32).wrapping_mul(APART)));
        }
    }

    /// The next frames, at most 64, as many as `out` has room for: the wave, −1 to 1; and in `up`,
    /// if that is not empty, the same from 0 to 1. Says whether all frames are alike. `[audio]`
    pub fn render(
        &mut self,
        shape: Shape,
        inputs: &Inputs<'_>,
        out: &mut [f32],
        up: &mut [f32],
    ) -> bool {
        let (frames, _) = out.as_chunks_mut::<W>();
        let mut places = [[[0_u32; W]; 2]; FRAMES_MAX];
        let places = &mut places[..frames.len()];
        match inputs.reset {
            Some(reset) => go::<W, true>(self.0, inputs, reset, places),
            None => go::<W, false>(self.0, inputs, inputs.rate, places),
        }
        let chance = self.0[CHANCE];
        match shape {
            Shape::Sine => draw(places, chance, frames, |phase, _, _| sine(phase)),
            Shape::Triangle => draw(places, chance, frames, |phase, _, _| fold(phase)),
            Shape::Saw => draw(places, chance, frames, |phase, _, _| half_turns(phase ^ HALF)),
            Shape::Square => draw(places, chance, frames, |phase, _, _| square(phase)),
            Shape::Random => draw(places, chance, frames, |_, turns, chance| pick(turns, chance)),
            Shape::Smooth => draw(places, chance, frames, smooth),
        }
        for (up, wave) in up.iter_mut().zip(out.iter()) {
            *up = 0.5 + 0.5 * wave;
        }
        matches!(shape, Shape::Square | Shape::Random) && alike(out.as_chunks::<W>().0)
    }
}

/// Writes where each wave is in every frame, phase and turns, and goes on.
#[multiversion(targets("x86_64+avx2"))]
fn go<const W: usize, const RESET: bool>(
    state: &mut [[u32; W]; ROWS],
    inputs: &Inputs<'_>,
    reset: Signal<'_>,
    places: &mut [[[u32; W]; 2]],
) {
    let [mut phase, mut turns, _, mut high] = *state;
    let period = 1.0 / inputs.frame_rate;
    let mut step = parts(inputs.rate.lanes::<W>(0), period, STEP_MAX);
    let mut ahead = parts(inputs.phase.lanes::<W>(0), 1.0, 1.0);
    for (frame, place) in places.iter_mut().enumerate() {
        if !inputs.rate.is_still() {
            step = parts(inputs.rate.lanes::<W>(frame), period, STEP_MAX);
        }
        if !inputs.phase.is_still() {
            ahead = parts(inputs.phase.lanes::<W>(frame), 1.0, 1.0);
        }
        if RESET {
            let now = reset.lanes::<W>(frame);
            for lane in 0..W {
                let above = u32::from(now[lane] > 0.0);
                let begins = above & (high[lane] ^ 1) & 1;
                phase[lane] &= begins.wrapping_sub(1);
                turns[lane] = turns[lane].wrapping_add(begins);
                high[lane] = above;
            }
        }
        for lane in 0..W {
            let shown = phase[lane].wrapping_add(ahead[lane]);
            place[0][lane] = shown;
            place[1][lane] = turns[lane].wrapping_add(u32::from(shown < phase[lane]));
            let next = phase[lane].wrapping_add(step[lane]);
            turns[lane] = turns[lane].wrapping_add(u32::from(next < phase[lane]));
            phase[lane] = next;
        }
    }
    state[PHASE] = phase;
    state[TURNS] = turns;
    state[HIGH] = high;
}

/// `x · factor`, from 0 to `most`, in 2⁻³² turns.
#[inline(always)]
fn parts<const W: usize>(x: [f32; W], factor: f32, most: f32) -> [u32; W] {
    let mut parts = [0; W];
    for lane in 0..W {
        // In this order what is no number is 0.
        parts[lane] = turns(min(max(0.0, x[lane] * factor), most));
    }
    parts
}

#[multiversion(targets("x86_64+avx2"))]
fn draw<const W: usize>(
    places: &[[[u32; W]; 2]],
    chance: [u32; W],
    out: &mut [[f32; W]],
    wave: impl Fn(u32, u32, u32) -> f32,
) {
    for (out, [phase, turns]) in out.iter_mut().zip(places) {
        for lane in 0..W {
            out[lane] = wave(phase[lane], turns[lane], chance[lane]);
        }
    }
}

/// Whether all frames are, bit for bit.
#[multiversion(targets("x86_64+avx2"))]
fn alike<const W: usize>(frames: &[[f32; W]]) -> bool {
    let first = frames.first().map_or([0; W], |frame| frame.map(f32::to_bits));
    let mut differs = [0; W];
    for frame in frames {
        let now = frame.map(f32::to_bits);
        for lane in 0..W {
            differs[lane] |= now[lane] ^ first[lane];
        }
    }
    differs == [0; W]
}

const HALF: u32 = 0x8000_0000;

/// The polynomial of the sine is a rounding too high at its crests.
#[inline(always)]
fn sine(phase: u32) -> f32 {
    clamp(sin_pi(half_turns(phase)), -1.0, 1.0)
}

#[inline(always)]
fn square(phase: u32) -> f32 {
    f32::from_bits(1.0_f32.to_bits() | phase & HALF)
}

/// The level of a turn.
#[inline(always)]
fn pick(turns: u32, chance: u32) -> f32 {
    signed(turns.wrapping_mul(APART) ^ chance)
}

#[inline(always)]
fn smooth(phase: u32, turns: u32, chance: u32) -> f32 {
    let (from, to) = (pick(turns, chance), pick(turns.wrapping_add(1), chance));
    let part = 0.5 + 0.5 * half_turns(phase ^ HALF);
    from + (to - from) * (part * part * (3.0 - 2.0 * part))
}

#[cfg(test)]
mod tests {
    use super::{Inputs, Lfo, ROWS, Shape};
    use crate::signal::Signal;

    const SHAPES: [Shape; 6] =
        [Shape::Sine, Shape::Triangle, Shape::Saw, Shape::Square, Shape::Random, Shape::Smooth];

    struct Wave {
        state: [[u32; 1]; ROWS],
        up: Vec<f32>,
    }

    impl Wave {
        fn new(seed: u64) -> Wave {
            let mut state = [[0]; ROWS];
            Lfo(&mut state).reset(seed);
            Wave { state, up: Vec::new() }
        }

        fn play(&mut self, shape: Shape, rate: f32, phase: f32, frames: usize) -> Vec<f32> {
            let mut out = vec![0.0; frames];
            self.up = vec![0.0; frames];
            for (out, up) in out.chunks_mut(64).zip(self.up.chunks_mut(64)) {
                let inputs = Inputs {
                    rate: Signal::constant(&rate),
                    phase: Signal::constant(&phase),
                    reset: None,
                    frame_rate: 48_000.0,
                };
                let still = Lfo(&mut self.state).render(shape, &inputs, out, up);
                assert!(!still || out.iter().all(|sample| *sample == out[0]), "{shape:?}");
            }
            out
        }
    }

    /// A turn of 480 frames: what each shape is after some eighths of it.
    #[test]
    fn each_shape_runs_as_it_is_drawn() {
        let half = std::f32::consts::FRAC_1_SQRT_2;
        for (shape, eighths) in [
            (Shape::Sine, [0.0, half, 1.0, half, 0.0, -half, -1.0, -half]),
            (Shape::Triangle, [0.0, 0.5, 1.0, 0.5, 0.0, -0.5, -1.0, -0.5]),
            (Shape::Saw, [-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75]),
            (Shape::Square, [1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0]),
        ] {
            let mut wave = Wave::new(0);
            let heard = wave.play(shape, 100.0, 0.0, 480);
            let shifted = Wave::new(0).play(shape, 100.0, 0.375, 480);
            for (eighth, truth) in eighths.iter().enumerate() {
                // One frame on, where no edge can be on the other side of a rounding.
                let (at, slope) = (eighth * 60 + 1, 8.0 / 480.0);
                assert!((heard[at] - truth).abs() < slope, "{shape:?} {eighth}: {}", heard[at]);
                assert!((wave.up[at] - (0.5 + 0.5 * heard[at])).abs() < 1e-6);
                let ahead = eighths[(eighth + 3) % 8];
                assert!((shifted[at] - ahead).abs() < slope, "{shape:?} {eighth} + 3 eighths");
            }
        }
    }

    #[test]
    fn every_shape_stays_within_its_range_and_uses_it() {
        for shape in SHAPES {
            let mut wave = Wave::new(5);
            let heard = wave.play(shape, 180.0, 0.2, 480_000);
            let low = heard.iter().fold(0.0_f32, |low, sample| low.min(*sample));
            let high = heard.iter().fold(0.0_f32, |high, sample| high.max(*sample));
            assert!((-1.0..-0.98).contains(&low) || low == -1.0, "{shape:?}: {low}");
            assert!((0.98..=1.0).contains(&high), "{shape:?}: {high}");
            assert!(wave.up.iter().all(|up| (0.0..=1.0).contains(up)), "{shape:?}");
        }
    }

    #[test]
    fn the_rate_holds_over_minutes_and_at_its_ends() {
        for (rate, seconds) in [(0.05_f32, 120), (6.2, 60), (200.0, 5)] {
            let heard = Wave::new(0).play(Shape::Saw, rate, 0.0, seconds * 48_000);
            let falls = heard.windows(2).filter(|pair| pair[1] < pair[0]).count();
            let truth = (rate * seconds as f32).round();
            assert!((falls as f32 - truth).abs() <= 1.0, "{rate} Hz: {falls} for {truth}");
        }
        // A thousand seconds a turn: after two of them 0.2 % of it, within the step of the phase.
        let heard = Wave::new(0).play(Shape::Saw, 0.001, 0.0, 96_000);
        let turned = 0.5 * (heard[95_999] - heard[0]);
        assert!((turned / 0.002 - 1.0).abs() < 0.01, "{turned}");
    }

    /// The levels held are those of a die: all over the range, none like the one before.
    #[test]
    fn chance_holds_for_a_turn_and_then_moves() {
        let heard = Wave::new(11).play(Shape::Random, 100.0, 0.0, 480 * 2_000);
        let levels: Vec<f32> = heard.chunks(480).map(|turn| turn[240]).collect();
        for (turn, level) in heard.chunks(480).zip(&levels) {
            // The rounding of the rate moves an edge by a frame.
            assert!(turn[4..476].iter().all(|sample| sample == level));
        }
        let mean = levels.iter().sum::<f32>() / 2_000.0;
        let power = levels.iter().map(|level| level * level).sum::<f32>() / 2_000.0;
        let next = levels.windows(2).map(|pair| pair[0] * pair[1]).sum::<f32>() / 2_000.0;
        // Four sigma of chance: 0.052, 0.027, 0.03.
        assert!(mean.abs() < 0.052 && (power - 1.0 / 3.0).abs() < 0.027 && next.abs() < 0.03);
        let smooth = Wave::new(11).play(Shape::Smooth, 100.0, 0.0, 480 * 2_000);
        for (turn, level) in smooth.chunks(480).zip(&levels) {
            assert!((turn[1] - level).abs() < 1e-3, "smooth chance begins where the other holds");
        }
        let step = smooth.windows(2).fold(0.0_f32, |most, two| most.max((two[1] - two[0]).abs()));
        assert!(step < 2.0 * 1.5 / 480.0, "the steepest way of all: {step}");
        assert_ne!(heard, Wave::new(12).play(Shape::Random, 100.0, 0.0, 480 * 2_000));
    }

    #[test]
    fn a_reset_begins_the_turn_in_its_lane_only() {
        let mut state = [[0; 8]; ROWS];
        Lfo(&mut state).reset(0);
        let mut cable = [0.0; 64 * 8];
        // Lane 3 rises through 0 at frame 20 and stays, falls, and rises again at 40.
        for frame in (20..30).chain(40..64) {
            cable[frame * 8 + 3] = 0.7;
        }
        let inputs = Inputs {
            rate: Signal::constant(&48.0),
            phase: Signal::constant(&0.0),
            reset: Some(Signal::cable(&cable, 8)),
            frame_rate: 48_000.0,
        };
        let mut out = [0.0; 64 * 8];
        Lfo(&mut state).render(Shape::Saw, &inputs, &mut out, &mut []);
        for frame in 0..64 {
            let since = match frame {
                0..20 => frame,
                20..40 => frame - 20,
                _ => frame - 40,
            };
            let (there, other) = (out[frame * 8 + 3], out[frame * 8 + 2]);
            assert!((there + 1.0 - since as f32 * 0.002).abs() < 1e-5, "{frame}: {there}");
            assert!((other + 1.0 - frame as f32 * 0.002).abs() < 1e-5, "{frame}: {other}");
        }
    }

    #[test]
    fn a_reset_draws_anew_and_a_held_level_rests() {
        let mut state = [[0; 1]; ROWS];
        Lfo(&mut state).reset(0);
        let mut cable = [-1.0; 64];
        let mut out = [0.0; 64];
        let mut render = |cable: &[f32; 64], out: &mut [f32; 64]| {
            let inputs = Inputs {
                rate: Signal::constant(&1.0),
                phase: Signal::constant(&0.0),
                reset: Some(Signal::cable(cable, 1)),
                frame_rate: 48_000.0,
            };
            Lfo(&mut state).render(Shape::Random, &inputs, out, &mut [])
        };
        assert!(render(&cable, &mut out), "nothing moves in the first block");
        let before = out[0];
        cable[40..].fill(1.0);
        assert!(!render(&cable, &mut out));
        assert!(out[39] == before && out[40] != before && out[63] == out[40]);
        assert!(render(&[1.0; 64], &mut out), "what stays above 0 begins nothing");
        assert!(render(&[f32::NAN; 64], &mut out), "nor does what is no number");
    }

    #[test]
    fn a_lane_of_sixteen_has_the_bits_of_one_alone_and_a_cable_those_of_a_knob() {
        let (rates, phases) = ([7.3; 16 * 64], [0.3; 16 * 64]);
        for shape in SHAPES {
            let mut alone = Wave::new(8);
            let mut state = [[0; 16]; ROWS];
            Lfo(&mut state).reset(8);
            for _ in 0..50 {
                let one = alone.play(shape, 7.3, 0.3, 64);
                let mut many = [0.0; 16 * 64];
                let inputs = Inputs {
                    rate: Signal::cable(&rates, 16),
                    phase: Signal::cable(&phases, 16),
                    reset: None,
                    frame_rate: 48_000.0,
                };
                Lfo(&mut state).render(shape, &inputs, &mut many, &mut []);
                for frame in 0..64 {
                    assert_eq!(one[frame].to_bits(), many[frame * 16].to_bits(), "{shape:?}");
                }
            }
        }
    }
}
