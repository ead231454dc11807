//! Numbers with their unit, as patch files and OSC strings spell them: `1.2kHz`, `-6dB`, `14ct`.

use serde::Serialize;
use thiserror::Error;

/// What a parameter is measured in; a bare number is meant in this unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Frequency, Hz. Also spelled `kHz` or as a note: `A4`, `C#3`, `Eb2`.
    Hertz,
    /// A time a musician sets, ms. Also spelled `s`.
    Milliseconds,
    /// Linear amplitude. Also spelled `dB`.
    Gain,
    /// An interval in cents. Also spelled `st` or `oct`.
    Cents,
    /// A plain number.
    Number,
    /// One word of a list.
    Choice,
}

impl Unit {
    /// The unit as it is written behind a number; empty where nothing is. `[any]`
    pub const fn symbol(self) -> &'static str {
        match self {
            Unit::Hertz => "Hz",
            Unit::Milliseconds => "ms",
            Unit::Cents => "ct",
            Unit::Gain | Unit::Number | Unit::Choice => "",
        }
    }

    /// What can be written where this unit is wanted, for an error's second half. `[any]`
    pub const fn examples(self) -> &'static str {
        match self {
            Unit::Hertz => "440, 440Hz, 1.2kHz or A4",
            Unit::Milliseconds => "250, 250ms or 1.5s",
            Unit::Gain => "0.5 or -6dB",
            Unit::Cents => "14, 14ct, 3st or 1oct",
            Unit::Number => "a plain number",
            Unit::Choice => "one of the words listed",
        }
    }
}

/// A number with the unit it was written with, not yet fitted to a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quantity {
    /// A bare number: means whatever the parameter's unit is.
    Bare(f32),
    /// A frequency in Hz (`440Hz`, `1.2kHz`, `A4`).
    Hertz(f32),
    /// A time in ms (`2ms`, `1.5s`).
    Milliseconds(f32),
    /// A level in dB (`-6dB`).
    Decibels(f32),
    /// An interval in octaves (`14ct`, `3st`, `1oct`).
    Octaves(f32),
}

/// Why a text is not the quantity that was wanted.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum QuantityError {
    /// It does not begin with a number and is no note.
    #[error("'{text}' is not a number")]
    NotANumber {
        /// What was written.
        text: String,
    },
    /// The number is fine, what follows it is no unit.
    #[error("'{suffix}' is not a unit")]
    UnknownUnit {
        /// What followed the number.
        suffix: String,
    },
    /// A quantity of something else: ms where Hz are wanted.
    #[error("'{text}' does not fit here")]
    WrongUnit {
        /// What was written.
        text: String,
        /// What was wanted.
        wanted: Unit,
    },
    /// Infinite, or not a number at all.
    #[error("'{text}' is not finite")]
    NotFinite {
        /// What was written.
        text: String,
    },
    /// A note value or bar count; this version has no transport to measure it by.
    #[error("'{text}' is a musical time, which this version does not know yet")]
    NotBuilt {
        /// What was written.
        text: String,
    },
}

/// Reads `text` as a value in `unit`. An interval is no frequency: `3st` is refused for Hz. `[any]`
pub fn parse(text: &str, unit: Unit) -> Result<f32, QuantityError> {
    let wrong = || QuantityError::WrongUnit { text: text.trim().to_string(), wanted: unit };
    let value = read(text)?.in_unit(unit).ok_or_else(wrong)?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(QuantityError::NotFinite { text: text.trim().to_string() })
    }
}

/// Reads `text` as whatever quantity it spells. `[any]`
pub fn read(text: &str) -> Result<Quantity, QuantityError> {
    let text = text.trim();
    if let Some(midi) = note_number(text) {
        return Ok(Quantity::Hertz(note_hertz(midi)));
    }
    let (digits, suffix) = text.split_at(number_length(text));
    let not_a_number = || QuantityError::NotANumber { text: text.to_string() };
    let value: f64 = digits.parse().map_err(|_| not_a_number())?;
    let suffix = suffix.trim_start();
    let quantity = match suffix {
        "" => Quantity::Bare(value as f32),
        "Hz" | "hz" => Quantity::Hertz(value as f32),
        "kHz" | "khz" => Quantity::Hertz((value * 1_000.0) as f32),
        "ms" => Quantity::Milliseconds(value as f32),
        "s" => Quantity::Milliseconds((value * 1_000.0) as f32),
        "dB" | "db" => Quantity::Decibels(value as f32),
        "ct" => Quantity::Octaves((value / 1_200.0) as f32),
        "st" => Quantity::Octaves((value / 12.0) as f32),
        "oct" => Quantity::Octaves(value as f32),
        "bar" => return Err(QuantityError::NotBuilt { text: text.to_string() }),
        _ if suffix.starts_with('/') => {
            return Err(QuantityError::NotBuilt { text: text.to_string() });
        }
        _ => return Err(QuantityError::UnknownUnit { suffix: suffix.to_string() }),
    };
    let finite = match quantity {
        Quantity::Bare(v)
        | Quantity::Hertz(v)
        | Quantity::Milliseconds(v)
        | Quantity::Decibels(v)
        | Quantity::Octaves(v) => v.is_finite(),
    };
    if finite { Ok(quantity) } else { Err(QuantityError::NotFinite { text: text.to_string() }) }
}

impl Quantity {
    /// This quantity as a number in `unit`; `None` where it is one of something else. `[any]`
    pub fn in_unit(self, unit: Unit) -> Option<f32> {
        match (self, unit) {
            (_, Unit::Choice) => None,
            (Quantity::Bare(value), _) => Some(value),
            (Quantity::Hertz(value), Unit::Hertz) => Some(value),
            (Quantity::Milliseconds(value), Unit::Milliseconds) => Some(value),
            (Quantity::Decibels(value), Unit::Gain) => Some(decibels_gain(value)),
            (Quantity::Octaves(value), Unit::Cents) => Some(value * 1_200.0),
            _ => None,
        }
    }
}

/// Linear gain of a level in dB: −6 dB is 0.501. `[any]`
pub fn decibels_gain(decibels: f32) -> f32 {
    segue_dsp::math::decibels_gain(decibels)
}

/// How many bytes at the front of `text` look like a number: sign, digits, point, exponent.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits =
        |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count() + from;
    let mut end = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    end = digits(end);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    end
}

/// MIDI number of a note name: C4 is 60. Letters are capitals, so that no id is ever a note.
fn note_number(text: &str) -> Option<i32> {
    let mut rest = text.chars();
    let step = match rest.next()? {
        'C' => 0,
        'D' => 2,
        'E' => 4,
        'F' => 5,
        'G' => 7,
        'A' => 9,
        'B' => 11,
        _ => return None,
    };
    let tail = rest.as_str();
    let (shift, octave) = match tail.chars().next()? {
        '#' => (1, &tail[1..]),
        'b' => (-1, &tail[1..]),
        _ => (0, tail),
    };
    // `parse` alone would take "+4"; notes are written plainly.
    let plain = octave.trim_start_matches('-');
    if plain.is_empty() || plain.len() > 2 || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let octave: i32 = octave.parse().ok()?;
    Some((octave + 1) * 12 + step + shift)
}

/// Frequency of a MIDI note number, equal temperament, A4 = 440 Hz.
fn note_hertz(midi: i32) -> f32 {
    segue_dsp::math::note_hertz(midi)
}

#[cfg(test)]
mod tests {
    use super::{Quantity, QuantityError, Unit, parse, read};

    #[test]
    fn a_bare_number_is_in_the_unit_that_is_wanted() {
        for unit in [Unit::Hertz, Unit::Milliseconds, Unit::Gain, Unit::Cents, Unit::Number] {
            assert_eq!(parse(" 2.5 ", unit), Ok(2.5));
            assert_eq!(parse("-1e-2", unit), Ok(-0.01));
        }
    }

    #[test]
    fn units_are_converted_to_the_catalogs() {
        assert_eq!(parse("1.2kHz", Unit::Hertz), Ok(1_200.0));
        assert_eq!(parse("1.5s", Unit::Milliseconds), Ok(1_500.0));
        assert_eq!(parse("3st", Unit::Cents), Ok(300.0));
        assert_eq!(parse("1oct", Unit::Cents), Ok(1_200.0));
        let six = parse("-6dB", Unit::Gain).unwrap();
        assert!((six - 0.501_187).abs() < 1e-6, "{six}");
        assert_eq!(parse("0dB", Unit::Gain), Ok(1.0));
    }

    #[test]
    fn notes_are_frequencies_with_c4_at_60() {
        assert_eq!(parse("A4", Unit::Hertz), Ok(440.0));
        for (note, hertz) in [("C4", 261.625_6), ("F1", 43.653_53), ("Eb2", 77.781_75)] {
            let heard = parse(note, Unit::Hertz).unwrap();
            assert!((heard / hertz - 1.0).abs() < 1e-6, "{note} is {heard}");
        }
        assert_eq!(parse("C#3", Unit::Hertz), parse("Db3", Unit::Hertz));
    }

    #[test]
    fn an_interval_is_not_a_frequency() {
        assert_eq!(read("14ct"), Ok(Quantity::Octaves(14.0 / 1_200.0)));
        assert!(matches!(parse("3st", Unit::Hertz), Err(QuantityError::WrongUnit { .. })));
        assert!(matches!(parse("5ms", Unit::Hertz), Err(QuantityError::WrongUnit { .. })));
    }

    #[test]
    fn what_is_not_a_quantity_is_refused_by_kind() {
        for nonsense in ["", "Hz", "H4", "A", "C#", "--1", ".", "e5", "nan", "inf", "C+4", "A999"] {
            let refused = parse(nonsense, Unit::Hertz);
            assert!(
                matches!(refused, Err(QuantityError::NotANumber { .. })),
                "{nonsense:?}: {refused:?}"
            );
        }
        assert!(matches!(read("5mm"), Err(QuantityError::UnknownUnit { .. })));
        assert!(matches!(read("1e999"), Err(QuantityError::NotFinite { .. })));
        assert!(matches!(read("1/8t"), Err(QuantityError::NotBuilt { .. })));
        assert!(matches!(read("2bar"), Err(QuantityError::NotBuilt { .. })));
    }
}
