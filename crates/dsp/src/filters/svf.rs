//! A state-variable filter: low, band, high and notch of one circuit at once.
//!
//! *Source*: trapezoidal integration (V. Zavalishin, "The Art of VA Filter Design"; A. Simper,
//! "Linear Trapezoidal Integrated SVF"). With g = tan(πf) = n/d the three coefficients share one
//! division, so that a corner may move with every sample for little more than one that stands.
//!
//! *Invariant*: the energy of the two integrators never grows but by what comes in, whatever the
//! corner does, so the output is bounded by the resonance: no rails are needed.

use multiversion::multiversion;

use crate::FRAMES_MAX;
use crate::filters::{Coefficients, Inputs};
use crate::math::{clamp, max, settle_all, tan_pi_parts};
use crate::signal::Signal;

/// Rows of samples a filter remembers.
pub const ROWS: usize = 2;

/// The two integrators of each of `W` lanes.
pub struct Svf<'a, const W: usize>(pub &'a mut [[f32; W]; ROWS]);

impl<const W: usize> Svf<'_, W> {
    /// The next frames, at most 64, as many as `low` has room for: low, band (gain 1 at the
    /// corner), high, notch; those that are empty are left out. `[audio]`
    pub fn render(&mut self, inputs: &Inputs<'_>, outs: &mut [&mut [f32]; 4]) {
        let [low, band, high, notch] = outs;
        let alone = band.is_empty() && high.is_empty() && notch.is_empty();
        let still = inputs.cutoff.is_still() && inputs.q.is_still();
        let mono = inputs.cutoff.is_mono() && inputs.q.is_mono();
        match (alone, still, mono) {
            (true, true, _) => low_still(self.0, inputs, low),
            (true, false, true) => low_mono(self.0, inputs, low),
            (true, false, false) => low_moving(self.0, inputs, low),
            (false, ..) => all(self.0, inputs, outs),
        }
    }

    /// Ends tails that nobody can hear. To be called at the end of each block, which is the same
    /// frame however the block was cut. `[audio]`
    pub fn settle(&mut self) {
        settle_all(self.0.as_flattened_mut());
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn low_still<const W: usize>(state: &mut [[f32; W]; ROWS], inputs: &Inputs<'_>, out: &mut [f32]) {
    let c = Design::<W>::new(inputs, 0).at(0);
    let (frames, _) = out.as_chunks_mut::<W>();
    let mut now = *state;
    if let Some(input) = inputs.input.frames::<W>(frames.len()) {
        for (out, x) in frames.iter_mut().zip(input) {
            *out = step(&mut now, &c, *x).1;
        }
    } else {
        for (frame, out) in frames.iter_mut().enumerate() {
            *out = step(&mut now, &c, inputs.input.lanes::<W>(frame)).1;
        }
    }
    *state = now;
}

/// One corner for all lanes: found for all frames first, in a loop of its own.
#[multiversion(targets("x86_64+avx2"))]
fn low_mono<const W: usize>(state: &mut [[f32; W]; ROWS], inputs: &Inputs<'_>, out: &mut [f32]) {
    let (frames, _) = out.as_chunks_mut::<W>();
    let none = Coefficients { c1: [0.0], d2: [0.0], d3: [0.0], k: [0.0] };
    let mut found = [none; FRAMES_MAX];
    let design = Design::<1>::new(inputs, 0);
    for (frame, found) in found[..frames.len()].iter_mut().enumerate() {
        *found = design.at(frame);
    }
    let mut now = *state;
    for (frame, out) in frames.iter_mut().enumerate() {
        let (_, low) = step(&mut now, &spread(&found[frame]), inputs.input.lanes::<W>(frame));
        *out = low;
    }
    *state = now;
}

#[multiversion(targets("x86_64+avx2"))]
fn low_moving<const W: usize>(state: &mut [[f32; W]; ROWS], inputs: &Inputs<'_>, out: &mut [f32]) {
    // As many lanes at once as leave all that belongs to a frame in registers.
    match W {
        16 => {
            low_moving_part::<W, 8>(state, inputs, out, 0);
            low_moving_part::<W, 8>(state, inputs, out, 8);
        }
        _ => low_moving_part::<W, W>(state, inputs, out, 0),
    }
}

/// `N` lanes from `first` on.
#[inline(always)]
fn low_moving_part<const W: usize, const N: usize>(
    state: &mut [[f32; W]; ROWS],
    inputs: &Inputs<'_>,
    out: &mut [f32],
    first: usize,
) {
    let design = Design::<N>::new(inputs, first);
    let mut now = state.map(|row| part::<W, N>(&row, first));
    let (frames, _) = out.as_chunks_mut::<W>();
    let count = frames.len();
    let rows = (inputs.cutoff.frames::<W>(count), inputs.input.frames::<W>(count));
    if let (Some(cutoff), Some(input), true) = (rows.0, rows.1, inputs.q.is_still()) {
        for (out, (cutoff, x)) in frames.iter_mut().zip(cutoff.iter().zip(input)) {
            let c = design.of(part(cutoff, first), design.k);
            let (_, low) = step(&mut now, &c, part::<W, N>(x, first));
            out[first..first + N].copy_from_slice(&low);
        }
    } else {
        for (frame, out) in frames.iter_mut().enumerate() {
            let x = inputs.input.lanes_from::<N>(frame, first);
            let (_, low) = step(&mut now, &design.at(frame), x);
            out[first..first + N].copy_from_slice(&low);
        }
    }
    for (now, state) in now.iter().zip(state) {
        state[first..first + N].copy_from_slice(now);
    }
}

/// `N` of `W` lanes, from `first` on.
#[inline(always)]
fn part<const W: usize, const N: usize>(row: &[f32; W], first: usize) -> [f32; N] {
    let mut part = [0.0; N];
    part.copy_from_slice(&row[first..first + N]);
    part
}

#[multiversion(targets("x86_64+avx2"))]
fn all<const W: usize>(
    state: &mut [[f32; W]; ROWS],
    inputs: &Inputs<'_>,
    outs: &mut [&mut [f32]; 4],
) {
    let still = inputs.cutoff.is_still() && inputs.q.is_still();
    let design = Design::<W>::new(inputs, 0);
    let mut c = design.at(0);
    let mut now = *state;
    for frame in 0..outs[0].len() / W {
        if !still {
            c = design.at(frame);
        }
        let x = inputs.input.lanes::<W>(frame);
        let (band, low) = step(&mut now, &c, x);
        let (mut middle, mut high, mut notch) = ([0.0; W], [0.0; W], [0.0; W]);
        for lane in 0..W {
            middle[lane] = c.k[lane] * band[lane];
            notch[lane] = x[lane] - middle[lane];
            high[lane] = notch[lane] - low[lane];
        }
        for (out, lanes) in outs.iter_mut().zip([low, middle, high, notch]) {
            if let Some(out) = out.get_mut(frame * W..(frame + 1) * W) {
                out.copy_from_slice(&lanes);
            }
        }
    }
    *state = now;
}

/// One frame on; band (before it is scaled) and low, halfway between two states: that is what
/// trapezoidal integration says.
#[inline(always)]
fn step<const W: usize>(
    state: &mut [[f32; W]; ROWS],
    c: &Coefficients<W>,
    x: [f32; W],
) -> ([f32; W], [f32; W]) {
    let [first, second] = state;
    let (mut band, mut low) = ([0.0; W], [0.0; W]);
    for lane in 0..W {
        let above = x[lane] - second[lane];
        let next_first = c.c1[lane] * first[lane] + c.d2[lane] * above;
        // In this order three operations stand between one state and the next, not four.
        let next_second = (second[lane] + c.d2[lane] * first[lane]) + c.d3[lane] * above;
        band[lane] = 0.5 * (next_first + first[lane]);
        low[lane] = 0.5 * (next_second + second[lane]);
        first[lane] = next_first;
        second[lane] = next_second;
    }
    (band, low)
}

#[inline(always)]
fn spread<const W: usize>(one: &Coefficients<1>) -> Coefficients<W> {
    Coefficients { c1: [one.c1[0]; W], d2: [one.d2[0]; W], d3: [one.d3[0]; W], k: [one.k[0]; W] }
}

/// What finds the coefficients of a frame, for `C` lanes from `first` on; a resonance that stands
/// is worked out once.
struct Design<'a, const C: usize> {
    cutoff: Signal<'a>,
    q: Signal<'a>,
    first: usize,
    period: f32,
    k: [f32; C],
}

impl<'a, const C: usize> Design<'a, C> {
    #[inline(always)]
    fn new(inputs: &Inputs<'a>, first: usize) -> Design<'a, C> {
        let period = 1.0 / inputs.rate;
        let k = damping(inputs.q.lanes_from::<C>(0, first));
        Design { cutoff: inputs.cutoff, q: inputs.q, first, period, k }
    }

    #[inline(always)]
    fn at(&self, frame: usize) -> Coefficients<C> {
        let still = self.q.is_still();
        let k = if still { self.k } else { damping(self.q.lanes_from::<C>(frame, self.first)) };
        self.of(self.cutoff.lanes_from::<C>(frame, self.first), k)
    }

    #[inline(always)]
    fn of(&self, cutoff: [f32; C], k: [f32; C]) -> Coefficients<C> {
        let mut c = Coefficients { c1: [0.0; C], d2: [0.0; C], d3: [0.0; C], k };
        for lane in 0..C {
            let (n, d) = tan_pi_parts(clamp(cutoff[lane] * self.period, 1e-6, 0.49));
            let (square, product) = (n * n, n * d);
            let damping = square + k[lane] * product;
            let share = 2.0 / (d * d + damping);
            c.c1[lane] = 1.0 - damping * share;
            c.d2[lane] = product * share;
            c.d3[lane] = square * share;
        }
        c
    }
}

#[inline(always)]
fn damping<const C: usize>(q: [f32; C]) -> [f32; C] {
    let mut k = [0.0; C];
    for lane in 0..C {
        k[lane] = 1.0 / max(q[lane], 0.5);
    }
    k
}

#[cfg(test)]
mod tests {
    use super::Svf;
    use crate::filters::Inputs;
    use crate::signal::Signal;

    /// What comes out of outlet `outlet` for `input`, one lane, pieces of 64 frames.
    fn through(outlet: usize, cutoff: f32, q: f32, input: &[f32]) -> Vec<f32> {
        let mut state = [[0.0; 1]; 2];
        let mut heard = Vec::new();
        for piece in input.chunks(64) {
            let inputs = Inputs {
                input: Signal::cable(piece, 1),
                cutoff: Signal::constant(&cutoff),
                q: Signal::constant(&q),
                rate: 48_000.0,
            };
            let mut outs = [[0.0; 64]; 4];
            let [low, band, high, notch] = &mut outs;
            let mut rows = [low, band, high, notch].map(|row| &mut row[..piece.len()]);
            Svf(&mut state).render(&inputs, &mut rows);
            heard.extend_from_slice(&outs[outlet][..piece.len()]);
        }
        heard
    }

    /// Gain at `hz`, from the response to an impulse.
    fn gain(response: &[f32], hz: f64) -> f64 {
        let angle = std::f64::consts::TAU * hz / 48_000.0;
        let terms = response.iter().enumerate().map(|(n, h)| {
            let phase = angle * n as f64;
            (f64::from(*h) * phase.cos(), f64::from(*h) * phase.sin())
        });
        let (real, imaginary) =
            terms.fold((0.0, 0.0), |sum, term| (sum.0 + term.0, sum.1 + term.1));
        (real * real + imaginary * imaginary).sqrt()
    }

    /// The curves of the analogue circuit, bent to the sample rate by the bilinear transform.
    #[test]
    fn every_outlet_is_within_a_quarter_of_a_db_of_the_analytic_curve_to_10_khz() {
        let mut impulse = vec![0.0; 48_000];
        impulse[0] = 1.0;
        for (cutoff, q) in [(100.0, 0.7), (1_000.0, 0.7), (1_000.0, 8.0), (6_000.0, 2.0)] {
            for outlet in 0..4 {
                let response = through(outlet, cutoff, q, &impulse);
                for hz in [20.0, 55.0, 100.0, 400.0, 990.0, 1_500.0, 4_000.0, 7_000.0, 10_000.0] {
                    let warp = |hz: f64| (std::f64::consts::PI * hz / 48_000.0).tan();
                    let w = warp(hz) / warp(f64::from(cutoff));
                    let (real, imaginary) = (1.0 - w * w, w / f64::from(q));
                    let below = (real * real + imaginary * imaginary).sqrt();
                    let truth =
                        [1.0 / below, imaginary / below, w * w / below, real.abs() / below][outlet];
                    let error = 20.0 * (gain(&response, hz) / truth).log10();
                    // Far below everything the response is rounding only.
                    if truth > 1e-3 {
                        assert!(
                            error.abs() < 0.25,
                            "{outlet}, {cutoff} q {q}: {hz} Hz, {error} dB"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn one_outlet_alone_and_a_moving_corner_that_stays_have_the_same_bits() {
        let input: Vec<f32> = (0..64 * 8).map(|n| ((n * 37 % 101) as f32 - 50.0) * 0.02).collect();
        let corners: Vec<f32> = (0..64 * 8).map(|n| 300.0 + (n % 8) as f32 * 500.0).collect();
        let mut states = [[[0.0; 8]; 2]; 3];
        for _ in 0..5 {
            let still = Signal::still(&corners, 8);
            let moving = Signal::cable(&corners, 8);
            let mut heard = [[0.0; 512]; 3];
            for (at, cutoff) in [(0, still), (1, moving), (2, moving)] {
                let input = Signal::cable(&input, 8);
                let inputs = Inputs { input, cutoff, q: Signal::constant(&3.0), rate: 48_000.0 };
                let (mut spare, mut others) = ([0.0; 512], [[]; 2]);
                let [one, two] = &mut others;
                let band: &mut [f32] = if at == 2 { &mut spare } else { &mut [] };
                let mut outs = [&mut heard[at][..], band, &mut one[..], &mut two[..]];
                Svf(&mut states[at]).render(&inputs, &mut outs);
            }
            assert_eq!(heard[0].map(f32::to_bits), heard[1].map(f32::to_bits));
            assert_eq!(heard[0].map(f32::to_bits), heard[2].map(f32::to_bits));
        }
    }

    /// S46: a corner that jumps with every sample at the highest resonance stays bounded.
    #[test]
    fn a_jumping_corner_never_makes_more_than_the_resonance() {
        let (mut state, mut most) = ([[0.0; 1]; 2], 0.0_f32);
        let mut noise = 9_u32;
        for _ in 0..2_000 {
            let mut next = || {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 8) as f32 / 16_777_216.0
            };
            let input: Vec<f32> = (0..64).map(|_| next() * 2.0 - 1.0).collect();
            let corners: Vec<f32> = (0..64).map(|_| 20.0 + next() * 20_000.0).collect();
            let inputs = Inputs {
                input: Signal::cable(&input, 1),
                cutoff: Signal::cable(&corners, 1),
                q: Signal::constant(&20.0),
                rate: 48_000.0,
            };
            let mut out = [0.0; 64];
            Svf(&mut state).render(&inputs, &mut [&mut out, &mut [], &mut [], &mut []]);
            most = out.iter().fold(most, |most, sample| most.max(sample.abs()));
        }
        assert!(most < 20.0, "{most}");
    }
}
