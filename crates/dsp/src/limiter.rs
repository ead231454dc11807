//! The last thing before the device: it holds the loudest channel at the ceiling.
//!
//! *Law*: below the ceiling and at rest every sample passes bit for bit. A frame beyond it lowers
//! the gain of all channels at once, in that very frame, so nothing is late and nothing gets by;
//! the gain comes back with a time constant of 100 ms.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::math::{clamp, max, peak, size};

/// No sample leaves beyond this: −0.1 dB.
pub const CEILING: f32 = 0.988_553_1;

/// Time constant of the way back, seconds.
const RELEASE_S: f64 = 0.1;

/// From here on the gain counts as 1: a step of 0.0009 dB.
const NEARLY_ONE: f64 = 0.999_9;

/// The state of the limiter: how far it holds the sound down.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Limiter {
    // Double precision: near 1 a recovery of 1/20,000 of the way is lost in f32.
    gain: f64,
}

impl Limiter {
    /// At rest. `[any]`
    pub fn new() -> Limiter {
        Limiter { gain: 1.0 }
    }

    /// How much of the way to 1 the gain makes in one frame at that rate. `[control]`
    pub fn recovery(rate: f32) -> f64 {
        1.0 - libm::exp(-1.0 / (RELEASE_S * f64::from(rate)))
    }

    /// Limits interleaved frames in place; says on how many of them it held down. `[audio]`
    pub fn process(&mut self, recovery: f64, channels: usize, samples: &mut [f32]) -> u32 {
        // Most of the time nothing is to be done, and seeing that costs little.
        if self.gain == 1.0 && peak(samples) <= CEILING {
            return 0;
        }
        let mut held = 0;
        for frame in samples.chunks_exact_mut(channels) {
            let mut peak = 0.0;
            for sample in frame.iter() {
                // An overflowing sum is infinite; a division by it would make a zero times ∞.
                peak = max(peak, size(clamp(*sample, -1e30, 1e30)));
            }
            self.gain += (1.0 - self.gain) * recovery;
            if self.gain > NEARLY_ONE {
                self.gain = 1.0;
            }
            if f64::from(peak) * self.gain > f64::from(CEILING) {
                self.gain = f64::from(CEILING) / f64::from(peak);
            }
            if self.gain < 1.0 {
                held += 1;
                let gain = self.gain as f32;
                for sample in frame {
                    // The quotient is rounded, so the product may be one bit beyond.
                    let held = clamp(*sample, -1e30, 1e30) * gain;
                    *sample = clamp(held, -CEILING, CEILING);
                }
            }
        }
        held
    }
}

impl Default for Limiter {
    fn default() -> Limiter {
        Limiter::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{CEILING, Limiter};

    #[test]
    fn what_stays_below_the_ceiling_passes_bit_for_bit() {
        let sound: Vec<f32> = (0..9_600).map(|n| 0.98 * (n as f32 * 0.1).sin()).collect();
        let mut heard = sound.clone();
        let mut limiter = Limiter::new();
        assert_eq!(limiter.process(Limiter::recovery(48_000.0), 2, &mut heard), 0);
        assert_eq!(heard, sound);
    }

    /// S46: a limiter guards the output.
    #[test]
    fn nothing_gets_beyond_the_ceiling() {
        let mut noise = 1_u32;
        let mut limiter = Limiter::new();
        for size in [1.0, 8.0, 375.0, 1e20, 3e38, f32::INFINITY] {
            let mut heard: Vec<f32> = (0..4_800)
                .map(|_| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if noise & 0x8000_0000 == 0 { size } else { -size }
                })
                .collect();
            limiter.process(Limiter::recovery(48_000.0), 2, &mut heard);
            assert!(heard.iter().all(|sample| sample.abs() <= CEILING), "at {size}");
        }
    }

    #[test]
    fn both_sides_are_held_alike_and_let_go_in_half_a_second() {
        let mut limiter = Limiter::new();
        let mut frame = [4.0, 1.0];
        limiter.process(Limiter::recovery(48_000.0), 2, &mut frame);
        assert!((frame[0] / frame[1] - 4.0).abs() < 1e-5, "the picture moved: {frame:?}");
        let mut quiet = vec![0.5; 96_000];
        limiter.process(Limiter::recovery(48_000.0), 2, &mut quiet);
        assert!(quiet[0] < 0.2 && quiet[9_600] < 0.45, "held down at first");
        assert_eq!(quiet[95_999], 0.5);
    }
}
