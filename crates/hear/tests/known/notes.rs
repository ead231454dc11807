//! Pitch.

use crate::signal::{RATE, assert_near, heard, noise, saw, sine, spread, together};

fn cents(found: f64, expected: f64) -> f64 {
    1200.0 * (found / expected).log2()
}

/// From the lowest key of a piano to the highest, and at other rates.
#[test]
fn notes_are_found_within_a_cent() {
    let mut worst = (0.0, String::new());
    for rate in [44_100, 48_000, 96_000] {
        for key in (0..88).step_by(if rate == RATE { 1 } else { 11 }) {
            let hz = 27.5 * (f64::from(key) / 12.0).exp2();
            for (shape, samples) in
                [("sine", sine(rate, hz, 0.5, 0.5)), ("saw", saw(rate, hz, 0.5, 0.5))]
            {
                let what = format!("{shape} of {hz:.2} Hz at {rate} Hz");
                let pitch = heard(rate, 1, &samples).pitch.unwrap_or_else(|| panic!("{what}"));
                let off = cents(pitch.hz, hz).abs();
                if off > worst.0 {
                    worst = (off, what.clone());
                }
                assert!(off < 1.0, "{what}: {} Hz, {off:.2} cents off", pitch.hz);
                assert!(pitch.confidence > 0.95 && pitch.share > 0.95, "{what}: {pitch:?}");
            }
        }
    }
    println!("the worst is {:.3} cents off: {}", worst.0, worst.1);
}

#[test]
fn notes_are_called_by_their_names() {
    let names = [
        (440.0, "A4", 0.0),
        (261.625_565, "C4", 0.0),
        (27.5, "A0", 0.0),
        (4186.009, "C8", 0.0),
        (466.163_76, "A#4", 0.0),
        (444.0, "A4", 15.67),
        (246.0, "B3", -6.58),
    ];
    for (hz, name, off) in names {
        let pitch = heard(RATE, 1, &saw(RATE, hz, 0.5, 0.5)).pitch.unwrap();
        assert_eq!(pitch.note, name, "{hz} Hz");
        assert_near(Some(pitch.cents), off, 1.0, name);
    }
}

#[test]
fn noise_and_silence_and_a_level_have_no_pitch() {
    let white = noise(4 * RATE as usize, 0.5);
    assert_eq!(heard(RATE, 1, &white).pitch, None, "white noise");
    // Each octave 6 dB softer: brown.
    let mut level = 0.0;
    let brown: Vec<f32> = white
        .iter()
        .map(|step| {
            level = 0.999 * level + 0.05 * step;
            level
        })
        .collect();
    assert!(heard(RATE, 1, &brown).pitch.is_none_or(|it| it.share < 0.05), "brown noise");
    assert_eq!(heard(RATE, 1, &vec![0.0; 96_000]).pitch, None, "silence");
    assert_eq!(heard(RATE, 1, &vec![0.5; 96_000]).pitch, None, "a level");
    assert_eq!(heard(RATE, 1, &sine(RATE, 440.0, 0.0005, 1.0)).pitch, None, "too soft");
}

#[test]
fn a_note_in_noise_is_found_as_long_as_it_is_the_louder() {
    let tone = saw(RATE, 220.0, 0.5, 2.0);
    let noisy: Vec<f32> =
        tone.iter().zip(noise(tone.len(), 0.1)).map(|(tone, noise)| tone + noise).collect();
    let pitch = heard(RATE, 1, &noisy).pitch.unwrap();
    assert!(cents(pitch.hz, 220.0).abs() < 1.0, "{pitch:?}");
    assert!(pitch.confidence < 0.99, "noise makes it less clear: {}", pitch.confidence);
}

#[test]
fn a_melody_is_heard_note_by_note_and_the_longest_is_the_pitch() {
    let melody = [(261.63, 0.5), (329.63, 0.5), (392.0, 1.0), (196.0, 0.25)];
    let samples: Vec<f32> =
        melody.iter().flat_map(|(hz, seconds)| saw(RATE, *hz, 0.5, *seconds)).collect();
    let pitch = heard(RATE, 2, &spread(&samples, 2)).pitch.unwrap();
    let names: Vec<_> = pitch.notes.iter().map(|note| note.note.as_str()).collect();
    assert_eq!(names, ["C4", "E4", "G4", "G3"]);
    assert_eq!((pitch.notes_count, pitch.note.as_str()), (4, "G4"));
    for (note, at) in pitch.notes.iter().zip([0.0, 0.5, 1.0, 2.0]) {
        assert_near(Some(note.from_s), at, 0.09, &note.note);
    }
    for (note, (hz, seconds)) in pitch.notes.iter().zip(melody) {
        assert!(cents(note.hz, hz).abs() < 2.0, "{note:?}");
        assert_near(Some(note.length_s), seconds, 0.09, &note.note);
    }
}

#[test]
fn channels_in_opposite_phase_have_a_pitch() {
    let left = saw(RATE, 110.0, 0.5, 1.0);
    let right = left.iter().map(|sample| -sample).collect();
    let pitch = heard(RATE, 2, &together(&[left, right])).pitch.unwrap();
    assert!(cents(pitch.hz, 110.0).abs() < 1.0, "{pitch:?}");
}
