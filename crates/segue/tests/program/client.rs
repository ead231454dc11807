//! An OSC client of the tests' own: one datagram there, answers back.

use std::net::UdpSocket;

use rosc::{OscBundle, OscMessage, OscPacket, OscTime, OscType};

use crate::engine::DEADLINE;

/// A UDP sender.
pub(crate) struct Client {
    socket: UdpSocket,
}

impl Client {
    /// A client of the engine on this port.
    pub(crate) fn new(port: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(("127.0.0.1", port)).expect("loopback");
        socket.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        Self { socket }
    }

    /// Sends bytes as they are.
    pub(crate) fn send_bytes(&self, bytes: &[u8]) {
        self.socket.send(bytes).expect("sent");
    }

    /// Sends a message.
    pub(crate) fn send(&self, address: &str, args: &[OscType]) {
        let message = OscMessage { addr: address.to_owned(), args: args.to_vec() };
        self.send_bytes(&rosc::encoder::encode(&OscPacket::Message(message)).expect("encodes"));
    }

    /// Sends messages as one bundle, for now.
    pub(crate) fn send_bundle<const N: usize>(&self, messages: &[(&str, [OscType; N])]) {
        let message = |(address, args): &(&str, [OscType; N])| {
            OscPacket::Message(OscMessage { addr: (*address).to_owned(), args: args.to_vec() })
        };
        let timetag = OscTime { seconds: 0, fractional: 1 };
        let bundle = OscBundle { timetag, content: messages.iter().map(message).collect() };
        self.send_bytes(&rosc::encoder::encode(&OscPacket::Bundle(bundle)).expect("encodes"));
    }

    /// The next answer.
    pub(crate) fn receive(&self) -> OscMessage {
        let mut bytes = [0; 65536];
        let length = self.socket.recv(&mut bytes).expect("an answer within the deadline");
        match rosc::decoder::decode_udp(&bytes[..length]).expect("OSC").1 {
            OscPacket::Message(message) => message,
            OscPacket::Bundle(bundle) => panic!("an answer is a message: {bundle:?}"),
        }
    }

    /// Sends a message and gives its answer.
    pub(crate) fn ask(&self, address: &str, args: &[OscType]) -> OscMessage {
        self.send(address, args);
        self.receive()
    }

    /// Waits until everything sent before is in the log; gives what was answered meanwhile.
    pub(crate) fn sync(&self, id: i32) -> Vec<OscMessage> {
        self.send("/sync", &[OscType::Int(id)]);
        let mut others = Vec::new();
        loop {
            let answer = self.receive();
            if answer.addr == "/synced" {
                assert_eq!(answer.args, [OscType::Int(id)]);
                return others;
            }
            others.push(answer);
        }
    }
}
