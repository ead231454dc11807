//! The tagged values a PulseAudio message is made of, read in place, bounded, without allocation.
//!
//! *Layout*: a byte that says the kind, then the value in network order; texts end with 0. Lists
//! of properties and formats are marks with plain values behind them, so a walk over the values
//! sees all of a message without knowing it. What does not fit is `None`, never a panic: the
//! bytes are a stranger's.

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A number, an index, a length in bytes.
    Number(u32),
    /// Any of the other numbers, whose kind matters to nobody here.
    Long(u64),
    /// A text, or the mark for none.
    Text(Option<&'a [u8]>),
    /// Yes or no.
    Truth(bool),
    /// Format, channels, frames a second.
    Spec(u8, u8, u32),
    /// Volumes of the channels, four bytes each.
    Volumes(&'a [u8]),
    /// A span in microseconds.
    Micros(u64),
    /// A moment, a map, a blob, the begin of a list: nothing that is looked into.
    Other,
}

/// What is left to read of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tags<'a> {
    rest: &'a [u8],
}

impl<'a> Tags<'a> {
    /// All values of `payload`.
    pub(super) fn of(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    /// The next value; `None` at the end, and at what is no value.
    pub(super) fn value(&mut self) -> Option<Value<'a>> {
        let kind = self.take(1)?[0];
        Some(match kind {
            b'L' | b'V' => Value::Number(self.word()?),
            b'B' => Value::Long(u64::from(self.take(1)?[0])),
            b'R' | b'r' => Value::Long(self.long()?),
            b'U' => Value::Micros(self.long()?),
            b'N' => Value::Text(None),
            b't' => Value::Text(Some(self.text_bytes()?)),
            b'1' => Value::Truth(true),
            b'0' => Value::Truth(false),
            b'a' => {
                let bytes = self.take(2)?;
                Value::Spec(bytes[0], bytes[1], self.word()?)
            }
            b'v' => {
                let channels = usize::from(self.take(1)?[0]);
                Value::Volumes(self.take(channels * 4)?)
            }
            b'm' => {
                let channels = usize::from(self.take(1)?[0]);
                self.take(channels)?;
                Value::Other
            }
            b'T' => {
                let (_, micros) = (self.word()?, self.word()?);
                // A full second of them is no moment.
                (micros < 1_000_000).then_some(Value::Other)?
            }
            b'x' => {
                let length = self.word()?;
                self.take(usize::try_from(length).ok()?)?;
                Value::Other
            }
            b'P' | b'f' => Value::Other,
            _ => return None,
        })
    }

    /// The next value as a number.
    pub(super) fn number(&mut self) -> Option<u32> {
        match self.value()? {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The next value as one of the long numbers.
    pub(super) fn long_number(&mut self) -> Option<u64> {
        match self.value()? {
            Value::Long(number) | Value::Micros(number) => Some(number),
            _ => None,
        }
    }

    /// The next value as yes or no.
    pub(super) fn truth(&mut self) -> Option<bool> {
        match self.value()? {
            Value::Truth(truth) => Some(truth),
            _ => None,
        }
    }

    /// The next value as a text that is there.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        match self.value()? {
            Value::Text(text) => text,
            _ => None,
        }
    }

    /// Whether all channels of the next value, which is a set of volumes, are at zero.
    pub(super) fn zero_volume(&mut self) -> Option<bool> {
        match self.value()? {
            Value::Volumes(bytes) => Some(bytes.iter().all(|byte| *byte == 0)),
            _ => None,
        }
    }

    /// Leaves out so many values.
    pub(super) fn skip(&mut self, values: usize) -> Option<()> {
        (0..values).try_for_each(|_| self.value().map(|_| ()))
    }

    /// Leaves out a list of properties, which ends with the mark for no text.
    pub(super) fn skip_properties(&mut self) -> Option<()> {
        while self.value()? != Value::Text(None) {}
        Some(())
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Whether everything left is values from end to end.
    pub(super) fn is_sound(mut self) -> bool {
        while !self.rest.is_empty() {
            if self.value().is_none() {
                return false;
            }
        }
        true
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(*self.take(4)?.first_chunk()?))
    }

    fn long(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(*self.take(8)?.first_chunk()?))
    }

    fn text_bytes(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|byte| *byte == 0)?;
        let text = self.take(end)?;
        self.take(1)?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use pulseaudio::protocol::{Prop, Props, SampleFormat, SinkInfo, TagStructWriter};

    use super::{Tags, Value};
    use crate::host::device::pulse::news::{Distance, News, Place};
    use crate::host::device::pulse::sinks::Sink;

    /// A description of a sink as a server writes it.
    fn sink() -> Vec<u8> {
        let mut props = Props::new();
        props.set(Prop::DeviceString, c"hw:0");
        let sink = SinkInfo { name: c"out".into(), muted: true, props, ..SinkInfo::new_dummy(7) };
        let mut bytes = Vec::new();
        TagStructWriter::new(&mut bytes, 20).write(&sink).unwrap();
        bytes
    }

    #[test]
    fn what_another_writer_wrote_is_read_value_by_value() {
        let bytes = sink();
        let mut tags = Tags::of(&bytes);
        assert!(tags.is_sound());
        assert_eq!((tags.number(), tags.text()), (Some(7), Some(&b"out"[..])));
        assert_eq!(tags.value(), Some(Value::Text(None)));
        assert_eq!(tags.value(), Some(Value::Spec(SampleFormat::S16Le as u8, 2, 48_000)));
        assert_eq!(tags.skip(2), Some(()));
        assert_eq!((tags.zero_volume(), tags.truth()), (Some(false), Some(true)));
        assert_eq!(tags.skip(5), Some(()));
        assert_eq!(tags.skip_properties(), Some(()));
        assert_eq!(tags.long_number(), Some(0));
    }

    #[test]
    fn a_message_cut_anywhere_within_a_value_is_not_sound() {
        let bytes = sink();
        let mut ends = vec![];
        let mut tags = Tags::of(&bytes);
        while tags.value().is_some() {
            ends.push(bytes.len() - tags.rest.len());
        }
        for cut in 1..bytes.len() {
            assert_eq!(Tags::of(&bytes[..cut]).is_sound(), ends.contains(&cut), "cut at {cut}");
        }
    }

    #[test]
    fn a_moment_of_too_many_microseconds_is_not_sound() {
        let moment = |micros: u32| {
            let mut bytes = vec![b'T', 0, 0, 0, 1];
            bytes.extend(micros.to_be_bytes());
            bytes
        };
        assert!(Tags::of(&moment(999_999)).is_sound());
        assert!(!Tags::of(&moment(1_000_000)).is_sound());
    }

    #[test]
    fn a_length_beyond_the_message_is_not_believed() {
        assert!(!Tags::of(&[b'x', 0xff, 0xff, 0xff, 0xff, 1, 2]).is_sound());
        assert!(!Tags::of(&[b'v', 200, 0]).is_sound());
    }

    proptest! {
        #[test]
        fn nothing_a_stranger_sends_makes_the_readers_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            cut in 0..400_usize,
        ) {
            let mut message = sink();
            message.truncate(cut);
            message.extend(bytes);
            let tags = Tags::of(&message);
            tags.is_sound();
            let _ = (Sink::read(&mut tags.clone()), Place::read(tags), Distance::read(tags));
            News::read(&message);
        }
    }
}
