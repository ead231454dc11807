//! The report as people read it: a line a measure, and a sentence where it matters.

use std::fmt::{Display, Formatter, Result};

use crate::{Clipping, Levels, Loudness, Pitch, Report, Silence};

/// Moments and notes that a line names.
const NAMED: usize = 8;

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let plural = if self.channels == 1 { "" } else { "s" };
        let Self { channels, rate_hz, seconds, .. } = self;
        line(out, "heard", &format!("{seconds:.2} s, {channels} channel{plural}, {rate_hz} Hz"))?;
        levels(out, &self.levels)?;
        line(out, "loudness", &loudness(&self.loudness))?;
        bands(out, self)?;
        line(out, "onsets", &onsets(self))?;
        line(out, "pitch", &self.pitch.as_ref().map_or("none".to_owned(), pitch))?;
        if let Some(pitch) = self.pitch.as_ref().filter(|pitch| pitch.notes_count > 1) {
            line(out, "notes", &notes(pitch))?;
        }
        let tempo = self.tempo.map_or("none".to_owned(), |tempo| {
            format!("{:.1} bpm, confidence {:.2}", tempo.bpm, tempo.confidence)
        });
        line(out, "tempo", &tempo)?;
        line(out, "clipping", &clipping(&self.clipping))?;
        write!(out, "{:10} {}", "silence", silence(&self.silence, self.seconds))
    }
}

fn line(out: &mut Formatter<'_>, name: &str, text: &str) -> Result {
    writeln!(out, "{name:10} {text}")
}

fn db(value: Option<f64>) -> String {
    value.map_or("-inf".to_owned(), |value| format!("{value:.1}"))
}

fn levels(out: &mut Formatter<'_>, levels: &Levels) -> Result {
    let of = |peak, true_peak, rms, crest: Option<f64>, dc: f64| {
        let crest = crest.map_or("-".to_owned(), |crest| format!("{crest:.1} dB"));
        format!(
            "peak {:>6} dBFS  true peak {:>6} dBTP  rms {:>6} dBFS  crest {crest:>7}  dc {dc:+.4}",
            db(peak),
            db(true_peak),
            db(rms)
        )
    };
    let Levels { peak_dbfs, true_peak_dbtp, rms_dbfs, crest_db, dc, .. } = levels;
    line(out, "levels", &of(*peak_dbfs, *true_peak_dbtp, *rms_dbfs, *crest_db, *dc))?;
    // Where all channels are the same, one line says it.
    let same = levels.channels.windows(2).all(|pair| pair[0] == pair[1]);
    for (at, it) in levels.channels.iter().enumerate().filter(|_| !same) {
        let text = of(it.peak_dbfs, it.true_peak_dbtp, it.rms_dbfs, it.crest_db, it.dc);
        line(out, &format!("  {}", at + 1), &text)?;
    }
    if let Some(first) = levels.not_finite_first_s {
        let text = format!("{} are no numbers, the first at {first:.3} s", levels.not_finite);
        line(out, "samples", &text)?;
    }
    Ok(())
}

fn loudness(loudness: &Loudness) -> String {
    let Loudness { integrated_lufs, momentary_max_lufs, short_term_max_lufs, range_lu } = loudness;
    let Some(integrated) = integrated_lufs else {
        return "none: nothing above -70 LUFS for 0.4 s".to_owned();
    };
    let mut text = format!("{integrated:.1} LUFS integrated");
    for (name, value) in [("momentary", momentary_max_lufs), ("short-term", short_term_max_lufs)] {
        if let Some(value) = value {
            text += &format!(", {name} at most {value:.1}");
        }
    }
    if let Some(range) = range_lu {
        text += &format!(", range {range:.1} LU");
    }
    text
}

fn bands(out: &mut Formatter<'_>, report: &Report) -> Result {
    let name = |hz: f64| match hz >= 1000.0 {
        true => format!("{:.0}k", hz / 1000.0),
        false => format!("{hz:.0}"),
    };
    let row = |cell: &dyn Fn(usize) -> String| -> String {
        (0..report.bands.len()).map(|at| format!("{:>7}", cell(at))).collect()
    };
    let names = row(&|at| name(report.bands[at].center_hz));
    let values = row(&|at| db(report.bands[at].rms_dbfs));
    line(out, "bands", &format!("{names} Hz"))?;
    line(out, "", &format!("{values} dBFS"))
}

fn onsets(report: &Report) -> String {
    let onsets = &report.onsets;
    match onsets.count {
        0 => "none".to_owned(),
        count => format!(
            "{count}, at {} s",
            named(count, onsets.at_s.iter(), |at| { format!("{at:.3}") })
        ),
    }
}

/// The first few, and that there are more.
fn named<T>(count: u64, all: impl Iterator<Item = T>, one: impl Fn(T) -> String) -> String {
    let mut first: Vec<String> = all.take(NAMED).map(one).collect();
    if count > NAMED as u64 {
        first.push("...".to_owned());
    }
    first.join(" ")
}

fn pitch(pitch: &Pitch) -> String {
    let Pitch { hz, note, cents, confidence, share, .. } = pitch;
    let share = share * 100.0;
    let clear = format!("confidence {confidence:.2}, {share:.0} % of the time");
    format!("{note} {cents:+.1} cents ({hz:.2} Hz), {clear}")
}

fn notes(pitch: &Pitch) -> String {
    let count = pitch.notes_count;
    let one = |note: &crate::Note| format!("{} {:.2}", note.note, note.from_s);
    format!("{count}, from {} s", named(count, pitch.notes.iter(), one))
}

fn clipping(clipping: &Clipping) -> String {
    let times = |count| if count == 1 { "once".to_owned() } else { format!("{count} times") };
    match clipping.first_s {
        None => "none".to_owned(),
        Some(first) => format!(
            "clips {}, first at {first:.3} s; the longest is {} samples",
            times(clipping.count),
            clipping.longest_samples
        ),
    }
}

fn silence(silence: &Silence, seconds: f64) -> String {
    let Some(first) = silence.stretches.first() else { return "none".to_owned() };
    let percent = silence.share * 100.0;
    if silence.share >= 1.0 {
        return "silent throughout".to_owned();
    }
    if silence.count == 1 {
        return match (first.from_s, first.to_s) {
            (from, to) if to >= seconds => format!("silent from {from:.2} s on"),
            (0.0, to) => format!("silent until {to:.2} s"),
            (from, to) => format!("silent from {from:.2} to {to:.2} s"),
        };
    }
    format!(
        "silent {percent:.0} % of the time, in {} stretches of at most {:.2} s, the first from \
         {:.2} to {:.2} s",
        silence.count, silence.longest_s, first.from_s, first.to_s
    )
}
