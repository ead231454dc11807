//! `segue devices`: what could be played on now, and which of it `auto` takes.
//!
//! Each kind is asked on a thread of its own: a server that hangs is said, not waited for.

use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::DevicesArgs;
use crate::cli::device::Kind;
use crate::cli::output::tell;
use crate::exit::{Exit, Failure};
use crate::host::device::backend::{DeviceError, Listed, backends};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What one kind of device said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// Which.
    pub(crate) kind: Kind,
    /// Its devices, or why there are none.
    pub(crate) devices: Result<Vec<Listed>, Missing>,
}

/// Why a kind has no devices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Missing {
    /// In its own words.
    #[error("{0}")]
    Said(String),
    /// Nobody answers: a server is there and hangs.
    #[error("its server does not answer")]
    Hangs,
}

/// What all kinds of this build say, in the order in which `auto` tries them.
pub(crate) fn ask_all() -> Vec<Said> {
    let asked: Vec<_> = backends()
        .into_iter()
        .map(|backend| {
            let kind = backend.kind();
            let (tell, hear) = channel();
            let started = thread::Builder::new().name("list".into()).spawn(move || {
                // Whoever asked may have gone on already.
                let _ = tell.send(backend.list());
            });
            (kind, hear, started.err())
        })
        .collect();
    let until = Instant::now() + PATIENCE;
    let said = asked.into_iter().map(|(kind, hear, failed)| {
        let left = until.saturating_duration_since(Instant::now());
        let said = |text: String| Err(Missing::Said(text));
        let devices = match (failed, hear.recv_timeout(left)) {
            (Some(error), _) => said(format!("it cannot be asked: {error}")),
            (None, Ok(Err(DeviceError::Silent))) => Err(Missing::Hangs),
            (None, Ok(listed)) => listed.map_err(|error| Missing::Said(why(&error))),
            (None, Err(RecvTimeoutError::Timeout)) => Err(Missing::Hangs),
            (None, Err(RecvTimeoutError::Disconnected)) => said("asking it failed".to_owned()),
        };
        Said { kind, devices }
    });
    said.collect()
}

fn why(error: &DeviceError) -> String {
    match error {
        DeviceError::NoServer(text) | DeviceError::Refused(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What `auto` would take.
pub(crate) fn best(said: &[Said]) -> Option<&Listed> {
    said.iter().find_map(|it| it.devices.as_ref().ok()?.iter().find(|device| device.is_default))
}

/// A device as `--device` takes it.
pub(crate) fn device_word(listed: &Listed) -> String {
    format!("{}:{}", listed.kind.as_str(), listed.name)
}

/// The kinds that this build cannot play on, and how to have them.
pub(crate) fn not_built_in() -> Option<String> {
    let missing: Vec<_> =
        Kind::ALL.iter().filter(|it| !it.is_built_in()).map(|it| it.as_str()).collect();
    if missing.is_empty() {
        return None;
    }
    Some(format!(
        "{} not built in: cargo build --release --features {}",
        if missing.len() == 1 {
            format!("{} is", missing[0])
        } else {
            format!("{} are", missing.join(" and "))
        },
        missing.join(",")
    ))
}

/// Lists them.
pub(crate) fn devices(args: &DevicesArgs) -> Result<ExitCode, Failure> {
    let said = ask_all();
    if args.json {
        let value = as_json(&said);
        tell!("{}", serde_json::to_string_pretty(&value).expect("devices can be written"));
    } else {
        tell!("{}", as_text(&said).trim_end());
    }
    Ok(Exit::Done.into())
}

fn as_json(said: &[Said]) -> Value {
    let listed = said.iter().flat_map(|it| it.devices.iter().flatten());
    let devices: Vec<Value> = listed
        .map(|it| {
            let mut value = json!(it);
            value["device"] = device_word(it).into();
            value
        })
        .collect();
    let kinds: Vec<Value> = Kind::ALL
        .iter()
        .map(|kind| {
            let answer = said.iter().find(|it| it.kind == *kind).map(|it| &it.devices);
            let why = match answer {
                None => Some("not built in".to_owned()),
                Some(Err(why)) => Some(why.to_string()),
                Some(Ok(devices)) => devices.is_empty().then(|| "it has no devices".to_owned()),
            };
            json!({ "kind": kind, "built_in": kind.is_built_in(), "why_not": why })
        })
        .collect();
    json!({
        "schema": 1,
        "auto": best(said).map_or("null".to_owned(), device_word),
        "devices": devices,
        "kinds": kinds,
        "always": ["null", "freewheel"],
    })
}

fn as_text(said: &[Said]) -> String {
    let mut text = String::new();
    let best = best(said);
    for Said { kind, devices } in said {
        match devices {
            Err(why) => text += &format!("{}: {why}\n", kind.as_str()),
            Ok(devices) if devices.is_empty() => {
                text += &format!("{}: its server has no devices\n", kind.as_str());
            }
            Ok(devices) => {
                for device in devices {
                    text += &line(device, best == Some(device));
                }
            }
        }
    }
    text += "null[:FRAMES]: a timer, and nothing is heard\n";
    text += "freewheel[:SPEEDx]: no clock, as fast as it goes\n";
    if let Some(missing) = not_built_in() {
        text += &format!("{missing}\n");
    }
    text += &match best {
        Some(device) => format!("auto takes {}\n", device_word(device)),
        None => "auto finds nothing to play on: it keeps time by a timer, and looks again\n".into(),
    };
    text
}

fn line(device: &Listed, is_best: bool) -> String {
    let mut facts = vec![device.description.clone()];
    facts.extend(device.rate.map(|rate| format!("{rate} Hz")));
    facts.extend(device.channels.map(|channels| format!("{channels} channels")));
    facts.extend(device.is_default.then(|| "the default".to_owned()));
    facts.extend(device.remark.clone());
    let mark = if is_best { "* " } else { "" };
    format!("{mark}{}: {}\n", device_word(device), facts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{Missing, Said, as_json, as_text, best, device_word};
    use crate::cli::device::Kind;
    use crate::host::device::backend::Listed;

    fn listed(kind: Kind, name: &str, is_default: bool) -> Listed {
        Listed {
            kind,
            name: name.to_owned(),
            description: "a sink".to_owned(),
            rate: Some(48_000),
            channels: Some(2),
            is_default,
            remark: None,
        }
    }

    fn said() -> Vec<Said> {
        let sinks = vec![listed(Kind::Pulse, "a", false), listed(Kind::Pulse, "b", true)];
        vec![
            Said { kind: Kind::Jack, devices: Err(Missing::Said("no server runs".to_owned())) },
            Said { kind: Kind::Pulse, devices: Ok(sinks) },
        ]
    }

    #[test]
    fn auto_takes_the_default_of_the_first_kind_that_has_one() {
        let mut said = said();
        assert_eq!(best(&said).map(device_word), Some("pulse:b".to_owned()));
        // Of a server without outputs of the machine, a client that only listens.
        said[0].devices = Ok(vec![listed(Kind::Jack, "recorder", false)]);
        assert_eq!(best(&said).map(device_word), Some("pulse:b".to_owned()));
        said[0].devices = Ok(vec![listed(Kind::Jack, "system", true)]);
        assert_eq!(best(&said).map(device_word), Some("jack:system".to_owned()));
        assert_eq!(best(&said[..0]), None);
    }

    #[test]
    fn a_kind_without_devices_says_why_and_the_best_is_marked() {
        let text = as_text(&said());
        assert!(text.contains("jack: no server runs\n"), "{text}");
        assert!(
            text.contains("\n* pulse:b: a sink, 48000 Hz, 2 channels, the default\n"),
            "{text}"
        );
        assert!(text.ends_with("auto takes pulse:b\n"), "{text}");
        let json = as_json(&said());
        assert_eq!(
            (&json["auto"], &json["devices"][0]["device"]),
            (&"pulse:b".into(), &"pulse:a".into())
        );
        assert_eq!(json["kinds"][0]["why_not"], "no server runs");
    }
}
