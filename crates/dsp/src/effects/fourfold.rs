//! Four samples for each one, and back: room for the partials that a bend in a curve makes.
//!
//! *Source*: half-band filters of two branches of allpasses (P. Vaidyanathan, S. Mitra, "A new
//! approach to the realization of low-sensitivity IIR digital filters"; elliptic, designed as R.
//! Valenzuela and A. Constantinides, "Digital signal processing schemes for efficient
//! interpolation and decimation"). Two of them in a row each way.
//!
//! *Law*: at 48 kHz there and back is within 0.01 dB up to 20 kHz; images and what would fold back
//! below 20 kHz lie 80 dB lower. There and back takes [`DELAY`] frames at low frequencies.

/// Rows of samples both ways remember.
pub const ROWS: usize = 2 * (NARROW.0.len() + NARROW.1.len() + WIDE.0.len() + WIDE.1.len() + 4);

/// Frames from what goes in to what comes back, at low frequencies: a branch of allpasses delays
/// by the sum of (1 − c)/(1 + c), and a pair comes back at the time of its second sample.
pub const DELAY: f64 = 3.025;

/// The half-band from 1 to 2 samples a frame: even from one branch, odd from the other. Passes to
/// 20 of 96 kHz and stops from 28.
const NARROW: ([f32; 3], [f32; 2]) =
    ([0.061_106_324, 0.430_533_77, 0.876_685_9], [0.221_113_24, 0.651_029_5]);

/// From 2 to 4: passes to 20 of 192 kHz and stops from 76.
const WIDE: ([f32; 2], [f32; 1]) = ([0.064_006_71, 0.669_113_04], [0.267_413_1]);

const UP: usize = 0;
const UP_TWICE: usize = UP + 7;
const DOWN_TWICE: usize = UP_TWICE + 5;
const DOWN: usize = DOWN_TWICE + 5;

const _: () = assert!(DOWN + 7 == ROWS);

/// Four samples of each lane for the next one. `[audio]`
#[inline(always)]
pub fn up<const W: usize>(state: &mut [[f32; W]; ROWS], x: [f32; W]) -> [[f32; W]; 4] {
    let [even, odd] = branches(&mut state[UP..], &NARROW.0, &NARROW.1, [x, x]);
    let [first, second] = branches(&mut state[UP_TWICE..], &WIDE.0, &WIDE.1, [even, even]);
    let [third, fourth] = branches(&mut state[UP_TWICE..], &WIDE.0, &WIDE.1, [odd, odd]);
    [first, second, third, fourth]
}

/// One sample of each lane for the next four. `[audio]`
#[inline(always)]
pub fn down<const W: usize>(state: &mut [[f32; W]; ROWS], x: [[f32; W]; 4]) -> [f32; W] {
    let even = halve(branches(&mut state[DOWN_TWICE..], &WIDE.0, &WIDE.1, [x[1], x[0]]));
    let odd = halve(branches(&mut state[DOWN_TWICE..], &WIDE.0, &WIDE.1, [x[3], x[2]]));
    halve(branches(&mut state[DOWN..], &NARROW.0, &NARROW.1, [odd, even]))
}

/// One sample through each of the two branches.
#[inline(always)]
fn branches<const W: usize, const A: usize, const B: usize>(
    rows: &mut [[f32; W]],
    a: &[f32; A],
    b: &[f32; B],
    x: [[f32; W]; 2],
) -> [[f32; W]; 2] {
    let (first, second) = rows.split_at_mut(A + 1);
    [allpasses(first, a, x[0]), allpasses(second, b, x[1])]
}

/// `y = x1 + c · (x − y1)`, one after the other; what one gave is what the next one took, so a
/// row holds both.
#[inline(always)]
fn allpasses<const W: usize, const N: usize>(
    rows: &mut [[f32; W]],
    coefficients: &[f32; N],
    mut x: [f32; W],
) -> [f32; W] {
    for (at, c) in coefficients.iter().enumerate() {
        for lane in 0..W {
            let y = rows[at][lane] + c * (x[lane] - rows[at + 1][lane]);
            rows[at][lane] = x[lane];
            x[lane] = y;
        }
    }
    rows[N] = x;
    x
}

#[inline(always)]
fn halve<const W: usize>([left, right]: [[f32; W]; 2]) -> [f32; W] {
    let mut half = [0.0; W];
    for lane in 0..W {
        half[lane] = 0.5 * (left[lane] + right[lane]);
    }
    half
}

#[cfg(test)]
mod tests {
    use super::{DELAY, ROWS, down, up};

    /// Level and phase, in turns, of `hz` at `rate`, per sample.
    fn partial(samples: &[f32], hz: f64, rate: f64) -> (f64, f64) {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let angle = std::f64::consts::TAU * hz * n as f64 / rate;
            real += f64::from(*sample) * angle.cos();
            imaginary -= f64::from(*sample) * angle.sin();
        }
        let level = 10.0 * (real * real + imaginary * imaginary).log10();
        (level, imaginary.atan2(real) / std::f64::consts::TAU)
    }

    /// The impulse at four times the rate, and what comes back.
    fn impulse() -> (Vec<f32>, Vec<f32>) {
        let mut state = [[0.0; 1]; ROWS];
        let (mut high, mut back) = (Vec::new(), Vec::new());
        for n in 0..2_000 {
            let four = up(&mut state, [if n == 0 { 1.0 } else { 0.0 }]);
            high.extend(four.iter().map(|sample| sample[0]));
            back.push(down(&mut state, four)[0]);
        }
        (high, back)
    }

    #[test]
    fn there_and_back_is_flat_to_20_khz_and_takes_as_long_as_it_says() {
        let (_, back) = impulse();
        for step in 0..=40 {
            let (level, _) = partial(&back, 500.0 * f64::from(step), 48_000.0);
            assert!(level.abs() < 0.01, "{}: {level} dB", 500 * step);
        }
        let (_, turned) = partial(&back, 200.0, 48_000.0);
        let frames = -turned * 48_000.0 / 200.0;
        assert!((frames - DELAY).abs() < 0.005, "{frames} frames");
    }

    #[test]
    fn images_lie_80_db_below() {
        let (high, _) = impulse();
        for step in 0..=40 {
            let hz = 500.0 * f64::from(step);
            let (level, _) = partial(&high, hz, 192_000.0);
            assert!((level - 12.04).abs() < 0.01, "{hz}: {level} dB");
            for image in [48_000.0 - hz, 48_000.0 + hz, 96_000.0 - hz] {
                let (below, _) = partial(&high, image, 192_000.0);
                assert!(below - level < -80.0, "{image}: {} dB", below - level);
            }
        }
    }

    #[test]
    fn what_would_fold_back_lies_80_db_below() {
        for hz in [28_500.0, 33_000.0, 47_000.0, 55_000.0, 67_500.0, 77_000.0, 95_000.0] {
            let mut state = [[0.0; 1]; ROWS];
            let sample =
                |n: usize| [(std::f64::consts::TAU * hz * n as f64 / 192_000.0).sin() as f32];
            let most = (0..4_000_usize)
                .map(|n| down(&mut state, [0, 1, 2, 3].map(|part| sample(4 * n + part)))[0])
                .skip(1_000)
                .fold(0.0_f32, |most, sample| most.max(sample.abs()));
            assert!(most < 1e-4, "{hz}: {most}");
        }
    }
}
