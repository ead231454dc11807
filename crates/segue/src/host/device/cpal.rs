//! ALSA and PipeWire through the crate `cpal`, in builds that have their development files.
//!
//! *Invariant*: what the library says of itself is a hint. Devices exist that are never ready and
//! others that are always ready; the watch over the calls decides.

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, Device, ErrorKind, HostId, OutputCallbackInfo, SampleFormat, SizedSample,
    StreamConfig, SupportedBufferSize, SupportedStreamConfigRange,
};

use super::backend::{Backend, DeviceError, Kind, Listed, Opened, Stream, Wish};
use super::line::{Caller, Reporter};

/// Frames to ask for at once where nothing else is wished.
const PERIOD: u32 = 256;

/// Samples that are converted at a time.
const PIECE: usize = 4096;

/// What is played in, best first: others are left to ALSA's `plug` devices.
const FORMATS: [SampleFormat; 3] = [SampleFormat::F32, SampleFormat::I32, SampleFormat::I16];

/// One of the library's hosts.
#[derive(Debug)]
pub(super) struct Cpal {
    kind: Kind,
    host: HostId,
}

/// ALSA's devices.
#[cfg(feature = "alsa")]
pub(super) fn alsa() -> Cpal {
    Cpal { kind: Kind::Alsa, host: HostId::Alsa }
}

/// PipeWire's sinks.
#[cfg(feature = "pipewire")]
pub(super) fn pipewire() -> Cpal {
    Cpal { kind: Kind::PipeWire, host: HostId::PipeWire }
}

impl Cpal {
    fn devices(&self, host: &cpal::Host) -> Result<Vec<(String, Device)>, DeviceError> {
        let devices = host.output_devices().map_err(|error| absence(&error))?;
        let name = |device: &Device| device.id().map(|id| id.id().to_owned()).ok();
        Ok(devices.filter_map(|device| Some((name(&device)?, device))).collect())
    }

    fn host(&self) -> Result<cpal::Host, DeviceError> {
        cpal::host_from_id(self.host).map_err(|error| absence(&error))
    }

    fn find(&self, wish: &Wish) -> Result<Device, DeviceError> {
        let host = self.host()?;
        let Some(name) = &wish.name else {
            let none = || DeviceError::NoServer("there is no device to play on".into());
            return host.default_output_device().ok_or_else(none);
        };
        let devices = self.devices(&host)?;
        let known = || devices.iter().map(|(name, _)| name.clone()).collect();
        match devices.iter().find(|(own, _)| own == name) {
            Some((_, device)) => Ok(device.clone()),
            None => Err(DeviceError::NoDevice { name: name.clone(), known: known() }),
        }
    }
}

impl Backend for Cpal {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn list(&self) -> Result<Vec<Listed>, DeviceError> {
        let host = self.host()?;
        let default = host.default_output_device().and_then(|device| device.id().ok());
        let listed = self.devices(&host)?.into_iter().map(|(name, device)| {
            // An ALSA device says more only when it is opened, and may be left damaged by that.
            let asked = self.kind != Kind::Alsa;
            let config = device.default_output_config().ok().filter(|_| asked);
            let description = device.description().map(|text| text.name().to_owned());
            Listed {
                kind: self.kind,
                description: description.unwrap_or_else(|_| name.clone()),
                rate: config.map(|config| config.sample_rate()),
                channels: config.map(|config| config.channels()),
                is_default: default.as_ref().is_some_and(|id| id.id() == name),
                remark: None,
                name,
            }
        });
        Ok(listed.collect())
    }

    fn open(&self, wish: &Wish, caller: Caller) -> Result<Opened, DeviceError> {
        let device = self.find(wish)?;
        let refused = |error: cpal::Error| match wish.name {
            // The best there is may not be there at all.
            None => absence(&error),
            Some(_) => DeviceError::Refused(error.to_string()),
        };
        let (format, config) = choose(&device, wish, self.kind).map_err(refused)??;
        let reporter = caller.reporter();
        let rate = config.sample_rate;
        let stream = match format {
            SampleFormat::F32 => build(&device, config, &reporter, floats(caller, rate)),
            SampleFormat::I32 => build(&device, config, &reporter, whole(caller, rate, to_i32)),
            _ => build(&device, config, &reporter, whole(caller, rate, to_i16)),
        };
        let stream = stream.map_err(refused)?;
        stream.play().map_err(refused)?;
        let name = device.id().map_err(refused)?.id().to_owned();
        let description = device.description().map(|text| text.name().to_owned());
        Ok(Opened {
            description: description.unwrap_or_else(|_| name.clone()),
            name,
            rate,
            period: stream.buffer_size().unwrap_or(PERIOD),
            note: None,
            stream: Box::new(Playing { _stream: stream }),
        })
    }
}

/// A stream that plays; the library's is dropped with it.
struct Playing {
    _stream: cpal::Stream,
}

impl Stream for Playing {}

/// The format and the rest of what is asked for: the wished rate or that the device prefers.
fn choose(
    device: &Device,
    wish: &Wish,
    kind: Kind,
) -> Result<Result<(SampleFormat, StreamConfig), DeviceError>, cpal::Error> {
    let default = device.default_output_config()?;
    let rate = wish.rate.unwrap_or(default.sample_rate());
    // PipeWire puts as many channels on a sink as are brought.
    let fits = |range: &SupportedStreamConfigRange| {
        kind == Kind::PipeWire || range.channels() == wish.channels
    };
    let ranges: Vec<_> = device.supported_output_configs()?.filter(fits).collect();
    let at_rate = |range: &&SupportedStreamConfigRange| {
        (range.min_sample_rate()..=range.max_sample_rate()).contains(&rate)
    };
    let found = FORMATS.iter().find_map(|format| {
        ranges.iter().filter(at_rate).find(|range| range.sample_format() == *format)
    });
    let Some(found) = found else {
        let in_our_formats = ranges.iter().any(|range| FORMATS.contains(&range.sample_format()));
        let why = if in_our_formats {
            DeviceError::Rate { device: default.sample_rate(), asked: rate }
        } else {
            let text = format!("it has no {} channels of floats or integers", wish.channels);
            DeviceError::Refused(text)
        };
        return Ok(Err(why));
    };
    let period = wish.period.unwrap_or(PERIOD);
    let period = match found.buffer_size() {
        SupportedBufferSize::Range { min, max } if min <= max => period.clamp(*min, *max),
        _ => period,
    };
    let config = StreamConfig {
        channels: wish.channels,
        sample_rate: rate,
        buffer_size: BufferSize::Fixed(period),
    };
    Ok(Ok((found.sample_format(), config)))
}

fn build<T: SizedSample>(
    device: &Device,
    config: StreamConfig,
    reporter: &Reporter,
    callback: impl FnMut(&mut [T], &OutputCallbackInfo) + Send + 'static,
) -> Result<cpal::Stream, cpal::Error> {
    let reporter = reporter.clone();
    let troubled = move |error: cpal::Error| match error.kind() {
        ErrorKind::Xrun => reporter.xrun(),
        // It plays on, elsewhere or less urgently.
        ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
        _ => reporter.lost(&error.to_string()),
    };
    device.build_output_stream(config, callback, troubled, None)
}

/// The callback for a device that takes floats.
fn floats(mut caller: Caller, rate: u32) -> impl FnMut(&mut [f32], &OutputCallbackInfo) + Send {
    let reporter = caller.reporter();
    let mut begun = false;
    move |out, info| {
        if !std::mem::replace(&mut begun, true) {
            caller.begin();
        }
        caller.call(out);
        reporter.latency(distance(info, rate));
    }
}

/// The callback for a device that takes whole numbers.
fn whole<T: SizedSample>(
    mut caller: Caller,
    rate: u32,
    convert: impl Fn(f32) -> T + Send,
) -> impl FnMut(&mut [T], &OutputCallbackInfo) + Send {
    let reporter = caller.reporter();
    let mut begun = false;
    let mut floats = vec![0.0; PIECE - PIECE % caller.channels()];
    move |out, info| {
        if !std::mem::replace(&mut begun, true) {
            caller.begin();
        }
        for piece in out.chunks_mut(floats.len()) {
            let floats = &mut floats[..piece.len()];
            caller.call(floats);
            for (place, sample) in piece.iter_mut().zip(floats) {
                *place = convert(*sample);
            }
        }
        reporter.latency(distance(info, rate));
    }
}

/// Frames from handing over to being heard, as the library thinks.
fn distance(info: &OutputCallbackInfo, rate: u32) -> u32 {
    let stamp = info.timestamp();
    let ahead = stamp.playback.saturating_duration_since(stamp.callback);
    (ahead.as_secs_f64() * f64::from(rate)) as u32
}

fn to_i32(sample: f32) -> i32 {
    // A cast saturates, so full scale is full scale and what is beyond it too.
    (f64::from(sample) * 2_147_483_648.0) as i32
}

fn to_i16(sample: f32) -> i16 {
    (sample * 32_768.0).round() as i16
}

/// Whether nothing is there, or something that refuses.
fn absence(error: &cpal::Error) -> DeviceError {
    match error.kind() {
        ErrorKind::HostUnavailable | ErrorKind::DeviceNotAvailable => {
            DeviceError::NoServer(error.to_string())
        }
        _ => DeviceError::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{to_i16, to_i32};

    #[test]
    fn full_scale_is_full_scale_and_what_is_beyond_it_too() {
        let samples = [0.0, 0.5, -0.5, 1.0, -1.0, 7.0, -7.0, f32::NAN];
        assert_eq!(
            samples.map(to_i16),
            [0, 16_384, -16_384, i16::MAX, i16::MIN, i16::MAX, i16::MIN, 0]
        );
        let half = 1 << 30;
        assert_eq!(
            samples.map(to_i32),
            [0, half, -half, i32::MAX, i32::MIN, i32::MAX, i32::MIN, 0]
        );
    }
}
