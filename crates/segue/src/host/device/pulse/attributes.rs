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

/// So often within [`DRY_NS`] it may run dry before it is to hold twice as much.
const DRY_MAX: u32 = 3;
const DRY_NS: u64 = 10_000_000_000;

/// It holds no more than this for having run dry: a sixth of a second.
const HELD_MAX: u32 = 8192;

/// How many periods the server is to hold. A server that is too busy to fetch them in time gets
/// more: a little later is better than holes.
#[derive(Debug)]
pub(super) struct Depth {
    periods: u32,
    dry: u32,
    since_ns: u64,
}

impl Depth {
    /// As few as are enough for a server that keeps up.
    pub(super) const fn new() -> Self {
        Self { periods: PERIODS_HELD, dry: 0, since_ns: 0 }
    }

    /// Periods it is to hold.
    pub(super) const fn periods(&self) -> u32 {
        self.periods
    }

    /// It ran dry, at periods of so many frames; true when it is to hold more from now on.
    pub(super) fn ran_dry(&mut self, now_ns: u64, period: u32) -> bool {
        if now_ns.saturating_sub(self.since_ns) > DRY_NS {
            (self.dry, self.since_ns) = (0, now_ns);
        }
        self.dry += 1;
        let deeper = self.dry >= DRY_MAX && 2 * self.periods * period <= HELD_MAX;
        if deeper {
            (self.periods, self.dry) = (2 * self.periods, 0);
        }
        deeper
    }
}

/// The buffer of `periods` periods of so many bytes.
pub(super) fn buffer(periods: u32, period_bytes: u32) -> BufferAttr {
    BufferAttr {
        max_length: u32::MAX,
        target_length: periods * period_bytes,
        // After it ran dry the server waits for a whole buffer: nothing that was handed over is
        // thrown away to catch up.
        pre_buffering: u32::MAX,
        minimum_request_length: period_bytes,
        ..BufferAttr::default()
    }
}

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
        buffer_attr: buffer(PERIODS_HELD, period * frame_bytes),
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
    use super::{Depth, speakers, stream};
    use crate::host::device::backend::Wish;

    fn wish(name: Option<&str>, period: Option<u32>) -> Wish {
        Wish { name: name.map(str::to_owned), rate: None, channels: 2, period, is_auto: false }
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

    #[test]
    fn a_server_that_runs_dry_again_and_again_is_to_hold_more_but_not_ever_more() {
        const SECOND: u64 = 1_000_000_000;
        let mut depth = Depth::new();
        // Now and then is no reason.
        for minute in 1..=10 {
            assert!(!depth.ran_dry(minute * 60 * SECOND, 256));
        }
        let deeper = (0..60).filter(|moment| depth.ran_dry(3600 * SECOND + moment, 256)).count();
        assert_eq!((deeper, depth.periods()), (3, 24));
    }
}
