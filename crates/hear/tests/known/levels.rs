//! Levels, bands, clipping and silence.

use crate::signal::{RATE, assert_near, heard, linear, noise, sine, spread, together};

#[test]
fn a_sine_has_its_peak_3_db_above_its_rms() {
    for rate in [8_000, 44_100, 48_000, 192_000] {
        let levels = heard(rate, 1, &sine(rate, 500.0, 0.5, 1.0)).levels;
        let what = format!("at {rate} Hz");
        assert_near(levels.peak_dbfs, -6.02, 0.01, &what);
        assert_near(levels.true_peak_dbtp, -6.02, 0.1, &what);
        assert_near(levels.rms_dbfs, -9.03, 0.01, &what);
        assert_near(levels.crest_db, 3.01, 0.01, &what);
        assert_eq!(levels.dc, 0.0, "{what}");
    }
}

#[test]
fn channels_are_told_apart() {
    let left = sine(RATE, 1000.0, 0.5, 1.0);
    let right = vec![-0.1; left.len()];
    let levels = heard(RATE, 2, &together(&[left, right])).levels;
    assert_near(levels.channels[0].peak_dbfs, -6.02, 0.01, "left");
    assert_near(levels.channels[1].peak_dbfs, -20.0, 0.01, "right");
    assert_near(levels.channels[1].crest_db, 0.0, 0.01, "right");
    assert_near(levels.peak_dbfs, -6.02, 0.01, "both");
    assert_near(levels.rms_dbfs, 10.0 * ((0.125 + 0.01) / 2.0_f64).log10(), 0.01, "both");
    assert_eq!((levels.channels[0].dc, levels.channels[1].dc, levels.dc), (0.0, -0.1, -0.1));
}

#[test]
fn samples_that_are_no_numbers_are_counted_and_harm_no_other_measure() {
    let clean = sine(RATE, 440.0, 0.5, 2.0);
    let mut wild = clean.clone();
    wild[24_000] = f32::NAN;
    wild[30_000] = f32::INFINITY;
    let (clean, wild) = (heard(RATE, 1, &clean), heard(RATE, 1, &wild));
    assert_eq!((wild.levels.not_finite, wild.levels.not_finite_first_s), (2, Some(0.5)));
    assert_eq!((clean.levels.not_finite, clean.levels.not_finite_first_s), (0, None));
    assert_near(wild.levels.rms_dbfs, -9.03, 0.01, "rms");
    assert_near(wild.pitch.map(|it| it.hz), 440.0, 0.1, "pitch");
    let quiet = wild.loudness.integrated_lufs;
    assert_near(quiet, clean.loudness.integrated_lufs.unwrap(), 0.1, "loudness");
}

/// Each octave's middle, and the other octaves far below it.
#[test]
fn a_sine_lies_in_its_octave_and_in_no_other() {
    let centers = [31.25, 62.5, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0];
    for center in centers {
        for (seconds, neighbours) in [(4.0, -50.0), (0.1, -15.0)] {
            let samples = spread(&sine(RATE, center, 0.5, seconds), 2);
            let bands = heard(RATE, 2, &samples).bands;
            assert_eq!(bands.iter().map(|it| it.center_hz).collect::<Vec<_>>(), centers);
            for band in bands {
                let what =
                    format!("{center} Hz for {seconds} s in the octave of {}", band.center_hz);
                if band.center_hz == center {
                    // A tenth of a second at 31 Hz is three periods.
                    let within = if seconds > 1.0 { 0.1 } else { 1.5 };
                    assert_near(band.rms_dbfs, -9.03, within, &what);
                } else {
                    assert!(band.rms_dbfs < Some(-9.0 + neighbours), "{what}: {:?}", band.rms_dbfs);
                }
            }
        }
    }
}

/// White noise: each octave has twice the power of the one below, and channels in opposite phase
/// do not hide each other.
#[test]
fn noise_rises_by_3_db_an_octave() {
    let left = noise(10 * RATE as usize, 0.5);
    let right: Vec<f32> = left.iter().map(|sample| -sample).collect();
    let bands = heard(RATE, 2, &together(&[left, right])).bands;
    let total = 20.0 * (0.5 / 3_f64.sqrt()).log10();
    for band in &bands {
        let octave = band.center_hz * (0.5_f64.exp2() - (-0.5_f64).exp2());
        let expected = total + 10.0 * (octave / 24_000.0).log10();
        assert_near(band.rms_dbfs, expected, 1.0, &format!("octave of {} Hz", band.center_hz));
    }
}

#[test]
fn a_rate_has_only_the_octaves_it_can_carry() {
    let bands = heard(8_000, 1, &sine(8_000, 1000.0, 0.5, 1.0)).bands;
    assert_eq!(bands.last().map(|it| it.center_hz), Some(2000.0));
}

/// A sine of 100 Hz, 3 dB too loud: both tops of each period are cut off.
#[test]
fn each_top_that_is_cut_off_counts_once() {
    let loud = sine(RATE, 100.0, linear(3.0), 0.5);
    let cut: Vec<f32> = loud.iter().map(|sample| sample.clamp(-1.0, 1.0)).collect();
    let clipping = heard(RATE, 1, &cut).clipping;
    assert_eq!(clipping.count, 100);
    // From 45 to 135 degrees of each half, about; it begins an eighth of a period in.
    assert_near(clipping.first_s, 0.00125, 0.0001, "the first");
    assert!((118..=122).contains(&clipping.longest_samples), "{clipping:?}");
    assert_eq!(clipping.at_s.len(), 100);
    // Beyond full scale without being cut is clipping where it is played.
    assert_eq!(heard(RATE, 1, &loud).clipping, clipping);
    // Sixteen bits end just below 1.
    let sixteen: Vec<f32> = cut.iter().map(|it| (it * 32_767.0).round() / 32_768.0).collect();
    assert_eq!(heard(RATE, 1, &sixteen).clipping.count, 100);
    // Each channel by itself.
    assert_eq!(heard(RATE, 2, &spread(&cut, 2)).clipping.count, 200);
}

#[test]
fn a_peak_that_just_fits_is_no_clipping() {
    let clipping = heard(RATE, 1, &sine(RATE, 997.0, 1.0, 1.0)).clipping;
    assert_eq!((clipping.count, clipping.first_s, clipping.longest_samples), (0, None, 0));
}

#[test]
fn silence_is_found_to_the_frame() {
    let tone = sine(RATE, 440.0, 0.5, 1.0);
    let mut samples = vec![0.0; 12_000];
    samples.extend(&tone);
    samples.extend(vec![linear(-61.0) as f32; 36_000]);
    samples.extend(&tone);
    // A pause of 50 ms is none.
    samples.extend(vec![0.0; 2_400]);
    samples.extend(&tone);
    let silence = heard(RATE, 1, &samples).silence;
    let found: Vec<_> = silence.stretches.iter().map(|it| (it.from_s, it.to_s)).collect();
    // The sine's own first sample is 0.
    assert_eq!(found, [(0.0, 0.25), (1.25, 2.0)]);
    assert_eq!((silence.count, silence.longest_s), (2, 0.75));
    assert_near(Some(silence.share), 1.0 / 4.05, 0.0001, "share");
    let sounds = heard(RATE, 1, &tone).silence;
    assert_eq!((sounds.count, sounds.share), (0, 0.0));
    let still = heard(RATE, 2, &vec![0.0; 20_000]).silence;
    assert_eq!((still.share, still.stretches[0].to_s), (1.0, 0.2083));
    // One channel that sounds is enough.
    let one = together(&[vec![0.0; tone.len()], tone]);
    assert_eq!(heard(RATE, 2, &one).silence.count, 0);
}
