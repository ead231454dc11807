//! A stream on a sink: made by question and answer, then left to its player.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use pulseaudio::protocol::{Command, PlaybackStreamParams, PulseError, SampleFormat};
use segue_sys::event::Event;

use super::attributes;
use super::news::Buffer;
use super::player::{Given, Player};
use super::signs::{Signs, converted};
use super::sinks::{self, lossy};
use super::tags::{Tags, Value};
use super::talk::{Fault, Talk};
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
    let rate = wish.rate.unwrap_or(sink_rate);
    let params = attributes::stream(wish, rate);
    let made = talk.ask(&Command::CreatePlaybackStream(params.clone()), |tags| made(tags, &params));
    let (given, name) = match made {
        Err(Fault::Said(PulseError::NoEntity)) => return Err(no_sink(&mut talk, wish)),
        made => made?,
    };
    let period = given.period() as u32;
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
