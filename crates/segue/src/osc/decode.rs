//! Bytes of one packet to messages, in groups that belong to one frame.
//!
//! *Invariant*: no bytes make this panic or recurse. The bundles are walked here with a bound on
//! their depth, and `rosc` is given single messages only: it recurses on nested bundles until
//! the stack is gone (one datagram of 60 kB is enough), and its arrays nest without a bound.

use rosc::{OscMessage, OscPacket};

use super::time::TimeTag;

/// How deep bundles may stand in bundles.
pub(crate) const DEPTH_MAX: usize = 8;
/// Arguments of one message that are looked at; no address takes a tenth of them.
const TAGS_MAX: usize = 1024;
/// Messages of one packet, in all its bundles together.
const MESSAGES_MAX: usize = 4096;

/// Messages that are applied at one frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    /// When.
    pub(crate) time: TimeTag,
    /// In order; an error stands where a message could not be read.
    pub(crate) messages: Vec<Result<OscMessage, BadMessage>>,
    /// Whether they came in a bundle, so that they are taken whole or refused whole.
    pub(crate) bundled: bool,
}

/// A message whose arguments could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadMessage {
    /// Its address, as far as it could be read.
    pub(crate) address: String,
    /// What was wrong.
    pub(crate) what: String,
}

/// Why nothing of a packet was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PacketError {
    /// It begins neither with `/` nor with `#bundle`.
    #[error("this is neither an OSC message nor a bundle")]
    NotOsc,
    /// A bundle ends within an element.
    #[error("the bundle is cut short")]
    Cut,
    /// Bundles in bundles beyond [`DEPTH_MAX`].
    #[error("bundles are nested more than {DEPTH_MAX} deep")]
    Deep,
    /// More messages than are taken at a time.
    #[error("more than {MESSAGES_MAX} messages in one packet")]
    Many,
}

/// The groups of `packet`, in the order they were written.
pub(crate) fn decode(packet: &[u8]) -> Result<Vec<Group>, PacketError> {
    if packet.first() == Some(&b'/') {
        let messages = vec![message(packet)];
        return Ok(vec![Group { time: TimeTag::NOW, messages, bundled: false }]);
    }
    let (time, elements) = bundle(packet)?;
    let mut walk = Walk { groups: Vec::new(), messages: 0 };
    walk.groups.push(Group { time, messages: Vec::new(), bundled: true });
    walk.elements(elements, time)?;
    walk.groups.retain(|group| !group.messages.is_empty());
    Ok(walk.groups)
}

struct Walk {
    groups: Vec<Group>,
    messages: usize,
}

impl Walk {
    fn elements(&mut self, elements: &[u8], time: TimeTag) -> Result<(), PacketError> {
        // What is left of each bundle that is open, with its time.
        let mut open = vec![(elements, time)];
        while let Some((elements, time)) = open.last_mut() {
            let time = *time;
            if elements.is_empty() {
                open.pop();
                continue;
            }
            let (element, rest) = first_element(elements)?;
            *elements = rest;
            if element.first() == Some(&b'/') {
                self.add(time, message(element))?;
                continue;
            }
            let (own_time, inner) = bundle(element)?;
            if open.len() >= DEPTH_MAX {
                return Err(PacketError::Deep);
            }
            // A bundle within a bundle has a time of its own, or that of the one around it.
            open.push((inner, if own_time == TimeTag::NOW { time } else { own_time }));
        }
        Ok(())
    }

    fn add(
        &mut self,
        time: TimeTag,
        message: Result<OscMessage, BadMessage>,
    ) -> Result<(), PacketError> {
        self.messages += 1;
        if self.messages > MESSAGES_MAX {
            return Err(PacketError::Many);
        }
        if let Some(group) = self.groups.iter_mut().find(|group| group.time == time) {
            group.messages.push(message);
        } else {
            self.groups.push(Group { time, messages: vec![message], bundled: true });
        }
        Ok(())
    }
}

/// Time tag and elements of a bundle.
fn bundle(bytes: &[u8]) -> Result<(TimeTag, &[u8]), PacketError> {
    let rest = bytes.strip_prefix(b"#bundle\0").ok_or(PacketError::NotOsc)?;
    let (time, elements) = rest.split_first_chunk::<8>().ok_or(PacketError::Cut)?;
    Ok((TimeTag(u64::from_be_bytes(*time)), elements))
}

fn first_element(bytes: &[u8]) -> Result<(&[u8], &[u8]), PacketError> {
    let (size, rest) = bytes.split_first_chunk::<4>().ok_or(PacketError::Cut)?;
    let size = u32::from_be_bytes(*size) as usize;
    rest.split_at_checked(size).ok_or(PacketError::Cut)
}

fn message(bytes: &[u8]) -> Result<OscMessage, BadMessage> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let address = String::from_utf8_lossy(&bytes[..end.min(256)]).into_owned();
    let bad = |what: &str| BadMessage { address: address.clone(), what: what.to_owned() };
    // Some senders leave the type tags away where there are no arguments.
    if bytes.len() <= (end / 4 + 1) * 4 {
        return match std::str::from_utf8(&bytes[..end]) {
            Ok(addr) => Ok(OscMessage { addr: addr.to_owned(), args: Vec::new() }),
            Err(_) => Err(bad("the address is not text")),
        };
    }
    let tags = &bytes[(end / 4 + 1) * 4..];
    let tags = &tags[..tags.iter().position(|byte| *byte == 0).unwrap_or(tags.len())];
    if tags.first() != Some(&b',') {
        return Err(bad("the type tags are missing"));
    }
    if tags.len() > TAGS_MAX {
        return Err(bad("too many arguments"));
    }
    if tags.contains(&b'[') {
        return Err(bad("arrays are not understood"));
    }
    match rosc::decoder::decode_udp(bytes) {
        Ok(([], OscPacket::Message(message))) => Ok(message),
        Ok((_, OscPacket::Message(_))) => Err(bad("bytes are left over behind the arguments")),
        Ok((_, OscPacket::Bundle(_))) => Err(bad("a bundle where a message should be")),
        Err(_) => Err(bad("the arguments do not match their type tags")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};
    use rosc::{OscMessage, OscType};

    use super::{PacketError, TimeTag, decode};

    fn encoded(addr: &str, args: Vec<OscType>) -> Vec<u8> {
        let message = OscMessage { addr: addr.to_owned(), args };
        rosc::encoder::encode(&rosc::OscPacket::Message(message)).unwrap()
    }

    fn bundled(time: u64, elements: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"#bundle\0".to_vec();
        bytes.extend(time.to_be_bytes());
        for element in elements {
            bytes.extend((element.len() as u32).to_be_bytes());
            bytes.extend(element);
        }
        bytes
    }

    fn addresses(packet: &[u8]) -> Vec<(u64, Vec<String>)> {
        let name = |message: &Result<OscMessage, _>| message.as_ref().unwrap().addr.clone();
        let groups = decode(packet).unwrap().into_iter();
        groups.map(|it| (it.time.0, it.messages.iter().map(name).collect())).collect()
    }

    #[test]
    fn a_message_is_a_group_of_its_own() {
        let groups = decode(&encoded("/mod/a/b", vec![OscType::Float(1.0)])).unwrap();
        assert_eq!(groups.len(), 1);
        assert!(!groups[0].bundled && groups[0].time == TimeTag::NOW);
        assert_eq!(groups[0].messages[0].as_ref().unwrap().args, [OscType::Float(1.0)]);
    }

    #[test]
    fn a_bundle_within_a_bundle_keeps_its_own_time_or_takes_that_around_it() {
        let inner = bundled(1, &[encoded("/b", vec![])]);
        let later = bundled(9 << 32, &[encoded("/d", vec![])]);
        let packet =
            bundled(5 << 32, &[encoded("/a", vec![]), inner, later, encoded("/c", vec![])]);
        let expected = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            addresses(&packet),
            [(5 << 32, expected(&["/a", "/b", "/c"])), (9 << 32, expected(&["/d"]))]
        );
    }

    #[test]
    fn three_thousand_nested_bundles_are_refused_and_nobody_falls() {
        let mut packet = encoded("/a", vec![]);
        for _ in 0..3000 {
            packet = bundled(1, &[packet]);
        }
        assert_eq!(decode(&packet), Err(PacketError::Deep));
    }

    #[test]
    fn arrays_nested_ten_thousand_deep_are_refused_and_nobody_falls() {
        let mut packet = b"/a\0\0,".to_vec();
        packet.extend(std::iter::repeat_n(b'[', 10_000));
        packet.extend(std::iter::repeat_n(b']', 10_003));
        packet.push(0);
        assert!(decode(&packet).unwrap()[0].messages[0].is_err());
    }

    #[test]
    fn a_bad_message_does_not_hold_back_the_others_of_its_bundle() {
        let packet = bundled(1, &[b"/bad\0\0\0\0,f\0\0".to_vec(), encoded("/good", vec![])]);
        let group = decode(&packet).unwrap().remove(0);
        assert_eq!(group.messages[0].as_ref().unwrap_err().address, "/bad");
        assert_eq!(group.messages[1].as_ref().unwrap().addr, "/good");
    }

    #[test]
    fn an_address_without_type_tags_is_a_message_without_arguments() {
        for packet in [b"/test\0\0\0".as_slice(), b"/test", b"/sync/a\0"] {
            assert!(decode(packet).unwrap()[0].messages[0].as_ref().unwrap().args.is_empty());
        }
        assert_eq!(decode(b""), Err(PacketError::NotOsc));
        assert_eq!(decode(b"GET / HTTP/1.1\r\n"), Err(PacketError::NotOsc));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn no_damaged_bundle_makes_the_decoder_panic(
            at in 0_usize..80, with in any::<u8>(), cut in 0_usize..80,
        ) {
            let args = vec![OscType::Int(1), OscType::String("x".to_owned()), OscType::Nil];
            let message = encoded("/mod/osc/freq", args);
            let mut packet = bundled(1, &[message, bundled(3, &[encoded("/b", vec![])])]);
            let last = packet.len() - 1;
            packet[at.min(last)] = with;
            packet.truncate(cut.max(1));
            let _ = decode(&packet);
        }
    }
}
