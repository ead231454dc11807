//! Replies to bytes, within what the way back can carry.

use rosc::{OscMessage, OscPacket, OscType};

use super::refusal::{Code, Refusal};

/// No UDP reply is longer: it would be an amplifier for forged senders, and break on the way.
pub(crate) const UDP_REPLY_BYTES_MAX: usize = 4096;

/// The bytes of `message`; what is too long for a datagram becomes `/error … too_long`.
pub(crate) fn encode_udp(message: &OscMessage) -> Vec<u8> {
    let bytes = encode(message);
    if bytes.len() <= UDP_REPLY_BYTES_MAX {
        return bytes;
    }
    // A refusal repeats the arguments of its sender, which may be what is long.
    if message.addr == "/error" {
        let args = message.args.iter().take(3).map(shortened).collect();
        return encode(&OscMessage { addr: message.addr.clone(), args });
    }
    let text = format!(
        "the reply of {} bytes is longer than a datagram of {UDP_REPLY_BYTES_MAX}; \
         ask over TCP on the same port",
        bytes.len()
    );
    // `/done ADDRESS …` is told by what it answers.
    let asked = match (message.addr.as_str(), message.args.first()) {
        ("/done", Some(OscType::String(asked))) => asked.clone(),
        _ => message.addr.clone(),
    };
    let asked = OscMessage { addr: asked, args: Vec::new() };
    encode(&Refusal::new(Code::TooLong, text).reply_to(&asked))
}

/// The bytes of `message`, however long.
pub(crate) fn encode(message: &OscMessage) -> Vec<u8> {
    rosc::encoder::encode(&OscPacket::Message(message.clone()))
        .expect("writing to memory does not fail")
}

/// `/done ADDRESS …`.
pub(crate) fn done(address: &str, results: Vec<OscType>) -> OscMessage {
    let mut args = vec![OscType::String(address.to_owned())];
    args.extend(results);
    OscMessage { addr: "/done".to_owned(), args }
}

fn shortened(argument: &OscType) -> OscType {
    match argument {
        OscType::String(text) if text.len() > 512 => {
            OscType::String(text.chars().take(512).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use rosc::{OscMessage, OscType};

    use super::super::decode::decode;
    use super::{UDP_REPLY_BYTES_MAX, done, encode_udp};

    fn first(bytes: &[u8]) -> OscMessage {
        decode(bytes).unwrap().remove(0).messages.remove(0).unwrap()
    }

    #[test]
    fn a_reply_too_long_for_a_datagram_names_tcp() {
        let long = done("/engine/schema", vec![OscType::String("x".repeat(5000))]);
        let reply = first(&encode_udp(&long));
        assert_eq!(reply.addr, "/error");
        assert_eq!(reply.args[0], OscType::String("/engine/schema".to_owned()));
        assert_eq!(reply.args[1], OscType::String("too_long".to_owned()));
        assert!(matches!(&reply.args[2], OscType::String(text) if text.contains("TCP")));
    }

    #[test]
    fn no_refusal_is_longer_than_a_datagram() {
        let text = |length: usize| OscType::String("x".repeat(length));
        for args in [vec![text(9), text(9), text(9), text(9999)], vec![text(9999); 3]] {
            let bytes = encode_udp(&OscMessage { addr: "/error".to_owned(), args });
            assert!(bytes.len() <= UDP_REPLY_BYTES_MAX);
            assert_eq!(first(&bytes).addr, "/error");
        }
    }
}
