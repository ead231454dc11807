//! What a stream asks of the server: buffers for a period, speakers for its channels.

use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{ChannelMap, ChannelPosition, PlaybackStreamParams, Prop, Props};
use pulseaudio::protocol::{SampleFormat, SampleSpec};

use crate::host::device::backend::Wish;

/// Frames the server asks for at once, where nothing else is wished: what PipeWire's server
/// allows at least by default.
pub(super) const PERIOD: u32 = 256;

/// Periods between us and the sink: one that is played, one that is there, one on its way. With
/// three of them and `adjust_latency`, PulseAudio asks for even periods; with two or four, or
/// with `early_requests`, now for one and then for two at once.
pub(super) const PERIODS_HELD: u32 = 3;

/// The stream to ask for.
pub(super) fn stream(wish: &Wish, rate: u32) -> PlaybackStreamParams {
    let frame_bytes = u32::from(wish.channels) * size_of::<f32>() as u32;
    let period = wish.period.unwrap_or(PERIOD);
    let mut props = Props::new();
    props.set(Prop::MediaName, c"Segue");
    PlaybackStreamParams {
        sample_spec: SampleSpec {
            format: SampleFormat::Float32Le,
            channels: wish.channels as u8,
            sample_rate: rate,
        },
        channel_map: speakers(wish.channels),
        sink_name: wish.name.as_ref().and_then(|name| std::ffi::CString::new(name.as_str()).ok()),
        buffer_attr: BufferAttr {
            max_length: u32::MAX,
            target_length: PERIODS_HELD * period * frame_bytes,
            // After it ran dry the server waits for a whole buffer: nothing that was handed over
            // is thrown away to catch up.
            pre_buffering: u32::MAX,
            minimum_request_length: period * frame_bytes,
            ..BufferAttr::default()
        },
        props,
        flags: StreamFlags {
            // A sink that was asked for by name is that one or none.
            no_move: wish.name.is_some(),
            adjust_latency: true,
            ..StreamFlags::default()
        },
        ..PlaybackStreamParams::default()
    }
}

/// Where so many channels are heard.
fn speakers(channels: u16) -> ChannelMap {
    use ChannelPosition::{
        FrontCenter, FrontLeft, FrontRight, Lfe, Mono, RearCenter, RearLeft, RearRight, SideLeft,
        SideRight,
    };
    match channels {
        1 => ChannelMap::new([Mono]),
        2 => ChannelMap::new([FrontLeft, FrontRight]),
        3 => ChannelMap::new([FrontLeft, FrontRight, Lfe]),
        4 => ChannelMap::new([FrontLeft, FrontRight, RearLeft, RearRight]),
        5 => ChannelMap::new([FrontLeft, FrontRight, RearLeft, RearRight, FrontCenter]),
        6 => ChannelMap::new([FrontLeft, FrontRight, FrontCenter, Lfe, RearLeft, RearRight]),
        7 => ChannelMap::new([
            FrontLeft,
            FrontRight,
            FrontCenter,
            Lfe,
            RearCenter,
            SideLeft,
            SideRight,
        ]),
        _ => ChannelMap::new([
            FrontLeft,
            FrontRight,
            FrontCenter,
            Lfe,
            RearLeft,
            RearRight,
            SideLeft,
            SideRight,
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::{speakers, stream};
    use crate::host::device::backend::Wish;

    fn wish(name: Option<&str>, period: Option<u32>) -> Wish {
        Wish { name: name.map(str::to_owned), rate: None, channels: 2, period }
    }

    #[test]
    fn every_number_of_channels_has_as_many_speakers_and_none_twice() {
        for channels in 1..=8 {
            let map = speakers(channels);
            let positions: Vec<_> = map.into_iter().collect();
            assert_eq!(positions.len(), usize::from(channels));
            for (index, position) in positions.iter().enumerate() {
                assert!(!positions[..index].contains(position), "{channels}: {position:?}");
            }
        }
    }

    #[test]
    fn a_sink_asked_for_by_name_is_that_one_or_none() {
        let stream = |name| stream(&wish(name, None), 48_000);
        assert!(stream(Some("desk")).flags.no_move);
        assert!(!stream(None).flags.no_move);
        assert_eq!(stream(None).sink_name, None);
    }

    #[test]
    fn the_buffer_is_measured_in_periods_of_frames_of_all_channels() {
        let buffer = stream(&wish(None, Some(128)), 48_000).buffer_attr;
        assert_eq!((buffer.minimum_request_length, buffer.target_length), (1024, 3072));
    }
}
