//! Options of `listen`, and how long it listens: a time, or bars at a tempo.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::EngineArgs;
use super::duration::{self, QuantityError};

/// Quarter notes in a bar.
const BEATS_A_BAR: f64 = 4.0;

/// Options of `listen`.
#[derive(Debug, Args)]
pub(crate) struct ListenArgs {
    /// A WAV file; - is standard input. Without it what a running engine plays
    #[arg(value_name = "WAV")]
    pub(crate) file: Option<PathBuf>,
    /// Hears one module of a running engine, before the master: ID, or ID.OUTLET; ID.PART
    /// for a part of an instrument
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    pub(crate) from: Option<String>,
    /// How long: 8s, or 4bar; of a file with --tempo [default: 8s, or the whole file]
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) length: Option<Length>,
    /// Quarter notes a minute, for bars [default: the tempo of the engine's patch]
    #[arg(long, value_name = "BPM", value_parser = parse_tempo)]
    pub(crate) tempo: Option<f64>,
    /// Where.
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Reports as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A time, or so many bars of four quarter notes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Length {
    /// A time.
    Time(Duration),
    /// Bars.
    Bars(f64),
}

/// Bars last as long as the tempo says.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("how long {0} bars are depends on a tempo, which is not known here")]
pub(crate) struct NoTempo(f64);

impl Length {
    /// As a time, at a tempo in quarter notes a minute.
    pub(crate) fn time(self, tempo: Option<f64>) -> Result<Duration, NoTempo> {
        match (self, tempo) {
            (Self::Time(time), _) => Ok(time),
            (Self::Bars(bars), None) => Err(NoTempo(bars)),
            (Self::Bars(bars), Some(tempo)) => {
                Ok(Duration::from_secs_f64(bars * BEATS_A_BAR * 60.0 / tempo))
            }
        }
    }
}

impl FromStr for Length {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let Some(bars) = text.trim().strip_suffix("bar") else {
            let time = duration::parse(text)?;
            return match time.is_zero() {
                true => Err(QuantityError::Range(text.to_owned())),
                false => Ok(Self::Time(time)),
            };
        };
        let bars: f64 = bars.trim().parse().map_err(|_| QuantityError::Number(text.to_owned()))?;
        match bars > 0.0 && bars <= 10_000.0 {
            true => Ok(Self::Bars(bars)),
            false => Err(QuantityError::Range(text.to_owned())),
        }
    }
}

fn parse_tempo(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(bpm) if (1.0..=1000.0).contains(&bpm) => Ok(bpm),
        _ => Err("a tempo is a number of quarter notes a minute, 1 to 1000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Length;

    #[test]
    fn bars_are_as_long_as_the_tempo_says() {
        let time = |text: &str, tempo| text.parse::<Length>().unwrap().time(tempo);
        assert_eq!(time("8s", None), Ok(Duration::from_secs(8)));
        assert_eq!(time("250ms", Some(90.0)), Ok(Duration::from_millis(250)));
        assert_eq!(time("4bar", Some(120.0)), Ok(Duration::from_secs(8)));
        assert_eq!(time("0.5 bar", Some(60.0)), Ok(Duration::from_secs(2)));
        let refused = time("4bar", None).unwrap_err().to_string();
        assert!(refused.contains("4 bars") && refused.contains("tempo"), "{refused}");
        for wrong in ["bar", "-1bar", "0bar", "1e9bar", "nanbar", "0", "-3s", "8x"] {
            assert!(wrong.parse::<Length>().is_err(), "{wrong}");
        }
    }
}
