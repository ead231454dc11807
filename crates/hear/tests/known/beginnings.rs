//! Onsets and tempo.

use crate::signal::{RATE, assert_near, heard, noise, saw, sine, spread};

/// Clicks at these times, in so many seconds of silence.
fn clicks(rate: u32, at_s: &[f64], seconds: f64) -> Vec<f32> {
    let mut samples = vec![0.0; (seconds * f64::from(rate)) as usize];
    for at in at_s {
        let frame = (at * f64::from(rate)).round() as usize;
        samples[frame..frame + 8].copy_from_slice(&[0.8, -0.8, 0.6, -0.6, 0.4, -0.4, 0.2, -0.2]);
    }
    samples
}

/// Times a beat apart.
fn beats(bpm: f64, count: u32) -> Vec<f64> {
    (0..count).map(|beat| f64::from(beat) * 60.0 / bpm).collect()
}

/// A drum: a sine that dies away.
fn drum(hz: f64, seconds: f64) -> Vec<f32> {
    let frames = sine(RATE, hz, 0.8, seconds).into_iter().enumerate();
    frames.map(|(at, sample)| sample * (-(at as f32) / 4000.0).exp()).collect()
}

#[track_caller]
fn assert_times(found: &[f64], expected: &[f64], within: f64) {
    assert_eq!(found.len(), expected.len(), "{found:?}, expected {expected:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_near(Some(*found), *expected, within, "an onset");
    }
}

#[test]
fn clicks_are_found_to_the_millisecond() {
    let at_s = [0.0, 0.1, 0.25, 1.0, 1.5, 1.5625, 3.0, 3.99];
    for rate in [8_000, 44_100, 48_000, 96_000] {
        let onsets = heard(rate, 1, &clicks(rate, &at_s, 4.0)).onsets;
        assert_times(&onsets.at_s, &at_s, 0.001_01);
        assert_eq!(onsets.count, at_s.len() as u64);
    }
}

#[test]
fn notes_begin_where_they_begin_and_do_not_begin_where_they_end() {
    let mut samples = vec![0.0; RATE as usize / 2];
    for hz in [110.0, 220.0, 55.0] {
        samples.extend(saw(RATE, hz, 0.5, 0.5));
        samples.extend(vec![0.0; RATE as usize / 2]);
    }
    let onsets = heard(RATE, 2, &spread(&samples, 2)).onsets;
    assert_times(&onsets.at_s, &[0.5, 1.5, 2.5], 0.005);
}

#[test]
fn drums_are_found() {
    let at_s = beats(140.0, 12);
    let mut samples = vec![0.0; 6 * RATE as usize];
    for (beat, at) in at_s.iter().enumerate() {
        let from = (at * f64::from(RATE)) as usize;
        let hit = drum(if beat % 2 == 0 { 60.0 } else { 180.0 }, 0.4);
        samples[from..].iter_mut().zip(hit).for_each(|(sum, hit)| *sum += hit);
    }
    let report = heard(RATE, 1, &samples);
    assert_times(&report.onsets.at_s, &at_s, 0.01);
    assert_near(report.tempo.map(|it| it.bpm), 140.0, 0.5, "tempo");
}

#[test]
fn what_goes_on_has_one_beginning_at_most() {
    for hz in [30.0, 41.2, 110.0, 440.0, 5000.0] {
        let onsets = heard(RATE, 1, &saw(RATE, hz, 0.5, 4.0)).onsets;
        assert_eq!(onsets.at_s, [0.0], "a saw of {hz} Hz");
        let onsets = heard(RATE, 1, &sine(RATE, hz, 0.5, 4.0)).onsets;
        assert_eq!(onsets.at_s, [0.0], "a sine of {hz} Hz");
    }
    let report = heard(RATE, 1, &noise(8 * RATE as usize, 0.5));
    assert_eq!(report.onsets.at_s, [0.0], "noise");
    assert_eq!(report.tempo, None, "noise");
    assert_eq!(heard(RATE, 1, &vec![0.0; 96_000]).onsets.count, 0, "silence");
}

/// What can be a tempo is found within a tenth of a beat a minute.
#[test]
fn a_click_train_has_its_tempo() {
    for bpm in [60.0, 90.0, 97.3, 120.0, 128.0, 150.0, 174.0] {
        let samples = clicks(RATE, &beats(bpm, (bpm / 60.0 * 11.5) as u32), 12.0);
        let tempo = heard(RATE, 1, &samples).tempo.unwrap_or_else(|| panic!("{bpm}"));
        assert_near(Some(tempo.bpm), bpm, 0.1, "tempo");
        assert!(tempo.confidence > 0.8, "{bpm}: {tempo:?}");
    }
}

/// Longer than the windows that are correlated at once.
#[test]
fn a_minute_has_the_tempo_of_its_parts() {
    let samples = clicks(RATE, &beats(120.0, 119), 60.0);
    let tempo = heard(RATE, 1, &samples).tempo.unwrap();
    assert_near(Some(tempo.bpm), 120.0, 0.05, "tempo");
}

#[test]
fn clicks_at_random_have_no_tempo_to_be_sure_of() {
    let mut random = fastrand::Rng::with_seed(3);
    let (mut at, mut at_s) = (0.0, Vec::new());
    while at < 19.0 {
        at_s.push(at);
        at += 0.1 + 0.9 * random.f64();
    }
    let tempo = heard(RATE, 1, &clicks(RATE, &at_s, 20.0)).tempo;
    assert!(tempo.is_none_or(|it| it.confidence < 0.5), "{tempo:?}");
    assert_eq!(heard(RATE, 1, &clicks(RATE, &beats(120.0, 3), 4.0)).tempo, None, "three clicks");
}
