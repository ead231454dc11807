//! Loudness, by the signals of EBU Tech 3341 and 3342.

use crate::signal::{RATE, assert_near, heard, linear, sine, sine_from, spread, together};

/// A stereo sine of 1 kHz in steps: peak level in dBFS, seconds.
fn steps(rate: u32, steps: &[(f64, f64)]) -> Vec<f32> {
    let step = |(level, seconds): &(f64, f64)| sine(rate, 1000.0, linear(*level), *seconds);
    spread(&steps.iter().flat_map(step).collect::<Vec<_>>(), 2)
}

/// Tech 3341, cases 1 to 5: what is integrated, gated absolutely and relatively.
#[test]
fn integrated_loudness_is_within_a_tenth_of_the_standards_answers() {
    let cases: [(&[(f64, f64)], f64); 5] = [
        (&[(-23.0, 20.0)], -23.0),
        (&[(-33.0, 20.0)], -33.0),
        (&[(-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0)], -23.0),
        (&[(-72.0, 10.0), (-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0), (-72.0, 10.0)], -23.0),
        (&[(-26.0, 20.0), (-20.0, 20.1), (-26.0, 20.0)], -23.0),
    ];
    for (case, (levels, expected)) in cases.into_iter().enumerate() {
        let report = heard(RATE, 2, &steps(RATE, levels));
        let what = format!("case {}", case + 1);
        assert_near(report.loudness.integrated_lufs, expected, 0.1, &what);
    }
}

#[test]
fn a_steady_tone_is_as_loud_at_every_moment_and_at_every_rate() {
    for rate in [8_000, 44_100, 48_000, 96_000] {
        let loudness = heard(rate, 2, &steps(rate, &[(-23.0, 20.0)])).loudness;
        let what = format!("at {rate} Hz");
        assert_near(loudness.integrated_lufs, -23.0, 0.1, &what);
        assert_near(loudness.momentary_max_lufs, -23.0, 0.1, &what);
        assert_near(loudness.short_term_max_lufs, -23.0, 0.1, &what);
        assert_near(loudness.range_lu, 0.0, 0.1, &what);
    }
}

/// Tech 3341, case 6: the surrounds count for more, at the places they have among five channels.
#[test]
fn channels_are_weighted_by_their_places() {
    let levels = [-28.0, -28.0, -24.0, -30.0, -30.0];
    let channels = levels.map(|level| sine(RATE, 1000.0, linear(level), 20.0));
    let report = heard(RATE, 5, &together(&channels));
    assert_near(report.loudness.integrated_lufs, -23.0, 0.1, "five channels");
    // The same with the low channel among six, which does not count.
    let [left, right, center, back_left, back_right] = channels;
    let low = sine(RATE, 1000.0, 1.0, 20.0);
    let six = [left, right, center, low, back_left, back_right];
    let report = heard(RATE, 6, &together(&six));
    assert_near(report.loudness.integrated_lufs, -23.0, 0.1, "six channels");
    // No channel beyond is lost: one of eight alone is as loud as one of one.
    for channel in [6, 7] {
        let mut eight = vec![vec![0.0; 20 * RATE as usize]; 8];
        eight[channel] = sine(RATE, 1000.0, linear(-23.0), 20.0);
        let report = heard(RATE, 8, &together(&eight));
        assert_near(report.loudness.integrated_lufs, -26.0, 0.1, "one of eight");
    }
}

/// Tech 3342, cases 1 to 4.
#[test]
fn the_range_is_within_one_unit_of_the_standards_answers() {
    let cases: [(&[f64], f64); 4] = [
        (&[-20.0, -30.0], 10.0),
        (&[-20.0, -15.0], 5.0),
        (&[-40.0, -20.0], 20.0),
        (&[-50.0, -35.0, -20.0, -35.0, -50.0], 15.0),
    ];
    for (levels, expected) in cases {
        let levels: Vec<_> = levels.iter().map(|level| (*level, 20.0)).collect();
        let report = heard(RATE, 2, &steps(RATE, &levels));
        assert_near(report.loudness.range_lu, expected, 1.0, &format!("{levels:?}"));
    }
}

/// Tech 3341, cases 15 to 19: tones whose samples never meet the top.
#[test]
fn true_peaks_between_the_samples_are_found() {
    let cases = [
        (4.0, 0.5, 0.0, -6.0),
        (4.0, 0.5, 45.0, -6.0),
        (6.0, 0.5, 60.0, -6.0),
        (8.0, 0.5, 67.5, -6.0),
        (4.0, 1.41, 45.0, 3.0),
    ];
    for (part, amplitude, phase, expected) in cases {
        let rate = f64::from(RATE);
        let mut samples = sine_from(RATE, rate / part, amplitude, 1.0, phase);
        // The tone is to begin and end without a step of its own.
        let frames = samples.len();
        for (at, sample) in samples.iter_mut().enumerate() {
            let ramp = (at.min(frames - at) as f32 / 4800.0).min(1.0);
            *sample *= ramp;
        }
        let found = heard(RATE, 2, &spread(&samples, 2)).levels.true_peak_dbtp;
        // Within +0.2 and -0.4.
        assert_near(found, expected - 0.1, 0.3, &format!("fs/{part} at {phase} degrees"));
    }
}

#[test]
fn what_is_below_the_gate_has_no_loudness() {
    let loudness = heard(RATE, 2, &steps(RATE, &[(-80.0, 5.0)])).loudness;
    assert_eq!((loudness.integrated_lufs, loudness.range_lu), (None, None));
    let silent = heard(RATE, 2, &vec![0.0; 10 * RATE as usize]).loudness;
    assert_eq!((silent.integrated_lufs, silent.momentary_max_lufs), (None, None));
    // Too short for a range, and for 3 s.
    let short = heard(RATE, 2, &steps(RATE, &[(-23.0, 1.0)])).loudness;
    assert_near(short.momentary_max_lufs, -23.0, 0.1, "momentary");
    assert_eq!((short.short_term_max_lufs, short.range_lu), (None, None));
}
