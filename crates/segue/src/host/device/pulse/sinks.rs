//! What a PulseAudio server says of its sinks.

use pulseaudio::protocol::{Command, GetSinkInfo, PulseError};

use super::tags::{Tags, Value};
use super::talk::{Fault, Talk};
use crate::host::device::backend::{Kind, Listed, SLEEPS, STAND_IN};

/// The state of a sink that sleeps, on the wire.
const SUSPENDED: u32 = 2;

/// What servers call the sink that they make up while there is no other.
const MADE_UP: &[u8] = b"auto_null";

/// Whether a sink of this name is made up by the server, and heard by nobody.
pub(super) fn is_made_up(name: &[u8]) -> bool {
    name == MADE_UP
}

/// A sink, as it is described on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sink<'a> {
    /// By which it is opened.
    pub(super) name: &'a [u8],
    /// By which people know it.
    description: Option<&'a [u8]>,
    /// Samples a frame.
    channels: u8,
    /// Frames a second.
    pub(super) rate: u32,
    /// Muted by somebody.
    pub(super) muted: bool,
    /// Turned down to nothing.
    pub(super) zero: bool,
    /// Asleep.
    pub(super) suspended: bool,
}

impl<'a> Sink<'a> {
    /// Reads one; `None` when it is malformed.
    pub(super) fn read(tags: &mut Tags<'a>) -> Option<Self> {
        // Its index.
        tags.skip(1)?;
        let name = tags.text()?;
        let Value::Text(description) = tags.value()? else { return None };
        let Value::Spec(_, channels, rate) = tags.value()? else { return None };
        // Map, module.
        tags.skip(2)?;
        let (zero, muted) = (tags.zero_volume()?, tags.truth()?);
        // The monitor's index and name, latency, driver, flags.
        tags.skip(5)?;
        tags.skip_properties()?;
        // Configured latency, base volume.
        tags.skip(2)?;
        let suspended = tags.number()? == SUSPENDED;
        // Steps of the volume, card; then the jacks, three values each, and the one in use.
        tags.skip(2)?;
        for _ in 0..tags.number()? {
            tags.skip(3)?;
        }
        tags.skip(1)?;
        Some(Self { name, description, channels, rate, muted, zero, suspended })
    }

    /// By which people know it.
    pub(super) fn description(&self) -> String {
        lossy(self.description.unwrap_or(self.name))
    }

    fn listed(&self, default: &[u8]) -> Listed {
        Listed {
            kind: Kind::Pulse,
            name: lossy(self.name),
            description: self.description(),
            rate: Some(self.rate),
            channels: Some(u16::from(self.channels)),
            is_default: self.name == default,
            remark: self.remark().map(str::to_owned),
        }
    }

    /// Why nothing may be heard from it.
    fn remark(&self) -> Option<&'static str> {
        match self {
            Self { name, .. } if is_made_up(name) => Some(STAND_IN),
            Self { muted: true, .. } => Some("muted"),
            Self { zero: true, .. } => Some("volume zero"),
            // Servers put to sleep what nobody plays on; only a user's doing lasts.
            Self { suspended: true, .. } => Some(SLEEPS),
            _ => None,
        }
    }
}

/// Every sink, the default one marked.
///
/// # Errors
/// What the server says, or does not say.
pub(super) fn list(talk: &mut Talk) -> Result<Vec<Listed>, Fault> {
    let default = talk.ask(&Command::GetServerInfo, |mut tags| {
        // Program, version, user, host, format.
        tags.skip(5)?;
        match tags.value()? {
            Value::Text(name) => Some(name.unwrap_or_default().to_owned()),
            _ => None,
        }
    })?;
    talk.ask(&Command::GetSinkInfoList, |mut tags| {
        let mut listed = vec![];
        while !tags.is_empty() {
            listed.push(Sink::read(&mut tags)?.listed(&default));
        }
        Some(listed)
    })
}

/// What is wanted to be known of the sink of this name, or of the default one; `None` when there
/// is no such sink.
///
/// # Errors
/// What the server says, or does not say.
pub(super) fn find<T>(
    talk: &mut Talk,
    name: Option<&str>,
    wanted: impl Fn(Sink<'_>) -> T,
) -> Result<Option<T>, Fault> {
    let name = name.unwrap_or("@DEFAULT_SINK@");
    let Ok(name) = std::ffi::CString::new(name) else { return Ok(None) };
    let question = Command::GetSinkInfo(GetSinkInfo { index: None, name: Some(name) });
    match talk.ask(&question, |mut tags| Sink::read(&mut tags).map(&wanted)) {
        Ok(found) => Ok(Some(found)),
        Err(Fault::Said(PulseError::NoEntity)) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// A name as people read it.
pub(super) fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use pulseaudio::protocol::{ChannelVolume, SinkInfo, SinkState, TagStructWriter};

    use super::{STAND_IN, Sink};
    use crate::host::device::pulse::VERSION;
    use crate::host::device::pulse::tags::Tags;

    fn written(sinks: &[SinkInfo]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = TagStructWriter::new(&mut bytes, VERSION);
        sinks.iter().for_each(|sink| writer.write(sink).unwrap());
        bytes
    }

    #[test]
    fn sinks_are_read_one_after_the_other_as_another_writer_wrote_them() {
        let awake = SinkInfo { description: Some(c"The desk".into()), ..SinkInfo::new_dummy(4) };
        let asleep = SinkInfo {
            name: c"out".into(),
            state: SinkState::Suspended,
            cvolume: ChannelVolume::muted(2),
            ports: vec![],
            ..SinkInfo::new_dummy(5)
        };
        let bytes = written(&[awake, asleep]);
        let mut tags = Tags::of(&bytes);
        let first = Sink::read(&mut tags).unwrap();
        assert_eq!((first.description(), first.remark()), ("The desk".into(), None));
        let second = Sink::read(&mut tags).unwrap().listed(b"out");
        assert!(tags.is_empty() && second.is_default);
        assert_eq!((second.name.as_str(), second.rate), ("out", Some(48_000)));
        assert_eq!(second.remark.as_deref(), Some("volume zero"));
    }

    #[test]
    fn a_sink_that_a_server_makes_up_is_heard_by_nobody() {
        let remark = |name: &std::ffi::CStr| {
            let bytes = written(&[SinkInfo { name: name.into(), ..SinkInfo::new_dummy(4) }]);
            Sink::read(&mut Tags::of(&bytes)).unwrap().remark()
        };
        assert_eq!(remark(c"auto_null"), Some(STAND_IN));
        assert_eq!(remark(c"auto_nullified"), None);
    }

    #[test]
    fn a_sink_cut_anywhere_is_refused() {
        let bytes = written(&[SinkInfo::new_dummy(4)]);
        for cut in 0..bytes.len() {
            assert_eq!(Sink::read(&mut Tags::of(&bytes[..cut])), None, "cut at {cut}");
        }
    }
}
