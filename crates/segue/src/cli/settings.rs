//! What `run` was asked for, resolved: option before environment before config file.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use segue_rack::Setup;
use serde::{Deserialize, Serialize};

use super::RunArgs;
use super::config::Config;
use super::device::Device;
use super::endpoint::Endpoint;
use super::resume::Resume;
use crate::exit::{Exit, Failure};

/// Frames a second where no device decides.
pub(crate) const RATE: u32 = 48_000;
/// Bytes of the arena when nothing else is asked for.
pub(crate) const STATE_BYTES: u64 = 1 << 20;
/// Bytes of journals kept in the show folder.
const JOURNAL_KEEP_BYTES: u64 = 1 << 30;

/// Form of the log on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Frames a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rate {
    /// The device's; without one [`RATE`].
    Auto,
    /// So many.
    Hz(u32),
}

impl Rate {
    /// The rate where there is no device to ask.
    pub(crate) const fn without_device(self) -> u32 {
        match self {
            Self::Auto => RATE,
            Self::Hz(rate) => rate,
        }
    }
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
    /// What drives the engine.
    pub(crate) device: Device,
    /// No other device will do.
    pub(crate) strict_device: bool,
    /// Frames a second; none: the device's, else 48000.
    pub(crate) rate_asked: Option<u32>,
    /// Frames a second; what was found once a device is open.
    pub(crate) rate: u32,
    /// Frames a device is wished to ask for at once; none: as it likes.
    pub(crate) period: Option<u32>,
    /// Samples a frame; none: the show's that is gone on with, else 2.
    pub(crate) channels_asked: Option<u16>,
    /// Samples a frame.
    pub(crate) channels: u16,
    /// Blocks beyond one device period; none: as priority allows.
    pub(crate) lead: Option<u32>,
    /// Hot standbys.
    pub(crate) standbys: u8,
    /// Bytes of the arena; none: the show's that is gone on with, else [`STATE_BYTES`].
    pub(crate) state_asked: Option<u64>,
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
    /// Whether a show is gone on with, and which.
    pub(crate) resume: Resume,
    /// Ends after this long.
    pub(crate) run_for: Option<Duration>,
    /// Form of the log.
    pub(crate) log: LogFormat,
}

impl Settings {
    /// What plans are compiled for.
    pub(crate) fn setup(&self) -> Setup {
        Setup {
            rate: self.rate,
            channels: self.channels,
            state_bytes: usize::try_from(self.state_bytes).unwrap_or(usize::MAX),
        }
    }

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
        let device = args.device.clone().or(file.device).unwrap_or(Device::Auto).available()?;
        let rate_asked = match args.rate.or(file.rate) {
            Some(Rate::Hz(rate)) => Some(rate),
            Some(Rate::Auto) | None => None,
        };
        let osc = args.osc.clone().or(file.osc).unwrap_or_default();
        let resume = if args.resume || file.resume { Resume::Asked } else { Resume::No };
        if resume == Resume::Asked && journal == JournalChoice::Off {
            let text = "--resume goes on with a journal in a further one: it cannot be had with \
                        --no-journal";
            return Err(Failure::new(Exit::Usage, text));
        }
        if args.patch.as_ref().is_some_and(|path| path.as_os_str() == "-") {
            let text = "`segue run` plays a file: name one, not -; what comes over standard input \
                        can be checked";
            return Err(Failure::new(Exit::Usage, text));
        }
        let channels_asked = args.channels.or(file.channels);
        let state_asked = args.state.or(file.state);
        Ok(Self {
            patch: args.patch.clone(),
            device,
            strict_device: args.strict_device || file.strict_device,
            rate_asked,
            rate: rate_asked.unwrap_or(RATE),
            period: args.period.or(file.period),
            channels_asked,
            channels: channels_asked.unwrap_or(2),
            lead: match args.lead.or(file.lead) {
                Some(Lead::Blocks(blocks)) => Some(blocks),
                Some(Lead::Auto) | None => None,
            },
            standbys: args.standbys.or(file.standbys).unwrap_or(1),
            state_asked,
            state_bytes: state_bytes(state_asked)?,
            osc: osc.0,
            show: pick(&args.show, &file.show).map_or_else(default_show, Ok)?,
            record: pick(&args.record, &file.record),
            journal,
            journal_keep: args.journal_keep.or(file.journal_keep).unwrap_or(JOURNAL_KEEP_BYTES),
            resume,
            run_for: args.run_for.or(file.run_for),
            log: args.log.or(file.log).unwrap_or_default(),
        })
    }
}

/// Rates that filters and files can live with, in frames a second.
pub(crate) const RATES: RangeInclusive<u32> = 8_000..=192_000;

/// One of [`RATES`], or the device's.
pub(crate) fn parse_rate(text: &str) -> Result<Rate, String> {
    match text.parse() {
        _ if text == "auto" => Ok(Rate::Auto),
        Ok(rate) if RATES.contains(&rate) => Ok(Rate::Hz(rate)),
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

/// As many standbys as there can be.
pub(crate) fn parse_standbys(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(standbys @ 0..=7) => Ok(standbys),
        _ => Err(format!("'{text}' is no number of standbys; write 0 to 7")),
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
    use super::{Config, Device, JournalChoice, Rate, RunArgs, Settings};

    #[test]
    fn options_go_before_the_config_file_and_that_before_defaults() {
        let config =
            Config::parse("c.toml", "rate = 44100\nchannels = 1\nshow = \"/s\"\n").unwrap();
        let args = RunArgs { rate: Some(Rate::Hz(96_000)), ..RunArgs::default() };
        let settings = Settings::resolve(&args, &config).unwrap();
        assert_eq!((settings.rate, settings.channels, settings.standbys), (96_000, 1, 1));
        assert_eq!(settings.show, std::path::Path::new("/s"));
        assert_eq!(settings.journal, JournalChoice::Default);
        assert_eq!(settings.device, Device::Auto);
    }
}
