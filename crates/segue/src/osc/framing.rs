//! Packets on a TCP stream: length prefix (OSC 1.0) or SLIP (OSC 1.1), told apart by the first
//! byte and kept for the life of the connection.

/// Longest packet on TCP; a whole patch with room to spare.
pub(crate) const PACKET_BYTES_MAX: usize = 256 * 1024;

const END: u8 = 0xC0;
const ESCAPE: u8 = 0xDB;
const ESCAPED_END: u8 = 0xDC;
const ESCAPED_ESCAPE: u8 = 0xDD;

/// How packets are marked off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Each behind its length as a big-endian u32.
    Length,
    /// Each between two END bytes.
    Slip,
}

/// Why a stream cannot be read on; the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FramingError {
    /// A packet longer than [`PACKET_BYTES_MAX`].
    #[error("a packet of more than {PACKET_BYTES_MAX} bytes")]
    TooLong,
    /// A SLIP escape that does not exist.
    #[error("a wrong escape in a SLIP stream")]
    Escape,
}

/// Bytes of one connection on their way to packets; never holds more than one packet and what
/// was read with it.
#[derive(Debug, Default)]
pub(crate) struct Deframer {
    style: Option<Style>,
    bytes: Vec<u8>,
    read: usize,
}

impl Deframer {
    /// Takes what arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
        if let (None, Some(first)) = (self.style, self.bytes.first()) {
            // A length that begins so would be beyond 700 MB; `/` and `#` begin a SLIP packet
            // without the END in front.
            let slip = matches!(*first, END | b'/' | b'#');
            self.style = Some(if slip { Style::Slip } else { Style::Length });
        }
    }

    /// How this connection marks packets off; known from its first byte.
    pub(crate) fn style(&self) -> Option<Style> {
        self.style
    }

    #[cfg(test)]
    fn held(&self) -> usize {
        self.bytes.len() - self.read
    }

    /// The next whole packet, none if more must arrive first.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, FramingError> {
        match self.style {
            None => Ok(None),
            Some(Style::Length) => self.next_by_length(),
            Some(Style::Slip) => self.next_by_slip(),
        }
    }

    fn next_by_length(&mut self) -> Result<Option<Vec<u8>>, FramingError> {
        let Some((length, rest)) = self.bytes[self.read..].split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > PACKET_BYTES_MAX {
            return Err(FramingError::TooLong);
        }
        let packet = rest.get(..length).map(<[u8]>::to_vec);
        if packet.is_some() {
            self.read += 4 + length;
        }
        Ok(packet)
    }

    fn next_by_slip(&mut self) -> Result<Option<Vec<u8>>, FramingError> {
        loop {
            let rest = &self.bytes[self.read..];
            let Some(length) = rest.iter().position(|byte| *byte == END) else {
                let too_long = rest.len() > PACKET_BYTES_MAX * 2;
                return if too_long { Err(FramingError::TooLong) } else { Ok(None) };
            };
            let packet = unescape(&rest[..length]);
            self.read += length + 1;
            // Two ENDs in a row are the end of one packet and the beginning of the next.
            match packet? {
                packet if packet.is_empty() => {}
                packet if packet.len() > PACKET_BYTES_MAX => return Err(FramingError::TooLong),
                packet => return Ok(Some(packet)),
            }
        }
    }
}

/// `packet` marked off for a stream.
pub(crate) fn frame(style: Style, packet: &[u8]) -> Vec<u8> {
    match style {
        Style::Length => {
            let length = u32::try_from(packet.len()).expect("no reply is that long");
            [&length.to_be_bytes(), packet].concat()
        }
        Style::Slip => {
            let mut bytes = vec![END];
            for byte in packet {
                match *byte {
                    END => bytes.extend([ESCAPE, ESCAPED_END]),
                    ESCAPE => bytes.extend([ESCAPE, ESCAPED_ESCAPE]),
                    plain => bytes.push(plain),
                }
            }
            bytes.push(END);
            bytes
        }
    }
}

fn unescape(bytes: &[u8]) -> Result<Vec<u8>, FramingError> {
    let mut packet = Vec::with_capacity(bytes.len());
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        packet.push(match *byte {
            ESCAPE => match bytes.next() {
                Some(&ESCAPED_END) => END,
                Some(&ESCAPED_ESCAPE) => ESCAPE,
                _ => return Err(FramingError::Escape),
            },
            plain => plain,
        });
    }
    Ok(packet)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::{Deframer, FramingError, PACKET_BYTES_MAX, Style, frame};

    fn packets(deframer: &mut Deframer) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| deframer.next().unwrap()).collect()
    }

    proptest! {
        #[test]
        fn packets_come_out_as_they_went_in_however_the_stream_is_cut(
            sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 1..8),
            cut in 1_usize..17,
            slip in any::<bool>(),
        ) {
            let style = if slip { Style::Slip } else { Style::Length };
            let stream: Vec<u8> = sent.iter().flat_map(|packet| frame(style, packet)).collect();
            let mut deframer = Deframer::default();
            let mut got = Vec::new();
            for piece in stream.chunks(cut) {
                deframer.push(piece);
                got.extend(packets(&mut deframer));
            }
            assert_eq!((got, deframer.held()), (sent, 0));
        }

        #[test]
        fn no_stream_makes_this_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut deframer = Deframer::default();
            deframer.push(&bytes);
            while let Ok(Some(_)) = deframer.next() {}
        }
    }

    #[test]
    fn slip_is_known_by_its_first_byte_also_without_the_leading_end() {
        for first in [0xC0, b'/', b'#'] {
            let mut deframer = Deframer::default();
            deframer.push(&[first]);
            assert_eq!(deframer.style(), Some(Style::Slip));
        }
        let mut deframer = Deframer::default();
        deframer.push(b"/test\0\0\0\xC0");
        assert_eq!(packets(&mut deframer), [b"/test\0\0\0"]);
    }

    #[test]
    fn a_packet_beyond_the_bound_is_refused_before_it_is_there() {
        let mut deframer = Deframer::default();
        deframer.push(&(PACKET_BYTES_MAX as u32 + 1).to_be_bytes());
        assert_eq!(deframer.next(), Err(FramingError::TooLong));
        let mut deframer = Deframer::default();
        deframer.push(&vec![b'/'; 2 * PACKET_BYTES_MAX + 1]);
        assert_eq!(deframer.next(), Err(FramingError::TooLong));
    }
}
