//! What drives the engine, as it is asked for: `KIND[:NAME]`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};

/// A kind of sound device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A JACK server, or PipeWire under its interface.
    Jack,
    /// PipeWire in its own tongue.
    PipeWire,
    /// A PulseAudio server, or PipeWire in its place.
    Pulse,
    /// The sound system of the kernel.
    Alsa,
}

impl Kind {
    /// All of them, in the order in which `auto` tries them.
    pub(crate) const ALL: [Self; 4] = [Self::Jack, Self::PipeWire, Self::Pulse, Self::Alsa];

    /// As it is written.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Jack => "jack",
            Self::PipeWire => "pipewire",
            Self::Pulse => "pulse",
            Self::Alsa => "alsa",
        }
    }

    /// Whether this build has it; the others need libraries to be built.
    pub(crate) const fn is_built_in(self) -> bool {
        match self {
            Self::Jack | Self::Pulse => true,
            Self::PipeWire => cfg!(feature = "pipewire"),
            Self::Alsa => cfg!(feature = "alsa"),
        }
    }
}

/// What drives the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Device {
    /// The best there is; a timer while there is none.
    Auto,
    /// A timer, and nothing is heard; `period` frames at a time.
    Null {
        /// 1 to 4096 frames.
        period: Option<u32>,
    },
    /// No clock: each block is asked for when the last was delivered.
    Freewheel {
        /// At most so many times real time.
        speed: Option<f64>,
    },
    /// A sound device.
    Sound {
        /// Of this kind.
        kind: Kind,
        /// Of this name; none: the kind's own choice.
        name: Option<String>,
    },
}

impl Device {
    /// Whether there is no clock.
    pub(crate) const fn is_freewheel(&self) -> bool {
        matches!(self, Self::Freewheel { .. })
    }

    /// The device, or that this build cannot have it.
    pub(crate) fn available(self) -> Result<Self, Failure> {
        match &self {
            Self::Sound { kind, .. } if !kind.is_built_in() => {
                let kind = kind.as_str();
                let text = format!(
                    "{kind} is not built into this program: `cargo build --release --features \
                     {kind}` builds it in where its development files are installed"
                );
                Err(Failure::new(Exit::Unavailable, text))
            }
            _ => Ok(self),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, detail) = match text.split_once(':') {
            Some((word, detail)) => (word, Some(detail)),
            None => (text, None),
        };
        if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.as_str() == word) {
            let name = detail.map(str::to_owned);
            return match name.as_deref() {
                Some("") => Err(format!("no name after '{word}:'; leave the colon out")),
                _ => Ok(Self::Sound { kind, name }),
            };
        }
        match (word, detail) {
            ("auto", None) => Ok(Self::Auto),
            ("null", None) => Ok(Self::Null { period: None }),
            ("null", Some(frames)) => match frames.parse() {
                Ok(period) if (1..=4096).contains(&period) => {
                    Ok(Self::Null { period: Some(period) })
                }
                _ => Err(format!("'{frames}' is no period; write null:FRAMES, 1 to 4096")),
            },
            ("freewheel", None) => Ok(Self::Freewheel { speed: None }),
            ("freewheel", Some(speed)) => match speed.trim_end_matches('x').parse() {
                Ok(speed) if (0.01..=100_000.0).contains(&speed) => {
                    Ok(Self::Freewheel { speed: Some(speed) })
                }
                _ => Err(format!("'{speed}' is no speed; write freewheel:20x")),
            },
            _ => Err(format!(
                "no device '{text}'; there are auto, jack, pulse, alsa, pipewire, null and \
                 freewheel"
            )),
        }
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Null { period: None } => f.write_str("null"),
            Self::Null { period: Some(period) } => write!(f, "null:{period}"),
            Self::Freewheel { speed: None } => f.write_str("freewheel"),
            Self::Freewheel { speed: Some(speed) } => write!(f, "freewheel:{speed}x"),
            Self::Sound { kind, name: None } => f.write_str(kind.as_str()),
            Self::Sound { kind, name: Some(name) } => write!(f, "{}:{name}", kind.as_str()),
        }
    }
}

/// A period a device may be wished for.
pub(crate) fn parse_period(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(period @ 16..=4096) => Ok(period),
        _ => Err(format!("'{text}' is no period; write 16 to 4096 frames")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Device, Kind};
    use crate::exit::Exit;

    #[test]
    fn devices_are_read_or_refused_with_a_word() {
        assert_eq!("null:1".parse(), Ok(Device::Null { period: Some(1) }));
        assert_eq!("freewheel:20x".parse(), Ok(Device::Freewheel { speed: Some(20.0) }));
        let name = Some("a:b".to_owned());
        assert_eq!("jack:a:b".parse(), Ok(Device::Sound { kind: Kind::Jack, name }));
        let devices = ["auto", "null", "null:64", "freewheel", "freewheel:0.5x", "pulse", "alsa:x"];
        for device in devices {
            assert_eq!(device.parse::<Device>().unwrap().to_string(), device);
        }
        for wrong in ["null:0", "null:5000", "freewheel:x", "cd", "auto:1", "jack:"] {
            assert!(wrong.parse::<Device>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_kind_that_is_not_built_in_is_refused_with_the_way_to_have_it() {
        let (alsa, built) = ("alsa".parse::<Device>().unwrap(), Kind::Alsa.is_built_in());
        match alsa.available() {
            Err(failure) => {
                assert_eq!((failure.exit, built), (Exit::Unavailable, false));
                assert!(failure.to_string().contains("--features alsa"));
            }
            Ok(_) => assert!(built),
        }
    }
}
