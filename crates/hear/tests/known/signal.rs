//! The signals, and a moment to listen to them.

use std::f64::consts::TAU;

use segue_hear::{Ear, Report};

/// Frames a second, where nothing else is said.
pub(crate) const RATE: u32 = 48_000;

/// What is heard in interleaved samples.
pub(crate) fn heard(rate: u32, channels: usize, samples: &[f32]) -> Report {
    let mut ear = Ear::new(rate, channels).expect("it can be heard");
    ear.hear(samples);
    ear.report()
}

/// A sine in one channel: Hz, amplitude, seconds.
pub(crate) fn sine(rate: u32, hz: f64, amplitude: f64, seconds: f64) -> Vec<f32> {
    sine_from(rate, hz, amplitude, seconds, 0.0)
}

/// The same from a phase on, in degrees.
pub(crate) fn sine_from(rate: u32, hz: f64, amplitude: f64, seconds: f64, phase: f64) -> Vec<f32> {
    let frames = (seconds * f64::from(rate)).round() as usize;
    let at = |frame: usize| (frame as f64 * hz / f64::from(rate) + phase / 360.0) * TAU;
    (0..frames).map(|frame| (amplitude * at(frame).sin()) as f32).collect()
}

/// A saw of all harmonics below 16 kHz.
pub(crate) fn saw(rate: u32, hz: f64, amplitude: f64, seconds: f64) -> Vec<f32> {
    let mut sum = vec![0.0; (seconds * f64::from(rate)).round() as usize];
    let harmonics =
        (1..).map(f64::from).take_while(|n| n * hz < 16_000.0_f64.min(f64::from(rate) / 2.0));
    for n in harmonics {
        let part = sine(rate, n * hz, amplitude * 0.6 / n, seconds);
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    sum
}

/// White noise by seed, in one channel: samples of up to an amplitude, all alike likely.
pub(crate) fn noise(samples: usize, amplitude: f32) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..samples).map(|_| (random.f32() * 2.0 - 1.0) * amplitude).collect()
}

/// The same in all channels.
pub(crate) fn spread(channel: &[f32], channels: usize) -> Vec<f32> {
    channel.iter().flat_map(|sample| std::iter::repeat_n(*sample, channels)).collect()
}

/// Channels side by side.
pub(crate) fn together(channels: &[Vec<f32>]) -> Vec<f32> {
    let frames = 0..channels[0].len();
    frames.flat_map(|frame| channels.iter().map(move |channel| channel[frame])).collect()
}

/// dB as a factor.
pub(crate) fn linear(db: f64) -> f64 {
    10_f64.powf(db / 20.0)
}

/// Fails unless both are as near as that.
#[track_caller]
pub(crate) fn assert_near(found: Option<f64>, expected: f64, within: f64, what: &str) {
    let found = found.unwrap_or(f64::NAN);
    let near = (found - expected).abs() <= within;
    assert!(near, "{what}: {found}, expected {expected} within {within}");
}
