//! A filter of two poles and two zeros whose corner may jump with every sample.
//!
//! *Source*: the responses are those of R. Bristow-Johnson's "Audio EQ Cookbook"; the circuit is
//! the state-variable filter by trapezoidal integration (V. Zavalishin, "The Art of VA Filter
//! Design"; A. Simper, "Linear Trapezoidal Integrated SVF"), because its state keeps its meaning
//! while the corner moves. S46: a direct form driven like that peaked at 375.
//!
//! *Invariant*: the two integrators saturate like a circuit on its rails: straight up to 2, bent
//! from there, never beyond 4. So the output is bounded whatever the corner and resonance do.

use multiversion::multiversion;

use crate::FRAMES_MAX;
use crate::filters::{Coefficients, Inputs};
use crate::math::{clamp, max, min, settle_all, size, tan_pi};
use crate::signal::Signal;

/// Where the integrators stop: no state is ever beyond this.
pub const RAIL: f32 = 4.0;

/// Up to here the integrators are straight.
const STRAIGHT: f32 = 2.0;

/// The bit that numbers of this size and beyond have, and no other: the highest of the exponent.
const BENT: u32 = 0x4000_0000;
const _: () = assert!(STRAIGHT.to_bits() == BENT);

/// Highest output for an input within −1..=1, at any corner and any `q` from 0.5 on.
///
/// With |state| ≤ 4, a1 = 1/(1+g(g+k)), a2 = g·a1, a3 = g·a2: low ≤ (1−a3)·4 + a2·4 + a3 ≤ 7 and
/// band·k ≤ k·a1·4 + k·a2·5 ≤ 8 + 5 (at k = 2); high and notch are at most input plus those.
pub const OUTPUT_MAX: f32 = 1.0 + 7.0 + 13.0;

/// What is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Below the corner; 12 dB an octave above it.
    Lowpass,
    /// Above the corner.
    Highpass,
    /// Around the centre, where the gain is 1.
    Bandpass,
    /// All but the centre.
    Notch,
}

/// Rows of samples a filter remembers.
pub const ROWS: usize = 2;

/// The two integrators of each of `W` lanes.
pub struct Biquad<'a, const W: usize>(pub &'a mut [[f32; W]; ROWS]);

impl<const W: usize> Biquad<'_, W> {
    /// The next `out.len() / W` frames, at most 64. `[audio]`
    pub fn render(&mut self, mode: Mode, inputs: &Inputs<'_>, out: &mut [f32]) {
        if inputs.cutoff.is_mono() && inputs.q.is_mono() {
            render_lanes::<W, 1>(self.0, mode, inputs, out);
        } else {
            render_lanes::<W, W>(self.0, mode, inputs, out);
        }
    }

    /// Ends tails that nobody can hear. To be called at the end of each block, which is the same
    /// frame however the block was cut. `[audio]`
    pub fn settle(&mut self) {
        settle_all(self.0.as_flattened_mut());
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn render_lanes<const W: usize, const C: usize>(
    state: &mut [[f32; W]; ROWS],
    mode: Mode,
    inputs: &Inputs<'_>,
    out: &mut [f32],
) {
    if inputs.cutoff.is_still() && inputs.q.is_still() {
        let c = design::<C>(inputs, 0);
        return render_mode::<W, C>(state, mode, inputs.input, |_| &c, out);
    }
    let none = Coefficients { c1: [0.0; C], d2: [0.0; C], d3: [0.0; C], k: [0.0; C] };
    let mut coefficients = [none; FRAMES_MAX];
    for (frame, slot) in coefficients[..out.len() / W].iter_mut().enumerate() {
        *slot = design::<C>(inputs, frame);
    }
    render_mode::<W, C>(state, mode, inputs.input, |frame| &coefficients[frame], out);
}

#[inline(always)]
fn render_mode<'c, const W: usize, const C: usize>(
    state: &mut [[f32; W]; ROWS],
    mode: Mode,
    input: Signal<'_>,
    pick: impl Fn(usize) -> &'c Coefficients<C>,
    out: &mut [f32],
) {
    match mode {
        Mode::Lowpass => run::<W, C>(state, input, pick, out, |_, _, _, low| low),
        Mode::Highpass => {
            run::<W, C>(state, input, pick, out, |x, k, band, low| x - k * band - low);
        }
        Mode::Bandpass => run::<W, C>(state, input, pick, out, |_, k, band, _| k * band),
        Mode::Notch => run::<W, C>(state, input, pick, out, |x, k, band, _| x - k * band),
    }
}

/// Runs straight through, and only if a rail was touched on the way runs again with the rails
/// in place: below them both have the same bits, and the straight run is twice as fast.
#[inline(always)]
fn run<'c, const W: usize, const C: usize>(
    state: &mut [[f32; W]; ROWS],
    input: Signal<'_>,
    pick: impl Fn(usize) -> &'c Coefficients<C>,
    out: &mut [f32],
    mix: impl Fn(f32, f32, f32, f32) -> f32,
) {
    let before = *state;
    let (frames, _) = out.as_chunks_mut::<W>();
    let seen = match input.frames::<W>(frames.len()) {
        Some(input) => pass(state, input.iter().copied(), &pick, frames, &mix, |x| x),
        None => pass(state, input.every::<W>(), &pick, frames, &mix, |x| x),
    };
    if seen & BENT != 0 {
        *state = before;
        pass(state, input.every::<W>(), &pick, frames, &mix, saturate);
    }
}

/// One run; all bits that a state ever had.
#[inline(always)]
fn pass<'c, const W: usize, const C: usize>(
    state: &mut [[f32; W]; ROWS],
    input: impl Iterator<Item = [f32; W]>,
    pick: &impl Fn(usize) -> &'c Coefficients<C>,
    out: &mut [[f32; W]],
    mix: &impl Fn(f32, f32, f32, f32) -> f32,
    rails: impl Fn(f32) -> f32,
) -> u32 {
    let [mut first, mut second] = *state;
    let mut seen = [0_u32; W];
    for (frame, (out, x)) in out.iter_mut().zip(input).enumerate() {
        let c = pick(frame);
        for lane in 0..W {
            let (c1, d2) = (c.c1[lane % C], c.d2[lane % C]);
            let (d3, k) = (c.d3[lane % C], c.k[lane % C]);
            let above = x[lane] - second[lane];
            let next_first = c1 * first[lane] + d2 * above;
            // In this order three operations stand between one state and the next, not four.
            let next_second = (second[lane] + d2 * first[lane]) + d3 * above;
            // Halfway between two states: that is what trapezoidal integration says.
            let band = 0.5 * (next_first + first[lane]);
            let low = 0.5 * (next_second + second[lane]);
            seen[lane] |= next_first.to_bits() | next_second.to_bits();
            first[lane] = rails(next_first);
            second[lane] = rails(next_second);
            out[lane] = mix(x[lane], k, band, low);
        }
    }
    *state = [first, second];
    seen.iter().fold(0, |all, seen| all | seen)
}

/// The coefficients of one frame.
#[inline(always)]
fn design<const C: usize>(inputs: &Inputs<'_>, frame: usize) -> Coefficients<C> {
    let (cutoff, q) = (inputs.cutoff.lanes::<C>(frame), inputs.q.lanes::<C>(frame));
    let period = 1.0 / inputs.rate;
    let mut c = Coefficients { c1: [0.0; C], d2: [0.0; C], d3: [0.0; C], k: [0.0; C] };
    for lane in 0..C {
        let g = tan_pi(clamp(cutoff[lane] * period, 1e-6, 0.49));
        let k = 1.0 / max(q[lane], 0.5);
        let damping = g * (g + k);
        let a1 = 1.0 / (1.0 + damping);
        c.k[lane] = k;
        c.c1[lane] = a1 * (1.0 - damping);
        c.d2[lane] = 2.0 * g * a1;
        c.d3[lane] = g * c.d2[lane];
    }
    c
}

/// Straight up to 2, then a parabola that arrives flat at 4: no corner to be heard.
#[inline(always)]
fn saturate(x: f32) -> f32 {
    let sign = x.to_bits() & 0x8000_0000;
    let size = min(size(x), 6.0);
    let excess = max(size - STRAIGHT, 0.0);
    let bent = size - excess * excess * 0.125;
    f32::from_bits(bent.to_bits() | sign)
}

#[cfg(test)]
mod tests {
    use super::{Biquad, Mode, OUTPUT_MAX, saturate};
    use crate::filters::Inputs;
    use crate::signal::Signal;

    const MODES: [Mode; 4] = [Mode::Lowpass, Mode::Highpass, Mode::Bandpass, Mode::Notch];

    fn respond(mode: Mode, cutoff: f32, q: f32, input: &[f32]) -> Vec<f32> {
        let mut state = [[0.0; 1]; 2];
        let mut out = vec![0.0; input.len()];
        for (input, out) in input.chunks(64).zip(out.chunks_mut(64)) {
            let inputs = Inputs {
                input: Signal::cable(input, 1),
                cutoff: Signal::constant(&cutoff),
                q: Signal::constant(&q),
                rate: 48_000.0,
            };
            Biquad(&mut state).render(mode, &inputs, out);
        }
        out
    }

    /// The cookbook's magnitude at `hz`, from its coefficients.
    fn cookbook(mode: Mode, cutoff: f64, q: f64, hz: f64) -> f64 {
        let w0 = std::f64::consts::TAU * cutoff / 48_000.0;
        let (alpha, cos) = (w0.sin() / (2.0 * q), w0.cos());
        let b = match mode {
            Mode::Lowpass => [(1.0 - cos) / 2.0, 1.0 - cos, (1.0 - cos) / 2.0],
            Mode::Highpass => [(1.0 + cos) / 2.0, -1.0 - cos, (1.0 + cos) / 2.0],
            Mode::Bandpass => [alpha, 0.0, -alpha],
            Mode::Notch => [1.0, -2.0 * cos, 1.0],
        };
        let a = [1.0 + alpha, -2.0 * cos, 1.0 - alpha];
        let w = std::f64::consts::TAU * hz / 48_000.0;
        let size = |c: [f64; 3]| {
            let real = c[0] + c[1] * w.cos() + c[2] * (2.0 * w).cos();
            let imaginary = c[1] * w.sin() + c[2] * (2.0 * w).sin();
            (real * real + imaginary * imaginary).sqrt()
        };
        size(b) / size(a)
    }

    #[test]
    fn the_response_is_the_cookbooks() {
        let mut impulse = vec![0.0; 48_000];
        impulse[0] = 0.1;
        for mode in MODES {
            for (cutoff, q) in [(200.0, 0.707), (1_000.0, 5.0), (12_000.0, 1.0)] {
                let heard = respond(mode, cutoff, q, &impulse);
                for hz in [50.0, 200.0, 700.0, 1_000.0, 3_000.0, 15_000.0] {
                    let (mut real, mut imaginary) = (0.0, 0.0);
                    for (n, sample) in heard.iter().enumerate() {
                        let angle = std::f64::consts::TAU * hz * n as f64 / 48_000.0;
                        real += f64::from(*sample) * angle.cos();
                        imaginary += f64::from(*sample) * angle.sin();
                    }
                    let size = 10.0 * (real * real + imaginary * imaginary).sqrt();
                    let truth = cookbook(mode, f64::from(cutoff), f64::from(q), hz);
                    assert!(
                        (size - truth).abs() < 0.002 * truth + 1e-4,
                        "{mode:?} {cutoff} Hz q {q} at {hz} Hz: {size} for {truth}"
                    );
                }
            }
        }
    }

    /// S46: resonance at its limit with a jumping cutoff stays bounded.
    #[test]
    fn a_jumping_corner_at_full_resonance_stays_bounded() {
        let mut noise = 1_u32;
        let mut next = move || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 8) as f32 / 16_777_216.0
        };
        for mode in MODES {
            for q in [0.5, 20.0] {
                let mut state = [[0.0; 1]; 2];
                let mut peak = 0.0_f32;
                for _ in 0..5_000 {
                    let input: Vec<f32> =
                        (0..64).map(|_| if next() < 0.5 { -1.0 } else { 1.0 }).collect();
                    let cutoff: Vec<f32> = (0..64).map(|_| 20_000.0 * next() * next()).collect();
                    let inputs = Inputs {
                        input: Signal::cable(&input, 1),
                        cutoff: Signal::cable(&cutoff, 1),
                        q: Signal::constant(&q),
                        rate: 48_000.0,
                    };
                    let mut out = [0.0; 64];
                    Biquad(&mut state).render(mode, &inputs, &mut out);
                    peak = out.iter().fold(peak, |peak, s| peak.max(s.abs()));
                }
                assert!(peak <= OUTPUT_MAX, "{mode:?} q {q} peaks at {peak}");
            }
        }
    }

    /// S46: at full resonance a tone at the corner would grow to twenty times its size.
    #[test]
    fn a_tone_at_the_corner_is_held_by_the_rails() {
        let tone: Vec<f32> = (0..48_000)
            .map(|n| (std::f32::consts::TAU * 1_000.0 * n as f32 / 48_000.0).sin())
            .collect();
        let loudest = |mode, scale: f32| {
            let input: Vec<f32> = tone.iter().map(|sample| sample * scale).collect();
            let heard = respond(mode, 1_000.0, 20.0, &input);
            heard.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs())) / scale
        };
        assert!((loudest(Mode::Lowpass, 0.05) - 20.0).abs() < 0.5, "a soft one grows");
        assert!(loudest(Mode::Lowpass, 1.0) < 4.5, "{}", loudest(Mode::Lowpass, 1.0));
    }

    #[test]
    fn lanes_and_mono_have_the_same_bits() {
        let input: Vec<f32> = (0..64).map(|n| (n as f32 * 0.37).sin()).collect();
        let many: Vec<f32> = input.iter().flat_map(|sample| [*sample; 8]).collect();
        let cutoff: Vec<f32> = (0..64).map(|n| 100.0 + 50.0 * n as f32).collect();
        let cutoffs: Vec<f32> = cutoff.iter().flat_map(|hz| [*hz; 8]).collect();
        let q = 3.0;
        for mode in MODES {
            let (mut alone, mut shared, mut among) = ([0.0; 64], [0.0; 512], [0.0; 512]);
            let mono = Inputs {
                input: Signal::cable(&input, 1),
                cutoff: Signal::cable(&cutoff, 1),
                q: Signal::constant(&q),
                rate: 48_000.0,
            };
            let wide = Inputs { input: Signal::cable(&many, 8), ..mono };
            Biquad(&mut [[0.0; 1]; 2]).render(mode, &mono, &mut alone);
            Biquad(&mut [[0.0; 8]; 2]).render(mode, &wide, &mut shared);
            let each = Inputs { cutoff: Signal::cable(&cutoffs, 8), ..wide };
            Biquad(&mut [[0.0; 8]; 2]).render(mode, &each, &mut among);
            for frame in 0..64 {
                assert_eq!(alone[frame].to_bits(), shared[frame * 8 + 5].to_bits());
                assert_eq!(alone[frame].to_bits(), among[frame * 8 + 5].to_bits());
            }
        }
    }

    #[test]
    fn the_rails_are_straight_below_2_and_end_at_4() {
        assert_eq!((saturate(1.999), saturate(-0.5)), (1.999, -0.5));
        assert_eq!((saturate(6.0), saturate(-1e30), saturate(f32::INFINITY)), (4.0, -4.0, 4.0));
        assert!((saturate(2.1) - 2.1).abs() < 0.002);
    }
}
