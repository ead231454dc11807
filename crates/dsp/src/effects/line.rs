//! What lines of samples have in common: reading between two samples, and rails.

use crate::math::max;

/// The value `part` (0 to 1) of the way from the second to the third of four samples in a row.
///
/// *Source*: the cubic of Catmull and Rom. At no frequency and no `part` is its gain above 1, so a
/// loop it stands in does not grow by it. `[audio]`
#[inline(always)]
pub(super) fn between<const W: usize>(part: [f32; W], taps: [[f32; W]; 4]) -> [f32; W] {
    let mut value = [0.0; W];
    for lane in 0..W {
        let [a, b, c, d] = [taps[0][lane], taps[1][lane], taps[2][lane], taps[3][lane]];
        let cubic = 0.5 * (d - a) + 1.5 * (b - c);
        let square = a - 2.5 * b + 2.0 * c - 0.5 * d;
        let t = part[lane];
        value[lane] = b + t * (0.5 * (c - a) + t * (square + t * cubic));
    }
    value
}

/// `x` as it is up to ±1, then ever less of it, never beyond ±2; the slope has no step. `[audio]`
#[inline(always)]
pub(super) fn rail(x: f32) -> f32 {
    let size = max(f32::from_bits(x.to_bits() & 0x7fff_ffff), 1.0);
    let share = (2.0 - 1.0 / size) / size;
    x * share
}

/// Nothing for a number of ordinary size; no number (which adds to no number) for what is none, or
/// is beyond 3e6 (130 dB): a line must not keep it for as long as it is. `[audio]`
#[inline(always)]
pub(super) fn alarm(x: f32) -> f32 {
    x * 1e32 * 0.0
}

#[cfg(test)]
mod tests {
    use super::{alarm, between, rail};

    #[test]
    fn whole_places_are_the_samples_and_a_parabola_is_met() {
        let taps = [[4.0], [1.0], [0.0], [1.0]];
        assert_eq!(between([0.0], taps), [1.0]);
        assert_eq!(between([1.0], taps), [0.0]);
        assert!((between([0.25], taps)[0] - 0.562_5).abs() < 1e-6);
    }

    #[test]
    fn no_frequency_is_made_louder_anywhere_between() {
        for part in 0..=50 {
            let part = f64::from(part) / 50.0;
            let tap = |at: usize| {
                let mut taps = [[0.0]; 4];
                taps[at] = [1.0];
                f64::from(between([part as f32], taps)[0])
            };
            for step in 0..=500 {
                let angle = std::f64::consts::PI * f64::from(step) / 500.0;
                let (mut real, mut imaginary) = (0.0, 0.0);
                for at in 0..4 {
                    real += tap(at) * (angle * at as f64).cos();
                    imaginary += tap(at) * (angle * at as f64).sin();
                }
                let gain = (real * real + imaginary * imaginary).sqrt();
                assert!(gain < 1.0 + 1e-6, "{gain} at {part}, {angle}");
            }
        }
    }

    #[test]
    fn rails_leave_what_is_small_and_bound_what_is_not() {
        for x in [0.0, 0.3, -0.99, 1.0, -1.0] {
            assert_eq!(rail(x), x);
        }
        assert!((rail(1.001) - 1.000_999).abs() < 1e-6);
        assert_eq!((rail(2.0), rail(-4.0)), (1.5, -1.75));
        assert!(rail(3e38) <= 2.0 && rail(-3e38) >= -2.0);
    }

    #[test]
    fn what_is_no_number_raises_the_alarm() {
        assert_eq!((alarm(1e6), alarm(-0.3)), (0.0, 0.0));
        for wild in [1e8, -1e30, f32::INFINITY, f32::NAN] {
            assert!(alarm(wild).is_nan(), "{wild}");
        }
    }
}
