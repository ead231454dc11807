//! A place between left and right, of equal power wherever it is.
//!
//! *Source*: the sine law of mixing desks: the two gains lie on a circle.
//!
//! *Law*: at position p, −1 to 1, the left gain is sin(π/4·(1 − p)) and the right one
//! sin(π/4·(1 + p)): 0.7071 (−3.01 dB) both in the middle, 1 and 0 at an end, and their squares
//! sum to 1.

use multiversion::multiversion;

use crate::math::{clamp, sin_pi_quarter};
use crate::signal::Signal;

/// The gains of left and right at `position`, −1 to 1. `[audio]`
#[inline(always)]
pub fn gains(position: f32) -> (f32, f32) {
    let p = clamp(position, -1.0, 1.0);
    (sin_pi_quarter(0.25 - 0.25 * p), sin_pi_quarter(0.25 + 0.25 * p))
}

/// Places `input`: the next frames of left and right, at most 64, as many as `left` has room for;
/// `right` may be empty. `[audio]`
pub fn render<const W: usize>(
    input: Signal<'_>,
    position: Signal<'_>,
    left: &mut [f32],
    right: &mut [f32],
) {
    if position.is_still() {
        let [to_left, to_right] = of_lanes(position.lanes::<W>(0));
        scaled(input, to_left, left);
        scaled(input, to_right, right);
    } else {
        moving::<W>(input, position, left, right);
    }
}

#[inline(always)]
fn of_lanes<const W: usize>(position: [f32; W]) -> [[f32; W]; 2] {
    let mut found = [[0.0; W]; 2];
    for lane in 0..W {
        (found[0][lane], found[1][lane]) = gains(position[lane]);
    }
    found
}

#[multiversion(targets("x86_64+avx2"))]
fn scaled<const W: usize>(input: Signal<'_>, gain: [f32; W], out: &mut [f32]) {
    for (frame, out) in out.as_chunks_mut::<W>().0.iter_mut().enumerate() {
        let x = input.lanes::<W>(frame);
        for lane in 0..W {
            out[lane] = x[lane] * gain[lane];
        }
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn moving<const W: usize>(
    input: Signal<'_>,
    position: Signal<'_>,
    left: &mut [f32],
    right: &mut [f32],
) {
    let (right, _) = right.as_chunks_mut::<W>();
    for (frame, left) in left.as_chunks_mut::<W>().0.iter_mut().enumerate() {
        let x = input.lanes::<W>(frame);
        let [to_left, to_right] = of_lanes(position.lanes::<W>(frame));
        for lane in 0..W {
            left[lane] = x[lane] * to_left[lane];
        }
        if let Some(right) = right.get_mut(frame) {
            for lane in 0..W {
                right[lane] = x[lane] * to_right[lane];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{gains, render};
    use crate::signal::Signal;

    #[test]
    fn the_power_is_the_same_everywhere_and_the_middle_is_3_db_down() {
        for step in 0..=2_000 {
            let position = step as f32 / 1_000.0 - 1.0;
            let (left, right) = gains(position);
            let truth = (f64::from(position) + 1.0) * std::f64::consts::FRAC_PI_4;
            assert!((f64::from(left) - truth.cos()).abs() < 4e-7, "{position}: {left}");
            assert!((f64::from(right) - truth.sin()).abs() < 4e-7, "{position}: {right}");
            assert!((left * left + right * right - 1.0).abs() < 1e-6, "{position}");
        }
        let middle = 20.0 * f64::from(gains(0.0).0).log10();
        assert!((middle + 3.0103).abs() < 1e-3, "{middle} dB");
        assert_eq!((gains(-1.0).1, gains(1.0).0), (0.0, 0.0));
        assert_eq!(gains(7.0), gains(1.0));
    }

    #[test]
    fn a_position_that_stays_and_one_that_might_move_have_the_same_bits() {
        let input: Vec<f32> = (0..64 * 8).map(|n| ((n * 37 % 101) as f32 - 50.0) * 0.02).collect();
        let places: Vec<f32> = (0..64 * 8).map(|n| (n % 8) as f32 * 0.25 - 0.9).collect();
        let mut heard = [[[0.0; 512]; 2]; 2];
        for (at, position) in
            [Signal::still(&places, 8), Signal::cable(&places, 8)].into_iter().enumerate()
        {
            let [left, right] = &mut heard[at];
            render::<8>(Signal::cable(&input, 8), position, left, right);
        }
        assert_eq!(heard[0], heard[1]);
        // Nobody listens on the right: the left is what it was.
        let mut alone = [0.0; 512];
        render::<8>(Signal::cable(&input, 8), Signal::cable(&places, 8), &mut alone, &mut []);
        assert_eq!(alone, heard[0][0]);
        assert!(heard[0][1].iter().any(|sample| *sample != 0.0));
    }
}
