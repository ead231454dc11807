//! What `run` was asked for, resolved: option before environment before config file.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::RunArgs;
use super::config::Config;
use super::endpoint::Endpoint;
use crate::exit::{Exit, Failure};

/// Bytes of the arena when nothing else is asked for.
pub(crate) const STATE_BYTES: u64 = 1 << 20;
/// Bytes of journals kept in the show folder.
const JOURNAL_KEEP_BYTES: u64 = 1 << 30;

/// What drives the engine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Device {
    /// The best there is; in this version the timer, and it says so.
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
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, detail) = match text.split_once(':') {
            Some((name, detail)) => (name, Some(detail)),
            None => (text, None),
        };
        match (name, detail) {
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
            _ => Err(format!("no device '{text}'; there are auto, null and freewheel")),
        }
    }
}

/// What was asked for as a device: one that this version has, or one that exists elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum DeviceAsked {
    /// Here.
    Known(Device),
    /// A kind of device that is not built in.
    Missing(String),
}

impl FromStr for DeviceAsked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split(':').next() {
            Some("jack" | "pulse" | "alsa") => Ok(Self::Missing(text.to_owned())),
            _ => text.parse().map(Self::Known),
        }
    }
}

impl DeviceAsked {
    /// The device, or that it cannot be had.
    pub(crate) fn device(&self) -> Result<Device, Failure> {
        match self {
            Self::Known(device) => Ok(*device),
            Self::Missing(name) => {
                let text = format!(
                    "{name} is not built into this version; --device null keeps time by a timer, \
                     freewheel does without a clock"
                );
                Err(Failure::new(Exit::Unavailable, text))
            }
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
        }
    }
}

/// Form of the log on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Blocks beyond one device period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lead {
    /// 4 where real-time priority is granted, else 8.
    Auto,
    /// So many.
    Blocks(u32),
}

/// Whether and where a journal is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum JournalChoice {
    /// A new file in the show folder.
    Default,
    /// This file.
    Named(PathBuf),
    /// Nowhere.
    Off,
}

/// Everything `run` was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The patch; none is an empty rack.
    pub(crate) patch: Option<PathBuf>,
    /// What drives the engine; never [`Device::Auto`].
    pub(crate) device: Device,
    /// No other device will do.
    pub(crate) strict_device: bool,
    /// Frames a second.
    pub(crate) rate: u32,
    /// Samples a frame.
    pub(crate) channels: u16,
    /// Blocks beyond one device period; none: as priority allows.
    pub(crate) lead: Option<u32>,
    /// Hot standbys.
    pub(crate) standbys: u8,
    /// Bytes of the arena.
    pub(crate) state_bytes: u64,
    /// Where to listen.
    pub(crate) osc: Vec<Endpoint>,
    /// Folder for recordings and journals.
    pub(crate) show: PathBuf,
    /// A recording from the first block.
    pub(crate) record: Option<PathBuf>,
    /// The journal.
    pub(crate) journal: JournalChoice,
    /// Bytes of journals kept in the show folder.
    pub(crate) journal_keep: u64,
    /// Ends after this long.
    pub(crate) run_for: Option<Duration>,
    /// Form of the log.
    pub(crate) log: LogFormat,
}

impl Settings {
    /// The settings asked for by `args`, completed from the config file and the defaults.
    pub(crate) fn resolve(args: &RunArgs, config: &Config) -> Result<Self, Failure> {
        let file = config.run_args()?;
        let pick = |own: &Option<PathBuf>, other: &Option<PathBuf>| own.clone().or(other.clone());
        let journal = match (pick(&args.journal, &file.journal), args.no_journal) {
            (_, true) => JournalChoice::Off,
            (None, false) if file.no_journal => JournalChoice::Off,
            (Some(path), false) => JournalChoice::Named(path),
            (None, false) => JournalChoice::Default,
        };
        let asked = args.device.as_ref().or(file.device.as_ref());
        let device = match asked.map_or(Ok(Device::Auto), DeviceAsked::device)? {
            Device::Auto if args.strict_device || file.strict_device => {
                let text = "no sound device is built into this version; --device null keeps time \
                            by a timer, without --strict-device auto does the same";
                return Err(Failure::new(Exit::Unavailable, text));
            }
            Device::Auto => Device::Null { period: None },
            device => device,
        };
        let osc = args.osc.clone().or(file.osc).unwrap_or_default();
        Ok(Self {
            patch: args.patch.clone(),
            device,
            strict_device: args.strict_device || file.strict_device,
            rate: args.rate.or(file.rate).unwrap_or(48_000),
            channels: args.channels.or(file.channels).unwrap_or(2),
            lead: match args.lead.or(file.lead) {
                Some(Lead::Blocks(blocks)) => Some(blocks),
                Some(Lead::Auto) | None => None,
            },
            standbys: args.standbys.or(file.standbys).unwrap_or(1),
            state_bytes: state_bytes(args.state.or(file.state))?,
            osc: osc.0,
            show: pick(&args.show, &file.show).map_or_else(default_show, Ok)?,
            record: pick(&args.record, &file.record),
            journal,
            journal_keep: args.journal_keep.or(file.journal_keep).unwrap_or(JOURNAL_KEEP_BYTES),
            run_for: args.run_for.or(file.run_for),
            log: args.log.or(file.log).unwrap_or_default(),
        })
    }
}

/// A rate that filters and files can live with.
pub(crate) fn parse_rate(text: &str) -> Result<u32, String> {
    if text == "auto" {
        return Ok(48_000);
    }
    match text.parse() {
        Ok(rate) if (8_000..=192_000).contains(&rate) => Ok(rate),
        _ => Err(format!("'{text}' is no rate; write 8000 to 192000, or auto")),
    }
}

/// A lead in blocks.
pub(crate) fn parse_lead(text: &str) -> Result<Lead, String> {
    match text.parse() {
        _ if text == "auto" => Ok(Lead::Auto),
        Ok(blocks) if (1..=64).contains(&blocks) => Ok(Lead::Blocks(blocks)),
        _ => Err(format!("'{text}' is no lead; write 1 to 64 blocks, or auto")),
    }
}

/// As many standbys as this version can have.
pub(crate) fn parse_standbys(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(standbys @ 0..=1) => Ok(standbys),
        Ok(2..=7) => Err("this version has at most one standby; write 0 or 1".to_owned()),
        _ => Err(format!("'{text}' is no number of standbys; write 0 or 1")),
    }
}

/// Room for the state, bounded and in whole words.
pub(crate) fn state_bytes(asked: Option<u64>) -> Result<u64, Failure> {
    let bytes = asked.unwrap_or(STATE_BYTES);
    if (64 << 10..=1 << 30).contains(&bytes) {
        return Ok(bytes.next_multiple_of(4096));
    }
    Err(Failure::new(Exit::Usage, "--state takes 64KiB to 1GiB"))
}

fn default_show() -> Result<PathBuf, Failure> {
    let folder = |name: &str| std::env::var_os(name).filter(|it| !it.is_empty());
    if let Some(state) = folder("STATE_DIRECTORY") {
        // systemd gives several with colons between; the first is ours.
        let state = state.to_string_lossy();
        return Ok(PathBuf::from(state.split(':').next().unwrap_or_default()));
    }
    if let Some(data) = folder("XDG_DATA_HOME") {
        return Ok(PathBuf::from(data).join("segue"));
    }
    match folder("HOME") {
        Some(home) => Ok(PathBuf::from(home).join(".local/share/segue")),
        None => {
            let text = "no show folder: neither STATE_DIRECTORY, XDG_DATA_HOME nor HOME is set; \
                        use --show DIR";
            Err(Failure::new(Exit::Usage, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, Device, DeviceAsked, Exit, JournalChoice, RunArgs, Settings};

    #[test]
    fn options_go_before_the_config_file_and_that_before_defaults() {
        let config =
            Config::parse("c.toml", "rate = 44100\nchannels = 1\nshow = \"/s\"\n").unwrap();
        let args = RunArgs { rate: Some(96_000), ..RunArgs::default() };
        let settings = Settings::resolve(&args, &config).unwrap();
        assert_eq!((settings.rate, settings.channels, settings.standbys), (96_000, 1, 1));
        assert_eq!(settings.show, std::path::Path::new("/s"));
        assert_eq!(settings.journal, JournalChoice::Default);
    }

    #[test]
    fn devices_are_read_or_refused_with_a_word() {
        assert_eq!("null:1".parse(), Ok(Device::Null { period: Some(1) }));
        assert_eq!("freewheel:20x".parse(), Ok(Device::Freewheel { speed: Some(20.0) }));
        for device in ["auto", "null", "null:64", "freewheel", "freewheel:0.5x"] {
            assert_eq!(device.parse::<Device>().unwrap().to_string(), device);
        }
        assert_eq!("jack:a".parse::<DeviceAsked>(), Ok(DeviceAsked::Missing("jack:a".to_owned())));
        for wrong in ["null:0", "null:5000", "freewheel:x", "cd", "auto:1"] {
            assert!(wrong.parse::<Device>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_device_that_cannot_be_had_ends_with_69() {
        let config = Config::parse("c.toml", "show = \"/s\"").unwrap();
        let strict = RunArgs { strict_device: true, ..RunArgs::default() };
        assert_eq!(Settings::resolve(&strict, &config).unwrap_err().exit, Exit::Unavailable);
        let jack = RunArgs { device: Some("jack".parse().unwrap()), ..RunArgs::default() };
        assert_eq!(Settings::resolve(&jack, &config).unwrap_err().exit, Exit::Unavailable);
    }
}
