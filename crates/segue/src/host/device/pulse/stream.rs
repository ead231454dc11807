//! A stream on a sink: made by question and answer, then left to its player.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use pulseaudio::protocol::{Command, PlaybackStreamParams, PulseError, SampleFormat};
use segue_sys::event::Event;

use super::attributes::{self, PERIODS_HELD};
use super::news::Buffer;
use super::player::{Given, Player};
use super::signs::{Signs, converted};
use super::sinks::{self, lossy};
use super::tags::{Tags, Value};
use super::talk::{Fault, Talk};
use crate::cli::settings::RATES;
use crate::host::device::backend::{DeviceError, Opened, Stream, Wish};
use crate::host::device::line::Caller;

/// Opens a stream on the sink that is wished.
///
/// # Errors
/// As [`crate::host::device::backend::Backend::open`] says.
pub(super) fn open(mut talk: Talk, wish: &Wish, caller: Caller) -> Result<Opened, DeviceError> {
    let known = |sink: sinks::Sink<'_>| (sink.rate, sink.description());
    let Some((sink_rate, description)) = sinks::find(&mut talk, wish.name.as_deref(), known)?
    else {
        return Err(no_sink(&mut talk, wish));
    };
    // It converts what no engine has.
    let rate = wish.rate.unwrap_or(sink_rate.clamp(*RATES.start(), *RATES.end()));
    let params = attributes::stream(wish, rate);
    let made = talk.ask(&Command::CreatePlaybackStream(params.clone()), |tags| made(tags, &params));
    let (given, name) = match made {
        Err(Fault::Said(PulseError::NoEntity)) => return Err(no_sink(&mut talk, wish)),
        made => made?,
    };
    let period = given.period(PERIODS_HELD) as u32;
    let signs = Arc::new(Mutex::new(Signs::new(&name, given.suspended)));
    let closing = Event::new().map_err(|error| DeviceError::Refused(error.to_string()))?;
    let ours = closing.share().map_err(|error| DeviceError::Refused(error.to_string()))?;
    let Talk { socket, inbox, .. } = talk;
    let player = Player::new(socket, inbox, given, caller, ours, signs.clone());
    let thread = thread::Builder::new()
        .name("pulse".into())
        .spawn(move || player.play())
        .map_err(|error| DeviceError::Refused(error.to_string()))?;
    let note = (rate != sink_rate).then(|| converted(rate, sink_rate));
    let stream = Box::new(Playing { closing, thread: Some(thread), signs });
    Ok(Opened { name: lossy(&name), description, rate, period, note, stream })
}

/// Reads the reply to the wish for a stream: what is given, and the name of the sink.
fn made(mut tags: Tags<'_>, asked: &PlaybackStreamParams) -> Option<(Given, Vec<u8>)> {
    let (channel, stream) = (tags.number()?, tags.number()?);
    let wanted_bytes = tags.number()?;
    let buffer = Buffer::read(&mut tags)?;
    let spec = asked.sample_spec;
    let ours = Value::Spec(SampleFormat::Float32Le as u8, spec.channels, spec.sample_rate);
    let same = tags.value()? == ours;
    // The map.
    tags.skip(1)?;
    let sink = tags.number()?;
    let name = tags.text()?.to_owned();
    let suspended = tags.truth()?;
    let frame_bytes = u32::from(spec.channels) * size_of::<f32>() as u32;
    same.then_some(())?;
    let given = Given {
        channel,
        stream,
        sink,
        suspended,
        rate: spec.sample_rate,
        frame_bytes: frame_bytes as usize,
        buffer,
        wanted_bytes,
    };
    Some((given, name))
}

fn no_sink(talk: &mut Talk, wish: &Wish) -> DeviceError {
    let name = wish.name.clone().unwrap_or_else(|| "the default sink".into());
    match sinks::list(talk) {
        Ok(known) => {
            let known = known.into_iter().map(|sink| sink.name).collect();
            DeviceError::NoDevice { name, known }
        }
        Err(fault) => fault.into(),
    }
}

/// A stream that plays.
#[derive(Debug)]
struct Playing {
    closing: Event,
    thread: Option<JoinHandle<()>>,
    signs: Arc<Mutex<Signs>>,
}

impl Stream for Playing {
    fn about(&self) -> Vec<String> {
        // The player only tries the lock and does not allocate: nothing here waits.
        let signs = *self.signs.lock().unwrap_or_else(PoisonError::into_inner);
        signs.words()
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.closing.raise();
        if let Some(thread) = self.thread.take() {
            // A panic of it has ended the process.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pulseaudio::protocol::{
        Command, CreatePlaybackStreamReply, PulseError, SampleFormat, SampleSpec, ServerInfo,
        SinkInfo, stream::BufferAttr,
    };

    use super::open;
    use crate::host::device::backend::{DeviceError, Opened, Wish};
    use crate::host::device::deck::Deck;
    use crate::host::device::line::Line;
    use crate::host::device::pulse::fake::{Client, Fake};
    use crate::host::device::pulse::talk::Talk;

    /// Opens a stream on a server that behaves as `script` says once it has greeted.
    fn opened(
        name: Option<&str>,
        rate: Option<u32>,
        script: impl FnOnce(&mut Client) + Send + 'static,
    ) -> Result<Opened, DeviceError> {
        let fake = Fake::start(|mut client| {
            client.greet();
            script(&mut client);
        });
        let (_line, caller) = Line::new(&Arc::new(Deck::new()), 1, 2);
        let name = name.map(str::to_owned);
        let wish = Wish { name, rate, channels: 2, period: Some(64), is_auto: false };
        let opened = open(Talk::begin(&fake.surroundings())?, &wish, caller);
        fake.join();
        opened
    }

    /// Describes the sink that is asked for and makes a stream of `format` on it.
    fn make(client: &mut Client, format: SampleFormat) {
        let (number, command) = client.hear().unwrap();
        assert!(matches!(command, Command::GetSinkInfo(_)));
        client.reply(number, &SinkInfo { name: c"desk".into(), ..SinkInfo::new_dummy(3) });
        let (number, command) = client.hear().unwrap();
        let Command::CreatePlaybackStream(asked) = command else { panic!("{command:?}") };
        let reply = CreatePlaybackStreamReply {
            channel: 1,
            sink_name: Some(c"desk".into()),
            sample_spec: SampleSpec { format, ..asked.sample_spec },
            buffer_attr: BufferAttr { minimum_request_length: 1024, ..asked.buffer_attr },
            ..CreatePlaybackStreamReply::default()
        };
        client.reply(number, &reply);
    }

    #[test]
    fn what_the_server_gives_is_what_is_said() {
        let opened = opened(None, None, |client| make(client, SampleFormat::Float32Le));
        let opened = opened.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((opened.name.as_str(), opened.rate, opened.period), ("desk", 48_000, 128));
        assert_eq!((opened.description.as_str(), opened.note.as_deref()), ("desk", None));
    }

    #[test]
    fn a_rate_that_the_server_converts_is_said() {
        let opened = opened(None, Some(44_100), |client| make(client, SampleFormat::Float32Le));
        let opened = opened.unwrap_or_else(|error| panic!("{error}"));
        let note = "the server converts 44100 frames a second to 48000";
        assert_eq!((opened.rate, opened.note.as_deref()), (44_100, Some(note)));
    }

    #[test]
    fn a_stream_that_is_not_what_was_asked_for_is_refused() {
        let refused = opened(None, None, |client| make(client, SampleFormat::S16Le)).err();
        assert_eq!(refused, Some(DeviceError::Refused("the server's answer is malformed".into())));
    }

    #[test]
    fn a_sink_that_is_not_there_is_refused_with_those_there_are() {
        let refused = opened(Some("disk"), None, |client| {
            let (number, _) = client.hear().unwrap();
            client.refuse(number, PulseError::NoEntity);
            let (number, _) = client.hear().unwrap();
            client.reply(number, &ServerInfo::default());
            let (number, _) = client.hear().unwrap();
            let sink = |name: &std::ffi::CStr, index| SinkInfo {
                name: name.into(),
                ..SinkInfo::new_dummy(index)
            };
            client.reply(number, &vec![sink(c"desk", 1), sink(c"dusk", 2)]);
        });
        let known = vec!["desk".to_owned(), "dusk".to_owned()];
        assert_eq!(refused.err(), Some(DeviceError::NoDevice { name: "disk".into(), known }));
    }
}
