//! A saturator that bends a sound softly, cuts it, or folds it back, four times oversampled.
//!
//! *Source*: the samples between two are taken together, as the mean of the curve on the straight
//! line from one to the next (J. Parker, V. Zavalishin, E. Le Bivic, "Reducing the aliasing of
//! nonlinear waveshaping using continuous-time convolution", 2016), at the fourfold rate of
//! [`fourfold`]. Curves are chosen whose mean has a form in which nothing cancels: the root gives
//! (a + b)/(√(1+a²) + √(1+b²)), the sine sin((a+b)/2) · sin(h)/h with h = (b−a)/2.
//!
//! *Law*: curves rise with 1 through 0; soft and hard stay within ±1, fold comes back from there.
//! Of a sine of 5 kHz driven by 24 dB all that folds back to below 20 kHz lies below it by 63 dB
//! (soft), 59 dB (hard) and 61 dB (fold). Of a sine there is no direct current where the bias is
//! 0; a bias makes some, more the louder the sound. The filters ring around steep edges: a sine
//! driven by 36 dB came to 1.66, noise to 2.19. A quiet sound passes within 0.13 dB to 10 kHz and
//! 0.5 dB to 20 kHz. It takes [`DELAY`] frames, and the dry part goes the same way.
//!
//! [`fourfold`]: crate::effects::fourfold

use multiversion::multiversion;

use crate::FRAMES_MAX;
use crate::effects::fourfold;
use crate::math::{clamp, root, settle, sin, size};
use crate::signal::Signal;

/// The curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// x/√(1+x²).
    Soft,
    /// Straight to ±1, then flat.
    Hard,
    /// sin x.
    Fold,
}

/// Rows of samples a saturator remembers: its filters, the last sample before the curve, the last
/// one without gain and bias, the step from one curve to another, and which curve it was.
pub const ROWS: usize = fourfold::ROWS + 4;

const DRIVEN: usize = fourfold::ROWS;
const DRY: usize = DRIVEN + 1;
const STEP: usize = DRY + 1;
const CURVE: usize = STEP + 1;

/// What is left of the step between two curves after a frame: half of it after 3 ms at 48 kHz. It
/// has to run out before the filters, which would let it through in three frames.
const STEP_KEPT: f32 = 0.995;

/// Frames by which a low sound comes late: 66 µs at 48 kHz. The mean of two samples is half a
/// sample of the fourfold rate late.
pub const DELAY: f64 = fourfold::DELAY + 0.125;

/// What is driven beyond this is taken for this: the sine could not be found any more.
pub const DRIVEN_MAX: f32 = 1e6;

/// The state of each of `W` lanes.
pub struct Drive<'a, const W: usize>(pub &'a mut [[f32; W]; ROWS]);

/// What a saturator reads.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What is bent.
    pub input: Signal<'a>,
    /// Gain before the curve.
    pub drive: Signal<'a>,
    /// Added before the curve; what the curve makes of it alone is taken away behind it.
    pub bias: Signal<'a>,
    /// The part of what is bent, 0 to 1; the rest is the input.
    pub mix: Signal<'a>,
    /// Gain of what comes out.
    pub level: Signal<'a>,
}

impl<const W: usize> Drive<'_, W> {
    /// The next `out.len() / W` frames, at most 64. `[audio]`
    pub fn render(&mut self, shape: Shape, inputs: &Inputs<'_>, out: &mut [f32]) {
        let (frames, _) = out.as_chunks_mut::<W>();
        let mut wide = [[[0.0_f32; W]; 4]; FRAMES_MAX];
        let wide = &mut wide[..frames.len()];
        let Some(filters) = self.0.first_chunk_mut() else { return };
        rise(filters, inputs.input, wide);
        self.take_up(shape, inputs);
        match shape {
            Shape::Soft => bend(self.0, inputs, wide, keep_root, soft),
            Shape::Hard => bend(self.0, inputs, wide, keep_cut, hard),
            Shape::Fold => bend(self.0, inputs, wide, |_| 0.0, fold),
        }
        let Some(filters) = self.0.first_chunk_mut() else { return };
        fall(filters, inputs.level, wide, frames);
    }

    /// Remembers the step if the curve is another one than before.
    fn take_up(&mut self, shape: Shape, inputs: &Inputs<'_>) {
        let before = match self.0[CURVE][0] as u32 {
            1 => Shape::Soft,
            2 => Shape::Hard,
            3 => Shape::Fold,
            _ => shape,
        };
        self.0[CURVE] = [1.0 + f32::from(shape as u8); W];
        if before == shape {
            return;
        }
        let (bias, mix) = (inputs.bias.lanes::<W>(0), inputs.mix.lanes::<W>(0));
        for lane in 0..W {
            let bent = |shape| curve(shape, self.0[DRIVEN][lane]) - curve(shape, bias[lane]);
            self.0[STEP][lane] += mix[lane] * (bent(before) - bent(shape));
        }
    }

    /// Ends tails that nobody can hear. To be called at the end of each block, which is the same
    /// frame however the block was cut. `[audio]`
    pub fn settle(&mut self) {
        for state in self.0.as_flattened_mut() {
            *state = settle(*state);
        }
    }
}

type Filters<const W: usize> = [[f32; W]; fourfold::ROWS];

#[multiversion(targets("x86_64+avx2"))]
fn rise<const W: usize>(filters: &mut Filters<W>, input: Signal<'_>, wide: &mut [[[f32; W]; 4]]) {
    let mut now = *filters;
    for (frame, four) in wide.iter_mut().enumerate() {
        *four = fourfold::up(&mut now, input.lanes::<W>(frame));
    }
    *filters = now;
}

/// `keep` is what the curve wants to know of a sample; `mean` takes two samples, each with that.
#[multiversion(targets("x86_64+avx2"))]
fn bend<const W: usize>(
    state: &mut [[f32; W]; ROWS],
    inputs: &Inputs<'_>,
    wide: &mut [[[f32; W]; 4]],
    keep: impl Fn(f32) -> f32,
    mean: impl Fn((f32, f32), (f32, f32)) -> f32,
) {
    let (mut driven, mut dry) = (state[DRIVEN], state[DRY]);
    let (mut kept, mut silence, mut step) = ([0.0; W], [0.0; W], state[STEP]);
    for lane in 0..W {
        kept[lane] = keep(driven[lane]);
    }
    for (frame, four) in wide.iter_mut().enumerate() {
        let (drive, bias) = (inputs.drive.lanes::<W>(frame), inputs.bias.lanes::<W>(frame));
        let mix = inputs.mix.lanes::<W>(frame);
        if frame == 0 || !inputs.bias.is_still() {
            for lane in 0..W {
                let rest = (bias[lane], keep(bias[lane]));
                silence[lane] = mean(rest, rest);
            }
        }
        for sample in four {
            for lane in 0..W {
                let x = sample[lane];
                let next = clamp(drive[lane] * x + bias[lane], -DRIVEN_MAX, DRIVEN_MAX);
                let known = keep(next);
                let bent = mean((driven[lane], kept[lane]), (next, known)) - silence[lane];
                let plain = 0.5 * (dry[lane] + x);
                sample[lane] = mix[lane] * bent + (1.0 - mix[lane]) * plain + step[lane];
                (driven[lane], kept[lane], dry[lane]) = (next, known, x);
            }
        }
        for step in &mut step {
            *step *= STEP_KEPT;
        }
    }
    state[STEP] = step;
    state[DRIVEN] = driven;
    state[DRY] = dry;
}

#[multiversion(targets("x86_64+avx2"))]
fn fall<const W: usize>(
    filters: &mut Filters<W>,
    level: Signal<'_>,
    wide: &[[[f32; W]; 4]],
    out: &mut [[f32; W]],
) {
    let mut now = *filters;
    for (frame, (four, out)) in wide.iter().zip(out).enumerate() {
        let (back, level) = (fourfold::down(&mut now, *four), level.lanes::<W>(frame));
        for lane in 0..W {
            out[lane] = level[lane] * back[lane];
        }
    }
    *filters = now;
}

/// The curve itself.
fn curve(shape: Shape, x: f32) -> f32 {
    match shape {
        Shape::Soft => x / root(1.0 + x * x),
        Shape::Hard => clamp(x, -1.0, 1.0),
        Shape::Fold => sin(x),
    }
}

#[inline(always)]
fn keep_root(x: f32) -> f32 {
    root(1.0 + x * x)
}

#[inline(always)]
fn soft((a, root_a): (f32, f32), (b, root_b): (f32, f32)) -> f32 {
    (a + b) / (root_a + root_b)
}

#[inline(always)]
fn keep_cut(x: f32) -> f32 {
    clamp(x, -1.0, 1.0)
}

/// Under the straight part lies half a square, under the flat one what is beyond. Where both are
/// cut alike nothing has to be divided; where they are not, one of them is not beyond at all.
#[inline(always)]
fn hard((a, cut_a): (f32, f32), (b, cut_b): (f32, f32)) -> f32 {
    let beyond = size(b - cut_b) - size(a - cut_a);
    let under = 0.5 * (cut_b - cut_a) * (cut_b + cut_a) + beyond;
    if cut_a == cut_b { cut_b } else { under / (b - a) }
}

#[inline(always)]
fn fold((a, _): (f32, f32), (b, _): (f32, f32)) -> f32 {
    let (middle, half) = (0.5 * (a + b), 0.5 * (b - a));
    let share = sin(half) / half;
    sin(middle) * if half == 0.0 { 1.0 } else { share }
}

#[cfg(test)]
mod tests {
    use super::{DELAY, Drive, Inputs, ROWS, Shape};
    use crate::math::decibels_gain;
    use crate::signal::Signal;

    const SHAPES: [Shape; 3] = [Shape::Soft, Shape::Hard, Shape::Fold];

    /// Drive, bias, mix and level.
    type Knobs = [f32; 4];

    fn inputs<'a>(input: Signal<'a>, [drive, bias, mix, level]: &'a Knobs) -> Inputs<'a> {
        Inputs {
            input,
            drive: Signal::constant(drive),
            bias: Signal::constant(bias),
            mix: Signal::constant(mix),
            level: Signal::constant(level),
        }
    }

    fn through(shape: Shape, knobs: Knobs, input: &[f32]) -> Vec<f32> {
        let mut state = [[0.0; 1]; ROWS];
        let mut heard = vec![0.0; input.len()];
        for (input, heard) in input.chunks(64).zip(heard.chunks_mut(64)) {
            Drive(&mut state).render(shape, &inputs(Signal::cable(input, 1), &knobs), heard);
            Drive(&mut state).settle();
        }
        heard
    }

    fn sine(hz: f64, frames: usize) -> Vec<f32> {
        let turn = std::f64::consts::TAU * hz / 48_000.0;
        (0..frames).map(|n| (turn * n as f64).sin() as f32).collect()
    }

    /// Amplitude of the partial at `hz` and where in its turn it begins, through a Hann window.
    fn partial(samples: &[f32], hz: f64) -> (f64, f64) {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let turn = std::f64::consts::TAU * n as f64;
            let window = 1.0 - (turn / samples.len() as f64).cos();
            let angle = turn * hz / 48_000.0;
            real += f64::from(*sample) * window * angle.cos();
            imaginary -= f64::from(*sample) * window * angle.sin();
        }
        let size = (real * real + imaginary * imaginary).sqrt() * 2.0 / samples.len() as f64;
        (size, imaginary.atan2(real) / std::f64::consts::TAU)
    }

    /// All of 0 to 20 kHz where no partial of 5 kHz is; and around another pitch, whose partials
    /// fold back to other places each.
    #[test]
    fn what_folds_back_of_5_khz_at_24_db_lies_59_db_below() {
        let drive = decibels_gain(24.0);
        for (shape, bound) in [(Shape::Soft, -63.0), (Shape::Hard, -59.0), (Shape::Fold, -61.0)] {
            for hz in [5_000.0, 4_973.0] {
                let heard = through(shape, [drive, 0.0, 1.0, 1.0], &sine(hz, 50_000));
                let heard = &heard[2_000..];
                let first = partial(heard, hz).0;
                for n in 2..200 {
                    let folded = hz * f64::from(n);
                    let folded = (folded - (folded / 48_000.0).round() * 48_000.0).abs();
                    let own = (folded / hz - (folded / hz).round()).abs() < 1e-6;
                    if own || folded > 20_000.0 {
                        continue;
                    }
                    let level = 20.0 * (partial(heard, folded).0 / first).log10();
                    assert!(level < bound, "{shape:?}, {hz}: {level:.1} dB at {folded}");
                }
            }
        }
    }

    /// Slowly enough a curve is its textbook's, bias and level included.
    #[test]
    fn each_curve_is_that_of_the_textbook() {
        let ramp: Vec<f32> = (0..96_000).map(|n| n as f32 / 48_000.0 - 1.0).collect();
        for (shape, curve) in [
            (Shape::Soft, (|x| x / (1.0 + x * x).sqrt()) as fn(f64) -> f64),
            (Shape::Hard, |x| x.clamp(-1.0, 1.0)),
            (Shape::Fold, f64::sin),
        ] {
            for bias in [0.0, 0.4] {
                let heard = through(shape, [6.0, bias, 1.0, 0.5], &ramp);
                for at in (2_000..96_000).step_by(313) {
                    let x = 6.0 * ((at as f64 - DELAY) / 48_000.0 - 1.0);
                    let bias = f64::from(bias);
                    let truth = 0.5 * (curve(x + bias) - curve(bias));
                    let error = f64::from(heard[at]) - truth;
                    assert!(error.abs() < 1e-4, "{shape:?}, {bias} at {x}: off by {error}");
                }
            }
        }
    }

    #[test]
    fn there_is_no_direct_current_without_bias_and_none_in_silence() {
        for shape in SHAPES {
            let mean = |bias| {
                let heard = through(shape, [16.0, bias, 1.0, 1.0], &sine(750.0, 96_000));
                heard[48_000..].iter().map(|it| f64::from(*it)).sum::<f64>() / 48_000.0
            };
            assert!(mean(0.0).abs() < 1e-6, "{shape:?}: {}", mean(0.0));
            assert!(mean(0.7).abs() > 1e-3, "{shape:?}: {}", mean(0.7));
            let silence = through(shape, [16.0, 0.7, 1.0, 1.0], &[0.0; 1_000]);
            assert!(silence[100..].iter().all(|sample| sample.abs() < 1e-6), "{shape:?}");
        }
    }

    #[test]
    fn a_quiet_sound_passes_as_late_as_it_says_with_whatever_mix() {
        for shape in SHAPES {
            for mix in [0.0, 0.5, 1.0] {
                for (hz, loss) in [(200.0, 0.01), (10_000.0, 0.13), (20_000.0, 0.5)] {
                    let input: Vec<f32> = sine(hz, 50_000).iter().map(|it| it * 1e-3).collect();
                    let heard = &through(shape, [1.0, 0.0, mix, 1.0], &input)[2_000..];
                    let (before, after) = (partial(&input[2_000..], hz), partial(heard, hz));
                    let level = 20.0 * (after.0 / before.0).log10();
                    assert!(level < 0.01 && level > -loss, "{shape:?}, {mix}, {hz}: {level} dB");
                    let late = (before.1 - after.1).rem_euclid(1.0) * 48_000.0 / hz;
                    assert!(hz > 200.0 || (late - DELAY).abs() < 0.005, "{late} frames");
                }
            }
        }
    }

    #[test]
    fn whatever_comes_in_the_curve_holds() {
        let mut noise = 9_u32;
        let mut input = Vec::new();
        for n in 0..20_000 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let size = [1e-30, 1.0, 1e5, 1e30][n / 100 % 4];
            input.push((noise as i32) as f32 / 2_147_483_648.0 * size);
        }
        for shape in SHAPES {
            let heard = through(shape, [16.0, 0.0, 1.0, 1.0], &input);
            let most = heard.iter().fold(0.0_f32, |most, sample| most.max(sample.abs()));
            assert!((0.8..2.2).contains(&most), "{shape:?}: {most}");
            for hz in [100.0, 440.0, 3_000.0] {
                let heard = through(shape, [64.0, 0.0, 1.0, 1.0], &sine(hz, 9_600));
                let most = heard.iter().fold(0.0_f32, |most, sample| most.max(sample.abs()));
                assert!((0.4..1.7).contains(&most), "{shape:?}, {hz}: {most}");
            }
        }
    }

    #[test]
    fn a_lane_among_sixteen_has_the_bits_of_one_alone() {
        let input = sine(1_234.0, 64 * 5);
        let wide: Vec<f32> = input.iter().flat_map(|sample| [*sample; 16]).collect();
        let knobs = [7.0, 0.2, 0.8, 0.9];
        for shape in SHAPES {
            let alone = through(shape, knobs, &input);
            let mut state = [[0.0; 16]; ROWS];
            for (alone, wide) in alone.chunks(64).zip(wide.chunks(64 * 16)) {
                let mut heard = [0.0; 64 * 16];
                Drive(&mut state).render(
                    shape,
                    &inputs(Signal::cable(wide, 16), &knobs),
                    &mut heard,
                );
                for (alone, heard) in alone.iter().zip(heard.chunks(16)) {
                    assert_eq!(alone.to_bits(), heard[9].to_bits(), "{shape:?}");
                }
            }
        }
    }
}
