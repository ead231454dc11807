//! A ladder of four poles that saturates where the sound comes in, and sings by itself.
//!
//! *Source*: the transistor ladder (R. Moog, US 3,475,623), its four stages by trapezoidal
//! integration and its loop solved without a delay (V. Zavalishin, "The Art of VA Filter
//! Design"). Of its saturations the one of the input pair is kept, a cubic: it follows the loop
//! that was solved as if it were straight, so that a quiet sound meets the analytic filter and a
//! loud one no iteration.
//!
//! *Law*: for quiet sounds 1/((1+s)⁴ + k), k four times the resonance, bent to the sample rate by
//! the bilinear transform; so the passband falls by 1 + k as the resonance rises, as in the
//! circuit. Above a resonance of 1 it oscillates at the cutoff, within 2 cents to 10 kHz.
//!
//! Nothing is oversampled: a cubic makes no partial above the third, so up to a peak of 3 (input
//! times drive, without resonance) nothing below 8 kHz folds back. Louder sounds are cut flat and
//! do: `drive` is the module for that.
//!
//! *Invariant*: what enters the first stage is never beyond [`RAIL`], so nothing else grows: at
//! rest the song of the highest resonance is 0.5 high; a corner that jumps from 10 Hz to 20 kHz
//! with every sample, resonance and drive at their highest, made noise of at most 3.93.

use multiversion::multiversion;

use crate::FRAMES_MAX;
use crate::math::{clamp, max, settle_all, tan_pi_parts};
use crate::signal::Signal;

/// What enters the stages is never beyond this. Up to 0.5 it is straight within 1 %: 4/27 of
/// (0.5/2)² is 0.93 %.
pub const RAIL: f32 = 2.0;

/// Where the cubic arrives at the rail, flat.
const BEND: f32 = 1.5 * RAIL;

/// x − CUBIC · x³ is RAIL and flat at BEND.
const CUBIC: f32 = 4.0 / (27.0 * RAIL * RAIL);

/// A trace of a current for each unit of k above 4, so that an oscillation begins by itself: it
/// rests at −136 dB where the output is at −6 dB.
const TRACE: f32 = 1e-6;

/// Rows of samples a filter remembers.
pub const ROWS: usize = 4;

/// The four stages of each of `W` lanes.
pub struct Ladder<'a, const W: usize>(pub &'a mut [[f32; W]; ROWS]);

/// What a filter reads.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What is filtered.
    pub input: Signal<'a>,
    /// Corner of each stage, Hz.
    pub cutoff: Signal<'a>,
    /// 0 for none, 1 where oscillation begins.
    pub resonance: Signal<'a>,
    /// Gain of the input.
    pub drive: Signal<'a>,
    /// Frames a second.
    pub rate: f32,
}

/// Of `C` lanes: how far a stage goes towards its input (`gains[0]`; the others are its powers)
/// and how much of it stays, the feedback, what solves the loop, and the trace.
#[derive(Clone, Copy)]
struct Coefficients<const C: usize> {
    gains: [[f32; C]; ROWS],
    rest: [f32; C],
    feedback: [f32; C],
    solve: [f32; C],
    trace: [f32; C],
}

impl<const C: usize> Coefficients<C> {
    const NONE: Coefficients<C> = Coefficients {
        gains: [[0.0; C]; ROWS],
        rest: [0.0; C],
        feedback: [0.0; C],
        solve: [0.0; C],
        trace: [0.0; C],
    };
}

impl<const W: usize> Ladder<'_, W> {
    /// The next frames, at most 64, as many as `low` has room for: behind four stages, and in
    /// `low12`, if that is not empty, behind two. `[audio]`
    pub fn render(&mut self, inputs: &Inputs<'_>, low: &mut [f32], low12: &mut [f32]) {
        let still = inputs.cutoff.is_still() && inputs.resonance.is_still();
        let mono = inputs.cutoff.is_mono() && inputs.resonance.is_mono();
        match (still, mono) {
            (true, _) => render_still(self.0, inputs, low, low12),
            (false, true) => render_mono(self.0, inputs, low, low12),
            (false, false) => render_moving(self.0, inputs, low, low12),
        }
    }

    /// Ends tails that nobody can hear. To be called at the end of each block, which is the same
    /// frame however the block was cut. `[audio]`
    pub fn settle(&mut self) {
        settle_all(self.0.as_flattened_mut());
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn render_still<const W: usize>(
    state: &mut [[f32; W]; ROWS],
    inputs: &Inputs<'_>,
    low: &mut [f32],
    low12: &mut [f32],
) {
    let c = design::<W>(inputs, 0);
    run::<W, W>(state, inputs, |_| c, low, low12);
}

/// One corner for all lanes: found for all frames first, in a loop of its own.
#[multiversion(targets("x86_64+avx2"))]
fn render_mono<const W: usize>(
    state: &mut [[f32; W]; ROWS],
    inputs: &Inputs<'_>,
    low: &mut [f32],
    low12: &mut [f32],
) {
    let mut found = [Coefficients::<1>::NONE; FRAMES_MAX];
    for (frame, found) in found[..low.len() / W].iter_mut().enumerate() {
        *found = design::<1>(inputs, frame);
    }
    run::<W, 1>(state, inputs, |frame| found[frame], low, low12);
}

#[multiversion(targets("x86_64+avx2"))]
fn render_moving<const W: usize>(
    state: &mut [[f32; W]; ROWS],
    inputs: &Inputs<'_>,
    low: &mut [f32],
    low12: &mut [f32],
) {
    run::<W, W>(state, inputs, |frame| design::<W>(inputs, frame), low, low12);
}

#[inline(always)]
fn run<const W: usize, const C: usize>(
    state: &mut [[f32; W]; ROWS],
    inputs: &Inputs<'_>,
    pick: impl Fn(usize) -> Coefficients<C>,
    low: &mut [f32],
    low12: &mut [f32],
) {
    let (low, _) = low.as_chunks_mut::<W>();
    let (low12, _) = low12.as_chunks_mut::<W>();
    let mut now = *state;
    for (frame, low) in low.iter_mut().enumerate() {
        let c = pick(frame);
        let (x, drive) = (inputs.input.lanes::<W>(frame), inputs.drive.lanes::<W>(frame));
        let mut half = [0.0; W];
        for lane in 0..W {
            let at = lane % C;
            // What each stage gives if nothing enters the first one.
            let rest = c.rest[at];
            let first = rest * now[0][lane];
            let second = rest * now[1][lane] + c.gains[0][at] * first;
            let third = rest * now[2][lane] + c.gains[0][at] * second;
            let fourth = rest * now[3][lane] + c.gains[0][at] * third;
            let comes = drive[lane] * x[lane] + c.trace[at];
            let enters = soften((comes - c.feedback[at] * fourth) * c.solve[at]);
            half[lane] = second + c.gains[1][at] * enters;
            low[lane] = fourth + c.gains[3][at] * enters;
            let stages = [first, second, third, fourth];
            for stage in 0..ROWS {
                let gives = stages[stage] + c.gains[stage][at] * enters;
                now[stage][lane] = 2.0 * gives - now[stage][lane];
            }
        }
        if let Some(low12) = low12.get_mut(frame) {
            *low12 = half;
        }
    }
    *state = now;
}

/// Straight where it is quiet, flat at the rails.
#[inline(always)]
fn soften(x: f32) -> f32 {
    let x = clamp(x, -BEND, BEND);
    x - CUBIC * x * x * x
}

/// The coefficients of one frame. With tan(πf) = n/d one division is enough for both.
#[inline(always)]
fn design<const C: usize>(inputs: &Inputs<'_>, frame: usize) -> Coefficients<C> {
    let cutoff = inputs.cutoff.lanes::<C>(frame);
    let resonance = inputs.resonance.lanes::<C>(frame);
    let period = 1.0 / inputs.rate;
    let none = [0.0; C];
    let mut c =
        Coefficients { gains: [none; ROWS], rest: none, feedback: none, solve: none, trace: none };
    for lane in 0..C {
        let part = clamp(cutoff[lane] * period, 1e-6, 0.49);
        let feedback = 4.0 * resonance[lane];
        let (n, d) = tan_pi_parts(part);
        let sum = n + d;
        let (n2, sum2) = (n * n, sum * sum);
        let sum4 = sum2 * sum2;
        let whole = sum4 + feedback * (n2 * n2);
        let share = 1.0 / (sum * whole);
        let gain = n * (whole * share);
        c.gains[0][lane] = gain;
        c.gains[1][lane] = gain * gain;
        c.gains[2][lane] = c.gains[1][lane] * gain;
        c.gains[3][lane] = c.gains[1][lane] * c.gains[1][lane];
        c.rest[lane] = d * (whole * share);
        c.feedback[lane] = feedback;
        c.solve[lane] = sum4 * (sum * share);
        c.trace[lane] = TRACE * max(feedback - 4.0, 0.0);
    }
    c
}

#[cfg(test)]
mod tests {
    use super::{Inputs, Ladder, RAIL, ROWS};
    use crate::signal::Signal;

    /// A ladder, its cutoff, resonance and drive.
    struct Circuit {
        state: [[f32; 1]; ROWS],
        cutoff: f32,
        resonance: f32,
        drive: f32,
    }

    impl Circuit {
        fn new(cutoff: f32, resonance: f32, drive: f32) -> Circuit {
            Circuit { state: [[0.0; 1]; ROWS], cutoff, resonance, drive }
        }

        /// What comes out behind four stages and behind two.
        fn through(&mut self, input: &[f32]) -> [Vec<f32>; 2] {
            let mut heard = [vec![0.0; input.len()], vec![0.0; input.len()]];
            let [low, low12] = &mut heard;
            let outs = low.chunks_mut(64).zip(low12.chunks_mut(64));
            for (input, (low, low12)) in input.chunks(64).zip(outs) {
                let inputs = Inputs {
                    input: Signal::cable(input, 1),
                    cutoff: Signal::constant(&self.cutoff),
                    resonance: Signal::constant(&self.resonance),
                    drive: Signal::constant(&self.drive),
                    rate: 48_000.0,
                };
                Ladder(&mut self.state).render(&inputs, low, low12);
                Ladder(&mut self.state).settle();
            }
            heard
        }
    }

    /// Size of the partial at `hz` in `samples`, as a sum.
    fn partial(samples: &[f32], hz: f64) -> f64 {
        let angle = std::f64::consts::TAU * hz / 48_000.0;
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let phase = angle * n as f64;
            real += f64::from(*sample) * phase.cos();
            imaginary += f64::from(*sample) * phase.sin();
        }
        (real * real + imaginary * imaginary).sqrt()
    }

    /// The size of 1/((1+jw)⁴ + k), and of the same behind two stages.
    fn analytic(w: f64, k: f64) -> [f64; 2] {
        let two = (1.0 - w * w, 2.0 * w);
        let (real, imaginary) = (two.0 * two.0 - two.1 * two.1 + k, 2.0 * two.0 * two.1);
        let whole = (real * real + imaginary * imaginary).sqrt();
        [1.0 / whole, (1.0 + w * w) / whole]
    }

    #[test]
    fn a_quiet_sound_is_within_a_quarter_of_a_db_of_the_analytic_curve_to_10_khz() {
        let mut impulse = vec![0.0; 96_000];
        impulse[0] = 0.01;
        for (cutoff, resonance) in [(100.0, 0.2), (1_000.0, 0.0), (1_000.0, 0.9), (7_000.0, 0.6)] {
            let heard = Circuit::new(cutoff, resonance, 1.0).through(&impulse);
            for hz in [20.0, 55.0, 100.0, 400.0, 990.0, 1_500.0, 4_000.0, 7_000.0, 10_000.0] {
                let warp = |hz: f64| (std::f64::consts::PI * hz / 48_000.0).tan();
                let w = warp(hz) / warp(f64::from(cutoff));
                for (outlet, truth) in analytic(w, 4.0 * f64::from(resonance)).iter().enumerate() {
                    let gain = 100.0 * partial(&heard[outlet], hz);
                    let error = 20.0 * (gain / truth).log10();
                    // Far below everything the response is rounding only.
                    let fits = error.abs() < 0.25 || *truth < 1e-4;
                    assert!(fits, "{outlet}, {cutoff}, {resonance}: {hz} Hz, {error} dB");
                }
            }
        }
    }

    /// Hz of what is heard, by its rises through 0.
    fn pitch(heard: &[f32]) -> f64 {
        let rises: Vec<f64> = (1..heard.len())
            .filter(|at| heard[at - 1] < 0.0 && heard[*at] >= 0.0)
            .map(|at| at as f64 - f64::from(heard[at] / (heard[at] - heard[at - 1])))
            .collect();
        (rises.len() - 1) as f64 * 48_000.0 / (rises[rises.len() - 1] - rises[0])
    }

    #[test]
    fn it_sings_by_itself_in_tune_and_within_bounds() {
        for cutoff in [50.0, 110.0, 440.0, 1_760.0, 5_000.0, 10_000.0] {
            let silence = vec![0.0; 144_000];
            let heard = &Circuit::new(cutoff, 1.2, 1.0).through(&silence)[0][96_000..];
            let cents = 1_200.0 * (pitch(heard) / f64::from(cutoff)).log2();
            assert!(cents.abs() < 2.0, "{cutoff}: {cents} cents");
            let most = heard.iter().fold(0.0_f32, |most, sample| most.max(sample.abs()));
            assert!((0.48..0.53).contains(&most), "{cutoff}: {most}");
            let below = Circuit::new(cutoff, 1.0, 1.0).through(&silence);
            assert!(below[0].iter().all(|sample| *sample == 0.0), "silence stays silence");
        }
    }

    /// S46: the corner jumps with every sample, the loop oscillates, the input is driven.
    #[test]
    fn a_jumping_corner_stays_bounded() {
        let mut noise = 9_u32;
        let mut next = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 8) as f32 / 16_777_216.0
        };
        for drive in [0.0, 1.0, 16.0] {
            let (mut state, mut most) = ([[0.0; 1]; ROWS], 0.0_f32);
            for _ in 0..4_000 {
                let input: Vec<f32> = (0..64).map(|_| next() * 2.0 - 1.0).collect();
                let corners: Vec<f32> = (0..64).map(|_| 10.0 + next() * 19_990.0).collect();
                let inputs = Inputs {
                    input: Signal::cable(&input, 1),
                    cutoff: Signal::cable(&corners, 1),
                    resonance: Signal::constant(&1.2),
                    drive: Signal::constant(&drive),
                    rate: 48_000.0,
                };
                let (mut low, mut low12) = ([0.0; 64], [0.0; 64]);
                Ladder(&mut state).render(&inputs, &mut low, &mut low12);
                most = low.iter().chain(&low12).fold(most, |most, it| most.max(it.abs()));
            }
            assert!(most < 2.0 * RAIL, "drive {drive}: {most}");
        }
    }

    #[test]
    fn a_loud_sound_meets_the_rail_and_a_quiet_one_does_not() {
        let sine: Vec<f32> = (0..48_000)
            .map(|n| (std::f64::consts::TAU * 100.0 * f64::from(n) / 48_000.0).sin() as f32)
            .collect();
        let third = |drive: f32| {
            let heard = &Circuit::new(20_000.0, 0.0, drive).through(&sine)[0][24_000..];
            let most = heard.iter().fold(0.0_f32, |most, sample| most.max(sample.abs()));
            (partial(heard, 300.0) / partial(heard, 100.0), most)
        };
        let (distortion, level) = third(0.1);
        assert!(distortion < 1.1e-4 && (level / 0.1 - 1.0).abs() < 0.001, "{distortion} {level}");
        let (distortion, level) = third(16.0);
        // A square's third partial is a third.
        assert!(distortion > 0.25 && (level / RAIL - 1.0).abs() < 0.1, "{distortion} {level}");
    }

    #[test]
    fn below_three_nothing_of_a_sine_at_5_khz_folds_back() {
        let sine: Vec<f32> = (0..48_000)
            .map(|n| (std::f64::consts::TAU * 5_000.0 * f64::from(n) / 48_000.0).sin() as f32)
            .collect();
        let strays = |drive: f32| {
            let heard = &Circuit::new(20_000.0, 0.0, drive).through(&sine)[0][24_000..];
            let stray = |hz| 20.0 * (partial(heard, hz) / partial(heard, 5_000.0)).log10();
            [1_000.0, 3_000.0, 7_000.0, 9_000.0, 13_000.0, 17_000.0, 23_000.0]
                .iter()
                .fold(-300.0, |most: f64, hz| most.max(stray(*hz)))
        };
        assert!(strays(2.9) < -100.0, "{}", strays(2.9));
        assert!(strays(16.0) > -60.0, "what folds back is seen: {}", strays(16.0));
    }

    #[test]
    fn a_moving_corner_that_stays_and_a_lane_among_sixteen_have_the_same_bits() {
        let input: Vec<f32> = (0..64).map(|n| ((n * 37 % 101) as f32 - 50.0) * 0.02).collect();
        let wide: Vec<f32> = input.iter().flat_map(|sample| [*sample; 16]).collect();
        let (corners, corner) = ([700.0; 64 * 16], 700.0);
        let mut alone = Circuit::new(corner, 1.1, 2.0);
        let mut states = [[[0.0; 16]; ROWS]; 3];
        for _ in 0..9 {
            let truth = alone.through(&input);
            let cutoffs = [
                Signal::constant(&corner),
                Signal::cable(&corners[..64], 1),
                Signal::cable(&corners, 16),
            ];
            for (at, (state, cutoff)) in states.iter_mut().zip(cutoffs).enumerate() {
                let inputs = Inputs {
                    input: Signal::cable(&wide, 16),
                    cutoff,
                    resonance: Signal::constant(&1.1),
                    drive: Signal::constant(&2.0),
                    rate: 48_000.0,
                };
                let (mut low, mut low12) = ([0.0; 1_024], [0.0; 1_024]);
                // One of them with the outlet of two stages, the others without.
                let tap = if at == 1 { &mut low12[..] } else { &mut [] };
                Ladder(state).render(&inputs, &mut low, tap);
                Ladder(state).settle();
                for frame in 0..64 {
                    assert_eq!(truth[0][frame].to_bits(), low[frame * 16 + 5].to_bits(), "{at}");
                    let half = truth[1][frame].to_bits();
                    assert!(at != 1 || half == low12[frame * 16 + 5].to_bits());
                }
            }
        }
    }
}
