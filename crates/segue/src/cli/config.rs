//! The config file: the options of `run` by their long names, in TOML.

use std::path::{Path, PathBuf};

use super::device::{Device, parse_period};
use super::settings::{parse_lead, parse_rate, parse_standbys};
use super::{RunArgs, duration};
use crate::exit::{Exit, Failure};

/// Keys of the file, each the long name of an option of `run`.
pub(crate) const KEYS: [&str; 17] = [
    "period",
    "device",
    "strict-device",
    "rate",
    "lead",
    "standbys",
    "channels",
    "osc",
    "show",
    "state",
    "record",
    "journal",
    "no-journal",
    "journal-keep",
    "resume",
    "for",
    "log",
];

/// A config file as read; empty where there is none.
#[derive(Debug, Default)]
pub(crate) struct Config {
    name: String,
    table: toml::Table,
}

impl Config {
    /// The file asked for, else the first of the usual places that has one.
    pub(crate) fn load(asked: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = asked {
            return Self::read(path)?.ok_or_else(|| {
                let text = format!("no config file {}", path.display());
                Failure::new(Exit::Config, text)
            });
        }
        for path in usual_places() {
            if let Some(config) = Self::read(&path)? {
                return Ok(config);
            }
        }
        Ok(Self::default())
    }

    fn read(path: &Path) -> Result<Option<Self>, Failure> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&path.display().to_string(), &text).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let text = format!("cannot read the config file {}: {error}", path.display());
                Err(Failure::new(Exit::Config, text))
            }
        }
    }

    /// The config in `text`, called `name` in errors.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Failure> {
        let wrong = |text: String| Failure::new(Exit::Config, format!("{name}: {text}"));
        let table: toml::Table = text.parse().map_err(|error| wrong(format!("{error}")))?;
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let meant = segue_rack::nearest(key, KEYS);
            let hint = meant.map(|meant| format!("; did you mean '{meant}'?")).unwrap_or_default();
            return Err(wrong(format!("no option '{key}'{hint}")));
        }
        Ok(Self { name: name.to_owned(), table })
    }

    /// What the file says, as if it had been asked for on the command line.
    pub(crate) fn run_args(&self) -> Result<RunArgs, Failure> {
        Ok(RunArgs {
            patch: None,
            device: self.read_as("device", str::parse::<Device>)?,
            period: self.read_as("period", parse_period)?,
            strict_device: self.flag("strict-device")?,
            rate: self.read_as("rate", parse_rate)?,
            lead: self.read_as("lead", parse_lead)?,
            standbys: self.read_as("standbys", parse_standbys)?,
            channels: self.read_as("channels", |text| match text.parse() {
                Ok(channels @ 1..=8) => Ok(channels),
                _ => Err("1 to 8 channels"),
            })?,
            osc: self.read_as("osc", str::parse)?,
            show: self.path("show")?,
            state: self.read_as("state", duration::parse_bytes)?,
            record: self.path("record")?,
            journal: self.path("journal")?,
            no_journal: self.flag("no-journal")?,
            journal_keep: self.read_as("journal-keep", duration::parse_bytes)?,
            resume: self.flag("resume")?,
            run_for: self.read_as("for", duration::parse)?,
            log: self.read_as("log", |text| {
                <super::LogFormat as clap::ValueEnum>::from_str(text, false)
            })?,
        })
    }

    fn path(&self, key: &str) -> Result<Option<PathBuf>, Failure> {
        self.read_as(key, |text| Ok::<_, String>(PathBuf::from(text)))
    }

    fn flag(&self, key: &str) -> Result<bool, Failure> {
        Ok(self.read_as(key, str::parse)?.unwrap_or(false))
    }

    fn read_as<T, E: std::fmt::Display>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Failure> {
        let Some(value) = self.table.get(key) else {
            return Ok(None);
        };
        let text = match value {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let wrong = |error| Failure::new(Exit::Config, format!("{}: {key}: {error}", self.name));
        parse(&text).map(Some).map_err(wrong)
    }
}

fn usual_places() -> Vec<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    let own = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")));
    let own = own.map(|folder| folder.join("segue/config.toml"));
    own.into_iter().chain([PathBuf::from("/etc/segue/config.toml")]).collect()
}

#[cfg(test)]
mod tests {
    use super::{Config, Exit};

    #[test]
    fn a_mistyped_key_or_value_is_named() {
        let error = Config::parse("c.toml", "chanels = 2").unwrap_err();
        assert_eq!(error.exit, Exit::Config);
        assert_eq!(error.text, "c.toml: no option 'chanels'; did you mean 'channels'?");
        let config = Config::parse("c.toml", "rate = 5").unwrap();
        assert!(config.run_args().unwrap_err().text.starts_with("c.toml: rate: '5' is no rate"));
        assert!(Config::parse("c.toml", "rate = ").is_err());
    }
}
