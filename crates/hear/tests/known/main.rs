//! Signals whose answer is known, and what the ear makes of them.
//!
//! Answers come from how a signal was made, or, for loudness, from EBU Tech 3341 and 3342.

mod beginnings;
mod levels;
mod loudness;
mod notes;
mod page;
mod signal;

use segue_hear::{Ear, EarError};

use signal::{RATE, heard, noise, sine};

#[test]
fn a_report_does_not_depend_on_how_the_samples_were_cut() {
    let mut samples = sine(RATE, 220.0, 0.5, 1.0);
    samples.extend(vec![0.0; 9000]);
    samples.extend(noise(2 * RATE as usize, 0.3));
    let whole = heard(RATE, 2, &samples);
    let mut random = fastrand::Rng::with_seed(7);
    for most in [3, 700, 40_000] {
        let mut ear = Ear::new(RATE, 2).unwrap();
        let mut rest = samples.as_slice();
        while !rest.is_empty() {
            let frames = random.usize(1..=most).min(rest.len() / 2);
            let (now, later) = rest.split_at(2 * frames);
            ear.hear(now);
            rest = later;
        }
        assert_eq!(ear.report(), whole, "in pieces of up to {most} frames");
    }
}

#[test]
fn nothing_at_all_is_a_report_too() {
    let report = heard(RATE, 2, &[]);
    assert_eq!((report.frames, report.levels.peak_dbfs), (0, None));
    assert_eq!((report.loudness.integrated_lufs, report.onsets.count), (None, 0));
    assert!(report.pitch.is_none() && report.tempo.is_none());
    let json = serde_json::to_value(&report).unwrap();
    assert!(json["levels"]["peak_dbfs"].is_null() && json["schema"] == 1);
}

#[test]
fn what_cannot_be_heard_is_refused_with_what_can() {
    assert_eq!(Ear::new(RATE, 0).unwrap_err(), EarError::Channels(0));
    assert_eq!(Ear::new(RATE, 9).unwrap_err().to_string(), "9 channels; 1 to 8 can be heard");
    assert_eq!(Ear::new(100, 1).unwrap_err(), EarError::Rate(100));
}

/// One frame, two frames, and so on: shorter than every window.
#[test]
fn the_shortest_sounds_are_reported_without_a_panic() {
    for rate in [4_000, 44_100, 768_000] {
        for frames in (0..40).chain([255, 256, 257, 4095, 4097]) {
            let report = heard(rate, 1, &vec![0.5; frames]);
            assert_eq!(report.frames, frames as u64);
        }
    }
}
