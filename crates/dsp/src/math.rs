//! Arithmetic whose bits are the same everywhere: comparisons, polynomials, `libm`.
//!
//! *Source*: polynomials interpolated at Chebyshev nodes; the errors named are measured by tests.

use multiversion::multiversion;

/// The smaller of two; `a` where they compare equal, so that signed zeros cannot differ. `[any]`
#[inline(always)]
pub fn min(a: f32, b: f32) -> f32 {
    if b < a { b } else { a }
}

/// The larger of two; `a` where they compare equal. `[any]`
#[inline(always)]
pub fn max(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// `x` moved into `low..=high`; NaN stays what it is. `[any]`
#[inline(always)]
pub fn clamp(x: f32, low: f32, high: f32) -> f32 {
    // Each line is one instruction: of two, the second where they compare equal or not at all.
    let x = if low > x { low } else { x };
    if high < x { high } else { x }
}

/// Nearest whole number, halves away from zero. `[any]`
pub fn round(x: f32) -> f32 {
    libm::roundf(x)
}

/// 1.5 · 2^23: a number below 2^22 added to it is rounded to a whole one, which then stands in its
/// lowest bits.
const ROUNDER: f32 = 12_582_912.0;

/// `x` without its sign. `[any]`
#[inline(always)]
pub fn size(x: f32) -> f32 {
    f32::from_bits(x.to_bits() & 0x7fff_ffff)
}

/// The square root. IEEE 754 says its bits, as it says those of a sum: the one function of `std`
/// that is the same everywhere, and a vector instruction. `[any]`
#[inline(always)]
pub fn root(x: f32) -> f32 {
    x.sqrt()
}

/// 2 to the power `x`, relative error below 3e-7; `x` is first moved into −126..=126. `[any]`
#[inline(always)]
pub fn exp2(x: f32) -> f32 {
    let x = clamp(x, -126.0, 126.0);
    let shifted = x + ROUNDER;
    let part = x - (shifted - ROUNDER);
    let mut sum = 0.001_339_086_3;
    for coefficient in [0.009_676_032, 0.055_503_57, 0.240_221_07, std::f32::consts::LN_2, 1.0] {
        sum = sum * part + coefficient;
    }
    // The whole number's bits, not a conversion: those that saturate are no vector instruction.
    sum * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

/// 2 to the power `x` as it is heard, 0.005 cent off at most (a relative error below 3e-6) and
/// nothing at whole octaves: for cables that bend with every sample. `x` is first moved into
/// −126..=126. `[any]`
#[inline(always)]
pub fn interval(octaves: f32) -> f32 {
    let x = clamp(octaves, -126.0, 126.0);
    let shifted = x + ROUNDER;
    let part = x - (shifted - ROUNDER);
    let mut sum = 0.009_582_847;
    for coefficient in [0.055_906_43, 0.240_240_99, 0.693_124_2, 1.0] {
        sum = sum * part + coefficient;
    }
    sum * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

/// Turns, −63 to 63, in 2⁻³² turns to the nearest; whole ones are left out. `[any]`
#[inline(always)]
pub fn turns(turns: f32) -> u32 {
    // In two steps of 16 bits, each exact, for the reason `exp2` has.
    let scaled = turns * 65_536.0;
    let coarse = scaled + ROUNDER;
    let fine = (scaled - (coarse - ROUNDER)) * 65_536.0 + ROUNDER;
    (coarse.to_bits() << 16).wrapping_add(fine.to_bits().wrapping_sub(ROUNDER.to_bits()))
}

/// sin(π·x) for `x` in −1..=1, absolute error below 4e-7. `[any]`
#[inline(always)]
pub fn sin_pi(x: f32) -> f32 {
    let bits = x.to_bits();
    let sign = bits & 0x8000_0000;
    let away = f32::from_bits(bits & 0x7fff_ffff) - 0.5;
    // Folded at the crest: 0.5 − |x − 0.5| runs 0, 0.5, 0 as x runs 0, 0.5, 1.
    let folded = 0.5 - f32::from_bits(away.to_bits() & 0x7fff_ffff);
    let value = sin_pi_quarter(folded);
    f32::from_bits(value.to_bits() ^ sign)
}

/// sin x for `x` within ±4,000,000, as exact as `x` is there: absolute error below 4e-7 up to
/// ±3, relative error below 4e-7 up to ±1. `[any]`
#[inline(always)]
pub fn sin(x: f32) -> f32 {
    let turned = x * std::f32::consts::FRAC_1_PI + ROUNDER;
    // The lowest bit says whether it is an odd number of half turns away.
    let sign = turned.to_bits() << 31;
    let value = sin_pi_quarter(x * std::f32::consts::FRAC_1_PI - (turned - ROUNDER));
    f32::from_bits(value.to_bits() ^ sign)
}

/// sin(π·v) for `v` in −0.5..=0.5.
#[inline(always)]
pub(crate) fn sin_pi_quarter(v: f32) -> f32 {
    let u = v * v;
    let mut sum = 0.077_655_91;
    for coefficient in [-0.598_290_4, 2.550_077_4, -5.167_71, std::f32::consts::PI] {
        sum = sum * u + coefficient;
    }
    sum * v
}

/// A numerator and a denominator whose quotient is tan(π·v), for `v` in 0..=0.49, relative error
/// below 5e-5, which is 0.08 cent: for corners that move with every sample. What has to divide
/// anyway needs no second division. `[any]`
#[inline(always)]
pub fn tan_pi_parts(v: f32) -> (f32, f32) {
    let u = v * v;
    let mut sum = -0.156_785_41;
    for coefficient in [-0.555_596_6, 0.785_366_95] {
        sum = sum * u + coefficient;
    }
    // The pole at a half is taken out, and what is left is nearly straight.
    (sum * v, 0.25 - u)
}

/// tan(π·v) for `v` in 0..0.5, relative error below 1e-6 up to 0.49. `[any]`
#[inline(always)]
pub fn tan_pi(v: f32) -> f32 {
    sin_pi_quarter(v) / sin_pi_quarter(0.5 - v)
}

/// Linear gain of a level in dB. For borders, not for loops. `[any]`
pub fn decibels_gain(decibels: f32) -> f32 {
    libm::exp10(f64::from(decibels) / 20.0) as f32
}

/// Frequency in Hz of a MIDI note number, equal temperament, A4 = 69 = 440 Hz. `[any]`
pub fn note_hertz(midi: i32) -> f32 {
    (440.0 * libm::exp2(f64::from(midi - 69) / 12.0)) as f32
}

/// Zero in place of anything too small to matter (−400 dB), so that a dying tail never
/// reaches the slow, machine-dependent land of subnormals. `[any]`
#[inline(always)]
pub fn settle(x: f32) -> f32 {
    if x < 1e-20 && x > -1e-20 { 0.0 } else { x }
}

/// The same for a row of them. `[any]`
#[inline]
pub fn settle_all(row: &mut [f32]) {
    for x in row {
        *x = settle(*x);
    }
}

/// Whether all of a row are 0; without a jump for each. `[any]`
#[inline(always)]
pub fn are_zero<const W: usize>(row: &[u32; W]) -> bool {
    row.iter().fold(0, |bits, number| bits | number) == 0
}

/// Whether all samples are finite. `[any]`
pub fn all_finite(samples: &[f32]) -> bool {
    peak(samples).is_finite()
}

/// The size of the loudest sample, or what is no number if one is. `[any]`
#[multiversion(targets("x86_64+avx2"))]
pub fn peak(samples: &[f32]) -> f32 {
    // The bits of sizes are in the order of the sizes, and NaN is beyond them all.
    f32::from_bits(samples.iter().fold(0, |peak, sample| peak.max(sample.to_bits() & 0x7fff_ffff)))
}

#[cfg(test)]
mod tests {
    use super::{
        all_finite, clamp, decibels_gain, exp2, interval, note_hertz, root, settle, sin, sin_pi,
        size, tan_pi, tan_pi_parts, turns,
    };

    fn steps(low: f32, high: f32, count: usize) -> impl Iterator<Item = f32> {
        (0..=count).map(move |n| low + (high - low) * n as f32 / count as f32)
    }

    #[test]
    fn the_sine_is_within_4e_7() {
        for x in steps(-1.0, 1.0, 20_000) {
            let truth = libm::sin(std::f64::consts::PI * f64::from(x));
            assert!((f64::from(sin_pi(x)) - truth).abs() < 4e-7, "sin_pi({x}) = {}", sin_pi(x));
        }
    }

    #[test]
    fn powers_of_two_are_within_3e_7_and_whole_ones_exact() {
        for x in steps(-30.0, 30.0, 20_000) {
            let error = f64::from(exp2(x)) / libm::exp2(f64::from(x)) - 1.0;
            assert!(error.abs() < 3e-7, "exp2({x}) is off by {error}");
            let error = f64::from(interval(x)) / libm::exp2(f64::from(x)) - 1.0;
            assert!(error.abs() < 3e-6, "interval({x}) is off by {error}");
        }
        for n in -126..=126 {
            assert_eq!(exp2(n as f32), libm::exp2(f64::from(n)) as f32);
            assert_eq!(interval(n as f32), exp2(n as f32));
        }
        assert!(exp2(f32::INFINITY).is_finite() && exp2(f32::NEG_INFINITY) > 0.0);
    }

    #[test]
    fn turns_are_converted_to_half_a_unit() {
        for x in steps(-63.0, 63.0, 20_000).chain(steps(-1e-5, 1e-5, 20_000)) {
            let truth = libm::rint(f64::from(x) * 4_294_967_296.0) as i64 as u32;
            assert_eq!(turns(x), truth, "turns({x})");
        }
    }

    #[test]
    fn roots_are_rounded_from_the_true_ones_and_sizes_have_no_sign() {
        for x in steps(0.0, 1e6, 20_000).chain([f32::MIN_POSITIVE, f32::MAX]) {
            // A root in double precision rounded to single is the rounded root.
            assert_eq!(root(x), libm::sqrt(f64::from(x)) as f32);
        }
        assert_eq!((size(-2.5), size(2.5), size(-0.0).to_bits()), (2.5, 2.5, 0));
    }

    #[test]
    fn the_sine_of_anything_is_as_exact_as_it_says() {
        for x in steps(-3.0, 3.0, 20_000).chain(steps(-1e-6, 1e-6, 101)) {
            let error = f64::from(sin(x)) - libm::sin(f64::from(x));
            assert!(error.abs() < 4e-7, "sin({x}) is off by {error}");
            assert!(x.abs() > 1.0 || error.abs() <= 4e-7 * f64::from(x.abs()), "sin({x}): {error}");
        }
        for x in steps(-3e6, 3e6, 20_000) {
            // Half a step of x, which is 2⁻²⁴ of it, once for x and once for its half turns.
            let bound = 4e-7 + f64::from(x.abs()) * 1.2e-7 * std::f64::consts::PI;
            let error = f64::from(sin(x)) - libm::sin(f64::from(x));
            assert!(error.abs() < bound, "sin({x}) is off by {error}");
        }
    }

    #[test]
    fn tangents_are_as_exact_as_they_say() {
        for v in steps(0.0001, 0.49, 20_000) {
            let error = f64::from(tan_pi(v)) / libm::tan(std::f64::consts::PI * f64::from(v)) - 1.0;
            assert!(error.abs() < 1e-6, "tan_pi({v}) is off by {error}");
            let (n, d) = tan_pi_parts(v);
            let truth = libm::tan(std::f64::consts::PI * f64::from(v));
            let error = f64::from(n) / f64::from(d) / truth - 1.0;
            assert!(error.abs() < 5e-5, "tan_pi_parts({v}) is off by {error}");
        }
    }

    #[test]
    fn levels_and_notes_are_the_textbooks() {
        assert_eq!(decibels_gain(0.0), 1.0);
        assert!((decibels_gain(-20.0) - 0.1).abs() < 1e-8);
        assert_eq!(note_hertz(69), 440.0);
        assert!((note_hertz(60) - 261.625_58).abs() < 1e-4);
    }

    #[test]
    fn one_stray_sample_is_found_wherever_it_is() {
        for at in 0..71 {
            for stray in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut samples = [1e38; 71];
                assert!(all_finite(&samples));
                samples[at] = stray;
                assert!(!all_finite(&samples));
            }
        }
    }

    #[test]
    fn small_change_is_settled_and_bounds_hold() {
        assert_eq!(settle(1e-30).to_bits(), 0);
        assert_eq!(settle(-1e-19), -1e-19);
        assert_eq!(clamp(f32::INFINITY, -1.0, 1.0), 1.0);
        assert_eq!(clamp(-2.0, -1.0, 1.0), -1.0);
    }
}
