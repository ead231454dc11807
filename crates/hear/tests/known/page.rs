//! The page that people read.

use crate::signal::{RATE, heard, linear, sine, spread};

#[test]
fn a_page_says_what_matters_in_words() {
    let mut samples: Vec<f32> =
        sine(RATE, 440.0, linear(6.0), 1.0).iter().map(|it| it.clamp(-1.0, 1.0)).collect();
    samples.extend(vec![0.0; RATE as usize]);
    let page = heard(RATE, 2, &spread(&samples, 2)).to_string();
    for expected in [
        "heard      2.00 s, 2 channels, 48000 Hz",
        "levels     peak    0.0 dBFS",
        "pitch      A4 +0.0 cents (440.00 Hz)",
        "onsets     1, at 0.000 s",
        "tempo      none",
        "clipping   clips 1760 times, first at 0.000 s",
        "silence    silent from 1.00 s on",
    ] {
        assert!(page.contains(expected), "{expected} is not in\n{page}");
    }
    assert!(page.lines().all(|line| line.chars().count() <= 110), "{page}");
}

#[test]
fn silence_is_told_by_where_it_is() {
    let tone = sine(RATE, 440.0, 0.5, 1.0);
    let gap = |seconds: f64| vec![0.0; (seconds * f64::from(RATE)) as usize];
    let cases = [
        (gap(1.0), "silent throughout"),
        (tone.clone(), "none"),
        ([gap(0.5), tone.clone()].concat(), "silent until 0.50 s"),
        ([tone.clone(), gap(0.5)].concat(), "silent from 1.00 s on"),
        ([tone.clone(), gap(0.5), tone.clone()].concat(), "silent from 1.00 to 1.50 s"),
        (
            [gap(0.5), tone, gap(0.5)].concat(),
            "silent 50 % of the time, in 2 stretches of at most 0.50 s, the first from 0.00 to \
             0.50 s",
        ),
    ];
    for (samples, expected) in cases {
        let page = heard(RATE, 1, &samples).to_string();
        assert_eq!(page.lines().last(), Some(format!("silence    {expected}").as_str()));
    }
    let page = heard(RATE, 1, &gap(1.0)).to_string();
    assert!(page.contains("loudness   none") && page.contains("peak   -inf dBFS"), "{page}");
}
