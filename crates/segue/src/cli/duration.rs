//! Durations and sizes as they stand on a command line: `90`, `90s`, `10m`, `250ms`; `1MiB`.

use std::time::Duration;

/// Why a text is no duration or size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QuantityError {
    /// No number at its beginning.
    #[error("'{0}' does not begin with a number")]
    Number(String),
    /// A unit that is not known here.
    #[error("'{unit}' is no unit of {what}; use {known}")]
    Unit {
        /// What stood there.
        unit: String,
        /// What was wanted.
        what: &'static str,
        /// The units there are.
        known: &'static str,
    },
    /// Negative, or beyond what can be counted.
    #[error("'{0}' is outside what can be counted")]
    Range(String),
}

/// A duration; a bare number is in seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, QuantityError> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "" | "s" => number,
        "ms" => number / 1000.0,
        "us" => number / 1_000_000.0,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        unit => {
            let known = "us, ms, s, m or h";
            return Err(QuantityError::Unit { unit: unit.to_owned(), what: "time", known });
        }
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| QuantityError::Range(text.to_owned()))
}

/// A number of bytes; a bare number is in bytes.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, QuantityError> {
    let (number, unit) = split(text)?;
    let unit_bytes: f64 = match unit {
        "" | "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" | "k" | "K" => 1024.0,
        "MiB" | "M" => 1024.0 * 1024.0,
        "GiB" | "G" => 1024.0 * 1024.0 * 1024.0,
        unit => {
            let known = "KiB, MiB or GiB";
            return Err(QuantityError::Unit { unit: unit.to_owned(), what: "size", known });
        }
    };
    let bytes = number * unit_bytes;
    if (0.0..=1e15).contains(&bytes) {
        Ok(bytes as u64)
    } else {
        Err(QuantityError::Range(text.to_owned()))
    }
}

fn split(text: &str) -> Result<(f64, &str), QuantityError> {
    let text = text.trim();
    let end = text
        .find(|letter: char| !(letter.is_ascii_digit() || "+-.".contains(letter)))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = number.parse().map_err(|_| QuantityError::Number(text.to_owned()))?;
    Ok((number, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse, parse_bytes};

    #[test]
    fn durations_are_read_in_their_unit() {
        for (text, ms) in
            [("90", 90_000), ("90s", 90_000), ("10m", 600_000), ("250ms", 250), ("1.5", 1500)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "-1", "10x", "1e9", "1.2.3"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_in_their_unit() {
        for (text, bytes) in [("1MiB", 1 << 20), ("64 KiB", 1 << 16), ("1GB", 1_000_000_000)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        assert!(parse_bytes("1 MiBs").is_err() && parse_bytes("-1").is_err());
    }
}
