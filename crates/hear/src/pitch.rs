//! Pitch: the one note that sounds, in windows of a twelfth of a second.
//!
//! *Source*: McLeod and Wyvill, «A Smarter Way to Find Pitch», 2005. The period is then measured
//! over as many periods as look alike, which makes high notes as exact as low ones. One voice at
//! a time: of a chord it finds nothing, or the note of which all are overtones.

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use serde::Serialize;

use crate::report::{LISTED_MAX, round, seconds};
use crate::spectrum::Frames;

/// Windows below -60 dBFS (mean square) have no pitch.
const SILENT: f64 = 1e-6;

/// A window is a note if it is so much like itself a period later.
const CLARITY_MIN: f64 = 0.85;

/// The period is the first at which it is nearly as alike as at any.
const NEARLY: f64 = 0.93;

/// What is less than half a semitone away is the same note.
const SAME_CENTS: f64 = 50.0;

/// Windows in a row that make a note: 64 ms.
const NOTE_WINDOWS: usize = 3;

/// A4.
const REFERENCE_HZ: f64 = 440.0;
const REFERENCE_MIDI: f64 = 69.0;

/// The note that sounds the longest, and what follows what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pitch {
    /// Its frequency: the median of its windows.
    pub hz: f64,
    /// Its name, C4 being the middle one.
    pub note: String,
    /// How far it is from that name, -50 to 50.
    pub cents: f64,
    /// How much each window is like itself a period later, 0 to 1.
    pub confidence: f64,
    /// Part of the time in which it sounds, 0 to 1.
    pub share: f64,
    /// How many notes there are one after another.
    pub notes_count: u64,
    /// The first [`LISTED_MAX`] of them.
    pub notes: Vec<Note>,
}

/// A note.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Note {
    /// The middle of the first window that has it.
    pub from_s: f64,
    /// How long it sounds.
    pub length_s: f64,
    /// The median of its windows.
    pub hz: f64,
    /// Its name.
    pub note: String,
    /// How far it is from that name.
    pub cents: f64,
}

/// What is kept on the way: 1.1 kB a second.
#[derive(Debug)]
pub(crate) struct Tuner {
    rate: u32,
    hop: usize,
    channels: usize,
    frames: Frames,
    likeness: Likeness,
    /// Window by window: its frequency and how clear it is.
    found: Vec<Option<(f64, f64)>>,
}

impl Tuner {
    /// Nothing so far.
    pub(crate) fn new(rate: u32, channels: usize) -> Self {
        let size = (rate as usize * 2 / 25).next_power_of_two();
        let hop = size / 4;
        let frames = Frames::new(size, hop, channels, false);
        let likeness = Likeness::new(size);
        Self { rate, hop, channels, frames, likeness, found: Vec::new() }
    }

    /// Takes whole interleaved frames of finite samples.
    pub(crate) fn hear(&mut self, samples: &[f32]) {
        let Self { likeness, found, channels, rate, .. } = self;
        self.frames.push(samples, |window| {
            let voice = loudest(window, *channels);
            let period = likeness.period(voice.iter().copied());
            found.push(period.map(|(period, clarity)| (f64::from(*rate) / period, clarity)));
        });
    }

    /// The note that sounds the longest; none if none does.
    pub(crate) fn pitch(self) -> Option<Pitch> {
        let notes = self.notes();
        let all = || self.found.iter().flatten();
        // The semitone with the most windows, then what lies around its middle.
        let mut semitones: Vec<i64> = all().map(|(hz, _)| midi(*hz).round() as i64).collect();
        semitones.sort_unstable();
        let longest = semitones.chunk_by(|a, b| a == b).max_by_key(|chunk| chunk.len())?;
        let near = |to: f64, hz: f64| (midi(hz) - to).abs() * 100.0 < SAME_CENTS;
        let of_longest = all().filter(|(hz, _)| midi(*hz).round() as i64 == longest[0]);
        let middle = midi(median(of_longest.map(|(hz, _)| *hz).collect()));
        let own: Vec<_> = all().filter(|(hz, _)| near(middle, *hz)).collect();
        let hz = median(own.iter().map(|(hz, _)| *hz).collect());
        let clarity = own.iter().map(|(_, clarity)| clarity).sum::<f64>() / own.len() as f64;
        let (note, cents) = name(hz);
        Some(Pitch {
            hz: round(hz, 3),
            note,
            cents,
            confidence: round(clarity.min(1.0), 3),
            share: round(own.len() as f64 / self.found.len() as f64, 4),
            notes_count: notes.len() as u64,
            notes: notes.into_iter().take(LISTED_MAX).collect(),
        })
    }

    /// Windows in a row with one pitch. A window with two notes in it may belong to neither.
    fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        let mut at = 0;
        while at < self.found.len() {
            let Some((first_hz, _)) = self.found[at] else {
                at += 1;
                continue;
            };
            let mut own = vec![first_hz];
            for next in self.found[at + 1..].iter().map_while(|it| *it) {
                let last = own[own.len() - 1];
                if (midi(next.0) - midi(last)).abs() * 100.0 >= SAME_CENTS {
                    break;
                }
                own.push(next.0);
            }
            if own.len() >= NOTE_WINDOWS {
                notes.push(self.note(at, own.clone()));
            }
            at += own.len();
        }
        notes
    }

    fn note(&self, first: usize, own: Vec<f64>) -> Note {
        let time =
            |windows: usize, more: usize| seconds((windows * self.hop + more) as u64, self.rate);
        let length_s = time(own.len(), 0);
        let hz = median(own);
        let (note, cents) = name(hz);
        Note {
            from_s: time(first, self.likeness.size / 2),
            length_s,
            hz: round(hz, 3),
            note,
            cents,
        }
    }
}

/// The channel of a window that has the most energy: of channels in opposite phase the sum would
/// be silence.
fn loudest(window: &[f32], channels: usize) -> Vec<f64> {
    let of = |channel: usize| window.iter().skip(channel).step_by(channels);
    let energy = |channel: &usize| of(*channel).map(|it| f64::from(*it) * f64::from(*it)).sum();
    let energies: Vec<f64> = (0..channels).map(|channel| energy(&channel)).collect();
    let most = (0..channels).max_by(|a, b| energies[*a].total_cmp(&energies[*b]).then(b.cmp(a)));
    of(most.unwrap_or(0)).map(|it| f64::from(*it)).collect()
}

fn midi(hz: f64) -> f64 {
    REFERENCE_MIDI + 12.0 * (hz / REFERENCE_HZ).log2()
}

fn name(hz: f64) -> (String, f64) {
    const NAMES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
    let nearest = midi(hz).round();
    let cents = round((midi(hz) - nearest) * 100.0, 2);
    let number = nearest as i64;
    let name = NAMES[number.rem_euclid(12) as usize];
    (format!("{name}{}", number.div_euclid(12) - 1), cents)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len().is_multiple_of(2) {
        0.5 * (values[half - 1] + values[half])
    } else {
        values[half]
    }
}

/// How much a window is like itself a while later: McLeod's normalised square difference.
struct Likeness {
    size: usize,
    forward: Arc<dyn Fft<f64>>,
    back: Arc<dyn Fft<f64>>,
    bins: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
    /// By lag, up to half a window.
    alike: Vec<f64>,
}

impl Likeness {
    fn new(size: usize) -> Self {
        let mut planner = FftPlanner::new();
        let forward = planner.plan_fft_forward(2 * size);
        let back = planner.plan_fft_inverse(2 * size);
        let scratch = forward.get_inplace_scratch_len().max(back.get_inplace_scratch_len());
        let empty = Complex::new(0.0, 0.0);
        let bins = vec![empty; 2 * size];
        Self { size, forward, back, bins, scratch: vec![empty; scratch], alike: Vec::new() }
    }

    /// The period of a window in frames, and how clear it is; none if it has none.
    fn period(&mut self, window: impl Iterator<Item = f64> + Clone) -> Option<(f64, f64)> {
        let size = self.size;
        let mean = window.clone().sum::<f64>() / size as f64;
        let window: Vec<f64> = window.map(|sample| sample - mean).collect();
        let energy: f64 = window.iter().map(|sample| sample * sample).sum();
        if energy < SILENT * size as f64 {
            return None;
        }
        self.bins.fill(Complex::new(0.0, 0.0));
        for (bin, sample) in self.bins.iter_mut().zip(&window) {
            *bin = Complex::new(*sample, 0.0);
        }
        self.forward.process_with_scratch(&mut self.bins, &mut self.scratch);
        self.bins.iter_mut().for_each(|bin| *bin = Complex::new(bin.norm_sqr(), 0.0));
        self.back.process_with_scratch(&mut self.bins, &mut self.scratch);
        let scale = 1.0 / (2 * size) as f64;
        let mut both = 2.0 * energy;
        self.alike.clear();
        for lag in 0..=size / 2 {
            self.alike.push(2.0 * self.bins[lag].re * scale / both.max(f64::MIN_POSITIVE));
            both -= window[lag] * window[lag] + window[size - 1 - lag] * window[size - 1 - lag];
        }
        let peaks = self.peaks();
        let most = peaks.iter().fold(0.0, |most, (_, alike)| f64::max(most, *alike));
        let (period, clarity) = *peaks.iter().find(|(_, alike)| *alike >= NEARLY * most)?;
        (clarity >= CLARITY_MIN).then(|| (self.refined(period, clarity), clarity))
    }

    /// The highest lag of each stretch above 0 but the first, and how alike it is there.
    fn peaks(&self) -> Vec<(f64, f64)> {
        let mut peaks = Vec::new();
        let first_below = self.alike.iter().position(|it| *it <= 0.0).unwrap_or(self.alike.len());
        let mut highest: Option<usize> = None;
        for (lag, alike) in self.alike.iter().enumerate().skip(first_below) {
            if *alike <= 0.0 {
                peaks.extend(highest.take().and_then(|it| self.parabola(it)));
            } else if highest.is_none_or(|it| self.alike[it] < *alike) {
                highest = Some(lag);
            }
        }
        // The last stretch may be cut off before its peak: a parabola needs both neighbours.
        peaks.extend(highest.and_then(|it| self.parabola(it)));
        peaks
    }

    /// The top of the parabola through a lag and its neighbours, if there is one.
    fn parabola(&self, lag: usize) -> Option<(f64, f64)> {
        let near = self.alike.get(lag.checked_sub(1)?..=lag + 1)?;
        let bend = near[0] - 2.0 * near[1] + near[2];
        if near[1] < near[0] || near[1] < near[2] || bend >= 0.0 {
            return None;
        }
        let shift = 0.5 * (near[0] - near[2]) / bend;
        Some((lag as f64 + shift, near[1] - 0.25 * (near[0] - near[2]) * shift))
    }

    /// The period from the highest number of periods that are as alike.
    fn refined(&self, mut period: f64, clarity: f64) -> f64 {
        let mut periods = 2.0;
        while period * periods + 1.0 < self.alike.len() as f64 {
            let middle = (period * periods).round() as usize;
            let near = middle - 1..=(middle + 1).min(self.alike.len() - 1);
            let top = near.max_by(|a, b| self.alike[*a].total_cmp(&self.alike[*b]));
            match top.and_then(|lag| self.parabola(lag)) {
                Some((lag, alike)) if alike >= NEARLY * clarity => period = lag / periods,
                _ => break,
            }
            periods *= 2.0;
        }
        period
    }
}

impl std::fmt::Debug for Likeness {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Likeness").field("size", &self.size).finish_non_exhaustive()
    }
}
