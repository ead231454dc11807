//! What a server tells while a stream plays, read from the bytes without allocation.

use pulseaudio::protocol::CommandTag;

use super::tags::Tags;

/// The server's buffer of a stream, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Buffer {
    /// What it wants to hold.
    pub(super) target: u32,
    /// What it asks for at least.
    pub(super) request: u32,
}

impl Buffer {
    /// Reads it; `None` when it is malformed.
    pub(super) fn read(tags: &mut Tags<'_>) -> Option<Self> {
        // The greatest length.
        tags.skip(1)?;
        let target = tags.number()?;
        // What must be there before it begins.
        tags.skip(1)?;
        Some(Self { target, request: tags.number()? })
    }
}

/// One message of the server.
#[derive(Clone, Copy, Debug)]
pub(super) enum News<'a> {
    /// The stream may be given so many bytes more.
    Request {
        /// The stream's channel on this connection.
        channel: u32,
        /// How much.
        bytes: u32,
    },
    /// The stream ran dry.
    Underflow {
        /// The stream's channel on this connection.
        channel: u32,
    },
    /// The stream was ended by the server.
    Killed {
        /// The stream's channel on this connection.
        channel: u32,
    },
    /// The stream's sink was put to sleep, or woken.
    Suspended {
        /// Whether it sleeps.
        on: bool,
    },
    /// The stream plays on another sink now.
    Moved {
        /// The new sink's index.
        sink: u32,
        /// Its name.
        name: &'a [u8],
        /// Whether it sleeps.
        suspended: bool,
        /// The buffer there.
        buffer: Buffer,
    },
    /// The server made the stream's buffer larger.
    Buffer(Buffer),
    /// The answer to what was asked under this number.
    Reply {
        /// The number.
        number: u32,
        /// What it says.
        tags: Tags<'a>,
    },
    /// What was asked under this number was refused.
    Refused {
        /// The number.
        number: u32,
        /// The server's word for why.
        code: u32,
    },
    /// Of no interest.
    Other,
}

impl<'a> News<'a> {
    /// Reads a command's payload; `None` when it is malformed.
    pub(super) fn read(payload: &'a [u8]) -> Option<Self> {
        let mut tags = Tags::of(payload);
        if !tags.is_sound() {
            return None;
        }
        let command = tags.number()?;
        let number = tags.number()?;
        Some(match command {
            _ if command == CommandTag::Request as u32 => {
                Self::Request { channel: tags.number()?, bytes: tags.number()? }
            }
            _ if command == CommandTag::Underflow as u32 => {
                Self::Underflow { channel: tags.number()? }
            }
            _ if command == CommandTag::PlaybackStreamKilled as u32 => {
                Self::Killed { channel: tags.number()? }
            }
            _ if command == CommandTag::PlaybackStreamSuspended as u32 => {
                tags.skip(1)?;
                Self::Suspended { on: tags.truth()? }
            }
            _ if command == CommandTag::PlaybackStreamMoved as u32 => {
                tags.skip(1)?;
                let (sink, name) = (tags.number()?, tags.text()?);
                let suspended = tags.truth()?;
                Self::Moved { sink, name, suspended, buffer: Buffer::read(&mut tags)? }
            }
            _ if command == CommandTag::PlaybackBufferAttrChanged as u32 => {
                tags.skip(1)?;
                Self::Buffer(Buffer::read(&mut tags)?)
            }
            _ if command == CommandTag::Reply as u32 => Self::Reply { number, tags },
            _ if command == CommandTag::Error as u32 => {
                Self::Refused { number, code: tags.number()? }
            }
            _ => Self::Other,
        })
    }
}

/// What a server says about a stream's place: the reply to `GetSinkInputInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The sink's index.
    pub(super) sink: u32,
    /// The stream itself is muted or at volume zero.
    pub(super) silent: bool,
}

impl Place {
    /// Reads it; `None` when it is malformed.
    pub(super) fn read(mut tags: Tags<'_>) -> Option<Self> {
        // Index, name, module, client.
        tags.skip(4)?;
        let sink = tags.number()?;
        // Format, map.
        tags.skip(2)?;
        let zero = tags.zero_volume()?;
        // Two latencies, resampler, driver.
        tags.skip(4)?;
        Some(Self { sink, silent: tags.truth()? || zero })
    }
}

/// How far a stream is from being heard: the reply to `GetPlaybackLatency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Distance {
    /// Bytes in the server's buffer of this stream.
    pub(super) buffered: u64,
    /// Microseconds from there on.
    pub(super) sink_us: u64,
}

impl Distance {
    /// Reads it; `None` when it is malformed.
    pub(super) fn read(mut tags: Tags<'_>) -> Option<Self> {
        let sink_us = tags.long_number()?;
        // The source's part, whether it plays, two moments.
        tags.skip(4)?;
        let (written, read) = (tags.long_number()?, tags.long_number()?);
        // Both are signed and count up; what was read beyond what was written is nothing.
        let buffered = (written.wrapping_sub(read) as i64).max(0).unsigned_abs();
        Some(Self { buffered, sink_us })
    }

    /// In frames of so many bytes, so many a second.
    pub(super) fn frames(self, frame_bytes: usize, rate: u32) -> u32 {
        let buffered = self.buffered / frame_bytes as u64;
        let sink = self.sink_us.saturating_mul(u64::from(rate)) / 1_000_000;
        u32::try_from(buffered.saturating_add(sink)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::time::SystemTime;

    use pulseaudio::protocol::{
        ChannelVolume, Command, CommandReply, DESCRIPTOR_SIZE, PlaybackBufferAttrChanged,
        PlaybackLatency, PlaybackStreamMovedParams, PulseError, Request, SinkInputInfo, Underflow,
        encode_command_message, encode_reply_message, stream::BufferAttr,
    };
    use segue_sys::testing::assert_no_alloc;

    use super::{Buffer, Distance, News, Place};
    use crate::host::device::pulse::VERSION;

    fn told(command: &Command) -> Vec<u8> {
        let mut bytes = vec![];
        encode_command_message(&mut bytes, u32::MAX, command, VERSION).unwrap();
        bytes.split_off(DESCRIPTOR_SIZE)
    }

    fn replied(reply: &impl CommandReply) -> Vec<u8> {
        let mut bytes = Cursor::new(vec![]);
        let bytes = bytes.get_mut();
        encode_reply_message(&mut *bytes, 9, reply, VERSION).unwrap();
        bytes.split_off(DESCRIPTOR_SIZE)
    }

    #[test]
    fn a_request_is_read_without_allocation() {
        let bytes = told(&Command::Request(Request { channel: 3, length: 2048 }));
        let news = assert_no_alloc(|| News::read(&bytes));
        assert!(matches!(news, Some(News::Request { channel: 3, bytes: 2048 })));
    }

    #[test]
    fn what_befalls_a_stream_is_read_as_another_writer_wrote_it() {
        let bytes = told(&Command::Underflow(Underflow { channel: 3, offset: 0 }));
        assert!(matches!(News::read(&bytes), Some(News::Underflow { channel: 3 })));
        let bytes = told(&Command::PlaybackStreamKilled(3));
        assert!(matches!(News::read(&bytes), Some(News::Killed { channel: 3 })));
        let bytes = told(&Command::Error(PulseError::NoEntity));
        assert!(matches!(News::read(&bytes), Some(News::Refused { code: 5, .. })));
        let buffer_attr =
            BufferAttr { target_length: 600, minimum_request_length: 200, ..BufferAttr::default() };
        let moved = Command::PlaybackStreamMoved(PlaybackStreamMovedParams {
            stream_index: 3,
            device_index: 8,
            device_name: c"other".into(),
            device_suspended: true,
            buffer_attr,
            configured_sink_latency: 1,
        });
        let bytes = told(&moved);
        let Some(News::Moved { sink, name, suspended, buffer }) = News::read(&bytes) else {
            panic!("moved")
        };
        assert_eq!((sink, name, suspended), (8, &b"other"[..], true));
        assert_eq!(buffer, Buffer { target: 600, request: 200 });
        let grown = PlaybackBufferAttrChanged { buffer_attr, ..Default::default() };
        let bytes = told(&Command::PlaybackBufferAttrChanged(grown));
        let Some(News::Buffer(buffer)) = News::read(&bytes) else { panic!("a buffer") };
        assert_eq!(buffer, Buffer { target: 600, request: 200 });
    }

    #[test]
    fn a_stream_s_place_is_read() {
        let input = SinkInputInfo {
            sink_index: 4,
            muted: true,
            cvolume: ChannelVolume::norm(2),
            ..SinkInputInfo::default()
        };
        let bytes = replied(&input);
        let Some(News::Reply { tags, .. }) = News::read(&bytes) else { panic!("a reply") };
        assert_eq!(Place::read(tags), Some(Place { sink: 4, silent: true }));
    }

    #[test]
    fn the_way_to_the_ear_is_what_is_written_and_not_yet_read_and_the_sink_s_own() {
        let latency = |write_offset, read_offset| PlaybackLatency {
            sink_usec: 700,
            source_usec: 0,
            playing: true,
            local_time: SystemTime::UNIX_EPOCH,
            remote_time: SystemTime::UNIX_EPOCH,
            write_offset,
            read_offset,
            underrun_for: 0,
            playing_for: 0,
        };
        for (written, read, buffered) in [(5000, 1000, 4000), (-8, -16, 8), (5, 100, 0)] {
            let bytes = replied(&latency(written, read));
            let Some(News::Reply { tags, .. }) = News::read(&bytes) else { panic!("a reply") };
            assert_eq!(Distance::read(tags), Some(Distance { buffered, sink_us: 700 }));
        }
    }

    #[test]
    fn a_message_cut_short_is_malformed() {
        let bytes = told(&Command::Request(Request { channel: 3, length: 2048 }));
        for cut in 0..bytes.len() {
            assert!(News::read(&bytes[..cut]).is_none(), "cut at {cut}");
        }
    }
}
